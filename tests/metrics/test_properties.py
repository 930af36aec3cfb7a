"""What every metric without weights has to have, whoever registered it, and every one that can be a loss.

The metrics are those of the registry; extras that are not installed are left out, and tested with a stand-in.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapps_builder.errors import MetricError
from metrics.image_math.tensors import to_unit_tensor
from metrics.losses import loss
from metrics.metric import Metric, joint_distances
from metrics.registry import entries, load

Function = Callable[[Tensor, Tensor], Tensor]
Images = NDArray[np.uint8]
MakePair = Callable[[int, int, int], tuple[Images, Images]]

ASYMMETRIC = {"mdsi", "vif"}
# Distance of equal images, where it is not 0.
OF_EQUAL = {"psnr": -np.inf}
EXTRAS = {"cvvdp", "flip"}


def plain_metrics() -> dict[str, Metric]:
    """Every registered metric that needs no weights and is installed."""
    found = {}
    for entry in entries().values():
        if entry.name.removeprefix("lpips-") in ("alex", "vgg", "squeeze"):
            continue
        for name in (entry.name, *(f"{entry.name}@{variant}" for variant in entry.variants)):
            try:
                metric = load(name)
            except MetricError:
                assert entry.name in EXTRAS
                continue
            found[name] = metric
    return found


METRICS = plain_metrics()
LOSSES: dict[str, Function] = {name: loss(name) for name, metric in METRICS.items() if metric.make_loss}
every = pytest.mark.parametrize("name", METRICS)
losses = pytest.mark.parametrize("name", LOSSES)


def side_of(name: str) -> int:
    return max(64, METRICS[name].smallest_side)


def test_every_torch_metric_can_be_a_loss() -> None:
    assert len(METRICS) >= 17
    tensors = {
        name.partition("@")[0]
        for name, metric in METRICS.items()
        if metric.embed.__module__ == "metrics.image_math.torch_threads"
    }
    assert tensors <= set(LOSSES) <= set(METRICS)  # bytes of some go through a compiled loop instead


@every
def test_equal_images_are_nearest(name: str, made_pair: MakePair) -> None:
    side = side_of(name)
    for images in (
        made_pair(2, side, side)[0],
        *(np.full((2, side, side, 3), level, np.uint8) for level in (0, 127, 255)),
    ):
        assert METRICS[name](images, images) == pytest.approx([OF_EQUAL.get(name, 0)] * 2, abs=1e-6)


@every
def test_swapping_the_images(name: str, made_pair: MakePair) -> None:
    a, b = made_pair(2, side_of(name), side_of(name))
    there, back = METRICS[name](a, b), METRICS[name](b, a)
    assert (there == pytest.approx(back, abs=1e-7)) is (name not in ASYMMETRIC)


@every
def test_flat_black_and_single_pixels_are_finite(name: str, made_pair: MakePair) -> None:
    side = side_of(name)
    flat = [np.full((1, side, side, 3), level, np.uint8) for level in (0, 127, 255)]
    pixel = flat[0].copy()
    pixel[0, 20, 30, 1] = 255
    images = [*flat, pixel, *made_pair(1, side, side)]
    for i, a in enumerate(images):
        for j, b in enumerate(images):
            if i != j:
                assert np.isfinite(METRICS[name](a, b)).all()


@every
def test_more_noise_is_further(name: str, made_pair: MakePair) -> None:
    a, _ = made_pair(1, side_of(name), side_of(name))
    noise = np.random.default_rng(1).normal(size=a.shape)
    distances = [METRICS[name](a, np.clip(a + s * noise, 0, 255).astype(np.uint8))[0] for s in (2, 10, 40)]
    assert distances == sorted(distances)
    assert distances[0] > OF_EQUAL.get(name, 0)


@every
def test_a_batch_is_its_pairs(name: str, made_pair: MakePair) -> None:
    count = 19 if METRICS[name].smallest_side < 64 else 3
    a, b = made_pair(count, side_of(name), side_of(name) + 3)
    one_by_one = [METRICS[name](a[i : i + 1], b[i : i + 1])[0] for i in range(count)]
    np.testing.assert_allclose(METRICS[name](a, b), one_by_one, rtol=0, atol=1e-9)


@every
def test_smallest_side(name: str, made_pair: MakePair) -> None:
    side = METRICS[name].smallest_side
    assert np.isfinite(METRICS[name](*made_pair(1, side, side + 1))).all()
    if side > 1:
        small = np.zeros((1, side - 1, 200, 3), np.uint8)
        with pytest.raises(
            MetricError, match=f"{name}: images must have at least {side} pixels a side, got {side - 1}"
        ):
            METRICS[name](small, small)


def test_all_in_one_pass(made_pair: MakePair) -> None:
    a, b = made_pair(3, 64, 64)
    metrics = [metric for metric in METRICS.values() if metric.smallest_side <= 64]
    for row, metric in zip(joint_distances(metrics, a, b, a), metrics, strict=True):
        np.testing.assert_allclose(row, [metric(a, b), metric(a, a)], rtol=0, atol=1e-12)


@losses
@pytest.mark.parametrize("sides", [(64, 64), (67, 75), (520, 513)])
def test_metric_is_the_function_to_a_millionth(name: str, sides: tuple[int, int], made_pair: MakePair) -> None:
    height, width = (max(n, METRICS[name].smallest_side) for n in sides)
    a, b = made_pair(2, height, width)
    distances = METRICS[name](a, b)
    assert distances == pytest.approx(LOSSES[name](to_unit_tensor(a), to_unit_tensor(b)).numpy(), abs=1e-6)
    assert (distances > 1e-4).all()
    assert (distances < 1).all()


@losses
def test_float32_input_is_computed_in_float64(name: str, made_pair: MakePair) -> None:
    a, b = (to_unit_tensor(images) for images in made_pair(2, side_of(name), side_of(name)))
    single = LOSSES[name](a.float(), b.float())
    assert single.dtype == torch.float64
    assert single.numpy() == pytest.approx(LOSSES[name](a, b).numpy(), abs=1e-5)


@losses
@pytest.mark.parametrize("other", ["equal", "inverted", "white", "photograph"])
@pytest.mark.parametrize("image", ["black", "grey", "photograph", "one pixel"])
def test_value_and_gradient_are_finite(name: str, image: str, other: str, made_pair: MakePair) -> None:
    photograph, damaged = (to_unit_tensor(images) for images in made_pair(1, side_of(name), side_of(name)))
    a = photograph if image == "photograph" else torch.full_like(photograph, 0.5 if image == "grey" else 0.0)
    if image == "one pixel":
        a[0, 1, 20, 30] = 1
    b = {"equal": a.clone(), "inverted": 1 - a, "white": torch.ones_like(a), "photograph": damaged}[other]
    a.requires_grad_()
    b.requires_grad_()
    distance = LOSSES[name](a, b)
    distance.sum().backward()
    assert distance.isfinite().all()
    for leaf in (a, b):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()


@losses
@pytest.mark.parametrize("which", [0, 1])
def test_gradient_is_the_slope(name: str, which: int, made_pair: MakePair) -> None:
    images = made_pair(1, side_of(name), side_of(name) + 2)
    METRICS[name](*images)  # without gradients: what this caches must serve the gradient too
    pair = [0.1 + 0.8 * to_unit_tensor(one) for one in images]
    leaf = pair[which].requires_grad_()
    (gradient,) = torch.autograd.grad(LOSSES[name](*pair).sum(), leaf)
    direction = torch.randn(leaf.shape, dtype=leaf.dtype, generator=torch.Generator().manual_seed(0))
    step = 1e-7 * direction
    with torch.no_grad():
        pair[which] = leaf + step
        further = LOSSES[name](*pair).sum()
        pair[which] = leaf - step
        slope = float(further - LOSSES[name](*pair).sum()) / 2e-7
    assert slope != 0
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-3, abs=1e-6)


@losses
def test_tensors_that_are_refused(name: str) -> None:
    side = METRICS[name].smallest_side
    small, black = torch.zeros(1, 3, side - 1, 200), torch.zeros(1, 3, side, side)
    with pytest.raises(MetricError, match=f"{name} takes images of at least {side} pixels a side, got 200x{side - 1}"):
        LOSSES[name](small, small)
    with pytest.raises(MetricError, match=rf"{name} takes values in \[0, 1\], got 0 to 255"):
        LOSSES[name](black, black + 255)
    with pytest.raises(MetricError, match=f"{name} takes two batches of one shape"):
        LOSSES[name](black, black[:0])
    with pytest.raises(MetricError, match=rf"{name} takes float images \(N, 3, H, W\), got shape .* type torch.uint8"):
        LOSSES[name](black.byte(), black.byte())
