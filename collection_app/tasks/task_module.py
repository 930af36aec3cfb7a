"""What the rest of the server knows of a task, and asks of it."""

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable


@dataclass(frozen=True)
class TaskModule:
    """A task: what people are asked about patches.

    Its folder holds `templates/page.html`, which fills in the blocks of `study.html`; `static/trial.js`, which shows a
    trial; and `texts/`, a file for each language.

    Attributes
    ----------
    name : str
        As study files, answers and exports have it.
    package : str
        The package of its folder.
    """

    name: str
    package: str

    @property
    def folder(self) -> Traversable:
        """Where its files are."""
        return files(self.package)
