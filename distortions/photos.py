"""Photo collections: which photos there are, which of them can be used, and the list's hash.

The list is sorted by name, the path within the given folder, so it is the same wherever the folder lies.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bapps_builder.datasets.reader import mapped_ahead
from bapps_builder.errors import ImageError, PatchSetError
from bapps_builder.files.file_names import is_utf8, printable, say_passed_over
from bapps_builder.images.photographs import (
    MAX_PIXELS,
    PHOTO_SUFFIXES,
    check_extra,
    decode_photo,
    photo_size,
)
from distortions.distortion import Patch

# How many of the photos may be unusable, as a share of all found, but never fewer than one.
MAX_SKIPPED_SHARE = 0.05


@dataclass(frozen=True)
class Photo:
    """One usable photo.

    Attributes
    ----------
    name : str
        Path within its folder, with forward slashes.
    path : Path
    sha256 : str
        Of the file.
    width, height : int
        In pixels, as stored: before its orientation tag is applied.
    """

    name: str
    path: Path
    sha256: str
    width: int
    height: int

    def read(self, *, max_pixels: int = MAX_PIXELS) -> Patch:
        """Decode it to uint8 (H, W, 3), upright.

        Raises
        ------
        ImageError
            If the file is damaged.
        PatchSetError
            If it is no longer the file that was listed.
        """
        data = self.path.read_bytes()
        if file_digest(data) != self.sha256:
            raise PatchSetError(
                f"{self.path}: the file has changed since it was listed: its SHA-256 is no longer {self.sha256[:12]}…; "
                "restore the original file, or run the command again"
            )
        return decode_photo(data, name=str(self.path), max_pixels=max_pixels)

    def is_unchanged(self) -> bool:
        """Whether the file still has its hash."""
        return file_digest(self.path.read_bytes()) == self.sha256


@dataclass(frozen=True)
class Skipped:
    """A photo that cannot be used, and why."""

    photo: str
    reason: str


@dataclass(frozen=True)
class Collection:
    """The photos found in some folders, in the order of their names."""

    photos: tuple[Photo, ...]
    skipped: tuple[Skipped, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over names and hashes of the usable photos."""
        lines = "".join(f"{photo.name}\0{photo.sha256}\n" for photo in self.photos)
        return hashlib.sha256(lines.encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.photos) + len(self.skipped)


def list_photos(
    folders: Sequence[Path],
    *,
    smallest_side: int,
    max_pixels: int = MAX_PIXELS,
    max_skipped_share: float = MAX_SKIPPED_SHARE,
    threads: int = 2,
) -> Collection:
    """Find all photos in folders and their subfolders, read their headers, and hash the files.

    Hidden files do not count. Files without the suffix of a photo, and pipes and the like, are passed over, and a
    Notice counts them by suffix.

    Parameters
    ----------
    folders : sequence of Path
    smallest_side : int
        Photos with a shorter side are skipped.
    max_pixels : int
        Photos with more are skipped.
    max_skipped_share : float
        See `check_skipped`.

    Raises
    ------
    ImageError
        If there are no photos, too many are unusable, or files are there that need an extra.
    """
    files = sorted(entry for folder in folders for entry in _files(folder))
    if not files:
        raise ImageError(
            f"{', '.join(map(str, folders))}: no photos in it; expected JPEG, PNG, WebP, TIFF, AVIF, JPEG 2000, BMP "
            "or raw files"
        )
    for _, path in files:
        check_extra(path)
    read = partial(_listed, smallest_side=smallest_side, max_pixels=max_pixels)
    with mapped_ahead(read, files, threads=threads) as entries:
        listed = list(entries)
    collection = Collection(
        photos=tuple(entry for entry in listed if isinstance(entry, Photo)),
        skipped=tuple(entry for entry in listed if isinstance(entry, Skipped)),
    )
    check_skipped(collection.skipped, total=len(collection), max_share=max_skipped_share)
    return collection


def check_skipped(skipped: Sequence[Skipped], *, total: int, max_share: float) -> None:
    """Raise ImageError if more than a share of all photos, and more than one, or all were skipped."""
    allowed = min(max(1, int(max_share * total)), total - 1)
    if len(skipped) > allowed:
        first = skipped[0]
        raise ImageError(
            f"{len(skipped)} of {total} photos cannot be used, the first {first.photo} ({first.reason}); "
            f"up to {allowed} would be skipped. Remove them, or raise --max-skipped"
        )


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    if not folder.is_dir():
        raise ImageError(f"{folder}: no such folder of photos")
    passed_over = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            path = Path(root, file)
            if file.startswith("."):
                continue
            # A link to nothing is listed, and skipped with its reason; reading a pipe would wait for ever.
            if path.suffix.lower() in PHOTO_SUFFIXES and (path.is_file() or not path.exists()):
                yield path.relative_to(folder).as_posix(), path
            else:
                passed_over.append(file)
    say_passed_over(folder, passed_over)


def _listed(entry: tuple[str, Path], *, smallest_side: int, max_pixels: int) -> Photo | Skipped:
    name, path = entry
    if not is_utf8(name):
        return Skipped(printable(name), "its name is not UTF-8, so no manifest can hold it; rename it")
    try:
        data = path.read_bytes()
        width, height = photo_size(data, name=name, max_pixels=max_pixels)
    except (OSError, ImageError) as error:
        return Skipped(name, reason_of(error, name))
    if min(width, height) < smallest_side:
        return Skipped(name, f"is {width}x{height}, but a patch needs at least {smallest_side}x{smallest_side} pixels")
    return Photo(name, path, file_digest(data), width, height)


def file_digest(data: bytes) -> str:
    """SHA-256 of a file, as it stands in manifests."""
    return hashlib.sha256(data).hexdigest()


def reason_of(error: Exception, name: str) -> str:
    """The message of an error on one line, without the name of the photo that stands beside it."""
    return " ".join(str(error).split()).removeprefix(f"{name}: ")
