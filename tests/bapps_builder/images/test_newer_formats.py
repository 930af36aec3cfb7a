"""AVIF, JPEG 2000, HEIC and JPEG XL, against another decoder (imagecodecs) of files by another encoder."""

import io
import sys
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from bapps_builder.errors import ImageError
from bapps_builder.images.formats.extra import Extra
from bapps_builder.images.photographs import decode_photo, decode_picture, photo_size

ROWS, COLUMNS = np.mgrid[:50, :70]
# Smooth, so that lossy codecs keep it.
EIGHT = np.stack([COLUMNS * 3, ROWS * 5, 255 - COLUMNS - ROWS], 2).astype(np.uint8)
DEEP = (EIGHT.astype(np.uint16) << 8) | np.uint16(0x35)


def encoded(codec: str, levels: NDArray[Any], **settings: Any) -> bytes:
    return bytes(getattr(imagecodecs, f"{codec}_encode")(levels, **settings))


def rounded(levels: NDArray[Any], bits: int) -> NDArray[np.float64]:
    return np.rint(levels * (255 / ((1 << bits) - 1)))


# --- AVIF --------------------------------------------------------------------------------------------


def test_avif_of_8_bits() -> None:
    data = encoded("avif", EIGHT, level=95)
    np.testing.assert_array_equal(decode_photo(data, name="x"), imagecodecs.avif_decode(data))
    assert photo_size(data, name="x") == (70, 50)


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_avif_keeps_its_bits(bits: int) -> None:
    data = encoded("avif", DEEP >> (16 - bits), level=95, bitspersample=bits)
    found = decode_picture(data, name="x")
    assert (found.bits, found.transfer) == (bits, "srgb")
    np.testing.assert_array_equal(found.levels, imagecodecs.avif_decode(data))
    np.testing.assert_array_equal(decode_photo(data, name="x"), rounded(found.levels, bits))


def test_avif_of_pq_is_no_srgb() -> None:
    data = bytearray(encoded("avif", DEEP >> 6, level=95, bitspersample=10))
    at = data.index(b"colrnclx") + 10
    data[at : at + 2] = b"\0\x10"
    assert decode_picture(bytes(data), name="x").transfer == "pq"
    with pytest.raises(ImageError, match=r"^x: levels of PQ"):
        decode_photo(bytes(data), name="x")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_avif_is_turned(orientation: int) -> None:
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(EIGHT).save(out, "AVIF", quality=95, exif=exif)
    wanted = np.rot90(EIGHT, {1: 0, 3: 2, 6: 3, 8: 1}[orientation]).astype(int)
    assert np.abs(decode_photo(out.getvalue(), name="x") - wanted).max() < 16


# --- JPEG 2000 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["jp2", "j2k"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_jpeg_2000_keeps_its_bits(codec: str, channels: int, bits: int) -> None:
    levels = EIGHT if bits == 8 else DEEP >> (16 - bits)
    levels = levels if channels == 3 else levels[..., 0]
    data = encoded("jpeg2k", np.ascontiguousarray(levels), level=0, codecformat=codec, bitspersample=bits)
    found = decode_picture(data, name="x")
    assert found.bits == bits
    np.testing.assert_array_equal(found.levels, levels.reshape(50, 70, channels))
    wanted = np.broadcast_to(rounded(levels, bits).reshape(50, 70, channels), (50, 70, 3))
    np.testing.assert_array_equal(decode_photo(data, name="x"), wanted)


def test_jpeg_2000_of_signed_levels_is_refused() -> None:
    data = encoded("jpeg2k", EIGHT[..., 0].astype(np.int16) - 100, level=0)
    with pytest.raises(ImageError, match=r"^x: a JPEG 2000 of signed levels; convert it to 8 bits first"):
        decode_photo(data, name="x")


# --- HEIC --------------------------------------------------------------------------------------------


def heic(levels: NDArray[Any], mode: str, **settings: Any) -> bytes:
    found = pillow_heif.from_bytes(mode=mode, size=levels.shape[1::-1], data=levels.tobytes())
    out = io.BytesIO()
    found.save(out, quality=-1, chroma=444, **settings)
    return out.getvalue()


def test_heic_of_8_bits() -> None:
    data = heic(EIGHT, "RGB")
    assert np.abs(decode_photo(data, name="x").astype(int) - EIGHT).max() <= 3
    assert photo_size(data, name="x") == (70, 50)


def test_deep_heic_keeps_its_bits() -> None:
    data = heic(DEEP, "RGB;16")
    found = decode_picture(data, name="x")
    assert found.bits in (10, 12)
    assert np.abs(found.levels.astype(int) - (DEEP >> (16 - found.bits))).max() <= 8
    white = decode_photo(heic(np.full_like(DEEP, 65535), "RGB;16"), name="x")
    assert white.min() == 255


@pytest.mark.parametrize("cut", [20, 200, 500])
def test_heic_that_is_cut_off_is_refused_in_one_line(cut: int) -> None:
    with pytest.raises(ImageError, match=r"^x: not a readable image: [^\n]+$"):
        decode_photo(heic(EIGHT, "RGB")[:cut], name="x")


# --- JPEG XL -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_jpeg_xl_of_8_bits(container: bool, channels: int) -> None:
    alpha = np.full((50, 70, 1), 255, np.uint8)
    levels = {1: EIGHT[..., 0], 3: EIGHT, 4: np.concatenate([EIGHT, alpha], 2)}[channels]
    data = encoded("jpegxl", np.ascontiguousarray(levels), lossless=True, usecontainer=container)
    wanted = EIGHT if channels > 1 else EIGHT[..., :1].repeat(3, 2)
    np.testing.assert_array_equal(decode_photo(data, name="x"), wanted)


@pytest.mark.parametrize(
    ("width", "height"), [(64, 48), (48, 64), (8, 8), (256, 256), (1, 1), (300, 7), (9000, 3), (5, 600)]
)
@pytest.mark.parametrize("container", [False, True])
def test_the_size_of_a_jpeg_xl_is_in_its_header(width: int, height: int, container: bool) -> None:
    data = encoded("jpegxl", np.zeros((height, width, 3), np.uint8), lossless=True, usecontainer=container)
    assert photo_size(data, name="x") == (width, height)
    with pytest.raises(ImageError, match=f"^x: {width}x{height} is more than"):
        decode_photo(data, name="x", max_pixels=width * height - 1)


@pytest.mark.parametrize(
    ("levels", "bits"), [(DEEP, 16), (DEEP[..., 0].copy(), 16), (EIGHT.astype(np.float32) / 255, 32)]
)
def test_deep_jpeg_xl_is_refused_since_its_plugin_cuts_it(levels: NDArray[Any], bits: int) -> None:
    with pytest.raises(ImageError, match=rf"^x: a JPEG XL of {bits} bits a channel; convert it to 8 bits first"):
        decode_photo(encoded("jpegxl", levels, lossless=True), name="x")


# --- extras ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "what", "extra"), [(heic(EIGHT, "RGB"), "HEIC", "heic"), (None, "JPEG XL", "jxl")])
def test_the_extra_is_named(data: bytes | None, what: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = data or encoded("jpegxl", EIGHT, lossless=True)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(Extra, "is_installed", lambda self: False)
    with pytest.raises(ImageError, match=rf'^x: {what} files need the extra `{extra}`: pip install "bapps\[{extra}\]"'):
        decode_photo(data, name="x")
