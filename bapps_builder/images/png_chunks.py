"""Where the chunks of a PNG file lie."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from bapps_builder.images.png_encoding import SIGNATURE


class Chunk(NamedTuple):
    """A chunk: its kind, and the bytes `start` to `end` of the file that it is, length and checksum included."""

    kind: bytes
    start: int
    end: int


def chunks_of(data: bytes) -> Iterator[Chunk]:
    """Yield the chunks of a PNG file up to IEND or where it is cut off; the last may end beyond the file."""
    at, kind = len(SIGNATURE), b""
    while kind != b"IEND" and at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield Chunk(kind, at, at + 12 + length)
        at += 12 + length
