"""Decoding photographs, against Pillow, arithmetic, and files written by other libraries."""

import io
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from bapps_builder.errors import ImageError
from bapps_builder.images.photographs import decode_photo, photo_size

PIXELS = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)
# Every remainder by 257, and both ends.
DEEP = np.random.default_rng(6).integers(0, 1 << 16, (20, 30, 3)).astype(np.uint16)
DEEP[0, :5, 0] = [0, 128, 129, 65406, 65535]
SHALLOW = np.array([[[round(v / 257) for v in pixel] for pixel in row] for row in DEEP.tolist()], np.uint8)


def saved(image: Image.Image, kind: str, **settings: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


def deep_png(pixels: np.ndarray) -> bytes:
    channels = {2: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[pixels.shape[2] if pixels.ndim == 3 else 2]
    image = pixels if pixels.ndim == 2 else pixels[..., channels]
    return cv2.imencode(".png", image)[1].tobytes()


def deep_tiff(pixels: np.ndarray, *, compression: str | None = None, orientation: int = 1) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        pixels,
        photometric="rgb" if pixels.ndim == 3 else "minisblack",
        compression=compression,
        extratags=[(274, "H", 1, orientation, True)],
    )
    return out.getvalue()


def with_orientation(png: bytes, orientation: int) -> bytes:
    """Put an eXIf chunk behind the header of a PNG."""
    tiff = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0)
    chunk = struct.pack(">I", len(tiff)) + b"eXIf" + tiff + struct.pack(">I", zlib.crc32(b"eXIf" + tiff))
    return png[:33] + chunk + png[33:]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_eight_bits_are_those_of_pillow(kind: str, mode: str) -> None:
    if (kind, mode) == ("JPEG", "P"):
        mode = "RGB"
    data = saved(Image.fromarray(PIXELS).convert(mode), kind)
    found = decode_photo(data, name="x")
    np.testing.assert_array_equal(found, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert photo_size(data, name="x") == (30, 20)


@pytest.mark.parametrize("mode", ["RGB", "P", "CMYK"])
def test_photographs_higher_than_a_strip_are_whole(mode: str) -> None:
    tall = np.random.default_rng(8).integers(0, 256, (700, 9, 3), dtype=np.uint8)
    opened = Image.fromarray(tall).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 8
    data = saved(opened, "TIFF" if mode == "CMYK" else "PNG", exif=exif)
    np.testing.assert_array_equal(decode_photo(data, name="x"), np.rot90(np.asarray(opened.convert("RGB"))))


def test_cmyk_becomes_rgb() -> None:
    data = saved(Image.fromarray(PIXELS).convert("CMYK"), "TIFF")
    np.testing.assert_array_equal(decode_photo(data, name="x"), PIXELS)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_sixteen_bits_are_divided_by_257_and_rounded(compression: str | None) -> None:
    tiff = deep_tiff(DEEP, compression=compression)
    np.testing.assert_array_equal(decode_photo(deep_png(DEEP), name="x.png"), SHALLOW)
    np.testing.assert_array_equal(decode_photo(tiff, name="x.tif"), SHALLOW)
    assert photo_size(tiff, name="x.tif") == (30, 20)


@pytest.mark.parametrize("encode", [deep_png, deep_tiff])
def test_sixteen_bit_grey_is_grey(encode: Callable[[np.ndarray], bytes]) -> None:
    np.testing.assert_array_equal(decode_photo(encode(DEEP[..., 0]), name="x"), SHALLOW[..., :1].repeat(3, 2))


def test_transparent_pixels_lie_on_white() -> None:
    alpha = np.random.default_rng(7).integers(0, 256, (20, 30, 1))
    wanted = np.rint((PIXELS * (alpha / 255)) + 255 * (1 - alpha / 255)).astype(np.uint8)
    data = saved(Image.fromarray(np.concatenate([PIXELS, alpha], 2).astype(np.uint8)), "PNG")
    np.testing.assert_array_equal(decode_photo(data, name="x"), wanted)
    deep = np.concatenate([PIXELS.astype(np.uint16), alpha.astype(np.uint16)], 2) * np.uint16(257)
    np.testing.assert_array_equal(decode_photo(deep_png(deep), name="x"), wanted)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_tag_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(PIXELS), "PNG", exif=exif)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(decode_photo(data, name="x"), wanted)
    deep = PIXELS.astype(np.uint16) * np.uint16(257)
    np.testing.assert_array_equal(decode_photo(with_orientation(deep_png(deep), orientation), name="x"), wanted)
    for pixels in (PIXELS, deep):
        np.testing.assert_array_equal(decode_photo(deep_tiff(pixels, orientation=orientation), name="x.tif"), wanted)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"not a readable image: of none of the known formats, or cut off \(0 bytes\)$"),
        (b"hello", "not a readable image: of none of"),
        (saved(Image.fromarray(PIXELS), "JPEG")[:400], "not a readable image: [Tt]runcated"),
        (saved(Image.fromarray(PIXELS), "PNG")[:400], "truncated PNG"),
        (deep_png(DEEP)[:-2000], "truncated PNG"),
        (saved(Image.fromarray(PIXELS[..., 0].astype(np.float32)), "TIFF"), "levels of linear light; map its tones"),
        (saved(Image.fromarray(PIXELS[..., 0].astype(np.int32)), "TIFF"), "TIFF of 32 bits a channel, format 2"),
    ],
)
def test_what_is_damaged_or_no_photograph_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=f"^x: .*{message}"):
        decode_photo(data, name="x")


