"""What the rest of the server knows of a task, and asks of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Protocol

from bapps_builder.layout import Task
from collection_app.tasks.known_answers import Check, Pixels
from collection_app.tasks.observers import Observer


class ByPixels(Protocol):
    """How a program answers that looks at pixels, of the reference, if there is one, and of the left and the right."""

    def __call__(self, pictures: Sequence[Pixels], *, sure: bool) -> int | None:
        """Give 0 or 1, or None where it cannot tell."""
        ...


@dataclass(frozen=True)
class TaskModule:
    """A task: what people are asked about patches.

    Its folder holds `templates/page.html`, which fills in the blocks of `study.html`; `static/task.js`, which shows a
    trial; and `texts/`, a file for each language.

    Attributes
    ----------
    name : str
        As study files, answers and exports have it.
    package : str
        The package of its folder.
    question : str
        What it asks, for who writes a study file.
    patch_sets : "2afc" or "jnd"
        The task of the patch sets whose items it shows.
    choices : two str
        What can be chosen, as the browser calls it.
    sided : bool
        Whether a choice is the side of a patch: the first one is of what is on the left, and what is stored is the
        patch, p0 or p1. Else a choice is stored as it is, and the side is the order of the two.
    timed : bool
        Whether patches are shown for a set time, which is measured; a bad exposure is repeated once.
    quotas : mapping of split to str
        The setting in `answers_per_item` that says how many people answer an item of a split.
    checks : sequence of Check
        Its questions with a known answer, in the order in which they are made.
    presets : mapping of name to settings
        Ready studies, without what all of them share.
    p_first : callable of (Observer, float, float)
        How likely a simulated person makes the first choice, given the distances of the left and the right patch from
        the reference; of a pair, 0 and that of the two.
    by_pixels : ByPixels
        Which choice, 0 or 1, a program makes of pixels; None where it cannot tell and is not `sure` that one is plain.
    by_names : callable of (str, str)
        Which choice, 0 or 1, a program makes of the names of the left and the right picture.
    looked : bool
        Whether its three pictures may be shown in place, one at a time; each must then be looked at.
    open_to : mapping of preset to str
        What a preset is open to, where it is open to something: `init` says so.
    """

    name: str
    package: str
    question: str
    patch_sets: Task
    choices: tuple[str, str]
    sided: bool
    timed: bool
    quotas: Mapping[str, str]
    checks: Sequence[Check]
    presets: Mapping[str, Mapping[str, Any]]
    p_first: Callable[[Observer, float, float], float]
    by_pixels: ByPixels
    by_names: Callable[[str, str], int]
    open_to: Mapping[str, str] = field(default_factory=dict)
    looked: bool = False

    @property
    def folder(self) -> Traversable:
        """Where its files are."""
        return files(self.package)

    @property
    def attempts(self) -> int:
        """How often an item may be shown to a person: once more after a bad exposure."""
        return 2 if self.timed else 1

    def stored(self, choice: str, side: str) -> str:
        """What a choice of the browser means, where p1 was shown on `side`."""
        if not self.sided:
            return choice
        return "p1" if choice == side else "p0"

    def said(self, choice: str, side: str) -> str:
        """What the browser calls a choice that is stored: the inverse of `stored`."""
        if not self.sided:
            return choice
        return side if choice == "p1" else next(word for word in self.choices if word != side)
