"""Photometric distortions against plain arithmetic and against Pillow."""

import colorsys

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from distortions.distortion import Patch
from distortions.registry import find


@pytest.fixture(scope="module")
def patch() -> Patch:
    return np.random.default_rng(0).integers(0, 256, (24, 31, 3), dtype=np.uint8)


def distorted(name: str, patch: Patch, **values: float) -> Patch:
    return find(name).apply(patch, np.random.default_rng(0), values)


def largest_difference(a: Patch, b: Patch) -> int:
    return int(np.abs(a.astype(int) - b).max())


@pytest.mark.parametrize("levels", [-300 / 7, -1, 0, 0.4, 60, 255])
def test_lightness_shift_adds(patch: Patch, levels: float) -> None:
    expected = np.clip(patch.astype(int) + round(levels), 0, 255)
    assert np.array_equal(distorted("lightness-shift", patch, levels=levels), expected)


@pytest.mark.parametrize("hue", [0, 60, 120, 200, 240, 330])
def test_color_shift_gives_grey_the_named_hue_and_keeps_luma(hue: float) -> None:
    grey = np.full((1, 1, 3), 128, np.uint8)
    red, green, blue = distorted("color-shift", grey, chroma=60, hue=hue)[0, 0].tolist()
    assert 0.299 * red + 0.587 * green + 0.114 * blue == pytest.approx(128, abs=0.51)
    found = 360 * colorsys.rgb_to_hsv(red, green, blue)[0]
    # HSV's hexagon departs from the circle by up to 1.1 degrees; the rest is rounding.
    assert abs((found - hue + 180) % 360 - 180) < 2
    assert max(red, green, blue) - min(red, green, blue) > 60 * 1.4


@pytest.mark.parametrize("factor", [0, 0.3, 1, 2.5])
def test_contrast_is_that_of_pillow(patch: Patch, factor: float) -> None:
    # Pillow rounds the mean to a level and cuts off fractions.
    expected = np.asarray(ImageEnhance.Contrast(Image.fromarray(patch)).enhance(factor))
    assert largest_difference(distorted("contrast", patch, factor=factor), expected) <= 1 + factor


@pytest.mark.parametrize("factor", [0, 0.3, 1, 2.5])
def test_saturation_is_that_of_pillow(patch: Patch, factor: float) -> None:
    expected = np.asarray(ImageEnhance.Color(Image.fromarray(patch)).enhance(factor))
    assert largest_difference(distorted("saturation", patch, factor=factor), expected) <= 1 + factor


@pytest.mark.parametrize(
    ("name", "values"),
    [("contrast", {"factor": 1}), ("saturation", {"factor": 1}), ("color-shift", {"chroma": 0, "hue": 77})],
)
def test_neutral_values_change_nothing(patch: Patch, name: str, values: dict[str, float]) -> None:
    assert np.array_equal(distorted(name, patch, **values), patch)


@pytest.mark.parametrize("name", ["lightness-shift", "contrast", "saturation"])
def test_both_directions_are_drawn_as_often(name: str) -> None:
    rng, found = np.random.default_rng(1), find(name)
    values = np.array([next(iter(found.at(0.5, rng).values())) for _ in range(400)])
    neutral = 0 if name == "lightness-shift" else 1
    assert len(set(values)) == 2
    # Four standard deviations of a fair coin thrown 400 times.
    assert abs(int((values > neutral).sum()) - 200) < 40
