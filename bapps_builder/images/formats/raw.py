"""Raw files of cameras, developed by LibRaw: white balance of the camera, no automatic brightness."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bapps_builder.errors import ImageError
from bapps_builder.images.formats.extra import RAW
from bapps_builder.images.picture import Picture


def claims(data: bytes, name: str) -> bool:
    """Whether it is called as raw files are, since most look like TIFF."""
    return name.lower().endswith(tuple(RAW.suffixes))


def size(data: bytes, *, name: str) -> tuple[int, int]:
    """Width and height as stored."""
    with _opened(data, name) as raw:
        return int(raw.sizes.width), int(raw.sizes.height)


def read(data: bytes, *, name: str) -> Picture:
    """Develop to 8 bits of sRGB, upright."""
    with _opened(data, name) as raw:
        return Picture(raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=8))


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Any]:
    try:
        import rawpy
    except ImportError as error:
        raise RAW.lacking(name) from error
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            yield raw
    except rawpy.LibRawError as error:
        raise ImageError(f"{name}: not a readable raw file: {error}") from error
