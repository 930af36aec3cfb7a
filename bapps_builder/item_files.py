"""Write the image and label files of a set, in several processes.

Images are hard-linked where they can be, and every one that is new is decoded and compared with the hash
its source recorded.
"""

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bapps_builder.bare_png import bare_png
from bapps_builder.errors import BappsError, DatasetError
from bapps_builder.images import decode_image
from bapps_builder.layout import IMAGE_FOLDERS, SetFolder
from bapps_builder.parallel import mapped
from bapps_builder.patchset import pixel_digest

_PORTION = 250  # items that one process writes at a time


@dataclass(frozen=True)
class Writing:
    """How files are written.

    Attributes
    ----------
    copy : bool
        Copy images even where they could be hard-linked.
    workers : int
        Processes.
    advance : callable
        Called with the number of items done.
    """

    copy: bool = False
    workers: int = 1
    advance: Callable[[int], None] = lambda _: None


@dataclass(frozen=True)
class Files:
    """The N items of one set that are to be written.

    Attributes
    ----------
    ids : tuple of N names
    images : table of N rows, a column a role
        Where the images come from.
    digests : table of N rows, a column a role
        What their pixels must be, where the source recorded it.
    k, n : arrays of shape (N,)
        Votes.
    known : array of shape (N,)
        Items that come from the dataset itself, and are not checked again.
    """

    ids: tuple[str, ...]
    images: pa.Table
    digests: pa.Table
    k: NDArray[np.int64]
    n: NDArray[np.int64]
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class _Portion:
    ids: Sequence[str]
    images: Mapping[str, Sequence[str]]
    digests: Mapping[str, Sequence[str | None]]
    labels: Sequence[bytes]
    known: Sequence[bool]


def write_files(folder: SetFolder, files: Files, writing: Writing) -> dict[str, list[str]]:
    """Write images and labels of a set into new folders; give the digest of each image, by role.

    Raises
    ------
    BappsError, OSError
        If an image is missing, damaged or not the one its source recorded, if those of an item differ in
        size, or if something cannot be written.
    """
    roles = IMAGE_FOLDERS[folder.task]
    for role in folder.roles:
        (folder.path / role).mkdir(parents=True)
    found: dict[str, list[str]] = {role: [] for role in roles}
    for digests in mapped(
        partial(_write_portion, folder, writing.copy), _portions(files, roles), workers=writing.workers
    ):
        for role in roles:
            found[role].extend(digests[role])
        writing.advance(len(digests[roles[0]]))
    return found


def _portions(files: Files, roles: Sequence[str]) -> Iterator[_Portion]:
    for start in range(0, len(files.ids), _PORTION):
        stop = start + _PORTION
        images, digests = (table.slice(start, _PORTION) for table in (files.images, files.digests))
        yield _Portion(
            ids=files.ids[start:stop],
            images={role: images[role].to_pylist() for role in roles},
            digests={role: digests[role].to_pylist() for role in roles},
            labels=[label_bytes(int(k), int(n)) for k, n in zip(files.k[start:stop], files.n[start:stop], strict=True)],
            known=files.known[start:stop].tolist(),
        )


def _write_portion(folder: SetFolder, copy: bool, portion: _Portion) -> dict[str, list[str]]:
    roles = IMAGE_FOLDERS[folder.task]
    found: dict[str, list[str]] = {role: [] for role in roles}
    for index, one in enumerate(portion.ids):
        shapes = set()
        for role in roles:
            source, wanted = Path(portion.images[role][index]), portion.digests[role][index]
            target = folder.file(role, one)
            if portion.known[index] and wanted:  # from the dataset itself: as it was, or verify will tell
                _put(source, target, copy=copy)
                found[role].append(wanted)
                continue
            digest, shape = _put_checked(source, target, wanted, copy=copy)
            found[role].append(digest)
            shapes.add(shape)
        if len(shapes) > 1:
            raise DatasetError(
                f"{portion.images[roles[-1]][index]}: the images of an item must be of one size, got "
                f"{' and '.join(sorted(f'{width}x{height}' for height, width in shapes))}"
            )
        folder.file(folder.roles[-1], one).write_bytes(portion.labels[index])
    return found


def _put_checked(source: Path, target: Path, wanted: str | None, *, copy: bool) -> tuple[str, tuple[int, ...]]:
    """Link or write one image without anything but its pixels; give digest and (height, width)."""
    try:
        data = source.read_bytes()
    except OSError as error:
        raise BappsError(f"{source}: cannot be read: {error.strerror or error}; is the source complete?") from error
    pixels = decode_image(data, name=str(source))
    digest = pixel_digest(pixels)
    if wanted and digest != wanted:
        raise DatasetError(
            f"{source}: its pixels have SHA-256 {digest[:12]}…, its source recorded {wanted[:12]}…; it was changed"
        )
    bare = bare_png(data, pixels)
    if bare is data:
        _put(source, target, copy=copy)
    else:
        target.write_bytes(bare)
    return digest, pixels.shape[:2]


def _put(source: Path, target: Path, *, copy: bool) -> None:
    if not copy:
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without links; a full disk shows in the copy too
            pass
        else:
            return
    target.write_bytes(source.read_bytes())


@lru_cache(maxsize=1024)
def label_bytes(k: int, n: int) -> bytes:
    """The file of a fraction as the official release has it: float32 of shape (1,)."""
    out = io.BytesIO()
    np.save(out, np.array([k / n], np.float32))
    return out.getvalue()
