"""The items of a report on which two metrics contradict each other, with their pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis.report.material import Shown
from analysis.scoring.contradictions import Contradiction, contradictions
from analysis.scoring.judged_sets import JudgedSet
from bapps_builder.images.enlargement import PATCH_SIDE, shrink
from bapps_builder.images.image_files import SUFFIXES, encode_png, read_image
from bapps_builder.layout import IMAGE_FOLDERS, SetFolder

# Every two of more metrics would make a page nobody reads.
MOST_METRICS = 4


def contradicting(sets: Sequence[JudgedSet], data: Path | None, *, each: int) -> dict[str, list[Shown]]:
    """Give the `each` strongest items of every two of the first four metrics, of all sets of a task together.

    Without the dataset's folder there are no pictures.
    """
    found: dict[str, list[tuple[float, JudgedSet, Contradiction]]] = {}
    for one in sets:
        few = JudgedSet(one.task, one.label, one.metrics[:MOST_METRICS], one.distances[:MOST_METRICS], one.items, None)
        for clash in contradictions(few, each=each):
            pair = " and ".join(sorted((clash.first, clash.second), key=one.metrics.index))
            found.setdefault(f"{one.task.upper()}: {pair}", []).append((clash.strength, one, clash))
    return {
        title: [_shown(one, clash, data) for _, one, clash in sorted(clashes, key=lambda entry: -entry[0])[:each]]
        for title, clashes in found.items()
    }


def _shown(one: JudgedSet, clash: Contradiction, data: Path | None) -> Shown:
    item = str(one.items["item"].iloc[clash.row])
    p = float(one.p[clash.row])
    return Shown(
        item=item,
        where=f"{one.label}, item {item}",
        patches=_patches(one, item, data) if data else (),
        said=_of_triplet(one, clash, p) if one.task == "2afc" else _of_pair(one, clash, p),
        choices=("p0", "p1", _majority(p)) if one.task == "2afc" else (),
    )


def _of_triplet(one: JudgedSet, clash: Contradiction, p: float) -> tuple[tuple[str, str], ...]:
    votes = _votes(one, clash.row, _majority(p), max(p, 1 - p))
    return ((clash.first, "p0 closer"), (clash.second, "p1 closer"), ("people", votes))


def _majority(p: float) -> str:
    return "p1" if p >= 0.5 else "p0"


def _of_pair(one: JudgedSet, clash: Contradiction, p: float) -> tuple[tuple[str, str], ...]:
    said = []
    for name in (clash.first, clash.second):
        distances = one.distances[one.metrics.index(name), 0]
        closer = float(np.mean(distances < distances[clash.row]))
        said.append((name, f"{100 * closer:.0f}% of pairs closer"))
    return (*said, ("people", _votes(one, clash.row, "same", p)))


def _votes(one: JudgedSet, row: int, choice: str, share: float) -> str:
    if "n" not in one.items:
        return f"{100 * share:.0f}% {choice}"
    n = int(one.items["n"].iloc[row])
    return f"{round(share * n)} of {n} {choice}"


def _patches(one: JudgedSet, item: str, data: Path) -> tuple[tuple[str, bytes], ...]:
    split, _, name = one.label.rpartition("/")
    folder = SetFolder(data, one.task, split, name).path
    found = []
    for role in IMAGE_FOLDERS[one.task]:
        files = [path for suffix in sorted(SUFFIXES) if (path := folder / role / f"{item}{suffix}").is_file()]
        if files:
            image = read_image(files[0])
            square = image.shape[0] == image.shape[1] >= PATCH_SIDE
            found.append((role, encode_png(shrink(image) if square else image)))
    return tuple(found)
