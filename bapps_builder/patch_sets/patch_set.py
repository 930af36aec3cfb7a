"""Patch sets: the items that people are asked about, on disk and in memory.

    FOLDER/patchset.json     format and tool versions, every setting, the seed
    FOLDER/manifest.parquet  one row an item, in the order of ids
    FOLDER/ref/000000.png    the original (2AFC only)
    FOLDER/p0/000000.png     2AFC: the first distorted patch; JND: the original
    FOLDER/p1/000000.png     2AFC: the second distorted patch; JND: the distorted one

The patches of an item are RGB and of one size, 64x64 by default; those of another item may be of another. A patch set
holds test items only. `patchset.json` is written last, so a folder that has one is complete.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bapps_builder.errors import ImageError, PatchSetError
from bapps_builder.files.atomic import replaced_whole
from bapps_builder.images import png_encoding
from bapps_builder.images.image_files import encode_png, read_image
from bapps_builder.layout import IMAGE_FOLDERS, Task
from bapps_builder.patch_sets.manifest import SCHEMA, Item, item_id, item_of, read_manifest

FORMAT = 2
DESCRIPTION, MANIFEST = "patchset.json", "manifest.parquet"
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Description:
    """What `patchset.json` says.

    Attributes
    ----------
    tool : str
        Command and version.
    versions : mapping of str to str
        Of the libraries that decide on pixels.
    seed : int
    settings : mapping
        Everything that the items depend on besides. The same description gives the same items.
    findings : mapping
        What does not decide on the items: folders as they were named, skipped photos, misregistration.
    """

    tool: str
    versions: Mapping[str, str]
    seed: int
    settings: Mapping[str, Any]
    findings: Mapping[str, Any]


@dataclass(frozen=True)
class PatchSet:
    """A complete patch set; see `read_patch_set`."""

    folder: Path
    description: Description
    manifest: pa.Table

    @property
    def task(self) -> Task:
        """The task of all items."""
        return cast(Task, self.manifest["task"][0].as_py())

    @property
    def roles(self) -> tuple[str, ...]:
        """The folders of images: ref, p0, p1, or for JND p0, p1."""
        return IMAGE_FOLDERS[self.task]

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.folder}: no item {index}; there are {len(self)}")
        return item_of(self.manifest.slice(index, 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Item]:
        for batch in self.manifest.to_batches(max_chunksize=1000):
            yield from map(item_of, batch.to_pylist())

    def path(self, item: Item, role: str) -> Path:
        """The file of one patch."""
        return patch_path(self.folder, role, item.id)

    def read(self, item: Item, role: str) -> Pixels:
        """Read one patch, uint8 (H, W, 3), and check its pixels against the manifest.

        Raises
        ------
        PatchSetError
            If the file is missing or damaged, or holds other pixels.
        """
        path = self.path(item, role)
        try:
            pixels = read_image(path)
        except ImageError as error:
            raise PatchSetError(f"{error}; make it again with `bapps-distort replay`") from error
        _, _, width, height = item.box
        if pixels.shape[:2] != (height, width):
            raise PatchSetError(
                f"{path}: is {pixels.shape[1]}x{pixels.shape[0]}, the manifest says {width}x{height}; it was changed. "
                "Make it again with `bapps-distort replay`"
            )
        if (digest := pixel_digest(pixels)) != (expected := item.digest(role)):
            raise PatchSetError(
                f"{path}: its pixels have SHA-256 {digest[:12]}…, the manifest says {expected[:12]}…; it was changed. "
                "Make it again with `bapps-distort replay`"
            )
        return pixels


def read_patch_set(folder: Path) -> PatchSet:
    """Read a patch set: description and manifest are checked, and that every file is there; no image is decoded.

    Raises
    ------
    PatchSetError
        If the folder is no complete patch set of this format.
    """
    description = read_description(folder)
    manifest = read_manifest(folder / MANIFEST)
    patches = PatchSet(folder, description, manifest)
    check_files(folder, patches.roles, len(patches))
    return patches


def read_description(folder: Path) -> Description:
    """Read `patchset.json`, or raise PatchSetError."""
    path = folder / DESCRIPTION
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        what = "an unfinished patch set; run its command again" if folder.is_dir() else "no such folder"
        raise PatchSetError(f"{folder}: no {DESCRIPTION} in it: not a patch set, or {what}") from error
    except (OSError, ValueError) as error:
        raise PatchSetError(f"{path}: not readable: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        version = content.get("format") if isinstance(content, dict) else None
        raise PatchSetError(f"{path}: format {version!r}; this version reads format {FORMAT}")
    try:
        return Description(**{name: content[name] for name in Description.__dataclass_fields__})
    except KeyError as error:
        raise PatchSetError(f"{path}: lacks {error}; it was changed by hand") from error


def write_patch(folder: Path, role: str, item: str, pixels: Pixels) -> str:
    """Write one patch, uint8 (H, W, 3), and give its digest. The folder of the role must be there."""
    write_file(patch_path(folder, role, item), encode_png(pixels))
    return pixel_digest(pixels)


def write_file(path: Path, data: bytes) -> None:
    """Write a small file in half the time that Path.write_bytes takes."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        rest = memoryview(data)
        while rest:  # a disk that is nearly full takes a part, and refuses the next
            rest = rest[os.write(handle, rest) :]
    finally:
        os.close(handle)


def finish_patch_set(
    folder: Path, tables: Iterable[pa.Table], description: Description, *, scratch: Path | None = None
) -> None:
    """Write the manifest from consecutive tables of SCHEMA, then the description, which makes the set complete.

    Both appear whole. `scratch` is a folder on the same disk, in which a kill may leave a file half written; by
    default the patch set's own.
    """
    scratch = scratch or folder
    # How patches are encoded is part of the format, since files are promised byte for byte.
    content = {"format": FORMAT, "png": png_encoding.SETTINGS, **asdict(description)}
    with replaced_whole(scratch / MANIFEST) as temporary, pq.ParquetWriter(temporary, SCHEMA) as writer:
        for table in tables:
            writer.write_table(table)
    with replaced_whole(scratch / DESCRIPTION) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    for name in (MANIFEST, DESCRIPTION):
        (scratch / name).replace(folder / name)


def patch_path(folder: Path, role: str, item: str) -> Path:
    """The file of one patch."""
    return folder.joinpath(role, f"{item}.png")


def pixel_digest(pixels: Pixels) -> str:
    """SHA-256 of decoded pixels: the bytes of uint8 RGB, row by row from the top."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def check_files(folder: Path, roles: Iterable[str], items: int) -> None:
    """Raise PatchSetError unless the files of so many items are there."""
    for role in roles:
        if not (folder / role).is_dir():
            raise PatchSetError(
                f"{folder / role}: no such folder, and the patch set cannot be used without it; copy the set again"
            )
        missing = np.flatnonzero(~_files_there(folder / role, items))
        if len(missing):
            raise PatchSetError(
                f"{folder / role}: {len(missing)} of {items} files are missing, the first "
                f"{item_id(int(missing[0]))}.png; make them again with `bapps-distort replay`"
            )


def _files_there(folder: Path, items: int) -> NDArray[np.bool_]:
    present = np.zeros(items, bool)
    with os.scandir(folder) as entries:
        for entry in entries:
            stem, suffix = entry.name[:-4], entry.name[-4:]
            index = int(stem) if stem.isdecimal() else items
            if index < items and stem == item_id(index) and suffix == ".png":
                present[index] = True
    return present
