"""TIFF: of 8 bits by Pillow, of 16 bits and floats by OpenCV, kinds that either reads wrongly refused.

Adobe, TIFF Revision 6.0, 1992.
"""

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from bapps_builder.errors import ImageError
from bapps_builder.images.formats import pillow_files
from bapps_builder.images.formats.deep_levels import deep_levels
from bapps_builder.images.orientation import Levels
from bapps_builder.images.picture import Picture

# Little and big endian, and the same of BigTIFF.
_BIG_OF_BIG_ENDIAN = b"MM\0+"
_BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", _BIG_OF_BIG_ENDIAN)

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR, _EXTRA, _FORMAT = 256, 257, 258, 262, 277, 284, 338, 339
_PROFILE = 34675  # ICC
_READ = (_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR, _EXTRA, _FORMAT, _PROFILE)
# What decides which picture Pillow or OpenCV gives: those above, and how and where pixels are kept.
_DECISIVE = {*_READ, 259, 266, 273, 274, 278, 279, 317, 320, 322, 323, 324, 325, 347, 529, 530, 532}
_MOST_TAGS = 65_535  # of a directory of classic TIFF
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _NONE = 0, 1, 2, -1
_WHOLE, _FLOAT = 1, 3  # formats of a sample
_UNSPECIFIED, _ASSOCIATED, _STRAIGHT = 0, 1, 2  # kinds of a further channel


def claims(data: bytes, name: str) -> bool:
    """Whether it begins as TIFF does."""
    return data.startswith(_BEGINNINGS)


def size(data: bytes, *, name: str) -> tuple[int, int]:
    """Width and height as stored."""
    tags = _tags(data, name)
    return tags.first(_WIDTH, 0), tags.first(_HEIGHT, 0)


def read(data: bytes, *, name: str) -> Picture:
    """Decode the first page, upright."""
    tags = _tags(data, name)
    bits, formats = tags.all(_BITS, 1), tags.all(_FORMAT, _WHOLE)
    if bits == {16} and formats == {_WHOLE}:
        return Picture(_deep(data, tags, np.uint16, name), bits=16, profile=tags.profile)
    if bits == {32} and formats == {_FLOAT}:
        return Picture(_deep(data, tags, np.float32, name), bits=32, transfer="linear", profile=tags.profile)
    if max(bits) > 8 or formats != {_WHOLE}:
        raise ImageError(
            f"{name}: a TIFF of {max(bits)} bits a channel, format {max(formats)}; convert it to 8 or 16 bits first"
        )
    return pillow_files.read(data, name=name)


@dataclass(frozen=True)
class _Tags:
    """The tags of the first page."""

    numbers: Mapping[int, Sequence[int]]
    profile: bytes

    def all(self, tag: int, default: int) -> set[int]:
        return set(self.numbers.get(tag) or [default])

    def first(self, tag: int, default: int) -> int:
        return (self.numbers.get(tag) or [default])[0]


def _tags(data: bytes, name: str) -> _Tags:
    """Read the tags alone, since Pillow opens no file of which it cannot hold the pixels."""
    if data.startswith(_BIG_OF_BIG_ENDIAN):
        raise ImageError(
            f"{name}: a BigTIFF of big-endian numbers, which is not read; save it little-endian, or as TIFF"
        )
    stream = io.BytesIO(data)
    try:
        with pillow_files.quiet():
            directory = ImageFileDirectory_v2(stream.read(16 if data[2:3] == b"+" or data[3:4] == b"+" else 8))
            start = directory.next
            stream.seek(start)
            directory.load(stream)
            # From the first tag that it cannot read, Pillow leaves out all.
            if lost := sorted(tag for tag in _listed(data, start) if tag in _DECISIVE and tag not in directory):
                raise ImageError(f"its tag {lost[0]} cannot be read, and decides what it shows; save the image again")
            values = {tag: directory[tag] for tag in _READ if tag in directory}
        profile = values.pop(_PROFILE, b"")
        numbers = {tag: [int(value) for value in np.atleast_1d(of_tag)] for tag, of_tag in values.items()}
        return _Tags(numbers, profile if isinstance(profile, bytes) else b"")
    except Exception as error:  # Pillow raises many types on hostile or broken files
        raise ImageError(f"{name}: not a readable image: {pillow_files.one_line(error)}") from error


def _listed(data: bytes, start: int) -> set[int]:
    """The numbers of the tags that a directory lists, whether their values can be read or not."""
    order = "<" if data.startswith(b"II") else ">"
    (count_of, entry) = ("Q", 20) if b"+" in data[2:4] else ("H", 12)
    (count,) = struct.unpack_from(order + count_of, data, start)
    first = start + struct.calcsize(order + count_of)
    return {struct.unpack_from(f"{order}H", data, first + entry * k)[0] for k in range(min(count, _MOST_TAGS))}


def _deep(data: bytes, tags: _Tags, kind: type, name: str) -> Levels:
    samples, photometric = tags.first(_SAMPLES, 1), tags.first(_PHOTOMETRIC, _NONE)
    extra = tags.all(_EXTRA, _UNSPECIFIED)
    colours = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3}.get(photometric)
    planes = samples > 1 and tags.first(_PLANAR, 1) != 1
    if colours is None or planes or samples not in (colours, 4) or (samples == 4 and colours != 3):
        how = "kept plane by plane" if planes else f"of {samples} channels, photometric interpretation {photometric}"
        raise ImageError(f"{name}: a TIFF of more than 8 bits {how}; convert it to 8 bits first")
    # OpenCV applies the orientation tag.
    levels = deep_levels(data, channels=samples, kind=kind, name=name, what="a TIFF of more than 8 bits")
    if photometric == _WHITE_IS_ZERO:
        if kind is not np.uint16:
            raise ImageError(f"{name}: a TIFF of floating-point levels whose white is zero; convert it first")
        levels = np.iinfo(np.uint16).max - levels
    if samples == 4 and _STRAIGHT not in extra:
        return _straightened(levels) if _ASSOCIATED in extra and kind is np.uint16 else levels[..., :3].copy()
    return levels


def _straightened(levels: Levels) -> Levels:
    """Colours that were multiplied by their alpha as they were before, rounded."""
    alpha = levels[..., 3:].astype(np.uint64)
    top = np.uint64(np.iinfo(np.uint16).max)
    colours = (levels[..., :3] * top + alpha // 2) // np.maximum(alpha, 1)
    return np.concatenate([np.minimum(colours, top), alpha], 2).astype(np.uint16)
