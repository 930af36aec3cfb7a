"""HEIC and HEIF by libheif, with the extra `heic`. ISO/IEC 23008-12."""

from typing import Any

import numpy as np

from bapps_builder.errors import ImageError
from bapps_builder.images.formats.boxes import TRANSFERS, brands
from bapps_builder.images.formats.extra import HEIC
from bapps_builder.images.formats.pillow_files import one_line
from bapps_builder.images.picture import Picture

_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def claims(data: bytes, name: str) -> bool:
    """Whether one of its brands is that of HEIF; AVIF, which may have them too, is asked before."""
    return not _BRANDS.isdisjoint(brands(data))


def size(data: bytes, *, name: str) -> tuple[int, int]:
    """Width and height, upright."""
    width, height = _opened(data, name).size
    return width, height


def read(data: bytes, *, name: str) -> Picture:
    """Decode the first picture; libheif turns it."""
    file = _opened(data, name)
    try:
        levels = np.asarray(file)
    except Exception as error:  # libheif's own types of error are no part of its interface
        raise ImageError(f"{name}: not a readable image: {one_line(error)}") from error
    bits = int(file.info.get("bit_depth", 8))
    levels = levels.reshape(*levels.shape[:2], -1)
    if levels.dtype == np.uint16:  # whose upper bits they are
        levels = levels >> (16 - bits)
    colour = file.info.get("nclx_profile") or {}
    transfer = TRANSFERS.get(colour.get("transfer_characteristics", 0), "srgb")
    profile = file.info.get("icc_profile") or b""
    return Picture(levels.copy(), bits=max(bits, 8), transfer=transfer, profile=profile)


def _opened(data: bytes, name: str) -> Any:
    try:
        import pillow_heif
    except ImportError as error:
        raise HEIC.lacking(name) from error
    try:
        return pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
    except Exception as error:  # as above
        raise ImageError(f"{name}: not a readable image: {one_line(error)}") from error
