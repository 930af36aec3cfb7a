"""The official BAPPS layout; the only file that spells its paths.

ROOT/2afc/{train,val}/SET/{ref,p0,p1}/NNNNNN.png   judge/NNNNNN.npy   fraction for p1
ROOT/jnd/val/SET/{p0,p1}/NNNNNN.png                same/NNNNNN.npy    fraction of "same"

Datasets built here also hold ROOT/{dataset.json,README.md,other_answers.parquet}, and items.parquet and
answers.parquet in the folder of each set.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bapps_builder.errors import DatasetError
from bapps_builder.tasks import JUDGED, Task

TASKS: tuple[Task, ...] = tuple(JUDGED)

SPLITS = ("train", "val")
IMAGE_FOLDERS: dict[Task, tuple[str, ...]] = {task: judging.images for task, judging in JUDGED.items()}
LABEL_FOLDER: dict[Task, str] = {task: judging.label for task, judging in JUDGED.items()}

# What a dataset built here holds besides: of the whole, and of each set.
DESCRIPTION, CARD, OTHER_ANSWERS = "dataset.json", "README.md", "other_answers.parquet"
ITEMS, ANSWERS = "items.parquet", "answers.parquet"

# The paper's validation sets in the order of its tables, and the two groups it averages.
PAPER_SETS = ("traditional", "cnn", "superres", "deblur", "color", "frameinterp")
PAPER_GROUPS: dict[str, tuple[str, ...]] = {
    "distortions": ("traditional", "cnn"),
    "real algorithms": ("superres", "deblur", "color", "frameinterp"),
}
_SET_NAME = re.compile(r"[^\W_][\w+@,~ -]*(\.[\w+@,~ -]+)*")


@dataclass(frozen=True)
class SetFolder:
    """One set of items on disk, for example `val/traditional` of the task `2afc`."""

    root: Path
    task: Task
    split: str
    name: str

    @property
    def label(self) -> str:
        """The name on the command line and in tables: `split/name`."""
        return f"{self.split}/{self.name}"

    @property
    def path(self) -> Path:
        """The folder that holds the image and label folders."""
        return self.root / self.task / self.split / self.name

    @property
    def key(self) -> str:
        """The name in `dataset.json`, unique in a dataset: `task/split/name`."""
        return f"{self.task}/{self.label}"

    @property
    def roles(self) -> tuple[str, ...]:
        """The folders of images and, last, the one of labels."""
        return (*IMAGE_FOLDERS[self.task], LABEL_FOLDER[self.task])

    def file(self, role: str, item_id: str) -> Path:
        """Where a file of an item belongs."""
        return self.path / role / f"{item_id}{'.npy' if role == LABEL_FOLDER[self.task] else '.png'}"


def set_of_key(root: Path, key: str) -> SetFolder:
    """Give the set of a key `task/split/name` (see `SetFolder.key`)."""
    task, split, name = key.split("/", 2)
    return SetFolder(root, cast(Task, task), split, name)


def every_set(root: Path) -> list[SetFolder]:
    """All sets of a dataset, 2AFC before JND, training before validation."""
    return [one for task in TASKS for split in SPLITS for one in _sets_of_split(root, task, split)]


def find_sets(root: Path, tasks: Sequence[Task], labels: Sequence[str] = ()) -> list[SetFolder]:
    """Find the sets of a dataset.

    Parameters
    ----------
    root : Path
        The folder that holds `2afc/` and `jnd/`.
    tasks : sequence of "2afc", "jnd"
    labels : sequence of "split/name"
        The sets to take, in this order, of whichever of the tasks have them. Empty: of each task every
        validation set in the paper's order, then others by name; if it has training sets only, those.

    Raises
    ------
    DatasetError
        If `root` is no folder, has no sets, or a wanted set is not there (the message names those that are).
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; it should hold 2afc/ or jnd/ in the BAPPS layout")
    present = [one for task in tasks for split in SPLITS for one in _sets_of_split(root, task, split)]
    if not present:
        places = " or ".join(str(root / task / "val" / "SET") for task in tasks)
        raise DatasetError(f"{root}: no sets in it; expected folders {places}")
    for label in labels:
        if label not in {one.label for one in present}:
            names = ", ".join(f"{one.label} ({one.task})" for one in present)
            raise DatasetError(f"{root}: no set {label!r}; there: {names}")
    if labels:
        order = list(dict.fromkeys(labels))
        choice = [one for one in present if one.label in order]
        return sorted(choice, key=lambda one: (tasks.index(one.task), order.index(one.label)))
    validated = {one.task for one in present if one.split == "val"}
    return [one for one in present if one.split == "val" or one.task not in validated]


def _sets_of_split(root: Path, task: Task, split: str) -> list[SetFolder]:
    folder = root / task / split
    if not folder.is_dir():
        return []
    names = [entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    return [SetFolder(root, task, split, name) for name in sorted(names, key=paper_order)]


def paper_order(name: str) -> tuple[int, str]:
    """Sort key: the paper's sets in the order of its tables, then all others by name."""
    return (PAPER_SETS.index(name) if name in PAPER_SETS else len(PAPER_SETS), name)


def check_set_names(names: Iterable[object], source: str) -> None:
    """Raise DatasetError for a name that, as a folder's, would lead out of the dataset, or cannot be a folder's."""
    for name in names:
        if not isinstance(name, str) or not _SET_NAME.fullmatch(name) or len(name) > 100:
            raise DatasetError(
                f"{source}: {name!r} cannot name a set; expected letters, digits and some of . _ - + , @ ~ and spaces, "
                "beginning with a letter or digit"
            )
