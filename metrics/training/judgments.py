"""The judgments to learn from: the 2AFC items of one or more sets as one numbered list, labels in memory.

Images stay on disk and are decoded ahead of whoever takes them.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bapps_builder.datasets.load_mode import LoadMode
from bapps_builder.datasets.reader import Batch, ItemSet, mapped_ahead, read_label
from bapps_builder.errors import DatasetError
from bapps_builder.layout import LABEL_FOLDER, TASKS, SetFolder, find_sets
from metrics.training.recipe import TrainingError

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Judgments:
    """N items of one or more sets, in the order of sets and ids.

    Attributes
    ----------
    sets : tuple of ItemSet
    labels : float32 array of shape (N,)
        Fraction of people who chose p1.
    digests : tuple of str
        SHA-256 of each set's content: names and bytes of its files.
    """

    sets: tuple[ItemSet, ...]
    labels: NDArray[np.float32]
    digests: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def starts(self) -> list[int]:
        """The number of each set's first item, and N."""
        return [0, *np.cumsum([len(items) for items in self.sets]).tolist()]

    def read(self, indices: Indices, *, load: LoadMode) -> list[Batch]:
        """Decode items by number, in this order; neighbours of one set and one image size are one batch."""
        batches: list[Batch] = []
        owners = np.searchsorted(self.starts, indices, side="right") - 1
        for run in np.split(np.arange(len(indices)), np.flatnonzero(np.diff(owners)) + 1):
            if len(run):
                items, first = self.sets[owners[run[0]]], self.starts[owners[run[0]]]
                batches += items.read([items.ids[k - first] for k in indices[run]], load=load)
        return batches

    def decoded(
        self, portions: Iterable[Indices], *, load: LoadMode, threads: int = 2
    ) -> Iterator[tuple[Indices, list[Batch]]]:
        """Decode portions of item numbers in threads, ahead of whoever takes them, in order."""

        def decode(indices: Indices) -> tuple[Indices, list[Batch]]:
            return indices, self.read(indices, load=load)

        with mapped_ahead(decode, portions, threads=threads) as results:
            yield from results


def open_judgments(
    root: Path, names: Sequence[str], *, threads: int = 2, advance: Callable[[int], None] = lambda _: None
) -> Judgments:
    """Open sets by their labels `split/name`, reading every byte once for labels and digests; no labels, no sets.

    Raises
    ------
    DatasetError
        If a set is missing, incomplete, or of judgments other than 2AFC.
    """
    sets = tuple(ItemSet(folder) for folder in _twoafc_folders(root, names))
    digests = [_digest(items.folder, threads, advance) for items in sets]
    labels = [_label(items.folder, item) for items in sets for item in items.ids]
    return Judgments(sets, np.array(labels, np.float32), tuple(digests))


def check_informative(judgments: Judgments) -> None:
    """Raise TrainingError if nothing can be learned, because every judgment is tied."""
    if not len(judgments) or bool((judgments.labels == 0.5).all()):
        sets = ", ".join(items.folder.label for items in judgments.sets)
        raise TrainingError(f"{sets}: all {len(judgments)} judgments are tied at 0.5; there is nothing to learn")


def validation_sets(root: Path) -> tuple[str, ...]:
    """The labels of every 2AFC validation set of a dataset, in the paper's order; none if it has none."""
    return tuple(folder.label for folder in find_sets(root, ("2afc",)) if folder.split == "val")


def _twoafc_folders(root: Path, labels: Sequence[str]) -> list[SetFolder]:
    if not labels:
        return []
    folders = find_sets(root, TASKS, labels)
    twoafc = {folder.label for folder in folders if folder.task == "2afc"}
    for label in labels:
        if label not in twoafc:
            raise DatasetError(f"{root}: the set {label!r} holds same/different judgments; training takes 2AFC sets")
    return [folder for folder in folders if folder.task == "2afc"]


def _digest(folder: SetFolder, threads: int, advance: Callable[[int], None]) -> str:
    """SHA-256 over the name and content of every file of a set, in the order of names."""
    files = sorted(path for path in folder.path.glob("*/*") if not path.name.startswith("."))
    whole = hashlib.sha256()
    portions = [files[k : k + 200] for k in range(0, len(files), 200)]
    with mapped_ahead(partial(_digest_of_files, folder.path), portions, threads=threads) as results:
        for portion, digest in zip(portions, results, strict=True):
            whole.update(digest)
            advance(len(portion))
    return whole.hexdigest()


def _digest_of_files(root: Path, files: Sequence[Path]) -> bytes:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def _label(folder: SetFolder, item: str) -> float:
    return read_label(folder.path / LABEL_FOLDER[folder.task] / f"{item}.npy")
