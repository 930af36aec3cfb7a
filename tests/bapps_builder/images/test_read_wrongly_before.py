"""Files that other readers take without a word and show wrongly: the right picture, or one line."""

import io
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from bapps_builder.errors import ImageError
from bapps_builder.images.image_files import decode_image
from bapps_builder.images.photographs import decode_photo, decode_picture, photo_size
from bapps_builder.images.png_encoding import SIGNATURE

DEEP = np.random.default_rng(1).integers(0, 1 << 16, (20, 30, 3)).astype(np.uint16)
SHALLOW = ((DEEP.astype(np.uint32) + 128) // 257).astype(np.uint8)


def tiff(pixels: NDArray[Any], **settings: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, **settings)
    return out.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *before: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"".join([SIGNATURE, header, *before, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


# --- TIFF --------------------------------------------------------------------------------------------


def test_planes_of_16_bits_are_refused_and_planes_of_8_read() -> None:
    planes = np.ascontiguousarray(DEEP.transpose(2, 0, 1))
    for settings in ({}, {"compression": "zlib", "predictor": True}):
        data = tiff(planes, photometric="rgb", planarconfig="separate", **settings)
        with pytest.raises(ImageError, match=r"^x: a TIFF of more than 8 bits kept plane by plane; convert it to 8"):
            decode_photo(data, name="x")
    eight = tiff((planes >> 8).astype(np.uint8), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(decode_photo(eight, name="x"), DEEP >> 8)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_damaged_tag_is_refused_where_those_after_it_decide_the_picture(bits: int) -> None:
    alpha = np.full((20, 30, 1), 1 << 15, np.uint16)
    levels = (np.concatenate([DEEP, alpha], 2) >> (16 - bits)).astype(np.uint8 if bits == 8 else np.uint16)
    data = bytearray(tiff(levels, photometric="rgb", extrasamples=["unassalpha"], byteorder="<"))
    decode_photo(bytes(data), name="x")
    directory = struct.unpack_from("<I", data, 4)[0]
    entries = [directory + 2 + 12 * k for k in range(struct.unpack_from("<H", data, directory)[0])]
    resolution = next(at for at in entries if struct.unpack_from("<H", data, at)[0] == 282)  # 284 and 338 come later
    struct.pack_into("<I", data, resolution + 8, 1 << 30)
    with pytest.raises(
        ImageError, match=r"^x: not a readable image: its tag 284 cannot be read, and decides what it sho"
    ):
        decode_photo(bytes(data), name="x")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["no next directory", "half of it", "the first again", "a private tag"])
def test_what_is_odd_about_a_tiff_and_changes_no_picture_is_read(kind: str, bits: int) -> None:
    levels = (DEEP >> (16 - bits)).astype(np.uint8 if bits == 8 else np.uint16)
    plain = tiff(levels, photometric="rgb", byteorder="<", extratags=[(60000, "s", 0, "a text of some length", True)])
    directory = struct.unpack_from("<I", plain, 4)[0]
    count = struct.unpack_from("<H", plain, directory)[0]
    entries = plain[directory + 2 : directory + 2 + 12 * count]
    assert struct.unpack_from("<H", entries, 12 * (count - 1))[0] == 60000
    if kind == "a private tag":
        entries = entries[:-4] + struct.pack("<I", 1 << 30)
    after = {"no next directory": b"", "half of it": b"\0\0", "the first again": struct.pack("<I", len(plain))}
    data = bytearray(plain + struct.pack("<H", count) + entries + after.get(kind, bytes(4)))
    struct.pack_into("<I", data, 4, len(plain))
    np.testing.assert_array_equal(decode_photo(bytes(data), name="x"), decode_photo(plain, name="x"))


def test_a_big_tiff_of_big_endian_numbers_is_refused_in_plain_words() -> None:
    with pytest.raises(
        ImageError, match=r"^x: a BigTIFF of big-endian numbers, which is not read; save it little-endian"
    ):
        decode_photo(tiff(SHALLOW, photometric="rgb", bigtiff=True, byteorder=">"), name="x")
    np.testing.assert_array_equal(decode_photo(tiff(SHALLOW, photometric="rgb", bigtiff=True), name="x"), SHALLOW)


@pytest.mark.parametrize("bits", [8, 16])
def test_where_white_is_zero_the_picture_is_positive(bits: int) -> None:
    levels = (DEEP[..., 0] >> (16 - bits)).astype(np.uint8 if bits == 8 else np.uint16)
    data = tiff(np.iinfo(levels.dtype).max - levels, photometric="miniswhite")
    shown = levels if bits == 8 else SHALLOW[..., 0]
    np.testing.assert_array_equal(decode_photo(data, name="x"), shown[..., None].repeat(3, 2))


def test_alpha_of_16_bits_is_straight_or_straightened() -> None:
    alpha = np.full((20, 30, 1), 0x8080, np.uint16)
    wanted = np.rint(DEEP / 257 * (0x8080 / 65535) + 255 * (1 - 0x8080 / 65535))
    straight = tiff(np.concatenate([DEEP, alpha], 2), photometric="rgb", extrasamples=["unassalpha"])
    multiplied = np.rint(DEEP * (0x8080 / 65535)).astype(np.uint16)
    associated = tiff(np.concatenate([multiplied, alpha], 2), photometric="rgb", extrasamples=["assocalpha"])
    nothing = tiff(np.concatenate([DEEP, alpha], 2), photometric="rgb", extrasamples=["unspecified"])
    for data in (straight, associated):
        assert np.abs(decode_photo(data, name="x") - wanted).max() <= 1
    np.testing.assert_array_equal(decode_photo(nothing, name="x"), SHALLOW)


@pytest.mark.parametrize("kind", [np.int16, np.uint32, np.int32, np.float16, np.float64])
def test_other_levels_of_tiff_are_refused(kind: type) -> None:
    with pytest.raises(ImageError, match=r"^x: (a TIFF of|not a readable image)"):
        decode_photo(tiff(DEEP[..., 0].astype(kind), photometric="minisblack"), name="x")


def test_floats_are_linear_light_and_not_made_8_bits() -> None:
    levels = DEEP.astype(np.float32) / 1000
    found = decode_picture(tiff(levels, photometric="rgb"), name="x")
    assert (found.transfer, found.bits) == ("linear", 32)
    np.testing.assert_array_equal(found.levels, levels)
    with pytest.raises(ImageError, match=r"^x: levels of linear light; map its tones to sRGB of 8 or 16 bits first"):
        decode_photo(tiff(levels, photometric="rgb"), name="x")


# --- PNG ---------------------------------------------------------------------------------------------

FORMS = {
    "grey": (0, 1, b""),
    "palette": (3, 1, chunk(b"PLTE", bytes(range(256)) * 3)),
    "grey and alpha": (4, 2, b""),
    "colour": (2, 3, b""),
    "colour and alpha": (6, 4, b""),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("decode", [decode_photo, decode_image])
def test_a_stream_that_ends_properly_with_too_few_rows_is_refused(form: str, decode: Callable[..., Any]) -> None:
    colour, channels, before = FORMS[form]
    row = b"\0" + b"\xff" * 13 * channels
    assert decode(png(13, 9, 8, colour, row * 9, before), name="x").min() > 250
    with pytest.raises(ImageError, match=r"^x: corrupt PNG image data \(\d+ bytes of \d+, and no end\)$"):
        decode(png(13, 9, 8, colour, row * 5, before), name="x")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("decode", [decode_photo, decode_image])
def test_a_bit_that_flipped_in_the_image_data_is_noticed(form: str, decode: Callable[..., Any]) -> None:
    colour, channels, before = FORMS[form]
    noise = np.random.default_rng(2).integers(0, 256, (9, 1 + 13 * channels), dtype=np.uint8)
    noise[:, 0] = 2
    data = bytearray(png(13, 9, 8, colour, noise.tobytes(), before))
    data[-40] ^= 16
    with pytest.raises(ImageError, match=r"^x: corrupt PNG \(checksum of chunk b'IDAT'\)$"):
        decode(bytes(data), name="x")


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_is_seen_at_every_depth(depth: int) -> None:
    top = (1 << depth) - 1
    numbers = np.array([0, top // 2, top], np.uint16)
    bits = "".join(f"{number:0{depth}b}" for number in numbers).ljust(48, "0")
    row = bytes(int(bits[at : at + 8], 2) for at in range(0, -(-3 * depth // 8) * 8, 8))
    data = png(3, 1, depth, 0, b"\0" + row, chunk(b"tRNS", struct.pack(">H", top // 2)))
    grey = np.rint(numbers / top * 255)
    grey[numbers == top // 2] = 255  # white shows
    np.testing.assert_array_equal(decode_photo(data, name="x"), grey[None, :, None].repeat(3, 2))
    if depth < 16:
        with pytest.raises(ImageError, match=r"^x: has transparent pixels \(alpha down to 0\)"):
            decode_image(data, name="x")


def test_colours_beyond_the_palette_are_refused() -> None:
    data = png(2, 1, 8, 3, b"\0\1\2", chunk(b"PLTE", bytes(6)))
    with pytest.raises(
        ImageError, match=r"^x: corrupt PNG image data \(a pixel has colour 2 of a palette that ends at 1\)"
    ):
        decode_photo(data, name="x")


@pytest.mark.parametrize(("number", "transfer"), [(13, "srgb"), (16, "pq"), (18, "hlg")])
def test_the_transfer_that_a_png_names_is_kept(number: int, transfer: str) -> None:
    data = png(1, 1, 16, 2, bytes(7), chunk(b"cICP", bytes([9, number, 0, 1])))
    assert decode_picture(data, name="x").transfer == transfer
    if transfer != "srgb":
        with pytest.raises(ImageError, match=f"^x: levels of {transfer.upper()} .*map its tones"):
            decode_photo(data, name="x")


# --- colours -----------------------------------------------------------------------------------------


def saved(image: Image.Image, kind: str, **settings: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


def profile_of_gamma(gamma: float) -> bytes:
    """sRGB's primaries with another curve, by hand: what is converted can be computed from the gammas."""
    found = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", found, 128)[0]
    for at in range(132, 132 + 12 * count, 12):
        kind, start, size = struct.unpack_from(">4sII", found, at)
        if kind in (b"rTRC", b"gTRC", b"bTRC"):
            found[start : start + 14] = b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))
            assert size >= 14
    return bytes(found)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_colours_of_a_profile_become_srgb(kind: str) -> None:
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2).repeat(16, 0)
    settings = {"PNG": {}, "TIFF": {}, "JPEG": {"quality": 100}, "WEBP": {"lossless": True}, "AVIF": {"quality": 100}}
    data = saved(Image.fromarray(levels), kind, icc_profile=profile_of_gamma(1.0), **settings[kind])
    light = np.arange(256) / 255
    wanted = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    kept = decode_photo(saved(Image.fromarray(levels), kind, **settings[kind]), name="x").astype(int)
    away = np.abs(decode_photo(data, name="x").astype(float) - np.interp(kept, np.arange(256), wanted))
    assert away[..., 8:, :].max() <= 2  # near black a level of light is many of sRGB
    assert away.max() < 14


def test_a_profile_that_is_srgb_changes_nothing() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = saved(Image.fromarray(pixels), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(decode_photo(data, name="x"), pixels)
    with_another = saved(Image.fromarray(pixels), "PNG", icc_profile=profile_of_gamma(1.0))
    np.testing.assert_array_equal(decode_image(with_another, name="x"), pixels)  # as the official loader


def test_a_damaged_profile_is_named() -> None:
    data = saved(Image.new("RGB", (4, 4)), "PNG", icc_profile=b"no profile")
    with pytest.raises(ImageError, match=r"^x: its colour profile cannot be read; convert it to sRGB first"):
        decode_photo(data, name="x")


# --- what libraries do beside decoding ---------------------------------------------------------------

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("decode", [decode_photo, decode_image])
def test_postscript_starts_no_program(decode: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with Image.open(io.BytesIO(EPS)) as opened:
        assert opened.format == "EPS"  # so the file is one that Pillow would open

    def refuse(*arguments: Any, **settings: Any) -> None:
        pytest.fail(f"started {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(subprocess, "check_call", refuse)
    with pytest.raises(ImageError, match=r"^x\.png: not a readable image: of none of the known formats"):
        decode(EPS, name="x.png")


@pytest.mark.parametrize("decode", [decode_photo, decode_image, photo_size])
def test_what_is_wrong_is_said_in_the_same_words_each_time(decode: Callable[..., Any]) -> None:
    said = set()
    for data in (bytes(100), bytes(100)):
        with pytest.raises(ImageError) as raised:
            decode(data, name="x")
        said.add(str(raised.value))
    assert said == {"x: not a readable image: of none of the known formats, or cut off (100 bytes)"}


def test_no_library_warns_of_large_pictures(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A warning would be an error here; Pillow's limit is lowered, so that no large picture is needed."""
    data = saved(Image.new("L", (40, 30)), "GIF")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(io.BytesIO(data)).close()
    assert decode_image(data, name="x").shape == (30, 40, 3)
    assert photo_size(data, name="x") == (40, 30)
    assert capfd.readouterr() == ("", "")


# --- the files of the issue --------------------------------------------------------------------------


def test_the_planted_files(shared_data: Path) -> None:
    def case(name: str) -> bytes:
        return (shared_data / "cases" / name).read_bytes()

    with pytest.raises(ImageError, match="kept plane by plane"):
        decode_photo(case("planar16.tif"), name="x")
    for decode in (decode_photo, decode_image):
        with pytest.raises(ImageError, match="checksum of chunk b'IDAT'"):
            decode(case("png-photo-bitflip-in-IDAT.png"), name="x")
    kept = tifffile.imread(io.BytesIO(case("white-is-zero16.tif"))).astype(np.uint32)
    positive = ((65535 - kept + 128) // 257).astype(np.uint8)
    np.testing.assert_array_equal(decode_photo(case("white-is-zero16.tif"), name="x"), positive[..., None].repeat(3, 2))
    of_opencv = np.asarray(cv2.imdecode(np.frombuffer(case("gray-4-tRNS.png"), np.uint8), cv2.IMREAD_UNCHANGED))
    seen = decode_photo(case("gray-4-tRNS.png"), name="x")
    assert seen.shape == (1, 16, 3)
    assert (seen != of_opencv[..., None]).any()  # which does not see what is transparent
    with pytest.raises(ImageError, match="has transparent pixels"):
        decode_image(case("gray-4-tRNS.png"), name="x")
