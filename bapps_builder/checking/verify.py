"""Check a dataset in the BAPPS layout, built here or by others, as a whole and file by file.

    files of each set -> every image and label -> tables and record (datasets built here) -> training against
    validation

Nothing is changed, and the first fault does not end it: all are reported.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bapps_builder.answers.vote_arithmetic import votes_of_fractions
from bapps_builder.checking.file_inspection import Inspection, Job, inspect_items
from bapps_builder.checking.findings import Finding, Report, SetFacts, finding
from bapps_builder.checking.set_files import SetFiles
from bapps_builder.checking.verify_tables import (
    check_photos,
    check_record,
    check_summary,
    check_votes,
    items_of,
    photos_of,
    read_tables,
)
from bapps_builder.datasets.dataset_record import is_built
from bapps_builder.datasets.official_sets import FILE_SIDE, OFFICIAL_SETS, SMALLER_FILE_SIDE
from bapps_builder.errors import DatasetError
from bapps_builder.files.parallel import mapped, workers_for
from bapps_builder.images.enlargement import PATCH_SIDE
from bapps_builder.images.image_files import read_image
from bapps_builder.images.near_duplicates import close_pairs, same_picture
from bapps_builder.layout import IMAGE_FOLDERS, SetFolder

_PORTION = 500  # items that one process inspects at a time


@dataclass(frozen=True)
class _Inspected:
    """A set with what its N complete items are."""

    files: SetFiles
    ids: list[str]
    items: Inspection

    @property
    def folder(self) -> SetFolder:
        return self.files.folder

    def original(self, index: int) -> Path:
        """The file of an item's original."""
        role = self.folder.roles[0]
        return self.folder.path / role / self.files.name(role, self.ids[index])


