"""Read every file of some items, and say what is wrong with them and what they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bapps_builder.datasets.official_sets import FILE_SIDE, SMALLER_FILE_SIDE
from bapps_builder.datasets.reader import parse_label
from bapps_builder.errors import BappsError
from bapps_builder.images.enlargement import patch_of
from bapps_builder.images.image_files import decode_image
from bapps_builder.images.near_duplicates import SIDE, perceptual_hashes, thumbnail
from bapps_builder.layout import IMAGE_FOLDERS, SetFolder
from bapps_builder.patch_sets.patch_set import pixel_digest

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Job:
    """Some items of one set to be inspected.

    Attributes
    ----------
    folder : SetFolder
    files : mapping of role to names
        Of the files in the folder of the role: images and, last, labels; equally long.
    digests : mapping of role to hashes
        What pixels must be; empty if nobody said.
    enlarged : bool
        Whether files of the official sizes must be enlarged patches.
    hashed : bool
        Whether perceptual hashes are wanted.
    """

    folder: SetFolder
    files: Mapping[str, Sequence[str]]
    digests: Mapping[str, Sequence[str]]
    enlarged: bool
    hashed: bool


@dataclass(frozen=True)
class Inspection:
    """What N items are.

    Attributes
    ----------
    problems : tuple of (check, message)
    sides : array of shape (N, 2)
        Height and width; 0 where an image cannot be decoded.
    labels : array of shape (N,)
        NaN where it cannot be read.
    identical : array of shape (N,)
        Whether p0 and p1 have the same pixels.
    hashes : array of shape (N,)
        Perceptual hash of the original.
    detailed : array of shape (N,)
        Whether that hash is there and means something.
    """

    problems: tuple[tuple[str, str], ...]
    sides: NDArray[np.int32]
    labels: NDArray[np.float64]
    identical: NDArray[np.bool_]
    hashes: NDArray[np.uint64]
    detailed: NDArray[np.bool_]


def inspect_items(job: Job) -> Inspection:
    """Read the files of some items."""
    roles, label = IMAGE_FOLDERS[job.folder.task], job.folder.roles[-1]
    # As text, since putting together four paths an item would take as long as reading them.
    places = {role: str(job.folder.path / role) for role in job.folder.roles}
    size = len(job.files[label])
    problems: list[tuple[str, str]] = []
    sides = np.zeros((size, 2), np.int32)
    fractions = np.full(size, np.nan)
    identical = np.zeros(size, bool)
    hashes, detailed = np.zeros(size, np.uint64), np.zeros(size, bool)
    thumbnails = np.zeros((size if job.hashed else 0, SIDE, SIDE), np.uint8)
    for index in range(size):
        paths = {role: f"{places[role]}/{files[index]}" for role, files in job.files.items()}
        fractions[index] = _label(paths[label], problems)
        images = {role: _image(job, role, index, paths[role], problems) for role in roles}
        decoded = {role: image for role, image in images.items() if image is not None}
        if len(decoded) < len(roles):
            continue
        if len({image.shape for image in decoded.values()}) > 1:
            shapes = ", ".join(f"{role} {image.shape[1]}x{image.shape[0]}" for role, image in decoded.items())
            problems.append(("size", f"{Path(paths[label]).stem} ({shapes})"))
            continue
        original = decoded[roles[0]]
        sides[index] = original.shape[:2]
        identical[index] = not (decoded["p0"] != decoded["p1"]).any()
        if job.hashed:
            thumbnails[index] = thumbnail(original)
    if job.hashed:
        hashes, detailed = perceptual_hashes(thumbnails)  # an image that was not decoded is black, without detail
    return Inspection(tuple(problems), sides, fractions, identical, hashes, detailed)


def _content(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path an image is an eighth of all the work
        return file.read()


def _label(path: str, problems: list[tuple[str, str]]) -> float:
    try:
        array = parse_label(_content(path), name=path)
    except (BappsError, OSError) as error:
        problems.append(("label", f"{Path(path).stem} ({error})"))
        return np.nan
    if array.dtype.str != "<f4" or array.shape != (1,):
        problems.append(("label", f"{Path(path).stem} (not float32 of shape (1,))"))
    return float(array.reshape(()))


def _image(job: Job, role: str, index: int, path: str, problems: list[tuple[str, str]]) -> Pixels | None:
    try:
        image = decode_image(_content(path), name=path)
    except BappsError as error:
        problems.append(("decodable", str(error)))
        return None
    except OSError as error:
        problems.append(("decodable", f"{path}: cannot be read: {error.strerror or error}"))
        return None
    if job.digests and pixel_digest(image) != job.digests[role][index]:
        problems.append(("hash", f"{role}/{Path(path).stem}"))
    official = image.shape[0] == image.shape[1] and len(image) in (FILE_SIDE, SMALLER_FILE_SIDE)
    if job.enlarged and official and patch_of(image) is None:
        problems.append(("enlargement", f"{role}/{Path(path).stem}"))
    return image
