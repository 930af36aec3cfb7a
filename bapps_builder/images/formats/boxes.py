"""The boxes that AVIF, HEIC and JPEG XL files are made of (ISO/IEC 14496-12), as far as formats are told by them."""

import struct
from collections.abc import Iterator

from bapps_builder.images.picture import Transfer

# Transfer characteristics of ITU-T H.273 that are not sRGB's curve or near it.
TRANSFERS: dict[int, Transfer] = {8: "linear", 16: "pq", 18: "hlg"}

_MOST_BOXES = 64


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the first boxes; the last may be cut off."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if length == 1 and at + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, at + 8)
            header = 16
        end = len(data) if length == 0 else at + length
        if end < at + header:
            return
        yield kind, data[at + header : end]
        at = end


def brands(data: bytes) -> set[bytes]:
    """What a file says that it is: major and compatible brands; nothing where it is not made of boxes."""
    if data[4:8] != b"ftyp":
        return set()
    _, content = next(boxes(data), (b"", b""))
    return {content[:4]} | {content[at : at + 4] for at in range(8, min(len(content), 256), 4)}
