"""The items of a report on which two metrics contradict each other, with their pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.report.crops import SIDE, Window, window_of_largest_difference
from analysis.report.material import Picture, Shown, WholePicture
from analysis.scoring.contradictions import Contradiction, contradictions
from analysis.scoring.judged_sets import JudgedSet
from bapps_builder.datasets.load_mode import LoadChoice, LoadMode, choose_load, load_image
from bapps_builder.errors import DatasetError
from bapps_builder.images.image_files import SUFFIXES, encode_png
from bapps_builder.layout import IMAGE_FOLDERS, SetFolder

# Every two of more metrics would make a page nobody reads.
MOST_METRICS = 4
# Items of a set, spread over it, whose files decide how all are read.
_LOOKED_AT = 14


def load_choices(sets: Sequence[JudgedSet], data: Path, load: LoadMode) -> dict[str, LoadChoice]:
    """How the pictures of each set that has some are read, by the set's key; see `load_mode`."""
    choices = {}
    for one in sets:
        folder = _folder(one, data)
        items = one.items["item"].tolist()
        some = items[:: max(1, len(items) // _LOOKED_AT)]
        if files := [path for item in some for _, path in _files(folder, str(item))]:
            choices[folder.key] = choose_load(load, files)
    return choices


def contradicting(
    sets: Sequence[JudgedSet], data: Path | None, loads: Mapping[str, LoadChoice], *, each: int
) -> dict[str, list[Shown]]:
    """Give the `each` strongest items of every two of the first four metrics, of all sets of a task together.

    Without the dataset's folder there are no pictures. `loads` says for each set how they are read.
    """
    of_pairs: dict[str, list[tuple[float, JudgedSet, Contradiction]]] = {}
    for one in sets:
        few = JudgedSet(one.task, one.label, one.metrics[:MOST_METRICS], one.distances[:MOST_METRICS], one.items, None)
        for clash in contradictions(few, each=each):
            pair = " and ".join(sorted((clash.first, clash.second), key=one.metrics.index))
            of_pairs.setdefault(f"{one.task.upper()}: {pair}", []).append((clash.strength, one, clash))
    return {
        title: [_item(one, clash, data, loads) for _, one, clash in sorted(clashes, key=lambda entry: -entry[0])[:each]]
        for title, clashes in of_pairs.items()
    }


def _item(one: JudgedSet, clash: Contradiction, data: Path | None, loads: Mapping[str, LoadChoice]) -> Shown:
    item = str(one.items["item"].iloc[clash.row])
    p = float(one.p[clash.row])
    patches, window = _patches(_folder(one, data), item, loads) if data else ((), None)
    return Shown(
        item=item,
        where=f"{one.label}, item {item}",
        patches=patches,
        verdicts=_of_triplet(one, clash, p) if one.task == "2afc" else _of_pair(one, clash, p),
        choices=("p0", "p1", _majority(p)) if one.task == "2afc" else (),
        window=window,
    )


def _of_triplet(one: JudgedSet, clash: Contradiction, p: float) -> tuple[tuple[str, str], ...]:
    votes = _votes(one, clash.row, _majority(p), max(p, 1 - p))
    return ((clash.first, "p0 closer"), (clash.second, "p1 closer"), ("people", votes))


def _majority(p: float) -> str:
    return "p1" if p >= 0.5 else "p0"


def _of_pair(one: JudgedSet, clash: Contradiction, p: float) -> tuple[tuple[str, str], ...]:
    lines = []
    for name in (clash.first, clash.second):
        distances = one.distances[one.metrics.index(name), 0]
        closer = float(np.mean(distances < distances[clash.row]))
        lines.append((name, f"{100 * closer:.0f}% of pairs closer"))
    return (*lines, ("people", _votes(one, clash.row, "same", p)))


def _votes(one: JudgedSet, row: int, choice: str, share: float) -> str:
    if "n" not in one.items:
        return f"{100 * share:.0f}% {choice}"
    n = int(one.items["n"].iloc[row])
    return f"{round(share * n)} of {n} {choice}"


def _folder(one: JudgedSet, data: Path) -> SetFolder:
    split, _, name = one.label.rpartition("/")
    return SetFolder(data, one.task, split, name)


def _files(folder: SetFolder, item: str) -> list[tuple[str, Path]]:
    """The pictures of an item that are there, with their roles."""
    files = []
    for role in IMAGE_FOLDERS[folder.task]:
        paths = (folder.path / role / f"{item}{suffix}" for suffix in sorted(SUFFIXES))
        files += [(role, path) for path in paths if path.is_file()][:1]
    return files


def _patches(
    folder: SetFolder, item: str, loads: Mapping[str, LoadChoice]
) -> tuple[tuple[Picture, ...], Window | None]:
    """The pictures of an item, and the window that is shown of them where they are large."""
    files = _files(folder, item)
    if not files:
        return (), None
    choice = loads[folder.key]
    images = [load_image(path, choice) for _, path in files]
    if max(max(image.shape[:2]) for image in images) <= SIDE:
        return tuple(_picture(role, image) for (role, _), image in zip(files, images, strict=True)), None
    if len({image.shape for image in images}) > 1:
        sizes = ", ".join(
            f"{role} {image.shape[1]}x{image.shape[0]}" for (role, _), image in zip(files, images, strict=True)
        )
        raise DatasetError(
            f"{folder.path}: the pictures of item {item} have different sizes ({sizes}), so no part can be shown of "
            "all; make them equally large, or say --contradictions 0 for a report without pictures"
        )
    window = window_of_largest_difference(images)
    patches = [
        _picture(role, window.of(image), WholePicture(path, choice, f"{folder.key}, item {item}, {role}"))
        for (role, path), image in zip(files, images, strict=True)
    ]
    return tuple(patches), window


def _picture(role: str, image: NDArray[np.uint8], whole: WholePicture | None = None) -> Picture:
    height, width = image.shape[:2]
    return Picture(role, encode_png(np.ascontiguousarray(image)), (width, height), whole)
