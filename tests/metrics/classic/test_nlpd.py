"""NLPD against a slow computation with plain convolutions, from the paper and the authors' stated constants."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import convolve2d

from bapps_builder.images.image_files import read_image
from metrics.metric import Images
from metrics.registry import load

MakePair = Callable[[int, int, int], tuple[Images, Images]]

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
def test_equals_slow_computation_on_made_images(height: int, width: int, made_pair: MakePair) -> None:
    a, b = made_pair(2, height, width)
    expected = [by_hand(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(load("nlpd")(a, b), expected, rtol=0, atol=1e-10)
