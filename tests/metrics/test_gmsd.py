"""GMSD against the authors' numbers, and what it has in common with the metrics built of its steps."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapps_builder.errors import MetricError
from bapps_builder.images import read_image
from metrics.fsim import FSIM, FSIMC, fsim, fsimc
from metrics.gmsd import GMSD, block_means, gmsd
from metrics.haarpsi import HAARPSI, haarpsi
from metrics.mdsi import MDSI, mdsi
from metrics.metric import Metric, joint_distances
from metrics.registry import load
from metrics.tensors import to_unit_tensor
from metrics.vsi import VSI, vsi

Function = Callable[[Tensor, Tensor], Tensor]
Images = NDArray[np.uint8]


def one_less(index: Function) -> Function:
    return lambda a, b: 1 - index(a, b)


# Metric, its torch function as a distance, and whether swapping the images may change it.
FAMILY: list[tuple[Metric, Function, bool]] = [
    (GMSD, gmsd, True),
    (FSIM, one_less(fsim), True),
    (FSIMC, one_less(fsimc), True),
    (VSI, one_less(vsi), True),
    (HAARPSI, one_less(haarpsi), True),
    (MDSI, mdsi, False),
]
family = pytest.mark.parametrize(("metric", "function", "symmetric"), FAMILY, ids=[m.name for m, _, _ in FAMILY])


def photographs(n: int, height: int, width: int, *, seed: int = 0) -> tuple[Images, Images]:
    """Colourful smooth fields with edges, and the same with blur in some and noise in others."""
    rng = np.random.default_rng(seed)
    made: list[tuple[Images, Images]] = []
    for i in range(n):
        field = cv2.GaussianBlur(rng.normal(size=(height, width, 3)), (0, 0), 4)
        field = 128 + 60 * field / field.std() + 40 * (field[..., :1] > 0)
        damaged = cv2.GaussianBlur(field, (0, 0), 1.5) if i % 2 else field + rng.normal(0, 12, field.shape)
        made.append((np.clip(field, 0, 255).astype(np.uint8), np.clip(damaged, 0, 255).astype(np.uint8)))
    references, others = zip(*made, strict=True)
    return np.stack(references), np.stack(others)


@pytest.mark.parametrize(
    ("reference", "distorted", "expected"),
    [("goldhill.gif", "goldhill_jpeg.gif", 0.138012587), ("I01.BMP", "i01_01_5.bmp", 0.094124656)],
)
def test_authors_numbers(shared_data: Path, reference: str, distorted: str, expected: float) -> None:
    # The numbers of the authors' MATLAB code for these pairs: .138013 and .094125.
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in (reference, distorted))
    assert GMSD(a, b) == pytest.approx([expected], abs=1e-6)


def test_block_means_stand_where_a_same_convolution_puts_them() -> None:
    plane = torch.arange(7.0).expand(1, 1, 7, 7)
    # MATLAB: conv2([0 1 2 3 4 5 6], [1 1] / 2, 'same') is .5 1.5 2.5 3.5 4.5 5.5 3, of which every second stays.
    assert block_means(plane, 2)[0, 0, 0].tolist() == [0.5, 2.5, 4.5, 3.0]
    # conv2(..., [1 1 1] / 3, 'same') is 1/3 1 2 3 4 5 11/3.
    assert block_means(plane, 3)[0, 0, 1].tolist() == pytest.approx([1 / 3, 3, 11 / 3])


@family
def test_name_loads_the_metric(metric: Metric, function: Function, symmetric: bool) -> None:
    assert load(metric.name) is metric


@family
@pytest.mark.parametrize(("height", "width"), [(64, 64), (67, 75), (520, 513)])
def test_metric_is_the_function_to_a_millionth(
    metric: Metric, function: Function, symmetric: bool, height: int, width: int
) -> None:
    a, b = photographs(2, height, width)
    distances = metric(a, b)
    assert distances == pytest.approx(function(to_unit_tensor(a), to_unit_tensor(b)).numpy(), abs=1e-6)
    assert (distances > 1e-4).all()
    assert (distances < 1).all()


@family
def test_float32_input_is_computed_in_float64(metric: Metric, function: Function, symmetric: bool) -> None:
    a, b = (to_unit_tensor(images) for images in photographs(2, 64, 64))
    single = function(a.float(), b.float())
    assert single.dtype == torch.float64
    assert single.numpy() == pytest.approx(function(a, b).numpy(), abs=1e-5)


@family
def test_worse_damage_is_further(metric: Metric, function: Function, symmetric: bool) -> None:
    a, _ = photographs(1, 64, 64)
    noise = np.random.default_rng(1).normal(size=a.shape)
    distances = [metric(a, np.clip(a + s * noise, 0, 255).astype(np.uint8))[0] for s in (2, 10, 40)]
    assert distances == sorted(distances)


@family
def test_swapping_the_images(metric: Metric, function: Function, symmetric: bool) -> None:
    a, b = photographs(2, 64, 64)
    swapped = pytest.approx(metric(b, a), abs=1e-9)
    assert (metric(a, b) == swapped) is symmetric


@family
@pytest.mark.parametrize("level", [0, 127, 255, None])
def test_equal_images_are_at_0(metric: Metric, function: Function, symmetric: bool, level: int | None) -> None:
    a = photographs(2, 64, 64)[0] if level is None else np.full((2, 64, 64, 3), level, np.uint8)
    assert metric(a, a) == pytest.approx([0, 0], abs=1e-6)


@family
@pytest.mark.parametrize("other", ["equal", "white", "photograph"])
@pytest.mark.parametrize("image", ["black", "grey", "photograph", "one pixel"])
def test_value_and_gradient_are_finite(
    metric: Metric, function: Function, symmetric: bool, image: str, other: str
) -> None:
    a = to_unit_tensor(photographs(1, 64, 64)[0])
    if image != "photograph":
        a = torch.full_like(a, 0.5 if image == "grey" else 0.0)
    if image == "one pixel":
        a[0, 1, 20, 30] = 1
    b = {"equal": a.clone(), "white": torch.ones_like(a), "photograph": to_unit_tensor(photographs(1, 64, 64)[1])}[
        other
    ]
    a.requires_grad_()
    b.requires_grad_()
    distance = function(a, b)
    distance.sum().backward()
    assert distance.isfinite().all()
    for leaf in (a, b):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()


@family
def test_gradient_is_the_slope(metric: Metric, function: Function, symmetric: bool) -> None:
    a, b = (0.1 + 0.8 * to_unit_tensor(images) for images in photographs(1, 64, 64, seed=3))
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(b.shape, dtype=b.dtype, generator=generator)
    b.requires_grad_()
    (gradient,) = torch.autograd.grad(function(a, b).sum(), b)
    step = 1e-7 * direction
    with torch.no_grad():
        slope = (function(a, b + step) - function(a, b - step)).sum() / 2e-7
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-3, abs=1e-6)


@family
def test_gradient_after_the_metric_has_filled_the_caches(metric: Metric, function: Function, symmetric: bool) -> None:
    a, b = photographs(1, 59, 58)
    metric(a, b)
    leaf = to_unit_tensor(b).requires_grad_()
    function(to_unit_tensor(a), leaf).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.abs().max() > 0


@family
def test_batch_is_one_by_one(metric: Metric, function: Function, symmetric: bool) -> None:
    a, b = photographs(19, 64, 64)
    single = [metric(a[i : i + 1], b[i : i + 1])[0] for i in range(len(a))]
    assert metric(a, b) == pytest.approx(single, abs=1e-9)
    tensors = to_unit_tensor(a[:3]), to_unit_tensor(b[:3])
    alone = [float(function(x[None], y[None])) for x, y in zip(*tensors, strict=True)]
    assert function(*tensors).numpy() == pytest.approx(alone, abs=1e-9)


def test_all_in_one_pass() -> None:
    a, b = photographs(3, 64, 64)
    metrics = [metric for metric, _, _ in FAMILY]
    together = joint_distances(metrics, a, b, a)
    for row, metric in zip(together, metrics, strict=True):
        assert row[0] == pytest.approx(metric(a, b), abs=1e-12)


@family
def test_smallest_side(metric: Metric, function: Function, symmetric: bool) -> None:
    side = metric.smallest_side
    a, b = photographs(1, side, side + 1)
    assert np.isfinite(metric(a, b)).all()
    small = torch.zeros(1, 3, side - 1, side + 1)
    with pytest.raises(MetricError, match=f"{metric.name} takes images of at least {side} pixels a side"):
        function(small, small)
    with pytest.raises(MetricError, match=f"{metric.name}: images must have at least {side} pixels a side"):
        metric(a[:, : side - 1], b[:, : side - 1])


@family
def test_values_out_of_range_are_refused(metric: Metric, function: Function, symmetric: bool) -> None:
    a = torch.zeros(1, 3, 64, 64)
    with pytest.raises(MetricError, match=rf"{metric.name} takes values in \[0, 1\], got 0 to 255"):
        function(a, a + 255)
