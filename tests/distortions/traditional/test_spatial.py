"""Spatial distortions against SciPy and scikit-image, and their promises about margins and smoothness."""

from typing import Literal

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.transform import ProjectiveTransform, warp

from distortions.distortion import MARGIN, Patch
from distortions.registry import distortions, find
from distortions.traditional.displacement import displacement

SPATIAL = [name for name, found in distortions().items() if found.family == "spatial"]


@pytest.fixture(scope="module")
def patch() -> Patch:
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).uniform(-600, 850, (50, 41, 3)), (1.5, 1.5, 0))
    return np.clip(smooth, 0, 255).astype(np.uint8)


def distorted(name: str, patch: Patch, **values: float) -> Patch:
    return find(name).apply(patch, np.random.default_rng(7), values)


def agree(made: Patch, expected: np.ndarray) -> bool:
    """Whether all values are close; OpenCV samples at 1/32 of a pixel, so steep places may be some levels off."""
    difference = np.abs(made - expected)
    return difference.mean() < 0.5 and difference.max() < 6


def test_shift_by_whole_pixels_moves_them(patch: Patch) -> None:
    made = distorted("shift", patch, dx=3, dy=-5)
    assert np.array_equal(made[:-5, 3:], patch[5:, :-3])


def test_shift_mirrors_beyond_the_border(patch: Patch) -> None:
    made = distorted("shift", patch, dx=3, dy=-5)
    padded = np.pad(patch, ((0, 5), (3, 0), (0, 0)), mode="reflect")
    assert np.array_equal(made, padded[5:, :-3])


def test_shift_by_parts_of_pixels_interpolates(patch: Patch) -> None:
    expected = ndimage.shift(patch.astype(float), (0.25, 1.75, 0), order=1, mode="mirror")
    assert agree(distorted("shift", patch, dx=1.75, dy=0.25), expected)


def test_affine_warp_is_that_of_scipy(patch: Patch) -> None:
    matrix = np.array([[1 - 0.05, 0.12], [-0.08, 1 + 0.15]])  # rows, then columns
    centre = (np.array(patch.shape[:2]) - 1) / 2
    looked_up = np.einsum("ij,jyx->iyx", matrix, np.indices(patch.shape[:2]) - centre[:, None, None])
    expected = [
        ndimage.map_coordinates(channel, looked_up + centre[:, None, None], order=1, mode="mirror")
        for channel in patch.astype(float).transpose(2, 0, 1)
    ]
    assert agree(distorted("affine-warp", patch, xx=0.15, xy=-0.08, yx=0.12, yy=-0.05), np.stack(expected, 2))


