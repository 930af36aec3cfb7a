"""Blurs against SciPy and against the definition, pixel by pixel."""

import numpy as np
import pytest
from scipy import ndimage

from distortions.distortion import Patch
from distortions.registry import find


@pytest.fixture(scope="module")
def patch() -> Patch:
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).uniform(-600, 850, (40, 33, 3)), (1.5, 1.5, 0))
    return np.clip(smooth, 0, 255).astype(np.uint8)


def distorted(name: str, patch: Patch, sigma: float) -> Patch:
    return find(name).apply(patch, np.random.default_rng(0), {"sigma": sigma})


@pytest.mark.parametrize("sigma", [0.3, 0.8, 1.4, 3.0])
def test_gaussian_blur_is_that_of_scipy(patch: Patch, sigma: float) -> None:
    expected = ndimage.gaussian_filter(patch.astype(float), (sigma, sigma, 0), mode="mirror", truncate=4)
    # SciPy's kernel is wider, and OpenCV's has weights of 8 bits.
    assert distorted("gaussian-blur", patch, sigma).astype(float) == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("sigma", [15.0, 125.0])
def test_bilateral_filter_is_the_slow_one(patch: Patch, sigma: float) -> None:
    padded = np.pad(patch.astype(float), ((3, 3), (3, 3), (0, 0)), mode="reflect")
    total, weights = np.zeros(patch.shape), np.zeros(patch.shape[:2])
    for dy in range(-3, 4):
        for dx in range(-3, 4):
            if dx**2 + dy**2 > 3**2:
                continue
            moved = padded[3 + dy : 3 + dy + patch.shape[0], 3 + dx : 3 + dx + patch.shape[1]]
            unlike = np.abs(moved - patch).sum(2)
            weight = np.exp(-(dx**2 + dy**2) / (2 * 3.0**2) - unlike**2 / (2 * sigma**2))
            total += weight[..., None] * moved
            weights += weight
    assert distorted("bilateral-filter", patch, sigma).astype(float) == pytest.approx(total / weights[..., None], abs=1)


def test_bilateral_filter_keeps_an_edge_that_gaussian_blur_smears() -> None:
    step = np.zeros((16, 16, 3), np.uint8)
    step[:, 8:] = 200
    assert np.abs(distorted("bilateral-filter", step, 60.0).astype(int) - step).max() <= 1
    assert np.abs(distorted("gaussian-blur", step, 1.0).astype(int) - step).max() > 50


@pytest.mark.parametrize("name", ["gaussian-blur", "bilateral-filter"])
def test_no_blur_is_a_copy(patch: Patch, name: str) -> None:
    made = distorted(name, patch, 0)
    assert np.array_equal(made, patch)
    assert not np.shares_memory(made, patch)
