"""PNG files without anything but pixels: no EXIF, no text, no colour profile, no time."""

import numpy as np
from numpy.typing import NDArray

from bapps_builder.images.image_files import encode_png
from bapps_builder.images.png_chunks import chunks_of
from bapps_builder.images.png_encoding import SIGNATURE

_KEPT = (b"IHDR", b"IDAT", b"IEND")
# Transparency; animations, whose first frame may lie elsewhere; how the picture was turned; what its colours were.
_CHANGE_PIXELS = (b"tRNS", b"acTL", b"eXIf", b"iCCP")


def bare_png(data: bytes, pixels: NDArray[np.uint8]) -> bytes:
    """Give the bytes of a PNG that shows `pixels` and says nothing else.

    Parameters
    ----------
    data : bytes
        An image file that was decoded without error.
    pixels : uint8 array of shape (H, W, 3)
        What it was decoded to.

    Returns
    -------
    bytes
        `data` itself if it is an 8-bit RGB PNG of pixels alone; else the same without its other chunks;
        `pixels` encoded anew if it is anything else.
    """
    if not data.startswith(SIGNATURE) or data[24:26] != b"\x08\x02":  # bits a channel, colour type
        return encode_png(pixels)
    chunks = list(chunks_of(data))
    kinds = {chunk.kind for chunk in chunks}
    if kinds.intersection(_CHANGE_PIXELS):
        return encode_png(pixels)
    # What follows the end marker is no part of the picture either.
    if kinds.issubset(_KEPT) and chunks[-1].end == len(data):
        return data
    return SIGNATURE + b"".join(data[chunk.start : chunk.end] for chunk in chunks if chunk.kind in _KEPT)
