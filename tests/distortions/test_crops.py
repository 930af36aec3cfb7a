"""Crops and their margins, against padding the whole photo, and against resizing all of it."""

import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from distortions.crops import contrast, cut, scaled_size, smallest_photo_side, without_margin
from distortions.distortion import MARGIN

PHOTO = skimage.data.astronaut()[60:230, 100:350]  # 170 high, 250 wide


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    height, width = draw(st.integers(64, 170)), draw(st.integers(64, 250))
    return height, width, draw(st.integers(0, height - 64)), draw(st.integers(0, width - 64)), draw(st.integers(0, 40))


@given(places())
def test_a_crop_is_that_of_the_photo_padded_by_reflection(place: tuple[int, int, int, int, int]) -> None:
    height, width, top, left, margin = place
    photo = PHOTO[:height, :width]
    padded = np.pad(photo, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    crop, border = cut(photo, left=left, top=top, margin=margin)
    np.testing.assert_array_equal(crop, padded[top : top + 64 + 2 * margin, left : left + 64 + 2 * margin])
    inside = margin <= left <= width - 64 - margin and margin <= top <= height - 64 - margin
    assert border == ("image" if inside else "reflected")


def test_without_margin_is_the_patch_itself_and_a_copy() -> None:
    crop, _ = cut(PHOTO, left=30, top=20)
    patch = without_margin(crop)
    np.testing.assert_array_equal(patch, PHOTO[20:84, 30:94])
    assert crop.shape == (64 + 2 * MARGIN, 64 + 2 * MARGIN, 3)
    assert not np.shares_memory(patch, PHOTO)


@given(scale=st.floats(0.38, 2.5), across=st.floats(0, 1), down=st.floats(0, 1))
def test_a_scaled_crop_is_part_of_the_whole_photo_scaled(scale: float, across: float, down: float) -> None:
    width, height = scaled_size(PHOTO, scale)
    left, top = round(across * (width - 64)), round(down * (height - 64))
    crop, border = cut(PHOTO, left=left, top=top, scale=scale)
    # The whole at once, rows first; the box makes a pixel exactly 1 / scale wide.
    right, bottom = min(width / scale, PHOTO.shape[1]), min(height / scale, PHOTO.shape[0])
    bicubic = Image.Resampling.BICUBIC
    wide = Image.fromarray(PHOTO).resize((width, len(PHOTO)), bicubic, box=(0, 0, right, len(PHOTO)))
    whole = np.asarray(wide.resize((width, height), bicubic, box=(0, 0, width, bottom)))
    wanted, same_border = cut(whole, left=left, top=top)
    assert border == same_border
    # Where a level lies just between two, the last digits of a position decide.
    assert np.abs(crop.astype(int) - wanted).max() <= 2
    assert np.mean(crop != wanted) < 0.05


@given(st.floats(0.05, 4))
def test_the_smallest_side_is_the_smallest(scale: float) -> None:
    side = smallest_photo_side(scale)
    assert scaled_size(np.zeros((side, side, 3)), scale) >= (64, 64)
    assert scaled_size(np.zeros((side - 1, side - 1, 3)), scale) < (64, 64)


@pytest.mark.parametrize(("left", "top"), [(-1, 0), (0, -1), (187, 0), (0, 107)])
def test_a_patch_must_lie_inside(left: int, top: int) -> None:
    with pytest.raises(ValueError, match=rf"a patch at {left}, {top} does not lie in a photo of 250x170"):
        cut(PHOTO, left=left, top=top)


def test_contrast_is_the_deviation_of_luma() -> None:
    assert contrast(np.full((64, 64, 3), 77, np.uint8)) == 0
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:32] = 255
    assert contrast(halves) == pytest.approx(127.5)
    red = np.zeros((64, 64, 3), np.uint8)
    red[:32, :, 0] = 200
    assert contrast(red) == pytest.approx(200 * 0.299 / 2, abs=0.5)
