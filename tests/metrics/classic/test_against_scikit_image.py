"""The classical metrics against slow scikit-image versions, one pair at a time."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import uniform_filter
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from metrics.image_math.color import rgb_to_lab
from metrics.registry import load

Pair = tuple[np.ndarray, np.ndarray]

_similarity: Any = structural_similarity  # annotated as one of eight return types
_mean_filter: Any = uniform_filter  # annotated for one size, not one an axis


def _ssim(a: np.ndarray, b: np.ndarray) -> float:
    return 1 - _similarity(
        a, b, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )


def _dssim(a: np.ndarray, b: np.ndarray) -> float:
    return (1 - _similarity(a, b, channel_axis=-1, data_range=255)) / 2


def _dssim_lab(a: np.ndarray, b: np.ndarray) -> float:
    return (1 - _similarity(rgb2lab(a), rgb2lab(b), channel_axis=-1, data_range=100)) / 2


def _l2_lab(a: np.ndarray, b: np.ndarray) -> float:
    return 0.5 * float(np.mean((rgb2lab(a) / 100 - rgb2lab(b) / 100) ** 2))


def _l1(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean(np.abs((a / 127.5 - 1) - (b / 127.5 - 1))))


def _l2(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean(((a / 127.5 - 1) - (b / 127.5 - 1)) ** 2))


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    return -peak_signal_noise_ratio(a, b, data_range=255)


SLOW: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "ssim": _ssim,
    "dssim": _dssim,
    "dssim-lab": _dssim_lab,
    "l2-lab": _l2_lab,
    "l1": _l1,
    "l2": _l2,
    "psnr": _psnr,
}


def pairs(count: int, height: int, width: int, *, seed: int) -> Pair:
    """Pairs of all characters: noise, smooth ramps with flat parts, dark ones, nearly equal ones."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (count, height, width, 3))
    a[1::4] = np.linspace(0, 255, width)[None, None, :, None] * rng.uniform(size=(len(a[1::4]), 1, 1, 3))
    a[2::4] = rng.integers(0, 12, a[2::4].shape)
    a[3::4, : height // 2] = 255
    spread = rng.choice([1, 8, 60], (count, 1, 1, 1))
    b = np.clip(a + rng.normal(0, spread, a.shape), 0, 255)
    return a.astype(np.uint8), b.astype(np.uint8)


@pytest.mark.parametrize("name", SLOW)
def test_a_hundred_pairs(name: str) -> None:
    a, b = pairs(100, 64, 64, seed=1)
    expected = [SLOW[name](x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(load(name)(a, b), expected, atol=1e-6, rtol=1e-9)


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize(("height", "width"), [(11, 11), (37, 53), (200, 131)])
def test_other_sizes(name: str, height: int, width: int) -> None:
    a, b = pairs(3, height, width, seed=2)
    expected = [SLOW[name](x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(load(name)(a, b), expected, atol=1e-6, rtol=1e-9)


@pytest.mark.parametrize(("height", "width", "factor"), [(383, 500, 1), (384, 391, 2), (641, 700, 3)])
def test_ssim_shrinks_large_images_like_its_authors(height: int, width: int, factor: int) -> None:
    """Against scipy's mean filter; MATLAB's, which the authors call, puts an even window's centre first."""
    a, b = pairs(2, height, width, seed=6)
    shrunk = [
        _mean_filter(x.astype(np.float64), (0, factor, factor, 0), mode="reflect", origin=-(1 - factor % 2))[
            :, ::factor, ::factor
        ]
        for x in (a, b)
    ]
    expected = [_ssim(x, y) for x, y in zip(*shrunk, strict=True)]
    np.testing.assert_allclose(load("ssim")(a, b), expected, atol=1e-9)


def _matlab_gray(image: np.ndarray) -> np.ndarray:
    """MATLAB's rgb2gray: luma by the inverse of its rounded matrix from YIQ, halves rounded up."""
    from_yiq = [[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]]
    weights = np.linalg.inv(from_yiq)[0]
    levels = [[math.floor(float(np.dot(weights, pixel)) + 0.5) for pixel in row] for row in image.tolist()]
    return np.array(levels, np.uint8)


@pytest.mark.parametrize(("height", "width"), [(11, 11), (64, 64), (383, 500), (384, 391), (641, 700)])
def test_ssim_at_full_size(height: int, width: int) -> None:
    a, b = pairs(3, height, width, seed=7)
    expected = [_ssim(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(load("ssim@full")(a, b), expected, atol=1e-9)


@pytest.mark.parametrize(("height", "width"), [(11, 11), (64, 64), (400, 390)])
def test_ssim_of_luma_at_full_size(height: int, width: int) -> None:
    a, b = pairs(3, height, width, seed=8)
    expected = [
        1 - _similarity(*gray, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)
        for gray in ((_matlab_gray(x), _matlab_gray(y)) for x, y in zip(a, b, strict=True))
    ]
    np.testing.assert_allclose(load("ssim@luma")(a, b), expected, atol=1e-9)


@pytest.mark.parametrize("name", ["ms-ssim-3@luma", "ms-ssim-5@luma", "gmsd@matlab", "nlpd@matlab"])
def test_luma_variants_are_the_metric_of_the_gray_image(name: str) -> None:
    a, b = pairs(2, 192, 180, seed=9)
    gray = [np.repeat(np.array([_matlab_gray(x) for x in images])[..., None], 3, axis=3) for images in (a, b)]
    expected = load(name.partition("@")[0])(*gray)
    np.testing.assert_allclose(load(name)(a, b), expected, atol=1e-9)
    assert not np.allclose(load(name.partition("@")[0])(a, b), expected, atol=1e-6)


def test_lab_of_every_grey_and_many_colours() -> None:
    levels = np.arange(256, dtype=np.uint8)
    grey = np.repeat(levels[:, None], 3, axis=1)
    colours = np.random.default_rng(3).integers(0, 256, (256 * 7, 3), dtype=np.uint8)
    image = np.concatenate([grey, colours]).reshape(1, 32, 64, 3)
    np.testing.assert_allclose(rgb_to_lab(image)[0], rgb2lab(image[0]), atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", SLOW)
def test_identical_and_symmetric(name: str) -> None:
    a, b = pairs(8, 64, 64, seed=4)
    metric = load(name)
    identical = -np.inf if name == "psnr" else 0
    np.testing.assert_allclose(metric(a, a), identical, atol=1e-12)
    np.testing.assert_array_equal(metric(a, b), metric(b, a))
    assert (metric(a, b) > metric(a, a)).all()


@pytest.mark.parametrize("name", SLOW)
def test_batch_equals_one_by_one(name: str) -> None:
    a, b = pairs(23, 64, 64, seed=5)
    metric = load(name)
    one_by_one = [metric(a[k : k + 1], b[k : k + 1])[0] for k in range(len(a))]
    np.testing.assert_allclose(metric(a, b), one_by_one, rtol=1e-9, atol=1e-14)
