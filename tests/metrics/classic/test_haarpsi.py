"""HaarPSI against the authors' number and against a slow one. Properties: test_properties.py."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import convolve2d

from bapps_builder.images.image_files import read_image
from metrics.classic.haarpsi import HAARPSI, haarpsi_of_bytes, haarpsi_similarity
from metrics.image_math.tensors import to_unit_tensor
from metrics.metric import Images

Floats = NDArray[np.float64]
MakePair = Callable[[int, int, int], tuple[Images, Images]]


def test_authors_number(shared_data: Path) -> None:
    # The authors' MATLAB code on this pair, as piq 0.8.0 quotes it in its tests: .71706527.
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in ("I01.BMP", "i01_01_5.bmp"))
    assert 1 - HAARPSI(a, b) == pytest.approx([0.71706527], abs=1e-7)


def same(image: Floats, kernel: Floats) -> Floats:
    """MATLAB's conv2(image, kernel, 'same'), whose centre of an even kernel is the later of the middle two."""
    rows, columns = kernel.shape
    full = convolve2d(image, kernel)
    return full[rows // 2 :, columns // 2 :][: image.shape[0], : image.shape[1]]


def slow_haarpsi(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """The equations of the paper on one pair."""
    box = np.full((2, 2), 0.25)
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    (y1, i1, q1), (y2, i2, q2) = ([same(p, box)[::2, ::2] for p in np.moveaxis(x @ yiq.T, 2, 0)] for x in (a, b))

    def alike(x: Floats, y: Floats) -> Floats:
        return (2 * x * y + 30) / (x**2 + y**2 + 30)

    local: list[Floats] = []
    weights: list[Floats] = []
    for turn in (False, True):
        found: list[tuple[Floats, Floats]] = []
        for side in (2, 4, 8):
            kernel = np.full((side, side), 1 / side)
            kernel[: side // 2] *= -1
            kernel = kernel.T if turn else kernel
            found.append((np.abs(same(y1, kernel)), np.abs(same(y2, kernel))))
        local.append((alike(*found[0]) + alike(*found[1])) / 2)
        weights.append(np.maximum(*found[2]))
    chroma = [(np.abs(same(x, box)), np.abs(same(y, box))) for x, y in ((i1, i2), (q1, q2))]
    local.append((alike(*chroma[0]) + alike(*chroma[1])) / 2)
    weights.append((weights[0] + weights[1]) / 2)
    mean = np.average(1 / (1 + np.exp(-4.2 * np.stack(local))), weights=np.stack(weights))
    return float((np.log(mean / (1 - mean)) / 4.2) ** 2)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 64), (67, 75)])
def test_slow_one(height: int, width: int) -> None:
    a, b = np.random.default_rng(0).integers(0, 256, (2, 3, height, width, 3), dtype=np.uint8)
    b = (a // 2 + b // 2).astype(np.uint8)
    expected = [slow_haarpsi(x, y) for x, y in zip(a, b, strict=True)]
    assert 1 - HAARPSI(a, b) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (17, 33)])
def test_bytes_and_tensors_give_one_number(made_pair: MakePair, size: tuple[int, int]) -> None:
    a, b = made_pair(4, *size)
    b[0], a[1], a[2], b[2] = a[0], 0, 0, 255  # equal, black, and black against white
    wanted = 1 - haarpsi_similarity(to_unit_tensor(a), to_unit_tensor(b)).numpy()
    np.testing.assert_allclose(haarpsi_of_bytes(a, b), wanted, rtol=0, atol=1e-12)
