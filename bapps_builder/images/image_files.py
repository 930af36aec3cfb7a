"""Decodes and encodes patches; what people bring is read by `photographs.py`. An image is uint8 RGB, (H, W, 3).

PNG, which patches are kept in, is read and written by code of ours: `png_*.py`.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bapps_builder.errors import ImageError
from bapps_builder.images.formats.pillow_files import opened
from bapps_builder.images.png_decoding import LARGEST, header_of, read_plain_png
from bapps_builder.images.png_encoding import SIGNATURE, png
from bapps_builder.images.png_forms import read_png

try:
    import cv2

    cv2.imdecode  # noqa: B018 - a broken double install imports, but is empty
except (ImportError, AttributeError) as error:
    raise ImportError(
        "OpenCV does not load: opencv-python and opencv-python-headless overwrite each other; run "
        "`pip uninstall -y opencv-python opencv-python-headless && pip install opencv-python-headless`"
    ) from error

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm"})


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a file as uint8 RGB of shape (H, W, 3), with the pixels that Pillow's `convert("RGB")` gives.

    Plain 8-bit RGB PNG, the format of every patch, is read by `png_decoding.py`, which is faster and releases
    the interpreter; what is no PNG goes through Pillow. No orientation tag is applied, as in the official
    loader. The first frame of an animation is read.

    Raises
    ------
    ImageError
        If the file is missing, truncated, corrupt, not an image, has more than 8 bits in one grey
        channel, or has transparent pixels, whose colour would depend on a background.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from error
    return decode_image(data, name=str(path))


def decode_image(data: bytes, *, name: str) -> NDArray[np.uint8]:
    """Decode the bytes of an image file to uint8 RGB of shape (H, W, 3); see `read_image`.

    `name` is what an error calls the image.
    """
    if data.startswith(SIGNATURE):
        image = read_plain_png(data, name=name)
        return _other_png(data, name) if image is None else image
    with opened(data, name) as file:
        if file.width * file.height > LARGEST:
            raise ImageError(f"{name}: claims {file.width}x{file.height} pixels; at most {LARGEST} are read")
        return to_rgb(file, name)


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Encode (H, W, 3) uint8 RGB as PNG, losslessly; see `png_encoding`."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ImageError(f"an image to encode must be (H, W, 3) uint8, got shape {image.shape} and type {image.dtype}")
    return png(image)


def resize_bilinear(image: NDArray[np.uint8], *, width: int, height: int) -> NDArray[np.uint8]:
    """Resize to (height, width, 3) with Pillow's BILINEAR filter, the one behind all published BAPPS scores."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def through_jpeg(image: NDArray[np.uint8], *, quality: int, chroma_subsampling: bool) -> NDArray[np.uint8]:
    """Encode as JPEG in memory and decode again: what the codec leaves of an image (H, W, 3).

    `quality` is libjpeg's, 1 to 100. Chroma is kept at half the width and height (4:2:0) or whole (4:4:4).
    """
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if chroma_subsampling else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    try:
        success, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    except cv2.error as error:  # a side over 65,500 pixels
        raise ImageError(f"cannot encode an image of shape {image.shape} as JPEG: {error.err}") from error
    if not success:
        raise ImageError(f"cannot encode an image of shape {image.shape} and type {image.dtype} as JPEG")
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


def colour_scale(values: NDArray[np.floating], *, top: float) -> NDArray[np.uint8]:
    """Colour a map of shape (H, W) from 0 (dark) to `top` (bright) as uint8 RGB (H, W, 3), viridis."""
    levels = np.clip(values / top if top > 0 else values, 0, 1) * 255
    coloured = cv2.applyColorMap(np.rint(levels).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    return np.ascontiguousarray(coloured[..., ::-1], np.uint8)


def to_rgb(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """The pixels of an image that Pillow holds, uint8 RGB (H, W, 3); ImageError where `read_image` has one."""
    if image.mode.startswith("I") or image.mode == "F":
        raise ImageError(f"{name}: more than 8 bits a channel (Pillow mode {image.mode}); convert it to 8 bits first")
    if image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA"))
        return _opaque(pixels, name)
    return np.array(image.convert("RGB"))  # a copy, since Pillow's own buffer is read-only


def _other_png(data: bytes, name: str) -> NDArray[np.uint8]:
    """A PNG that is not plain, as the official loader has it: no orientation, no colour profile."""
    if header_of(data, name).depth == 16:
        raise ImageError(f"{name}: 16 bits a channel; convert it to 8 bits first")
    levels = read_png(data, name=name).picture.levels
    if levels.shape[2] in (2, 4):
        levels = _opaque(levels, name)
    return np.repeat(levels, 3, axis=2) if levels.shape[2] == 1 else levels


def _opaque(levels: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Levels without their last channel, alpha, which must be 255 everywhere."""
    lowest = int(levels[..., -1].min())
    if lowest < 255:
        raise ImageError(f"{name}: has transparent pixels (alpha down to {lowest}); flatten it first")
    return levels[..., :-1].copy()
