"""Read photographs and other people's images, as collections of them hold: what patches never are.

One reader for all that people bring. JPEG, PNG, WebP, TIFF, AVIF, JPEG 2000, BMP, GIF and PPM; HEIC with the extra
`heic`, JPEG XL with `jxl`, raw files of cameras with `raw`. A photograph comes with its depth, its transfer and its
colour profile, upright, and is made 8 bits of sRGB by `picture.eight_bits`. Of several pages or frames the first
counts. Files of a dataset are read by `image_files.py`, which turns and converts nothing, as the official loader.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bapps_builder.errors import ImageError
from bapps_builder.images.formats import avif, heic, jpeg2000, jpeg_xl, pillow_files, png, raw, tiff
from bapps_builder.images.formats.extra import EXTRAS, RAW
from bapps_builder.images.formats.format import Format
from bapps_builder.images.image_files import SUFFIXES
from bapps_builder.images.picture import Picture, eight_bits

RAW_SUFFIXES = RAW.suffixes
PHOTO_SUFFIXES = (SUFFIXES | {".avif", ".jp2", ".j2k", ".j2c", ".jpx", ".jpf"}).union(*(one.suffixes for one in EXTRAS))
# Above the largest sensors, below what a small machine cannot hold: 768 MB decoded.
MAX_PIXELS = 256_000_000

# The first that claims a file reads it.
_FORMATS: tuple[Format, ...] = (raw, png, tiff, avif, heic, jpeg2000, jpeg_xl, pillow_files)


def photo_size(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Read width and height of a photograph, as stored, from its header alone; see `decode_photo`."""
    return _sized(_format(data, name), data, name, max_pixels)


def decode_photo(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode the bytes of a photograph to uint8 RGB of shape (H, W, 3), upright, in sRGB.

    Parameters
    ----------
    data : bytes
    name : str
        What an error calls it; its suffix tells a raw file, which looks like TIFF.
    max_pixels : int
        The header is checked against it before anything is decoded.

    Raises
    ------
    ImageError
        If the data is no photograph, is damaged, holds levels that `picture.eight_bits` refuses, has more than
        `max_pixels`, or needs an extra that is not installed.
    """
    return eight_bits(decode_picture(data, name=name, max_pixels=max_pixels), name=name)


def decode_picture(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode the bytes of a photograph with its depth, transfer and profile; see `decode_photo`."""
    form = _format(data, name)
    _sized(form, data, name, max_pixels)
    return form.read(data, name=name)


def read_photo(path: Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read a file as `decode_photo` decodes it.

    Raises
    ------
    ImageError
        If the file is missing, cannot be read, or `decode_photo` refuses it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from error
    return decode_photo(data, name=str(path), max_pixels=max_pixels)


def check_extra(path: Path) -> None:
    """Raise ImageError if a file, by its suffix, needs an extra that is not installed; the message names it."""
    for extra in EXTRAS:
        if path.suffix.lower() in extra.suffixes and not extra.is_installed():
            raise extra.lacking(str(path))


def _format(data: bytes, name: str) -> Format:
    return next(one for one in _FORMATS if one.claims(data, name))


def _sized(form: Format, data: bytes, name: str, max_pixels: int) -> tuple[int, int]:
    size = form.size(data, name=name)
    if size[0] * size[1] > max_pixels:
        raise ImageError(
            f"{name}: {size[0]}x{size[1]} is more than {max_pixels} pixels, perhaps a decompression bomb; "
            "a photograph that large is read by commands that have --max-pixels"
        )
    return size
