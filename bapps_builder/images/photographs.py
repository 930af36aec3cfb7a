"""Decode photographs, as collections of them hold: what `image_files.read_image` is too strict for.

In memory a photograph is uint8 RGB, (H, W, 3), upright. JPEG, PNG, WebP, TIFF and whatever else Pillow knows;
raw files of cameras with the extra `raw`.

16 bits a channel become 8 by division by 257, rounded. The orientation tag is applied. Grey, palette and CMYK
become RGB. Transparent pixels are laid on white. Of several pages or frames the first counts. Colour profiles are
not applied: convert photographs to sRGB before if that matters.
"""

import importlib.util
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bapps_builder.errors import ImageError
from bapps_builder.images.image_files import SUFFIXES

RAW_SUFFIXES = frozenset({".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw"})
PHOTO_SUFFIXES = SUFFIXES | RAW_SUFFIXES
# Above the largest sensors, below what a small machine cannot hold: 768 MB decoded.
MAX_PIXELS = 256_000_000

_ORIENTATION = 0x0112  # tag of EXIF and TIFF
_BITS_PER_SAMPLE = 258  # tag of TIFF
_TO_8_BITS = ((np.arange(1 << 16) + 128) // 257).astype(np.uint8)
# Rows that are converted at a time: of a huge photograph there is one copy beside Pillow's own.
_STRIP = 256
_pillow_limit = threading.Lock()


def photo_size(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Read width and height of a photograph, as stored, from its header alone; see `decode_photo`."""
    if _is_raw(name):
        with _raw(data, name) as raw:
            size = (int(raw.sizes.width), int(raw.sizes.height))
    else:
        with _opened(data, name) as opened:
            size = opened.size
    _check_size(size, name, max_pixels)
    return size


def decode_photo(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode the bytes of a photograph to uint8 RGB of shape (H, W, 3), upright.

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
        If the data is no photograph, is damaged, holds floating-point or 32-bit levels, has more than
        `max_pixels`, or is raw and the extra `raw` is not installed.
    """
    photo_size(data, name=name, max_pixels=max_pixels)
    if _is_raw(name):
        with _raw(data, name) as raw:
            return raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=8)
    with _opened(data, name) as opened:
        return _sixteen_bits(data, opened, name) if _has_16_bits(opened, data) else _eight_bits(opened, name)


def raw_is_readable() -> bool:
    """Whether the library behind the extra `raw` is installed."""
    return importlib.util.find_spec("rawpy") is not None


def _is_raw(name: str) -> bool:
    return name.lower().endswith(tuple(RAW_SUFFIXES))


def _check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise ImageError(
            f"{name}: {size[0]}x{size[1]} is more than {max_pixels} pixels, perhaps a decompression bomb; "
            "raise --max-pixels if it is a photograph"
        )


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Image.Image]:
    """Open with Pillow, whose own limit of pixels gives way to ours; any failure is an ImageError."""
    try:
        with _pillow_limit:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(io.BytesIO(data))
            finally:
                Image.MAX_IMAGE_PIXELS = limit
        with image:
            yield image
    except ImageError:
        raise
    except Exception as error:  # Pillow raises many types on hostile or broken files
        raise ImageError(f"{name}: not a readable photograph: {error}") from error


@contextmanager
def _raw(data: bytes, name: str) -> Iterator[Any]:
    try:
        import rawpy
    except ImportError as error:
        raise ImageError(f'{name}: raw files want the extra `raw`: pip install "bapps[raw]"') from error
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            yield raw
    except rawpy.LibRawError as error:
        raise ImageError(f"{name}: not a readable raw file: {error}") from error


def _has_16_bits(opened: Image.Image, data: bytes) -> bool:
    """Pillow itself would cut most 16-bit files to their upper 8 bits."""
    if opened.format == "PNG":
        return data[24] == 16  # bit depth in the header, which is the first chunk
    tags = getattr(opened, "tag_v2", {}) if opened.format == "TIFF" else {}
    return max(np.atleast_1d(tags.get(_BITS_PER_SAMPLE, 1))) == 16


def _sixteen_bits(data: bytes, opened: Image.Image, name: str) -> NDArray[np.uint8]:
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"{name}: cannot be decoded: {error.err}") from error
    if found is None or found.dtype != np.uint16 or (found.ndim == 3 and found.shape[2] not in (1, 3, 4)):
        raise ImageError(f"{name}: a 16-bit {opened.format} that cannot be decoded; convert it to 8 bits first")
    pixels = _TO_8_BITS[np.asarray(found, np.uint16)]
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    elif pixels.shape[2] == 4:
        pixels = _on_white(pixels[..., [2, 1, 0, 3]])
    else:
        pixels = pixels[..., ::-1]
    # OpenCV has applied the tag to TIFF already, though not to PNG.
    orientation = 1 if opened.format == "TIFF" else opened.getexif().get(_ORIENTATION, 1)
    return np.ascontiguousarray(_upright(pixels, orientation))


def _eight_bits(opened: Image.Image, name: str) -> NDArray[np.uint8]:
    if opened.mode.startswith("I") or opened.mode == "F":
        raise ImageError(f"{name}: levels of Pillow's mode {opened.mode}; convert it to 8 or 16 bits first")
    opened.load()  # after which a TIFF is upright, and its orientation tag gone
    pixels = np.empty((opened.height, opened.width, 3), np.uint8)
    for top in range(0, opened.height, _STRIP):
        strip = opened.crop((0, top, opened.width, min(top + _STRIP, opened.height)))
        pixels[top : top + _STRIP] = (
            _on_white(np.asarray(strip.convert("RGBA")))
            if opened.has_transparency_data
            else np.asarray(strip.convert("RGB"))
        )
    return np.ascontiguousarray(_upright(pixels, opened.getexif().get(_ORIENTATION, 1)))


def _on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay (H, W, 4) on white: (H, W, 3), rounded."""
    alpha = pixels[..., 3:].astype(np.uint16)
    return ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn and mirror as the orientation tag, 1 to 8, says; any other value means nothing."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
