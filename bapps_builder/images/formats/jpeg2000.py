"""JPEG 2000: of 8 bits by Pillow, of up to 16 by OpenCV. ITU-T T.800, the header SIZ."""

import struct

import numpy as np

from bapps_builder.errors import ImageError
from bapps_builder.images.formats import pillow_files
from bapps_builder.images.formats.deep_levels import deep_levels
from bapps_builder.images.picture import Picture

_BOX, _CODESTREAM = b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"
_SIGNED = 0x80


def claims(data: bytes, name: str) -> bool:
    """Whether it begins as JPEG 2000 does, in a box or as a bare codestream."""
    return data.startswith((_BOX, _CODESTREAM))


def size(data: bytes, *, name: str) -> tuple[int, int]:
    """Width and height as stored."""
    return pillow_files.size(data, name=name)


def read(data: bytes, *, name: str) -> Picture:
    """Decode the picture."""
    depths = _depths(data, name)
    if any(depth & _SIGNED for depth in depths):
        raise ImageError(f"{name}: a JPEG 2000 of signed levels; convert it to 8 bits first")
    if all(depth == 7 for depth in depths):
        return pillow_files.read(data, name=name)
    bits = depths[0] + 1
    if len(set(depths)) > 1 or not 8 < bits <= 16 or len(depths) not in (1, 3):
        raise ImageError(f"{name}: a JPEG 2000 of {len(depths)} channels of {bits} bits; convert it to 8 bits first")
    levels = deep_levels(data, channels=len(depths), kind=np.uint16, name=name, what=f"a JPEG 2000 of {bits} bits")
    return Picture(levels, bits=bits)


def _depths(data: bytes, name: str) -> list[int]:
    """A byte a channel: its bits less one, and whether it is signed."""
    at = data.find(_CODESTREAM)
    if not 0 <= at < len(data) - 42:
        raise ImageError(f"{name}: not a readable image: a JPEG 2000 that is cut off ({len(data)} bytes)")
    (channels,) = struct.unpack_from(">H", data, at + 40)
    return list(data[at + 42 : at + 42 + 3 * channels : 3])
