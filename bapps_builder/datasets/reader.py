"""Read datasets in the official BAPPS layout, 2AFC and JND, as a stream of batches.

Files are paired by stem, never by position; a missing, extra or unreadable one ends the reading with
its name. Decoding runs in threads ahead of whoever takes the batches, and only a few batches are in
memory at a time. What becomes of a file, whole or shrunk, is said by the load mode (load_mode.py).
"""

import io
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bapps_builder.datasets.load_mode import LoadChoice, LoadMode, as_chosen, choose_load
from bapps_builder.errors import DatasetError, ImageError
from bapps_builder.files.by_stem import files_by_stem, unpaired
from bapps_builder.images.image_files import SUFFIXES, read_image
from bapps_builder.images.photographs import photo_size
from bapps_builder.layout import IMAGE_FOLDERS, LABEL_FOLDER, SetFolder, Task

# Of one image each item, in a batch: fifty official files as they are.
_PIXELS_AT_A_TIME = 50 * 256 * 256
# Items of a set, spread over it, whose files decide how all are read.
_LOOKED_AT = 14

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Batch:
    """N consecutive items of one set whose images all have the size (H, W).

    Attributes
    ----------
    ids : tuple of N file stems
    images : tuple of uint8 arrays of shape (N, H, W, 3)
        (ref, p0, p1) for 2AFC, (p0, p1) for JND: the first is what the others are compared with.
    labels : array of shape (N,), in [0, 1]
        The fraction of people who chose p1 (2AFC), or who said "same" (JND).
    """

    ids: tuple[str, ...]
    images: tuple[NDArray[np.uint8], ...]
    labels: NDArray[np.float64]


@dataclass(frozen=True)
class _Item:
    id: str
    images: tuple[NDArray[np.uint8], ...]
    label: float


