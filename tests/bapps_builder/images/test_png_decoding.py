"""The reader of plain PNG, against Pillow, filters done by hand, and files that are wrong in one place."""

import gzip
import io
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from bapps_builder.errors import ImageError
from bapps_builder.images.image_files import decode_image
from bapps_builder.images.png_decoding import read_plain_png
from bapps_builder.images.png_encoding import SIGNATURE

Pixels = NDArray[np.uint8]

IMAGE = np.random.default_rng(3).integers(0, 256, (9, 13, 3), dtype=np.uint8)
SIZE = 9 * (1 + 3 * 13)
EDGES = [0, 1, 2, 127, 128, 254, 255]

images = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: arrays(np.uint8, (*size, 3), elements=st.integers(0, 255) | st.sampled_from(EDGES))
)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int = 13, height: int = 9, *form: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *(form or (8, 2, 0, 0, 0))))


def png(*chunks: bytes) -> bytes:
    return b"".join([SIGNATURE, *chunks, chunk(b"IEND", b"")])


def filtered(image: Pixels, kinds: Sequence[int]) -> bytes:
    """Filter each row as it is told, byte by byte (section 9.2 of the specification)."""
    lines = []
    before = [0] * image.shape[1] * 3
    for kind, row in zip(kinds, image.reshape(len(image), -1).tolist(), strict=True):
        line = [kind]
        for j, x in enumerate(row):
            a, c = (row[j - 3], before[j - 3]) if j >= 3 else (0, 0)
            b = before[j]
            nearest = min((a, b, c), key=lambda one: abs(a + b - c - one))  # the first of equals
            line.append((x - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
        lines.append(bytes(line))
        before = row
    return b"".join(lines)


def of_pillow(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"))


def plain(data: bytes) -> Pixels:
    found = read_plain_png(data, name="x.png")
    assert found is not None
    return found


ROWS = filtered(IMAGE, [0, 1, 2, 3, 4, 4, 3, 2, 1])
STREAM = zlib.compress(ROWS)


# --- what is read ------------------------------------------------------------------------------------


@given(st.data(), images)
@settings(deadline=None, max_examples=150)
def test_any_filters_give_the_pixels_back(data: st.DataObject, image: Pixels) -> None:
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=len(image), max_size=len(image)))
    file = png(
        header(image.shape[1], image.shape[0]),
        chunk(b"IDAT", zlib.compress(filtered(image, kinds), data.draw(st.integers(0, 9)))),
    )
    np.testing.assert_array_equal(plain(file), image)
    np.testing.assert_array_equal(of_pillow(file), image)


@pytest.mark.parametrize("kind", range(5))
def test_each_filter_on_an_image_of_a_photographs_size(kind: int) -> None:
    rng = np.random.default_rng(kind)
    image = rng.integers(0, 256, (70, 131, 3), dtype=np.uint8)
    image[20:40] //= 64  # few different values, so that ties are frequent
    file = png(header(131, 70), chunk(b"IDAT", zlib.compress(filtered(image, [kind] * 70))))
    np.testing.assert_array_equal(plain(file), image)


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED])
def test_every_window_and_strategy_of_deflate_is_inflated(bits: int, strategy: int) -> None:
    image = np.tile(IMAGE, (40, 9, 1))
    rows = filtered(image, [4] * len(image))
    deflater = zlib.compressobj(6, wbits=bits, strategy=strategy)
    file = png(header(117, 360), chunk(b"IDAT", deflater.compress(rows) + deflater.flush()))
    np.testing.assert_array_equal(plain(file), image)


