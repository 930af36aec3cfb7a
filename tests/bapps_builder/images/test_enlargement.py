"""Enlarged patches: the enlargement undone, and shrinking to the bytes of Pillow."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from bapps_builder.errors import ImageError
from bapps_builder.images.enlargement import shrink, undo_enlargement
from bapps_builder.images.image_files import read_image

Pixels = NDArray[np.uint8]
Enlarge = Callable[[Pixels], Pixels]


def noise(seed: int, side: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


@given(st.integers(1, 68), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_undoing_the_enlargement_gives_the_patch_back(enlarge: Enlarge, n: int, seed: int) -> None:
    patch = noise(seed, n)
    np.testing.assert_array_equal(undo_enlargement(enlarge(patch), name="x.png"), patch)


@given(st.integers(2, 66), st.integers(0, 2**32 - 1), st.data())
@settings(deadline=None, max_examples=40)
def test_one_changed_pixel_is_no_enlargement(enlarge: Enlarge, n: int, seed: int, data: st.DataObject) -> None:
    image = enlarge(noise(seed, n))
    at = tuple(data.draw(st.integers(0, last - 1)) for last in image.shape)
    image[at] ^= 1
    with pytest.raises(ImageError, match=r"^x\.png: enlarging its pixels again does not give the file back"):
        undo_enlargement(image, name="x.png")


@given(st.integers(1, 68), st.integers(0, 2**32 - 1), st.data())
@settings(deadline=None, max_examples=60)
def test_shrinking_gives_the_bytes_of_pillow_enlarged_or_not(
    enlarge: Enlarge, n: int, seed: int, data: st.DataObject
) -> None:
    image = enlarge(noise(seed, n) if seed % 2 else noise(seed, n) // 128 * 255)
    if data.draw(st.booleans()):
        image[tuple(data.draw(st.integers(0, last - 1)) for last in image.shape)] ^= 1
    wanted = Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(shrink(image), np.asarray(wanted))


def test_the_files_of_the_release_shrink_as_by_pillow(shared_data: Path) -> None:
    paths = sorted((shared_data / "bapps-mini").rglob("*.png"))
    assert len(paths) == 144
    for path in paths:
        with Image.open(path) as opened:
            wanted = opened.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(shrink(read_image(path)), np.asarray(wanted))


@pytest.mark.parametrize("size", [(64, 60), (65, 65), (254, 254)])
def test_other_sizes_are_no_enlargement(size: tuple[int, int]) -> None:
    height, width = size
    message = (
        f"x.png: is {width}x{height}, not an enlargement of a square patch by 4; use the load mode official or native"
    )
    with pytest.raises(ImageError, match=re.escape(message)):
        undo_enlargement(np.zeros((height, width, 3), np.uint8), name="x.png")