def test_too_many_pixels_are_refused_before_decoding() -> None:
    data = saved(Image.new("1", (20_000, 20_000)), "PNG")
    assert len(data) < 100_000
    with pytest.raises(
        ImageError, match=r"^x: 20000x20000 is more than 256000000 pixels, perhaps a decompression bomb"
    ):
        decode_photo(data, name="x")
    assert photo_size(data, name="x", max_pixels=400_000_000) == (20_000, 20_000)
    with pytest.raises(ImageError, match="is more than 599 pixels"):
        photo_size(saved(Image.fromarray(PIXELS), "PNG"), name="x", max_pixels=599)


def test_the_limit_of_pillow_stays_as_it_was() -> None:
    before = Image.MAX_IMAGE_PIXELS
    photo_size(saved(Image.fromarray(PIXELS), "PNG"), name="x")
    assert before == Image.MAX_IMAGE_PIXELS


def raw_photo(path: Path) -> None:
    """A DNG with the least that LibRaw needs: an RGGB mosaic of a grey field."""
    mosaic = np.full((96, 128), 8000, np.uint16)
    tags = [
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),  # CFAPattern
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),  # DNGVersion
        (50708, "s", 0, "bapps test", True),  # UniqueCameraModel
        (50714, "H", 1, 0, True),  # BlackLevel
        (50717, "I", 1, 16000, True),  # WhiteLevel
        (50721, "2i", 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1), True),  # ColorMatrix1
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),  # AsShotNeutral
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, extratags=tags)


def test_raw_files_are_developed(tmp_path: Path) -> None:
    raw_photo(tmp_path / "a.dng")
    data = (tmp_path / "a.dng").read_bytes()
    assert photo_size(data, name="a.dng") == (128, 96)
    found = decode_photo(data, name="a.DNG")
    assert found.shape == (96, 128, 3)
    assert found.dtype == np.uint8
    # Half of white is grey, about 188 of 255 by the curve of BT.709 or sRGB; the matrix is made up.
    middle = found[20:-20, 20:-20].reshape(-1, 3)
    assert middle.std(0).max() < 2
    assert 120 < middle.mean() < 240
    with pytest.raises(ImageError, match=r"^a\.dng: not a readable raw file"):
        decode_photo(data[:100], name="a.dng")


def test_raw_files_need_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(ImageError, match=r'^a\.dng: raw files need the extra `raw`: pip install "bapps\[raw\]"'):
        decode_photo(b"II", name="a.dng")
