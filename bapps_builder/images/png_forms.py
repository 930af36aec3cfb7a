"""Decodes PNG of every form: grey, palette and colour, 1 to 16 bits a channel, alpha, interlaced.

As strictly as `png_decoding.py`, which has a path of its own for the one form that patches have: every checksum is
checked, and a row that is missing is an error, not black. W3C Recommendation PNG, third edition.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bapps_builder.images.orientation import Levels
from bapps_builder.images.picture import Picture, Transfer
from bapps_builder.images.png_decoding import (
    PngHeader,
    checked_chunks,
    corrupt,
    header_of,
    image_data,
    inflated,
    refuse_unknown,
)

_GREY, _COLOUR, _PALETTE, _GREY_ALPHA, _COLOUR_ALPHA = 0, 2, 3, 4, 6
# Bits a channel that each colour type may have, and its channels.
_DEPTHS = {
    _GREY: (1, 2, 4, 8, 16),
    _COLOUR: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GREY_ALPHA: (8, 16),
    _COLOUR_ALPHA: (8, 16),
}
_CHANNELS = {_GREY: 1, _COLOUR: 3, _PALETTE: 1, _GREY_ALPHA: 2, _COLOUR_ALPHA: 4}
# First row and column of each pass of Adam7, and the steps down and across.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
# ITU-T H.273, in the second byte of cICP.
_TRANSFERS: dict[int, Transfer] = {8: "linear", 16: "pq", 18: "hlg"}
_LARGEST_PROFILE = 1 << 24  # bytes, inflated


@dataclass(frozen=True)
class PngFile:
    """The picture in a PNG, and what else the file says that may change how it is shown.

    Attributes
    ----------
    picture : Picture
    exif : bytes
        As it stands in the file, such as its orientation; empty where there is none.
    """

    picture: Picture
    exif: bytes


def png_size(data: bytes, *, name: str) -> tuple[int, int]:
    """Width and height, from the header alone."""
    header = header_of(data, name)
    return header.width, header.height


def read_png(data: bytes, *, name: str) -> PngFile:
    """Decode a PNG of any form. Of an animation the still image counts, which readers without animations show.

    Raises
    ------
    ImageError
        If the file is cut off or damaged.
    """
    header = header_of(data, name)
    if header.depth not in _DEPTHS.get(header.colour, ()) or header.interlace > 1:
        raise corrupt(name, f"header: colour type {header.colour} of {header.depth} bits, order {header.interlace}")
    chunks = list(checked_chunks(data, name))
    refuse_unknown((kind for kind, _ in chunks), name)
    stream = b"".join(image_data(chunks))
    # The first chunk of each kind counts.
    contents = {kind: bytes(content) for kind, content in reversed(chunks) if kind != b"IDAT"}
    levels = _levels(stream, header, name)
    picture = Picture(
        _with_meaning(levels, header, contents, name),
        bits=16 if header.depth == 16 else 8,
        transfer=_transfer(contents),
        profile=_profile(contents, name),
    )
    return PngFile(picture, contents.get(b"eXIf", b""))


def _levels(stream: bytes, header: PngHeader, name: str) -> Levels:
    """Levels or numbers of colours as they are kept, (H, W, channels)."""
    channels = _CHANNELS[header.colour]
    parts = [
        (y, x, down, across, -(-(header.height - y) // down), -(-(header.width - x) // across))
        for y, x, down, across in (_PASSES if header.interlace else ((0, 0, 1, 1),))
        if y < header.height and x < header.width
    ]
    widths = [1 + (columns * channels * header.depth + 7) // 8 for *_, columns in parts]  # bytes a row, with its filter
    sizes = [part[4] * width for part, width in zip(parts, widths, strict=True)]
    data = np.frombuffer(inflated(stream, sum(sizes), name), np.uint8)
    whole: Levels | None = None
    start = 0
    for (y, x, down, across, rows, columns), width in zip(parts, widths, strict=True):
        filtered = data[start : start + rows * width].reshape(rows, width)
        part = _unpacked(_unfiltered(filtered, channels * header.depth, name), columns, channels, header.depth)
        if not header.interlace:
            return part
        if whole is None:
            whole = np.empty((header.height, header.width, channels), part.dtype)
        whole[y::down, x::across] = part
        start += rows * width
    assert whole is not None  # the first pass begins at the first pixel
    return whole


def _unfiltered(rows: NDArray[np.uint8], bits: int, name: str) -> NDArray[np.uint8]:
    """Rows of a picture of so many bits a pixel, filters undone."""
    # Imported late, since a command that decodes nothing should not wait for the compiler.
    from bapps_builder.images.png_filters import undo_filters, undo_filters_of_any_step

    out = np.empty((rows.shape[0], rows.shape[1] - 1), np.uint8)
    success = undo_filters(rows, out) if bits == 24 else undo_filters_of_any_step(rows, out, max(1, bits // 8))
    if not success:
        raise corrupt(name, "a filter that does not exist")
    return out


def _unpacked(rows: NDArray[np.uint8], columns: int, channels: int, depth: int) -> Levels:
    """Rows of bytes as numbers (rows, columns, channels)."""
    if depth == 16:
        return rows.view(">u2").astype(np.uint16).reshape(len(rows), columns, channels)
    if depth == 8:
        return rows.reshape(len(rows), columns, channels)
    bits = np.unpackbits(rows, axis=1)[:, : columns * depth].reshape(len(rows), columns, depth)
    weights = (1 << np.arange(depth)[::-1]).astype(np.uint8)
    return (bits * weights).sum(2, dtype=np.uint8)[..., None]


def _with_meaning(levels: Levels, header: PngHeader, contents: dict[bytes, bytes], name: str) -> Levels:
    """Put colours in place of their numbers, bring few bits to the range of eight, and see what is transparent."""
    if header.colour == _PALETTE:
        return _coloured(levels[..., 0], contents, name)
    numbers = levels
    if header.depth < 8:
        levels = levels * np.uint8(255 // ((1 << header.depth) - 1))
    if b"tRNS" not in contents or header.colour not in (_GREY, _COLOUR):
        return levels
    if len(contents[b"tRNS"]) != 2 * numbers.shape[2]:
        raise corrupt(name, "the transparent colour has another number of channels")
    clear = np.array(struct.unpack(f">{numbers.shape[2]}H", contents[b"tRNS"])) & ((1 << header.depth) - 1)
    alpha = np.where((numbers == clear).all(2, keepdims=True), 0, np.iinfo(levels.dtype).max)
    return np.concatenate([levels, alpha.astype(levels.dtype)], 2)


def _coloured(numbers: NDArray[np.uint8], contents: dict[bytes, bytes], name: str) -> NDArray[np.uint8]:
    table = contents.get(b"PLTE", b"")
    if not table or len(table) % 3 or len(table) > 768:
        raise corrupt(name, "no palette, or no whole one")
    colours = np.frombuffer(table, np.uint8).reshape(-1, 3)
    if int(numbers.max()) >= len(colours):
        raise corrupt(name, f"a pixel has colour {int(numbers.max())} of a palette that ends at {len(colours) - 1}")
    if b"tRNS" not in contents:
        return colours[numbers]
    alpha = np.full((len(colours), 1), 255, np.uint8)
    opacity = np.frombuffer(contents[b"tRNS"], np.uint8)[: len(colours)]
    alpha[: len(opacity), 0] = opacity
    return np.concatenate([colours, alpha], 1)[numbers]


def _transfer(contents: dict[bytes, bytes]) -> Transfer:
    return _TRANSFERS.get(contents[b"cICP"][1], "srgb") if len(contents.get(b"cICP", b"")) == 4 else "srgb"


def _profile(contents: dict[bytes, bytes], name: str) -> bytes:
    if b"iCCP" not in contents:
        return b""
    _, _, rest = contents[b"iCCP"].partition(b"\0")
    try:
        return zlib.decompressobj().decompress(rest[1:], _LARGEST_PROFILE)
    except zlib.error as error:
        raise corrupt(name, f"colour profile: {error}") from error