def test_homography_is_that_of_scikit_image(patch: Patch) -> None:
    moves = np.array([[0.1, 0.05], [-0.12, 0.02], [0.03, -0.1], [-0.06, 0.11]])
    height, width = patch.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    # The eight numbers of the matrix from its equations at the corners: u (g x + h y + 1) = a x + b y + c.
    rows, right = [], []
    for (x, y), (u, v) in zip(corners, corners + moves * [width, height], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    matrix = np.append(np.linalg.solve(rows, right), 1).reshape(3, 3)
    expected = warp(patch.astype(float), ProjectiveTransform(matrix), order=1, mode="reflect", preserve_range=True)
    names = [f"{axis}{corner}" for corner in range(4) for axis in "xy"]
    assert agree(distorted("homography", patch, **dict(zip(names, moves.ravel(), strict=True))), expected)


@pytest.mark.parametrize(("degree", "first"), [(1, 0), (3, -1)])
@pytest.mark.parametrize("shape", [(64, 64), (65, 33), (1, 7), (96, 17)])
def test_displacement_is_the_spline_of_scipy(shape: tuple[int, int], degree: Literal[1, 3], first: int) -> None:
    found = displacement(shape, np.random.default_rng(4), degree=degree)
    sizes = [(length - 1) // 16 + (2 if degree == 1 else 4) for length in shape]
    points = 2 * np.random.default_rng(4).random((2, *sizes), dtype=np.float32) - 1
    at = np.stack(np.meshgrid(*(np.arange(length) / 16 - first for length in shape), indexing="ij"))
    expected = [ndimage.map_coordinates(plane, at, order=degree, prefilter=False, mode="nearest") for plane in points]
    assert found == pytest.approx(np.stack(expected), abs=2e-6)


@pytest.mark.parametrize("degree", [1, 3])
def test_displacement_is_band_limited(degree: int) -> None:
    rng = np.random.default_rng(0)
    fields = np.concatenate([displacement((96, 96), rng, degree=degree) for _ in range(50)])
    assert np.abs(fields).max() <= 1
    window = np.hanning(98)[1:-1]
    power = (np.abs(np.fft.fft2((fields - fields.mean((1, 2), keepdims=True)) * window * window[:, None])) ** 2).mean(0)
    cycles = np.hypot(*np.meshgrid(np.fft.fftfreq(96), np.fft.fftfreq(96)))
    # One cycle in 16 pixels is as fine as control points 16 pixels apart get, but for the kinks of lines.
    assert power[cycles > 1 / 16].sum() / power.sum() < (0.05 if degree == 1 else 0.01)


@pytest.mark.parametrize("name", ["linear-warp", "cubic-warp"])
def test_warps_look_up_the_displaced_pixel(name: str, patch: Patch) -> None:
    moves = 3.5 * displacement(patch.shape[:2], np.random.default_rng(7), degree=1 if name == "linear-warp" else 3)
    y, x = np.mgrid[: patch.shape[0], : patch.shape[1]]
    expected = [
        ndimage.map_coordinates(channel, [y + moves[1], x + moves[0]], order=1, mode="mirror")
        for channel in patch.astype(float).transpose(2, 0, 1)
    ]
    assert agree(distorted(name, patch, amplitude=3.5), np.stack(expected, 2))


def folded(amplitude: float, *, degree: int, fields: int = 200) -> float:
    """The share of fields of 96x96 in which some square of four pixels is turned over."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96].astype(float)
    found = 0
    for _ in range(fields):
        u, v = np.float64(amplitude) * displacement((96, 96), rng, degree=degree)
        across, down = (np.diff([x + u, y + v], axis=axis) for axis in (2, 1))
        area = across[0][:-1] * down[1][:, :-1] - across[1][:-1] * down[0][:, :-1]
        found += bool((area <= 0).any())
    return found / fields


@pytest.mark.parametrize(("name", "degree"), [("linear-warp", 1), ("cubic-warp", 3)])
def test_no_warp_that_is_drawn_folds_pixels(name: str, degree: int) -> None:
    assert folded(find(name).ramp(1), degree=degree) == 0


def test_linear_warp_accepts_nothing_that_may_fold() -> None:
    """Three neighbouring points that move as far against each other as they may: the area between them is gone at 4."""
    assert folded(7, degree=1) > 0.2  # as severity 1 once was
    a = find("linear-warp").parameters["amplitude"].high
    across, down = (16 - 2 * a, -2 * a), (-2 * a, 16 - 2 * a)
    assert across[0] * down[1] - across[1] * down[0] == 0


def test_ghosting_blends_a_shifted_copy(patch: Patch) -> None:
    copy = distorted("shift", patch, dx=9, dy=4)
    expected = 0.7 * patch.astype(float) + 0.3 * copy
    assert distorted("ghosting", patch, opacity=0.3, dx=9, dy=4).astype(float) == pytest.approx(expected, abs=0.51)


def test_chromatic_aberration_moves_red_and_blue_apart(patch: Patch) -> None:
    made = distorted("chromatic-aberration", patch, dx=2.5, dy=-1)
    assert np.array_equal(made[..., 0], distorted("shift", patch, dx=2.5, dy=-1)[..., 0])
    assert np.array_equal(made[..., 1], patch[..., 1])
    assert np.array_equal(made[..., 2], distorted("shift", patch, dx=-2.5, dy=1)[..., 2])


@pytest.mark.parametrize("name", SPATIAL)
def test_nothing_comes_from_beyond_the_margin(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Black beyond the border instead of a mirror: whatever looks there is seen.
    monkeypatch.setattr(cv2, "BORDER_REFLECT_101", cv2.BORDER_CONSTANT)
    white = np.full((64 + 2 * MARGIN, 64 + 2 * MARGIN, 3), 255, np.uint8)
    found, darkest_border = find(name), 255
    for seed in range(300):
        made = found.apply(white, np.random.default_rng(seed), found.at(1, np.random.default_rng([seed, 1])))
        assert made[MARGIN:-MARGIN, MARGIN:-MARGIN].min() == 255
        darkest_border = min(darkest_border, int(made.min()))
    assert darkest_border < 255  # the check sees what it should


@pytest.mark.parametrize("name", ["affine-warp", "homography"])
def test_warps_of_the_whole_are_the_same_at_any_size(name: str) -> None:
    # A shape drawn twice as large, warped and shrunk, is the shape warped.
    y, x = np.mgrid[:256, :256]
    large = (127 + 100 * np.sin(x / 20) * np.cos(y / 25))[..., None].repeat(3, 2).astype(np.uint8)
    found = find(name)
    values = found.checked(found.draw({"affine-warp": 0.34, "homography": 0.11}[name], np.random.default_rng(5)))
    shrunk_first, shrunk_last = (
        cv2.resize(image, (128, 128), interpolation=cv2.INTER_AREA).astype(int)
        for image in (large, distorted(name, large, **values))
    )
    made = distorted(name, shrunk_first.astype(np.uint8), **values)
    assert np.abs(made - shrunk_last)[20:-20, 20:-20].mean() < 1.5
    assert np.abs(shrunk_first - shrunk_last)[20:-20, 20:-20].mean() > 10
