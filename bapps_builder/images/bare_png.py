"""PNG files without anything but pixels: no EXIF, no text, no colour profile, no time."""

import struct

import numpy as np
from numpy.typing import NDArray

from bapps_builder.images.image_files import encode_png
from bapps_builder.images.png_encoding import SIGNATURE

_KEPT = (b"IHDR", b"IDAT", b"IEND")
_CHANGE_PIXELS = (b"tRNS", b"acTL")  # transparency, and animations, whose first frame may lie elsewhere


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
    kept, at, found = [SIGNATURE], len(SIGNATURE), set()
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        found.add(kind)
        if kind in _KEPT:
            kept.append(data[at:end])
        at = end
        if kind == b"IEND":
            break
    if found.intersection(_CHANGE_PIXELS):
        return encode_png(pixels)
    # What follows the end marker is no part of the picture either.
    return data if found.issubset(_KEPT) and at == len(data) else b"".join(kept)