class ItemSet:
    """The items of one set, checked for completeness when opened, decoded when iterated.

    Raises
    ------
    DatasetError
        If a folder is missing, the set is empty, or a stem lacks a file in one folder.
    """

    def __init__(self, folder: SetFolder) -> None:
        self.folder = folder
        roles = (*IMAGE_FOLDERS[folder.task], LABEL_FOLDER[folder.task])
        files = {role: _only_files(folder.path / role, {".npy"} if role == roles[-1] else SUFFIXES) for role in roles}
        _check_paired(folder.path, files)
        self.ids: tuple[str, ...] = tuple(sorted(files[roles[0]]))
        self._choices: dict[LoadMode, LoadChoice] = {}
        # Almost every file is a .png, so only the others are remembered.
        self._other_suffixes = {
            (role, stem): suffix
            for role in roles
            for stem, suffix in files[role].items()
            if suffix not in (".png", ".npy")
        }

    @property
    def task(self) -> Task:
        """The task of the set, "2afc" or "jnd"."""
        return self.folder.task

    def __len__(self) -> int:
        return len(self.ids)

    def path(self, role: str, item_id: str) -> Path:
        """The file of an item in the folder of a role, whatever its suffix."""
        suffix = self._other_suffixes.get((role, item_id))
        usual = self.folder.file(role, item_id)
        return usual if suffix is None else usual.with_name(item_id + suffix)

    def load_choice(self, load: LoadMode) -> LoadChoice:
        """How files are read in a mode; for auto and official, some of them are looked at first, once."""
        if load not in self._choices:
            every = max(1, len(self) // _LOOKED_AT)
            sample = [self.ids[0], *self.ids[every // 2 :: every][:_LOOKED_AT], self.ids[-1]]
            roles = IMAGE_FOLDERS[self.task]
            self._choices[load] = choose_load(load, [self.path(r, i) for i in dict.fromkeys(sample) for r in roles])
        return self._choices[load]

    def batches(self, *, load: LoadMode = "auto", batch_size: int = 50, threads: int = 2) -> Iterator[Batch]:
        """Yield all items in the order of their ids, at most `batch_size` at a time.

        Where images are of several sizes, items of one size come together, so that their images stack; of large images
        fewer come at a time. `threads` decode ahead.

        Raises
        ------
        DatasetError, ImageError
            At the first item that cannot be read, naming the file.
        """
        with mapped_ahead(partial(self.read, load=load), self.portions(batch_size, load), threads=threads) as results:
            for batches in results:
                yield from batches

    def portions(self, size: int, load: LoadMode) -> list[tuple[str, ...]]:
        """Cut the ids into portions of one image size and at most `size`, fewer where images are large."""
        of_pixels: dict[tuple[int, int], list[str]] = {}
        if self.load_choice(load).mode == "native":
            for item_id in self.ids:
                of_pixels.setdefault(_stored_size(self.path(IMAGE_FOLDERS[self.task][0], item_id)), []).append(item_id)
        else:  # patches of one size, whatever the files are
            height, width = self._read(self.ids[0], load).images[0].shape[:2]
            of_pixels[width, height] = list(self.ids)
        portions = []
        for (width, height), ids in of_pixels.items():
            fitting = max(1, min(size, _PIXELS_AT_A_TIME // (width * height)))
            portions += [tuple(ids[start : start + fitting]) for start in range(0, len(ids), fitting)]
        return portions

    def read(self, ids: Sequence[str], *, load: LoadMode) -> list[Batch]:
        """Decode some items; consecutive ones of one image size are one batch.

        Raises
        ------
        DatasetError, ImageError
            At the first item that cannot be read, naming the file.
        """
        items = (self._read(item_id, load) for item_id in ids)
        return [_stack(list(group)) for _, group in groupby(items, key=lambda item: item.images[0].shape)]

    def _read(self, item_id: str, load: LoadMode) -> _Item:
        paths = [self.path(role, item_id) for role in IMAGE_FOLDERS[self.task]]
        choice = self.load_choice(load)
        stored_images = [read_image(path) for path in paths]
        if len({image.shape for image in stored_images}) > 1:  # before a mode makes one size of them
            sizes = ", ".join(
                f"{path.parent.name} {image.shape[1]}x{image.shape[0]}"
                for path, image in zip(paths, stored_images, strict=True)
            )
            raise ImageError(f"{self.folder.path}: item {item_id}: images differ in size ({sizes}); they must be equal")
        images = tuple(as_chosen(image, path, choice) for path, image in zip(paths, stored_images, strict=True))
        return _Item(item_id, images, read_label(self.path(LABEL_FOLDER[self.task], item_id)))


def _stored_size(path: Path) -> tuple[int, int]:
    """Width and height of an image from its header; (1, 1) of a file that has none, which its reading will tell."""
    try:
        with path.open("rb") as file:
            start = file.read(24)
        if start[:8] == b"\x89PNG\r\n\x1a\n" and len(start) == 24:
            return max(1, int.from_bytes(start[16:20], "big")), max(1, int.from_bytes(start[20:], "big"))
        return photo_size(path.read_bytes(), name=str(path))
    except (OSError, ImageError):
        return 1, 1


def read_label(path: Path) -> float:
    """Read a judge or same file: an .npy array of one number in [0, 1], whatever its shape.

    Pickled objects are refused.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: not a readable .npy array of numbers: {error}") from error
    return float(parse_label(data, name=str(path)).reshape(()))


def parse_label(data: bytes, *, name: str) -> NDArray[np.generic]:
    """Parse the bytes of a label file to the array it holds, of one number in [0, 1]; see `read_label`.

    `name` is what an error calls the file.
    """
    try:
        array = _parse_npy(data)
    except Exception as error:  # numpy raises many types on broken or hostile headers
        raise DatasetError(f"{name}: not a readable .npy array of numbers: {error}") from error
    if array.size != 1 or array.dtype.kind not in "fiub":
        raise DatasetError(f"{name}: must hold one number in [0, 1], got shape {array.shape} and type {array.dtype}")
    value = float(array.reshape(()))
    if not 0 <= value <= 1:
        raise DatasetError(f"{name}: must hold a fraction in [0, 1], got {value:g}")
    return array


def _parse_npy(data: bytes) -> NDArray[np.generic]:
    """Parse .npy bytes. The header of a million small files is the same few bytes, so it is parsed once."""
    if data[:8] == b"\x93NUMPY\x01\x00":
        start = 10 + int.from_bytes(data[8:10], "little")
        dtype, shape = _npy_header(data[:start])
        if len(data) - start == dtype.itemsize * math.prod(shape):
            return np.frombuffer(data, dtype, offset=start).reshape(shape)
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


@lru_cache(maxsize=64)
def _npy_header(header: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    stream = io.BytesIO(header)
    np.lib.format.read_magic(stream)
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject:
        raise ValueError("holds pickled objects, which are never loaded")
    return dtype, shape


def _only_files(folder: Path, suffixes: Collection[str]) -> dict[str, str]:
    """Map stem to suffix for the files of a folder, which must hold nothing else."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; a set holds one for each kind of file")
    files = files_by_stem(folder, suffixes)
    for name in files.foreign:
        raise DatasetError(f"{folder / name}: does not belong here; expected {', '.join(sorted(suffixes))}")
    for name in files.second:
        raise DatasetError(f"{folder}: two files for item {Path(name).stem}; keep one")
    return files.suffixes


def _check_paired(path: Path, files: dict[str, dict[str, str]]) -> None:
    if not any(files.values()):
        raise DatasetError(f"{path}: the set is empty")
    for role, missing in unpaired(files).items():
        if missing:
            having = next(other for other in files if missing[0] in files[other])
            more = f" (and {len(missing) - 1} more items)" if len(missing) > 1 else ""
            raise DatasetError(
                f"{path}: item {missing[0]} has a file in {having}/ but none in {role}/{more}; "
                "add the missing file or remove the others"
            )


def _stack(items: list[_Item]) -> Batch:
    return Batch(
        ids=tuple(item.id for item in items),
        images=tuple(np.stack(images) for images in zip(*(item.images for item in items), strict=True)),
        labels=np.array([item.label for item in items]),
    )


@contextmanager
def mapped_ahead(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    threads: int,
    initializer: Callable[[], object] | None = None,
) -> Iterator[Iterator[R]]:
    """Map in threads, in order, one item more than there are threads ahead of whoever takes the results.

    Leaving the block early drops what has not begun, so an error or an interruption ends at once.
    """
    source = iter(items)
    pool = ThreadPoolExecutor(threads, initializer=initializer)

    def results() -> Iterator[R]:
        pending: deque[Future[R]] = deque(pool.submit(function, item) for item in islice(source, threads + 1))
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(source, 1))

    try:
        yield results()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
