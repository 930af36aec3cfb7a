"""Files that Pillow decodes: JPEG, WebP, BMP, GIF, PPM, and TIFF, AVIF and JPEG 2000 of 8 bits.

A list of formats is given to Pillow wherever it opens a file. Left to itself it tries all that it knows, and one of
them, EPS, starts Ghostscript.
"""

import io
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, UnidentifiedImageError

from bapps_builder.errors import ImageError
from bapps_builder.images.colour_profiles import SpacesDiffer, to_srgb
from bapps_builder.images.orientation import Levels, orientation_in, upright
from bapps_builder.images.picture import Picture

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "JPEG2000", "BMP", "GIF", "PPM")

# Rows that are converted at a time: of a huge photograph there is one copy beside Pillow's own.
_STRIP = 256
_MODES = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "RGBA": "RGBA", "RGBa": "RGBA", "CMYK": "CMYK"}
_pillow_settings = threading.Lock()
# What Pillow logs of a damaged file would else be printed: logging's last resort is the terminal.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def claims(data: bytes, name: str) -> bool:
    """Whatever no other format claims."""
    return True


def size(data: bytes, *, name: str) -> tuple[int, int]:
    """Width and height as stored, from the header alone."""
    with opened(data, name) as image:
        return image.size


def read(data: bytes, *, name: str) -> Picture:
    """Decode to 8 bits a channel, upright. Palettes become RGB; CMYK too, by its profile where it has one."""
    with opened(data, name) as image:
        return picture_of(image, name)


@contextmanager
def opened(data: bytes, name: str, formats: tuple[str, ...] = FORMATS) -> Iterator[Image.Image]:
    """Open with Pillow, in these formats alone and without a limit of pixels; any failure is an ImageError."""
    try:
        with quiet():
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(io.BytesIO(data), formats=formats)
            finally:
                Image.MAX_IMAGE_PIXELS = limit
        with image:
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: not a readable image: of none of the known formats, or cut off ({len(data)} bytes)"
        ) from error
    except Exception as error:  # Pillow raises many types on hostile or broken files
        raise ImageError(f"{name}: not a readable image: {one_line(error)}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow's warnings on metadata to ourselves; one thread at a time, since filters of warnings are shared."""
    with _pillow_settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def one_line(error: Exception) -> str:
    """What an error of a library says, on one line and without addresses in memory, which differ from run to run."""
    text = str(error) or type(error).__name__
    return " ".join(re.sub(r"\s*<[^>]* at 0x[0-9a-f]+>", "", text).split())


def picture_of(image: Image.Image, name: str, *, turned: bool = True) -> Picture:
    """The picture in what Pillow has opened, turned by its tag unless a library has done so.

    Raises
    ------
    ImageError
        If Pillow holds it in a mode of more than 8 bits, or of colours that it cannot convert.
    """
    if image.mode.startswith("I") or image.mode == "F":
        raise ImageError(f"{name}: more than 8 bits a channel (Pillow mode {image.mode}); convert it to 8 bits first")
    profile = image.info.get("icc_profile") or b""
    if image.format == "TIFF":  # upright afterwards, its orientation tag gone, for which its tags are read again
        with quiet():
            image.load()
    image.load()
    levels = _levels(image)
    if levels.shape[2] == 4 and image.mode == "CMYK":
        levels, profile = _of_cmyk(levels, profile, name), b""
    return Picture(upright(levels, orientation_of(image)) if turned else levels, profile=profile)


def orientation_of(image: Image.Image) -> int:
    """The orientation tag of what Pillow has opened, 1 to 8."""
    try:
        with quiet():
            return orientation_in(image.getexif())
    except Exception:  # damaged metadata may raise anything, and the picture is none the worse
        return 1


def orientation_of_block(exif: bytes) -> int:
    """The orientation tag in a block of EXIF, 1 to 8."""
    block = Image.Exif()
    try:
        with quiet():
            block.load(exif)
            return orientation_in(block)
    except Exception:  # as above
        return 1


def _levels(image: Image.Image) -> Levels:
    mode = _MODES.get(image.mode, "RGB")
    if image.has_transparency_data:
        mode = "LA" if image.mode in ("1", "L", "LA") else "RGBA"
    levels = np.empty((image.height, image.width, Image.getmodebands(mode)), np.uint8)
    for top in range(0, image.height, _STRIP):
        strip = image.crop((0, top, image.width, min(top + _STRIP, image.height)))
        levels[top : top + _STRIP] = np.asarray(strip.convert(mode)).reshape(strip.height, strip.width, -1)
    return levels


def _of_cmyk(levels: Levels, profile: bytes, name: str) -> Levels:
    if profile:
        try:
            return to_srgb(levels, profile)
        except SpacesDiffer as error:
            raise ImageError(f"{name}: {error}; convert it to sRGB first") from error
    out = np.empty((*levels.shape[:2], 3), np.uint8)
    for top in range(0, len(levels), _STRIP):
        out[top : top + _STRIP] = np.asarray(Image.fromarray(levels[top : top + _STRIP], "CMYK").convert("RGB"))
    return out
