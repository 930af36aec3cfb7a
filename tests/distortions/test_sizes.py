"""Sizes of patches: how they are written, and what strengths come to at each."""

import cv2
import numpy as np
import pytest

from bapps_builder.errors import PatchSetError
from distortions.distortion import MARGIN, Patch
from distortions.recipes import draw
from distortions.registry import distortions, find
from distortions.sizes import PatchSize, Strength, parse_size

SPATIAL = [name for name, found in distortions().items() if found.family == "spatial"]
SIZES = [PatchSize(256, 256), PatchSize(320, 240), PatchSize(96, 400), PatchSize(40, 24)]


@pytest.mark.parametrize(("text", "size"), [("256", (256, 256)), ("512x384", (512, 384)), (" 64 ", (64, 64))])
def test_sizes_are_read(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "256x", "x256", "256*256", "-64", "64.5", "full"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(PatchSetError, match="a size is one number of pixels, such as 256, or WIDTHxHEIGHT"):
        parse_size(text)


@pytest.mark.parametrize("sides", [(15, 64), (64, 5000)])
def test_sides_have_bounds(sides: tuple[int, int]) -> None:
    with pytest.raises(PatchSetError, match=rf"a patch has sides of 16 to 4096 pixels, got {sides[0]}x{sides[1]}"):
        PatchSize(*sides)


def test_margins_grow_only_with_strengths() -> None:
    sides = [(64, 64), (256, 256), (512, 384), (65, 64), (32, 32)]
    assert [PatchSize(*size).margin for size in sides] == [MARGIN] * 5
    assert [PatchSize(*size, "relative").margin for size in sides] == [16, 64, 128, 32, 16]


def largest_move(name: str, size: PatchSize, seed: int) -> float:
    """How far away lies what the corners of a patch show, in pixels: found in an image of its own coordinates."""
    recipe = draw((name,), (1.0,), np.random.default_rng(seed), factors=size.factors)
    height, width = size.height + 2 * size.margin, size.width + 2 * size.margin
    y, x = np.mgrid[:height, :width]
    found = []
    for values, step in ((x, 1), (y, 1)):
        # 256 levels are few: coordinates in units of four pixels, of which what is below a level is lost.
        levels = (values // 4 % 256).astype(np.uint8)[..., None].repeat(3, 2)
        moved = recipe.apply(levels, np.random.default_rng(seed))[..., 0].astype(int)
        inner = np.s_[size.margin : -size.margin, size.margin : -size.margin]
        off = np.abs(moved - levels[..., 0])[inner]
        found.append(4 * np.where(off < 128, off, 256 - off)[:: size.height - 1, :: size.width - 1].max() * step)
    return float(max(found))


@pytest.mark.parametrize("name", ["affine-warp", "homography"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_shares_come_to_the_same_pixels_at_every_size(name: str, size: PatchSize) -> None:
    """The corners of a patch move on average as far as those of 64x64, not as the patch grows."""
    at_64, here = (np.mean([largest_move(name, one, seed) for seed in range(20)]) for one in (PatchSize(), size))
    assert 0.5 * at_64 - 2 <= here <= 1.1 * at_64 + 2


@pytest.mark.parametrize("size", [*SIZES, PatchSize(256, 256, "relative"), PatchSize(320, 240, "relative")], ids=repr)
@pytest.mark.parametrize("name", SPATIAL)
def test_nothing_comes_from_beyond_the_margin(name: str, size: PatchSize, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "BORDER_REFLECT_101", cv2.BORDER_CONSTANT)
    white = np.full((size.height + 2 * size.margin, size.width + 2 * size.margin, 3), 255, np.uint8)
    for seed in range(8):
        recipe = draw((name,), (1.0,), np.random.default_rng([seed, 1]), factors=size.factors)
        made = recipe.apply(white, np.random.default_rng(seed))
        assert made[size.margin : -size.margin, size.margin : -size.margin].min() == 255


def shown(name: str, size: PatchSize, scene: Patch) -> Patch:
    recipe = draw((name,), (0.8,), np.random.default_rng(3), factors=size.factors)
    return recipe.apply(scene, np.random.default_rng(4))


@pytest.mark.parametrize("name", ["gaussian-blur", "bilateral-filter", *SPATIAL])
def test_relative_strengths_do_to_a_magnified_patch_what_they_do_to_the_patch(name: str) -> None:
    large = PatchSize(256, 256, "relative")
    y, x = np.mgrid[: 4 * 96, : 4 * 96]
    wave = 127 + 60 * np.sin(x / 31) * np.cos(y / 41) + 60 * (np.hypot(x - 190, y - 150) < 70)
    magnified = wave[..., None].repeat(3, 2).astype(np.uint8)
    small = cv2.resize(magnified, (96, 96), interpolation=cv2.INTER_AREA)
    of_small = shown(name, PatchSize(), np.asarray(small, np.uint8)).astype(int)
    of_large = cv2.resize(shown(name, large, magnified), (96, 96), interpolation=cv2.INTER_AREA).astype(int)
    inner = np.s_[16:-16, 16:-16]
    change = np.abs(of_small - small)[inner].mean()
    assert change > 0.5
    assert np.abs(of_small - of_large)[inner].mean() < 0.4 * change


@pytest.mark.parametrize("strength", ["pixels", "relative"])
@pytest.mark.parametrize("name", distortions())
def test_64_is_as_it_was(name: str, strength: Strength) -> None:
    before = find(name).at(0.7, np.random.default_rng(5))
    assert find(name).at(0.7, np.random.default_rng(5), factors=PatchSize(strength=strength).factors) == before


def test_defaults_are_not_printed_and_other_spacings_are() -> None:
    at_64, large = (
        str(draw(("cubic-warp",), (0.5,), np.random.default_rng(1), factors=size.factors))
        for size in (PatchSize(), PatchSize(256, 256, "relative"))
    )
    assert (at_64, large) == ("cubic-warp(amplitude=2.30696)", "cubic-warp(amplitude=2.30696, spacing=64)")