@given(st.lists(st.integers(0, len(STREAM)), max_size=5))
def test_a_stream_may_be_cut_into_chunks_anywhere(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    parts = [chunk(b"IDAT", STREAM[start:stop]) for start, stop in pairwise(edges)]
    np.testing.assert_array_equal(plain(png(header(), *parts)), IMAGE)


@pytest.mark.parametrize(
    "file",
    [
        png(header(), chunk(b"IDAT", STREAM + b"more")),
        png(header(), chunk(b"IDAT", zlib.compress(ROWS + ROWS))),
        png(header(), chunk(b"IDAT", STREAM), chunk(b"tEXt", b"a\0b"), chunk(b"IDAT", b"more")),
        png(header(), chunk(b"IDAT", STREAM)) + b"more",
        png(header(), chunk(b"PLTE", bytes(9)), chunk(b"IDAT", STREAM)),
    ],
    ids=["behind the stream", "rows too many", "data elsewhere", "behind the end", "suggested palette"],
)
def test_what_follows_the_picture_does_not_count_as_in_pillow(file: bytes) -> None:
    np.testing.assert_array_equal(plain(file), IMAGE)
    np.testing.assert_array_equal(of_pillow(file), IMAGE)


def test_the_files_of_the_release_are_read_as_by_pillow(shared_data: Path) -> None:
    paths = sorted((shared_data / "bapps-mini").rglob("*.png"))
    assert len(paths) == 144
    for path in paths:
        data = path.read_bytes()
        np.testing.assert_array_equal(plain(data), of_pillow(data))


# --- what is left to Pillow --------------------------------------------------------------------------


def interlaced(image: Pixels) -> bytes:
    """Adam7, without filters."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [image[y::down, x::across] for y, x, down, across in passes]
    rows = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    height, width, _ = image.shape
    return png(header(width, height, 8, 2, 0, 0, 1), chunk(b"IDAT", zlib.compress(rows)))


def test_an_interlaced_file_is_read_by_pillow() -> None:
    file = interlaced(IMAGE)
    assert read_plain_png(file, name="x.png") is None
    np.testing.assert_array_equal(decode_image(file, name="x.png"), IMAGE)


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "LA"])
def test_other_kinds_of_pixels_are_left_to_pillow(mode: str) -> None:
    out = io.BytesIO()
    Image.fromarray(IMAGE).convert(mode).save(out, "PNG")
    assert read_plain_png(out.getvalue(), name="x.png") is None


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (png(header(), chunk(b"IDAT", STREAM[:40])), f"bytes of {SIZE}, and no end"),
        (png(header(), chunk(b"IDAT", zlib.compress(ROWS[:-1]))), f"{SIZE - 1} bytes of {SIZE}"),
        (png(header(), chunk(b"IDAT", STREAM[:-1])), f"{SIZE} bytes of {SIZE}, and no end"),
        (png(header(), chunk(b"IDAT", STREAM[:-1] + b"\0")), "Incorrect checksum"),
        (png(header(), chunk(b"IDAT", STREAM[:20]), chunk(b"tEXt", b"a\0b"), chunk(b"IDAT", STREAM[20:])), "no end"),
        (png(header(), chunk(b"IDAT", b"")), f"0 bytes of {SIZE}"),
        (png(header()), f"0 bytes of {SIZE}"),
        (png(header(), chunk(b"IDAT", gzip.compress(ROWS, mtime=0))), "compress method"),
        (png(header(), chunk(b"IDAT", b"\x88\x1c" + STREAM[2:])), "window of more than 32 KB"),
        (png(header(), chunk(b"IDAT", zlib.compress(b"\x05" + ROWS[1:]))), "a filter that does not exist"),
        (png(header(0, 9), chunk(b"IDAT", STREAM)), "0x9 pixels"),
        (png(header(13, 0), chunk(b"IDAT", STREAM)), "13x0 pixels"),
        (png(header(13, 9, 8, 2, 1, 0, 0), chunk(b"IDAT", STREAM)), "methods 1 and 0"),
        (png(header(13, 9, 8, 2, 0, 1, 0), chunk(b"IDAT", STREAM)), "methods 0 and 1"),
        (png(header(), chunk(b"ABCD", b""), chunk(b"IDAT", STREAM)), "chunk b'ABCD'"),
        (png(header(), chunk(b"abcd", b""), chunk(b"IDAT", STREAM)), "chunk b'abcd'"),
        (png(header(), chunk(b"a1B2", b""), chunk(b"IDAT", STREAM)), "chunk b'a1B2'"),
        (png(header(), header(), chunk(b"IDAT", STREAM)), "no header, or not one in front"),
        (png(chunk(b"tEXt", b"a\0b"), header(), chunk(b"IDAT", STREAM)), "no header, or not one in front"),
        (png(chunk(b"IHDR", b"short"), chunk(b"IDAT", STREAM)), "no header, or not one in front"),
        (png(), "no header, or not one in front"),
    ],
    ids=str,
)
def test_wrong_content_under_right_checksums_is_named(
    file: bytes, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ImageError, match=r"^x\.png: corrupt PNG image data \(.+\)$") as raised:
        decode_image(file, name="x.png")
    assert message in str(raised.value)
    assert capfd.readouterr() == ("", "")  # no library says a line of its own


def test_a_file_that_claims_more_than_a_thousand_million_pixels_is_refused() -> None:
    file = png(header(2**20, 2**10 + 1), chunk(b"IDAT", STREAM))
    with pytest.raises(ImageError, match=r"^x\.png: claims 1048576x1025 pixels; at most 1073741824 are read$"):
        decode_image(file, name="x.png")


@given(st.integers(0, len(STREAM) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=300)
def test_no_changed_byte_of_the_stream_goes_unnoticed(at: int, change: int) -> None:
    """What is read in spite of it holds the pixels of before: deflate can say the same in several ways."""
    broken = bytearray(STREAM)
    broken[at] ^= change
    with suppress(ImageError):
        np.testing.assert_array_equal(plain(png(header(), chunk(b"IDAT", bytes(broken)))), IMAGE)
