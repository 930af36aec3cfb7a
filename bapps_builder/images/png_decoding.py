"""Decodes the PNG that patches are kept in: 8-bit RGB, not interlaced. W3C Recommendation PNG, third edition.

Every checksum is checked and every byte accounted for, so a damaged file is one error of ours. Inflating takes
most of the time of a small image, and ISA-L does it two to three times as fast as zlib.
"""

import struct
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple, cast

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from bapps_builder.errors import ImageError
from bapps_builder.images.png_chunks import chunks_of

# A gigabyte a channel; what claims more is no patch, and is not given the memory.
LARGEST = 2**30

_HEADER = struct.Struct(">IIBBBBB")
_PLAIN = (8, 2, 0)  # bits a channel, the type of true colour, and rows in plain order
# Its annotations call it an instance.
_INFLATE_ERROR = cast("type[Exception]", isal_zlib.error)
_LARGEST_WINDOW = 7  # 32 KB, as the first four bits of a stream say it; ISA-L would take more
_KNOWN_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
# Chunks that change the pixels or their orientation in one decoder and not in another.
_NOT_PLAIN = frozenset({b"tRNS", b"eXIf", b"acTL"})
_NO_HEADER = "no header, or not one in front"

Chunks = list[tuple[bytes, memoryview]]


class PngHeader(NamedTuple):
    """What IHDR says: the size, bits a channel, the colour type, and three methods."""

    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filtering: int
    interlace: int


def read_plain_png(data: bytes, *, name: str) -> NDArray[np.uint8] | None:
    """Decode a PNG to uint8 RGB of shape (H, W, 3); None if its form is another, which `png_forms.py` reads.

    Other forms are palettes, grey, alpha, 16 bits a channel, interlaced and animated ones. `name` is what an error
    calls the image.

    Raises
    ------
    ImageError
        If the file is cut off or damaged.
    """
    chunks = list(checked_chunks(data, name))
    kinds = [kind for kind, _ in chunks]
    header = _header(chunks[0], name)
    if kinds.count(b"IHDR") > 1:
        raise corrupt(name, _NO_HEADER)
    width, height, depth, colour, compression, filtering, interlace = header
    if (depth, colour, interlace) != _PLAIN or not _NOT_PLAIN.isdisjoint(kinds):
        return None
    if compression or filtering or not width or not height or width * height > LARGEST:
        raise _impossible(PngHeader(*header), name)
    refuse_unknown(kinds, name)
    return _pixels(b"".join(image_data(chunks)), width, height, name)


def header_of(data: bytes, name: str) -> PngHeader:
    """The header of a PNG, which is its first chunk; nothing behind it is looked at."""
    header = PngHeader(*_header(next(checked_chunks(data, name)), name))
    if header.compression or header.filtering or not 0 < header.width * header.height <= LARGEST:
        raise _impossible(header, name)
    return header


def _header(chunk: tuple[bytes, memoryview], name: str) -> tuple[int, int, int, int, int, int, int]:
    kind, content = chunk
    if kind != b"IHDR" or len(content) != _HEADER.size:
        raise corrupt(name, _NO_HEADER)
    return _HEADER.unpack(content)


def _impossible(header: PngHeader, name: str) -> ImageError:
    """The error of sizes and methods that do not exist, or of more pixels than memory is given to."""
    width, height = header.width, header.height
    if header.compression or header.filtering or not width or not height:
        return corrupt(name, f"header: {width}x{height} pixels, methods {header.compression} and {header.filtering}")
    return ImageError(f"{name}: claims {width}x{height} pixels; at most {LARGEST} are read")


def checked_chunks(data: bytes, name: str) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of each chunk up to IEND, lengths and checksums checked."""
    view, kind = memoryview(data), b""
    for kind, start, end in chunks_of(data):
        if end > len(data):
            raise ImageError(f"{name}: truncated PNG ({len(data)} bytes, chunk {kind!r} needs {end})")
        if isal_zlib.crc32(view[start + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise ImageError(f"{name}: corrupt PNG (checksum of chunk {kind!r})")
        yield kind, view[start + 8 : end - 4]
    if kind != b"IEND":
        raise ImageError(f"{name}: truncated PNG ({len(data)} bytes, no end marker)")


def refuse_unknown(kinds: Iterable[bytes], name: str) -> None:
    """Refuse chunks without which a picture cannot be understood, and that nobody here knows."""
    unknown = next((kind for kind in kinds if not _may_be_passed(kind)), None)
    if unknown is not None:
        raise corrupt(name, f"chunk {unknown!r}")


def _may_be_passed(kind: bytes) -> bool:
    """Whether a reader that does not know a chunk may go on: small first letter, capital third."""
    return kind in _KNOWN_CRITICAL or (kind.isalpha() and kind[:1].islower() and kind[2:3].isupper())


def image_data(chunks: Chunks) -> Iterator[memoryview]:
    """The first IDAT and those that follow it at once: more of them elsewhere do not count."""
    start = next((k for k, (kind, _) in enumerate(chunks) if kind == b"IDAT"), len(chunks))
    return (content for _, content in takewhile(lambda chunk: chunk[0] == b"IDAT", chunks[start:]))


def inflated(stream: bytes, size: int, name: str) -> bytes:
    """The first `size` bytes of what was deflated, at most one byte more in all.

    Raises
    ------
    ImageError
        If there are fewer, or the stream is damaged or cut off.
    """
    if stream[:1] and stream[0] >> 4 > _LARGEST_WINDOW:
        raise corrupt(name, "window of more than 32 KB")
    inflater = isal_zlib.decompressobj()
    try:
        rows = inflater.decompress(stream, size + 1)  # one byte more, so that the checksum behind the last is reached
    except _INFLATE_ERROR as error:
        raise corrupt(name, str(error)) from error
    if len(rows) < size or (len(rows) == size and not inflater.eof):
        raise corrupt(name, f"{len(rows)} bytes of {size}, and no end")
    return rows


def _pixels(stream: bytes, width: int, height: int, name: str) -> NDArray[np.uint8]:
    # Imported late, since a command that decodes nothing should not wait for the compiler.
    from bapps_builder.images.png_filters import undo_filters

    size = height * (1 + 3 * width)
    rows = inflated(stream, size, name)
    pixels = np.empty((height, width, 3), np.uint8)
    if not undo_filters(np.frombuffer(rows, np.uint8, size).reshape(height, -1), pixels.reshape(height, -1)):
        raise corrupt(name, "a filter that does not exist")
    return pixels


def corrupt(name: str, what: str) -> ImageError:
    """The error of a PNG whose chunks are sound and whose content is not."""
    return ImageError(f"{name}: corrupt PNG image data ({what})")
