"""AVIF: of 8 bits by Pillow, of 10 and 12 by OpenCV. AV1 Image File Format 1.1, and ISO/IEC 14496-12 and 23008-12."""

import struct

import numpy as np

from bapps_builder.errors import ImageError
from bapps_builder.images.formats import pillow_files
from bapps_builder.images.formats.boxes import TRANSFERS, brands
from bapps_builder.images.formats.deep_levels import deep_levels
from bapps_builder.images.orientation import upright
from bapps_builder.images.picture import Picture, Transfer

_BRANDS = frozenset({b"avif", b"avis"})
_HIGH, _TWELVE = 0x40, 0x20  # in the third byte of av1C


def claims(data: bytes, name: str) -> bool:
    """Whether one of its brands is that of AVIF."""
    return not _BRANDS.isdisjoint(brands(data))


def size(data: bytes, *, name: str) -> tuple[int, int]:
    """Width and height as stored."""
    return pillow_files.size(data, name=name)


def read(data: bytes, *, name: str) -> Picture:
    """Decode the first picture, upright."""
    bits, transfer = _bits(data), _transfer(data)
    with pillow_files.opened(data, name) as image:
        if bits == 8:
            picture = pillow_files.picture_of(image, name)
            return Picture(picture.levels, transfer=transfer, profile=picture.profile)
        channels, profile = len(image.getbands()), image.info.get("icc_profile") or b""
        orientation = pillow_files.orientation_of(image)
    if channels not in (1, 3, 4):
        raise ImageError(f"{name}: an AVIF of {bits} bits and {channels} channels; convert it to 8 bits first")
    levels = deep_levels(data, channels=channels, kind=np.uint16, name=name, what=f"an AVIF of {bits} bits")
    return Picture(upright(levels, orientation), bits=bits, transfer=transfer, profile=profile)


def _bits(data: bytes) -> int:
    """Bits a channel, as the first configuration of AV1 says: that of the picture, which alpha follows."""
    at = data.find(b"av1C")
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
    return 8 if not flags & _HIGH else 12 if flags & _TWELVE else 10


def _transfer(data: bytes) -> Transfer:
    at = data.find(b"colrnclx")
    return "srgb" if not 0 <= at < len(data) - 12 else TRANSFERS.get(struct.unpack_from(">H", data, at + 10)[0], "srgb")