def verify(
    root: Path,
    listed: Sequence[tuple[SetFiles, list[Finding]]],
    *,
    subset: bool = False,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Report:
    """Check a dataset.

    Parameters
    ----------
    root : Path
    listed : sequence
        From `set_files.list_files`.
    subset : bool
        Whether it is meant to be a part of a dataset: gaps in the numbers and fewer items than the paper
        has are notes then.
    workers : int
        Processes.
    advance : callable
        Called with the number of items done.
    """
    workers = workers or workers_for(sum(len(files.complete) for files, _ in listed))
    built = is_built(root)
    record, findings = check_record(root, [files.folder for files, _ in listed]) if built else (None, [])
    # Only a picture of the one split may be one of the other's.
    hashed = len({files.folder.split for files, _ in listed}) > 1
    inspected: list[_Inspected] = []
    photos: list[pd.DataFrame] = []
    for files, problems in listed:
        folder, ids = files.folder, files.complete
        findings += [replace(one, fails=one.fails and not (subset and one.check == "contiguous")) for one in problems]
        tables = read_tables(folder, required=built and bool(ids))
        findings += [*tables.findings, *(check_summary(tables, record) if record else [])]
        photos.append(photos_of(tables))
        if not ids:
            findings.append(Finding("empty", folder.key, True, 0, "no complete item"))
            continue
        items, of_items = items_of(tables, ids)
        one = _inspect(files, items, enlarged=not built, hashed=hashed, workers=workers, advance=advance)
        findings += of_items + _of_inspection(folder, ids, one.items, built=built)
        if items is None:
            findings += _of_fractions(folder, ids, one.items.labels)
        else:
            findings += check_votes(folder, items, tables.answers, ids, one.items.labels)
        if not built:
            findings += _of_count(folder, len(ids), subset=subset)
        inspected.append(one)
    findings += check_photos(photos)
    findings += _duplicates(inspected)
    return Report(str(root), {one.folder.key: _facts(one.items) for one in inspected}, tuple(findings))


def _facts(items: Inspection) -> SetFacts:
    sizes = Counter(f"{width}x{height}" for height, width in items.sides.tolist() if height)
    return SetFacts(len(items.labels), dict(sizes.most_common()), int(items.identical.sum()))


# --- contents of files -------------------------------------------------------------------------------


def _inspect(
    files: SetFiles,
    items: pa.Table | None,
    *,
    enlarged: bool,
    hashed: bool,
    workers: int,
    advance: Callable[[int], None],
) -> _Inspected:
    folder, ids = files.folder, files.complete
    roles = IMAGE_FOLDERS[folder.task]
    digests = {role: items[f"{role}_sha256"].to_pylist() for role in roles} if items is not None else {}

    def jobs() -> Iterator[Job]:
        for start in range(0, len(ids), _PORTION):
            part = ids[start : start + _PORTION]
            yield Job(
                folder=folder,
                files={role: [files.name(role, one) for one in part] for role in folder.roles},
                digests={role: of_role[start : start + _PORTION] for role, of_role in digests.items()},
                enlarged=enlarged,
                hashed=hashed,
            )

    parts = []
    for part in mapped(inspect_items, jobs(), workers=workers):
        parts.append(part)
        advance(len(part.labels))
    whole = Inspection(
        problems=tuple(problem for part in parts for problem in part.problems),
        sides=np.concatenate([part.sides for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        identical=np.concatenate([part.identical for part in parts]),
        hashes=np.concatenate([part.hashes for part in parts]),
        detailed=np.concatenate([part.detailed for part in parts]),
    )
    return _Inspected(files, ids, whole)


_PROBLEMS = {
    "label": "no fraction of the release's form",
    "decodable": "cannot be decoded",
    "size": "images of different sizes",
    "hash": "other pixels than items.parquet says",
    "enlargement": "no enlarged patch",
}


def _of_inspection(folder: SetFolder, ids: Sequence[str], items: Inspection, *, built: bool) -> list[Finding]:
    findings: list[Finding] = []
    for check, what in _PROBLEMS.items():
        findings += finding(check, folder.key, [text for kind, text in items.problems if kind == check], what)
    findings += _of_sizes(folder, items.sides[items.sides[:, 0] > 0], built=built)
    small = np.asarray(ids)[items.sides[:, 0] == SMALLER_FILE_SIDE]
    findings += finding(
        "size",
        folder.key,
        list(small),
        f"{SMALLER_FILE_SIDE}x{SMALLER_FILE_SIDE}, as a few of the release are",
        fails=False,
    )
    same = np.asarray(ids)[items.identical]
    return findings + finding("identical", folder.key, list(same), "p0 and p1 have the same pixels", fails=False)


def _of_sizes(folder: SetFolder, sides: NDArray[np.int32], *, built: bool) -> list[Finding]:
    """Images of people's own studies may have any size; the release has squares, of two sizes and its patches'."""
    sizes = {(width, height) for height, width in sides.tolist()}
    if built:
        other = sizes - {(PATCH_SIDE, PATCH_SIDE)}
        what = f"not BAPPS's patches of {PATCH_SIDE}x{PATCH_SIDE}; scored and trained on as they are"
        return finding("size", folder.key, _spelled(other), what, fails=False)
    oblong = {(width, height) for width, height in sizes if width != height}
    usual = {(side, side) for side in (PATCH_SIDE, FILE_SIDE, SMALLER_FILE_SIDE)}
    unknown = finding(
        "size", folder.key, _spelled(sizes - oblong - usual), "a size the release does not have", fails=False
    )
    released = folder.key in OFFICIAL_SETS
    return finding("size", folder.key, _spelled(oblong), "not square", fails=released) + unknown


def _spelled(sizes: set[tuple[int, int]]) -> list[str]:
    return [f"{width}x{height}" for width, height in sorted(sizes)]


def _of_fractions(folder: SetFolder, ids: Sequence[str], labels: NDArray[np.float64]) -> list[Finding]:
    """Check fractions nobody gave votes for: those of a set of the paper, or of any number of votes up to ten."""
    numbers = labels[np.isfinite(labels)]
    official = OFFICIAL_SETS.get(folder.key)
    problem = ""
    for votes in [official.answers] if official else range(1, 11):
        try:
            votes_of_fractions(numbers, votes)
        except DatasetError as error:
            problem = str(error)
        else:
            return []
    return [Finding("lattice", folder.key, True, len(numbers), problem)]


def _of_count(folder: SetFolder, items: int, *, subset: bool) -> list[Finding]:
    official = OFFICIAL_SETS.get(folder.key)
    if official is None or official.has(items):
        return []
    about = "about " if official.to_the_hundred else ""
    what = f"{items} items, and the paper's set has {about}{official.items}"
    return [Finding("count", folder.key, not subset, items, what)]


# --- training against validation ---------------------------------------------------------------------


def _duplicates(inspected: Sequence[_Inspected]) -> list[Finding]:
    sides = {
        split: [
            (one, index)
            for one in inspected
            if one.folder.split == split
            for index in np.flatnonzero(one.items.detailed)
        ]
        for split in ("train", "val")
    }
    hashes = {
        split: np.array([one.items.hashes[index] for one, index in places], np.uint64)
        for split, places in sides.items()
    }
    same = []
    for i, j in close_pairs(hashes["train"], hashes["val"]):
        first, second = (one.original(index) for one, index in (sides["train"][i], sides["val"][j]))
        if same_picture(read_image(first), read_image(second)):
            same.append(f"{_short(first)} and {_short(second)}")
    return finding("duplicates", "", same, "the same picture in training and validation")


def _short(path: Path) -> str:
    """split/set/role/name"""
    return "/".join(path.parts[-4:])
