"""Write the image and label files of a set, in several processes.

Images are hard-linked where they can be, and every one that is new is decoded and compared with the hash
its source recorded. Only a few portions of items are in memory at a time.
"""

import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from bapps_builder.errors import BappsError, DatasetError
from bapps_builder.files.parallel import mapped
from bapps_builder.files.row_batches import regrouped
from bapps_builder.images.bare_png import bare_png
from bapps_builder.images.image_files import decode_image
from bapps_builder.images.photographs import decode_photo
from bapps_builder.layout import IMAGE_FOLDERS, SetFolder
from bapps_builder.patch_sets.patch_set import pixel_digest

_PORTION = 250  # items that one process writes at a time


@dataclass(frozen=True)
class Writing:
    """How files are written.

    Attributes
    ----------
    copy : bool
        Copy images even where they could be hard-linked.
    workers : int, optional
        Processes; by default as many as so many items are worth.
    advance : callable
        Called with the number of items done.
    """

    copy: bool = False
    workers: int | None = None
    advance: Callable[[int], None] = lambda _: None


@dataclass(frozen=True)
class _Portion:
    ids: Sequence[str]
    images: Mapping[str, Sequence[str]]
    digests: Mapping[str, Sequence[str | None]]
    labels: Sequence[bytes]
    from_dataset: Sequence[bool]


def write_files(folder: SetFolder, items: Iterable[pa.Table], writing: Writing, *, kept: int = 0) -> Iterator[pa.Table]:
    """Write images and labels of a set into new folders; yield the items with the digests of what was written.

    Parameters
    ----------
    folder : SetFolder
    items : tables
        The columns of `set_tables.ITEMS_SCHEMA`, with the digests that the source recorded or null, and ref, p0
        and p1: where the images come from.
    writing : Writing
    kept : int
        How many, at the beginning, come from the dataset itself and are not checked again.

    Raises
    ------
    BappsError, OSError
        If an image is missing, damaged or not the one its source recorded, if those of an item differ in
        size, or if something cannot be written.
    """
    roles = IMAGE_FOLDERS[folder.task]
    for role in folder.roles:
        (folder.path / role).mkdir(parents=True)
    at_work: deque[pa.Table] = deque()

    def portions() -> Iterator[_Portion]:
        start = 0
        for table in regrouped(items, _PORTION):
            at_work.append(table)
            yield _portion(table, roles, kept_count=kept - start)
            start += len(table)

    for digests in mapped(partial(_write_portion, folder, writing.copy), portions(), workers=writing.workers or 1):
        written = at_work.popleft()
        for role in roles:
            at = written.schema.get_field_index(f"{role}_sha256")
            written = written.set_column(at, written.field(at), pa.array(digests[role], pa.string()))
        writing.advance(len(written))
        yield written.drop_columns(list(IMAGE_FOLDERS["2afc"]))


def _portion(items: pa.Table, roles: Sequence[str], *, kept_count: int) -> _Portion:
    return _Portion(
        ids=items["id"].to_pylist(),
        images={role: items[role].to_pylist() for role in roles},
        digests={role: items[f"{role}_sha256"].to_pylist() for role in roles},
        labels=[label_bytes(k, n) for k, n in zip(items["k"].to_pylist(), items["n"].to_pylist(), strict=True)],
        from_dataset=[row < kept_count for row in range(len(items))],
    )


def _write_portion(folder: SetFolder, copy: bool, portion: _Portion) -> dict[str, list[str]]:
    roles = IMAGE_FOLDERS[folder.task]
    digests: dict[str, list[str]] = {role: [] for role in roles}
    for index, one in enumerate(portion.ids):
        shapes = set()
        for role in roles:
            source, expected = Path(portion.images[role][index]), portion.digests[role][index]
            target = folder.file(role, one)
            if portion.from_dataset[index] and expected:  # from the dataset itself: as it was, or verify will tell
                _put(source, target, copy=copy)
                digests[role].append(expected)
                continue
            digest, shape = _put_checked(source, target, expected, copy=copy)
            digests[role].append(digest)
            shapes.add(shape)
        if len(shapes) > 1:
            raise DatasetError(
                f"{portion.images[roles[-1]][index]}: the images of an item must be of one size, got "
                f"{' and '.join(sorted(f'{width}x{height}' for height, width in shapes))}"
            )
        folder.file(folder.roles[-1], one).write_bytes(portion.labels[index])
    return digests


def _put_checked(source: Path, target: Path, expected: str | None, *, copy: bool) -> tuple[str, tuple[int, ...]]:
    """Link or write one image without anything but its pixels; give digest and (height, width)."""
    try:
        data = source.read_bytes()
    except OSError as error:
        raise BappsError(f"{source}: cannot be read: {error.strerror or error}; is the source complete?") from error
    # A patch set recorded the pixels of its own patches; other people's images are read as they are shown.
    pixels = (decode_image if expected else decode_photo)(data, name=str(source))
    digest = pixel_digest(pixels)
    if expected and digest != expected:
        raise DatasetError(
            f"{source}: its pixels have SHA-256 {digest[:12]}…, its source recorded {expected[:12]}…; it was changed; "
            "restore it"
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
