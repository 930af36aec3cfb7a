"""NLPD against a slow computation with plain convolutions, from the paper and the authors' stated constants."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d

from bapps_builder.errors import MetricError
from bapps_builder.images import read_image
from metrics.metric import Images
from metrics.nlpd import nlpd
from metrics.registry import load
from metrics.tensors import to_unit_tensor

PAIRS = [("goldhill.gif", "goldhill_jpeg.gif"), ("I01.BMP", "i01_01_5.bmp")]
SIGMAS = [0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782]
# The authors' weights as they print them: the middle 3x3 of a 5x5 matrix, and one more value beside the first.
WEIGHTS = [
    [[0, 0.1011, 0], [0.1493, 0, 0.1460], [0, 0.1015, 0]],
    [[0, 0.0757, 0], [0.1986, 0, 0.1846], [0, 0.0837, 0]],
    [[0, 0.0477, 0], [0.2138, 0, 0.2243], [0, 0.0467, 0]],
    [[0, 0, 0], [0.2503, 0, 0.2616], [0, 0, 0]],
    [[0, 0, 0], [0.2598, 0, 0.2552], [0, 0, 0]],
    [[0, 0, 0], [0.2215, 0, 0.0717], [0, 0, 0]],
]
BLUR = np.outer([0.05, 0.25, 0.4, 0.25, 0.05], [0.05, 0.25, 0.4, 0.25, 0.05])


def made_pair(n: int, height: int, width: int) -> tuple[Images, Images]:
    """Cloudy images, and the same with noise and less contrast."""
    rng = np.random.default_rng(n * height + width)
    clouds = gaussian_filter(rng.normal(size=(n, height, width, 3)), (0, 2, 2, 0)) * 400 + 128
    worse = 0.8 * clouds + 20 + rng.normal(scale=12, size=clouds.shape)
    return clouds.clip(0, 255).astype(np.uint8), worse.clip(0, 255).astype(np.uint8)


def pyramid_by_hand(image: Images) -> list[np.ndarray]:
    low = image @ np.array([0.299, 0.587, 0.114]) / 255
    levels = []
    for _ in range(5):
        current = low
        low = convolve2d(np.pad(current, 2, mode="symmetric"), BLUR, mode="valid")[::2, ::2]
        edged = np.pad(low, 1, mode="edge")
        spread = np.zeros((2 * edged.shape[0], 2 * edged.shape[1]))
        spread[::2, ::2] = 4 * edged
        height, width = current.shape
        levels.append(current - convolve2d(spread, BLUR, mode="same")[2 : 2 + height, 2 : 2 + width])
    levels.append(low)
    normalised = []
    for index, values in enumerate(levels):
        weights = np.zeros((5, 5))
        weights[1:4, 1:4] = WEIGHTS[index]
        weights[2, 4] = 0.0072 if index == 0 else 0
        normalised.append(values / (SIGMAS[index] + convolve2d(abs(values), weights, mode="same")))
    return normalised


def by_hand(a: Images, b: Images) -> float:
    pyramids = zip(pyramid_by_hand(a), pyramid_by_hand(b), strict=True)
    return float(np.mean([np.sqrt(np.mean((x - y) ** 2)) for x, y in pyramids]))


@pytest.mark.parametrize("names", PAIRS, ids=lambda names: names[0])
def test_equals_slow_computation_on_real_images(shared_data: Path, names: tuple[str, str]):
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in names)
    assert load("nlpd")(a, b)[0] == pytest.approx(by_hand(a[0], b[0]), abs=1e-10)


# Computed by `by_hand`.
@pytest.mark.parametrize(("names", "expected"), [(PAIRS[0], 0.322960), (PAIRS[1], 0.320765)], ids=["gold", "I01"])
def test_pinned_on_real_images(shared_data: Path, names: tuple[str, str], expected: float):
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in names)
    assert load("nlpd")(a, b)[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("height", "width"), [(17, 17), (17, 33), (64, 64), (67, 75), (100, 530)])
def test_equals_slow_computation_on_made_images(height: int, width: int):
    a, b = made_pair(2, height, width)
    expected = [by_hand(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(load("nlpd")(a, b), expected, rtol=0, atol=1e-10)


def test_equal_images_have_distance_zero():
    a, _ = made_pair(3, 64, 64)
    np.testing.assert_array_equal(load("nlpd")(a, a), 0)


def test_symmetric():
    a, b = made_pair(3, 64, 64)
    np.testing.assert_allclose(load("nlpd")(a, b), load("nlpd")(b, a), rtol=0, atol=1e-12)


def test_a_batch_is_its_pairs():
    a, b = made_pair(5, 64, 67)
    one_by_one = [load("nlpd")(a[i : i + 1], b[i : i + 1])[0] for i in range(5)]
    np.testing.assert_allclose(load("nlpd")(a, b), one_by_one, rtol=0, atol=1e-9)


def test_too_small():
    a = np.zeros((1, 16, 200, 3), np.uint8)
    with pytest.raises(MetricError, match="at least 17 pixels a side"):
        load("nlpd")(a, a)
    with pytest.raises(MetricError, match="at least 17 pixels a side"):
        nlpd(to_unit_tensor(a), to_unit_tensor(a))


def pairs_for_gradients() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    a, b = map(to_unit_tensor, made_pair(1, 64, 64))
    flat, black = torch.full_like(a, 0.5), torch.zeros_like(a)
    return {
        "ordinary": (a, b),
        "equal": (a, a.clone()),
        "flat": (flat, b),
        "both flat": (flat, black),
        "black": (black, black),
    }


@pytest.mark.parametrize("case", pairs_for_gradients())
def test_values_and_gradients_are_finite(case: str):
    a, b = (images.clone().requires_grad_() for images in pairs_for_gradients()[case])
    value = nlpd(a, b)
    value.sum().backward()
    assert torch.isfinite(value).all()
    for images in (a, b):
        assert images.grad is not None
        assert torch.isfinite(images.grad).all()


def test_gradient_is_the_slope():
    a, b = map(to_unit_tensor, made_pair(1, 64, 64))
    b = (0.1 + 0.8 * b).requires_grad_()
    direction = torch.from_numpy(np.random.default_rng(1).normal(size=b.shape)) * 1e-7
    nlpd(a, b).sum().backward()
    assert b.grad is not None
    with torch.no_grad():
        slope = (nlpd(a, b + direction) - nlpd(a, b - direction)).item() / 2
    assert (b.grad * direction).sum().item() == pytest.approx(slope, rel=1e-4)


def test_float32_input_is_computed_in_float64():
    a, b = map(to_unit_tensor, made_pair(2, 64, 64))
    single = nlpd(a.float(), b.float())
    assert single.dtype == torch.float64
    torch.testing.assert_close(single, nlpd(a, b), rtol=0, atol=1e-5)
