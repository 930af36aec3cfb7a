"""MS-SSIM against pytorch-msssim on real images, and against eq. 7 computed slowly on made ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from scipy.signal.windows import gaussian

from bapps_builder.errors import MetricError
from bapps_builder.images.image_files import read_image
from metrics.classic.ms_ssim import WEIGHTS, ms_ssim_similarity, ms_ssim_similarity_of_bytes, smallest_side
from metrics.image_math.tensors import to_unit_tensor
from metrics.metric import Images
from metrics.registry import load

MakePair = Callable[[int, int, int], tuple[Images, Images]]

PAIRS = [("goldhill.gif", "goldhill_jpeg.gif"), ("I01.BMP", "i01_01_5.bmp")]
PAPER = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]


def by_equation(a: Images, b: Images, weights: list[float]) -> float:
    """Eq. 7 for one pair, values in 0 to 255, plane by plane, with plain convolutions."""
    taps = gaussian(11, 1.5)
    window = np.outer(taps, taps) / taps.sum() ** 2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def mean(plane: np.ndarray) -> np.ndarray:
        return convolve2d(plane, window, mode="valid")

    def halved(plane: np.ndarray) -> np.ndarray:
        plane = np.pad(plane, ((0, plane.shape[0] % 2), (0, plane.shape[1] % 2)), mode="symmetric")
        return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4

    channels = []
    for channel in range(3):
        x, y = a[..., channel].astype(float), b[..., channel].astype(float)
        product = 1.0
        for scale, weight in enumerate(weights):
            if scale:
                x, y = halved(x), halved(y)
            mx, my = mean(x), mean(y)
            vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
            term = (2 * cov + c2) / (vx + vy + c2)
            if scale == len(weights) - 1:
                term = term * (2 * mx * my + c1) / (mx**2 + my**2 + c1)
            product *= max(term.mean(), 0) ** weight
        channels.append(product)
    return float(np.mean(channels))


@pytest.mark.parametrize("names", PAIRS, ids=lambda names: names[0])
@pytest.mark.parametrize("scales", [3, 5])
def test_equals_pytorch_msssim_on_real_images(shared_data: Path, names: tuple[str, str], scales: int):
    oracle = pytest.importorskip("pytorch_msssim")
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in names)
    taps = torch.from_numpy(gaussian(11, 1.5) / gaussian(11, 1.5).sum())
    weights = PAPER if scales == 5 else [weight / sum(PAPER[:3]) for weight in PAPER[:3]]
    expected = oracle.ms_ssim(
        to_unit_tensor(a), to_unit_tensor(b), data_range=1, weights=weights, win=taps.repeat(3, 1, 1, 1)
    )
    assert load(f"ms-ssim-{scales}")(a, b)[0] == pytest.approx(1 - expected.item(), abs=1e-9)


# Computed with pytorch-msssim 1.0.0, window in float64.
@pytest.mark.parametrize(
    ("names", "three", "five"), [(PAIRS[0], 0.142553, 0.098837), (PAIRS[1], 0.176653, 0.120034)], ids=["gold", "I01"]
)
def test_pinned_on_real_images(shared_data: Path, names: tuple[str, str], three: float, five: float):
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in names)
    assert load("ms-ssim-3")(a, b)[0] == pytest.approx(three, abs=1e-6)
    assert load("ms-ssim-5")(a, b)[0] == pytest.approx(five, abs=1e-6)


@pytest.mark.parametrize(
    ("scales", "height", "width"),
    [(3, 64, 64), (3, 67, 75), (3, 41, 43), (3, 50, 530), (5, 161, 161), (5, 167, 179)],
)
def test_equals_the_equation(scales: int, height: int, width: int, made_pair: MakePair) -> None:
    a, b = made_pair(1, height, width)
    weights = PAPER if scales == 5 else list(np.array(PAPER[:3]) / sum(PAPER[:3]))
    expected = [1 - by_equation(x, y, weights) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(load(f"ms-ssim-{scales}")(a, b), expected, rtol=0, atol=1e-10)


def test_weights_are_the_papers_and_three_keep_their_ratios():
    assert WEIGHTS[5] == tuple(PAPER)
    assert sum(WEIGHTS[3]) == pytest.approx(1)
    assert WEIGHTS[3][1] / WEIGHTS[3][0] == pytest.approx(PAPER[1] / PAPER[0])
    assert WEIGHTS[3][2] / WEIGHTS[3][1] == pytest.approx(PAPER[2] / PAPER[1])


def test_size_rule():
    assert (smallest_side(3), smallest_side(5)) == (41, 161)


def test_negative_structure_counts_as_zero(made_pair: MakePair) -> None:
    a, _ = made_pair(1, 64, 64)
    x = to_unit_tensor(a).requires_grad_()
    similarity = ms_ssim_similarity(x, 1 - to_unit_tensor(a), scales=3)
    similarity.sum().backward()
    assert similarity.item() == 0
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert load("ms-ssim-3")(a, 255 - a)[0] == 1


def test_other_numbers_of_scales_are_refused():
    image = torch.zeros(1, 3, 64, 64)
    with pytest.raises(MetricError, match="3 or 5 scales here, got 4"):
        ms_ssim_similarity(image, image, scales=4)


@pytest.mark.parametrize(("scales", "size"), [(3, (64, 64)), (3, (41, 51)), (5, (161, 166))])
def test_bytes_and_tensors_give_one_number(made_pair: MakePair, scales: int, size: tuple[int, int]) -> None:
    a, b = made_pair(3, *size)
    b[0], b[1] = a[0], 255 - a[1]  # equal, and of negative structure
    wanted = ms_ssim_similarity(to_unit_tensor(a), to_unit_tensor(b), scales=scales).numpy()
    np.testing.assert_allclose(ms_ssim_similarity_of_bytes(a, b, scales=scales), wanted, rtol=0, atol=1e-12)
