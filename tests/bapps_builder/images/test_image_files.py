"""Decoding and encoding, against Pillow's own pixels."""

import io
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from bapps_builder.errors import ImageError
from bapps_builder.images.image_files import colour_scale, decode_image, encode_png, read_image, resize_bilinear

IMAGE = np.random.default_rng(3).integers(0, 256, (9, 13, 3), dtype=np.uint8)

images = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda size: arrays(np.uint8, (*size, 3)))


def saved(image: Image.Image, kind: str = "PNG", **settings: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes, *, extra: bytes = b"") -> bytes:
    """An 8-bit RGB PNG with right checksums, whatever it holds."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def rows(image: NDArray[np.uint8]) -> bytes:
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in image))


# --- reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_every_format_gives_the_pixels_of_pillow(tmp_path: Path, kind: str, mode: str) -> None:
    if (kind, mode) in {("JPEG", "P"), ("PPM", "P")}:
        mode = "RGB"
    path = tmp_path / f"image.{kind.lower()}"
    path.write_bytes(saved(Image.fromarray(IMAGE).convert(mode), kind))
    found = read_image(path)
    with Image.open(path) as opened:
        wanted = np.asarray(opened.convert("RGB"))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, wanted)
    if kind in ("PNG", "BMP", "TIFF", "PPM") and mode == "RGB":
        np.testing.assert_array_equal(found, IMAGE)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_no_orientation_tag_is_applied(mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees"
    image = Image.fromarray(IMAGE).convert(mode)
    found = decode_image(saved(image, exif=exif), name="x.png")
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"gAMA", struct.pack(">I", 100_000)),
        chunk(b"cHRM", bytes(32)),
        chunk(b"sBIT", b"\x05\x05\x05"),
        chunk(b"bKGD", bytes(6)),
        chunk(b"PLTE", bytes(range(30))),
        chunk(b"tEXt", b"Comment\0hello"),
        chunk(b"cICP", bytes([9, 16, 0, 1])),
    ],
    ids=lambda extra: extra[4:8].decode(),
)
def test_chunks_about_colour_change_no_pixel(extra: bytes) -> None:
    np.testing.assert_array_equal(decode_image(png(13, 9, rows(IMAGE), extra=extra), name="x.png"), IMAGE)


def test_the_first_frame_of_an_animation_is_read() -> None:
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    for kind in ("GIF", "PNG", "WEBP"):
        data = saved(
            first, kind, save_all=True, append_images=[second], **({"lossless": True} if kind != "GIF" else {})
        )
        assert decode_image(data, name="x").reshape(-1, 3).tolist() == [[255, 0, 0]] * 64


def test_the_array_is_ours_to_write() -> None:
    for kind in ("PNG", "BMP"):
        found = decode_image(saved(Image.fromarray(IMAGE), kind), name="x")
        found[0, 0] = 7
        assert found[0, 0].tolist() == [7, 7, 7]


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0, 254])
def test_transparent_pixels_are_refused_with_the_lowest_alpha(tmp_path: Path, alpha: int) -> None:
    image = Image.fromarray(IMAGE).convert("RGBA")
    image.putpixel((4, 4), (1, 2, 3, alpha))
    path = tmp_path / "seen through.png"
    image.save(path)
    message = f"{path}: has transparent pixels (alpha down to {alpha}); flatten it first"
    with pytest.raises(ImageError, match=re.escape(message)):
        read_image(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_opaque_alpha_channel_is_dropped(mode: str) -> None:
    image = Image.fromarray(IMAGE).convert(mode)
    np.testing.assert_array_equal(decode_image(saved(image), name="x.png"), np.asarray(image.convert("RGB")))


def test_a_transparent_colour_of_rgb_is_refused() -> None:
    data = saved(Image.fromarray(IMAGE), transparency=tuple(int(v) for v in IMAGE[2, 3]))
    with pytest.raises(ImageError, match="alpha down to 0"):
        decode_image(data, name="x.png")


def test_a_palette_whose_alpha_is_opaque_is_read() -> None:
    image = Image.fromarray(IMAGE).convert("P")
    found = decode_image(saved(image, transparency=b"\xff" * 256), name="x.png")
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_are_refused(kind: str) -> None:
    data = saved(Image.fromarray(np.full((4, 4), 300, np.uint16)), kind)
    with pytest.raises(ImageError, match=r"x\.png: (more than 8|16) bits a channel.*; convert it"):
        decode_image(data, name="x.png")


def test_every_cut_of_a_png_is_noticed_and_named(capfd: pytest.CaptureFixture[str]) -> None:
    data = encode_png(IMAGE)
    for length in range(8, len(data)):
        with pytest.raises(ImageError, match=rf"^cut\.png: truncated PNG \({length} bytes, "):
            decode_image(data[:length], name="cut.png")
    assert capfd.readouterr().err == ""  # libpng would print a line of its own


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_a_cut_file_of_another_format_is_noticed_and_named(kind: str) -> None:
    data = saved(Image.fromarray(IMAGE), kind)
    with pytest.raises(ImageError, match=r"^cut\.img: not a readable image"):
        decode_image(data[: len(data) // 2], name="cut.img")


def test_no_flipped_byte_of_a_png_goes_unnoticed(capfd: pytest.CaptureFixture[str]) -> None:
    data = encode_png(IMAGE[:4, :4])
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x41
        with pytest.raises(ImageError, match=r"^x\.png: (corrupt|truncated|not a readable)"):
            decode_image(bytes(broken), name="x.png")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "data",
    [
        png(13, 9, rows(IMAGE)[:40]),
        png(13, 9, rows(IMAGE[:5])),
        png(13, 9, zlib.compress(b"\x09" * 400)),
        png(0, 9, rows(IMAGE)),
        png(13, 9, rows(IMAGE), extra=chunk(b"ABCD", b"xx")),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
    ],
    ids=["stream cut", "rows missing", "filter", "no width", "unknown critical chunk", "no header"],
)
def test_a_png_with_right_checksums_and_wrong_content_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"^x\.png: (corrupt PNG image data|not a readable image)"):
        decode_image(data, name="x.png")


def test_a_png_that_claims_ten_thousand_million_pixels_is_refused() -> None:
    with pytest.raises(ImageError, match=r"^x\.png: "):
        decode_image(png(100_000, 100_000, rows(IMAGE)), name="x.png")


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a", b"\xff\xd8\xff"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"^x\.png: not a readable image: "):
        decode_image(data, name="x.png")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=re.escape(f"{tmp_path / 'x.png'}: no such file")):
        read_image(tmp_path / "x.png")
    with pytest.raises(ImageError, match=re.escape(f"{tmp_path}: cannot be read: Is a directory")):
        read_image(tmp_path)


def test_a_broken_double_install_of_opencv_is_named_with_its_fix(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text("")
    program = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(repository)!r}]; import bapps_builder.images.image_files"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: OpenCV does not load" in done.stderr
    assert "pip uninstall -y opencv-python opencv-python-headless" in done.stderr


# --- writing -----------------------------------------------------------------------------------------


@given(images)
@settings(deadline=None, max_examples=60)
def test_an_encoded_image_is_the_same_in_pillow_and_in_our_reader(image: NDArray[np.uint8]) -> None:
    data = encode_png(image)
    with Image.open(io.BytesIO(data)) as opened:
        assert (opened.format, opened.mode) == ("PNG", "RGB")
        np.testing.assert_array_equal(np.asarray(opened), image)
    np.testing.assert_array_equal(decode_image(data, name="x.png"), image)


def test_views_that_are_not_contiguous_are_encoded_as_they_look() -> None:
    view = IMAGE[::2, ::-1]
    np.testing.assert_array_equal(decode_image(encode_png(view), name="x"), view)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (4, 4, 4), (0, 4, 3)])
def test_what_is_no_rgb_image_is_not_encoded(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=re.escape(str(shape))):
        encode_png(np.zeros(shape, np.uint8))


# --- resizing and colouring --------------------------------------------------------------------------


def slow_bilinear(image: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """A triangle of the width of one output pixel, cut at the border and normalised, in each direction."""

    def weights(size: int) -> NDArray[np.float64]:
        scale = size / side
        support = max(scale, 1.0)
        table = np.zeros((side, size))
        for out in range(side):
            centre = (out + 0.5) * scale
            for x in range(size):
                table[out, x] = max(0.0, 1 - abs(x + 0.5 - centre) / support)
        return table / table.sum(1, keepdims=True)

    height, width = image.shape[:2]
    half = np.tensordot(weights(height), image.astype(np.float64), axes=(1, 0))  # (side, W, 3)
    return np.tensordot(weights(width), half, axes=(1, 1)).swapaxes(0, 1)


@pytest.mark.parametrize("size", [256, 252, 100, 40])
def test_resizing_is_pillows_bilinear_and_a_widened_triangle(size: int) -> None:
    image = np.random.default_rng(size).integers(0, 256, (size, size, 3), dtype=np.uint8)
    found = resize_bilinear(image, width=64, height=64)
    wanted = Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found, np.asarray(wanted))
    # Pillow rounds to 8 bits after each direction.
    assert np.abs(found - slow_bilinear(image, 64)).max() <= 1.01


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize_bilinear(image, width=64, height=64), image)


def test_the_colour_scale_runs_from_the_dark_to_the_bright_end_of_viridis() -> None:
    values = np.array([[0.0, 1.0, 2.0, 4.0]])
    found = colour_scale(values, top=2.0)
    assert found.shape == (1, 4, 3)
    assert found[0, 0].tolist() == [68, 1, 84]
    assert found[0, 2].tolist() == [253, 231, 37] == found[0, 3].tolist()
    assert np.abs(found[0, 1].astype(int) - [33, 145, 140]).max() <= 1
    assert colour_scale(np.zeros((2, 2)), top=0.0).reshape(-1, 3).tolist() == [[68, 1, 84]] * 4
