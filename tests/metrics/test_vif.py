"""VIFp against sewar, which follows the authors' code step by step."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from bapps_builder.errors import MetricError
from bapps_builder.images import read_image
from metrics.metric import Images
from metrics.registry import load
from metrics.tensors import to_unit_tensor
from metrics.vif import vif

PAIRS = [("goldhill.gif", "goldhill_jpeg.gif"), ("I01.BMP", "i01_01_5.bmp")]


def made_pair(n: int, height: int, width: int) -> tuple[Images, Images]:
    """Cloudy images, and the same with noise and less contrast."""
    rng = np.random.default_rng(n * height + width)
    clouds = gaussian_filter(rng.normal(size=(n, height, width, 3)), (0, 2, 2, 0)) * 400 + 128
    worse = 0.8 * clouds + 20 + rng.normal(scale=12, size=clouds.shape)
    return clouds.clip(0, 255).astype(np.uint8), worse.clip(0, 255).astype(np.uint8)


def by_sewar(reference: Images, distorted: Images) -> list[float]:
    sewar = pytest.importorskip("sewar")
    weights = np.array([0.299, 0.587, 0.114])
    return [1 - sewar.vifp(x @ weights, y @ weights) for x, y in zip(reference, distorted, strict=True)]


@pytest.mark.parametrize("names", PAIRS, ids=lambda names: names[0])
def test_equals_sewar_on_real_images(shared_data: Path, names: tuple[str, str]):
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in names)
    np.testing.assert_allclose(load("vif")(a, b), by_sewar(a, b), rtol=0, atol=1e-9)


# Computed with sewar 0.4.10.
@pytest.mark.parametrize(
    ("names", "there", "back"), [(PAIRS[0], 0.733532, 0.720286), (PAIRS[1], 0.685313, 0.716988)], ids=["gold", "I01"]
)
def test_pinned_on_real_images(shared_data: Path, names: tuple[str, str], there: float, back: float):
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in names)
    assert load("vif")(a, b)[0] == pytest.approx(there, abs=1e-6)
    assert load("vif")(b, a)[0] == pytest.approx(back, abs=1e-6)


@pytest.mark.parametrize(("height", "width"), [(41, 41), (64, 64), (67, 75), (60, 530)])
def test_equals_sewar_on_made_images(height: int, width: int):
    a, b = made_pair(2, height, width)
    np.testing.assert_allclose(load("vif")(a, b), by_sewar(a, b), rtol=0, atol=1e-9)


def test_equals_sewar_where_some_windows_are_flat():
    a, b = made_pair(2, 80, 80)
    a[0, :40], b[1, :, :50] = 77, 200
    np.testing.assert_allclose(load("vif")(a, b), by_sewar(a, b), rtol=0, atol=1e-9)


def test_not_symmetric():
    a, b = made_pair(1, 64, 64)
    assert abs(load("vif")(a, b)[0] - load("vif")(b, a)[0]) > 0.01


def test_equal_images_have_distance_zero():
    a, _ = made_pair(3, 64, 64)
    np.testing.assert_allclose(load("vif")(a, a), 0, atol=1e-6)


def test_more_contrast_is_more_than_one():
    a = to_unit_tensor(made_pair(2, 64, 64)[0])
    assert (vif(0.3 + 0.4 * a, 0.2 + 0.6 * a) > 1).all()


def test_blind_to_a_constant():
    a = 0.5 * to_unit_tensor(made_pair(2, 64, 64)[0])
    torch.testing.assert_close(vif(a, a + 0.3), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-6)


def test_flat_references():
    textured, _ = made_pair(1, 64, 64)
    black, grey = (np.full((1, 64, 64, 3), level, np.uint8) for level in (0, 128))
    pairs = [(black, black), (grey, grey), (grey, black), (grey, textured), (textured, grey)]
    assert [load("vif")(x, y)[0] for x, y in pairs] == pytest.approx([0, 0, 0, 1, 1], abs=1e-6)


def test_a_batch_is_its_pairs():
    a, b = made_pair(5, 64, 67)
    a[2] = 9
    one_by_one = [load("vif")(a[i : i + 1], b[i : i + 1])[0] for i in range(5)]
    np.testing.assert_allclose(load("vif")(a, b), one_by_one, rtol=0, atol=1e-9)


def test_too_small():
    a = np.zeros((1, 40, 200, 3), np.uint8)
    with pytest.raises(MetricError, match="at least 41 pixels a side"):
        load("vif")(a, a)
    with pytest.raises(MetricError, match="at least 41 pixels a side"):
        vif(to_unit_tensor(a), to_unit_tensor(a))


def pairs_for_gradients() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    a, b = map(to_unit_tensor, made_pair(1, 64, 64))
    flat, black = torch.full_like(a, 0.5), torch.zeros_like(a)
    return {
        "ordinary": (a, b),
        "equal": (a, a.clone()),
        "inverted": (a, 1 - a),
        "flat reference": (flat, b),
        "flat distorted": (a, flat),
        "both flat": (flat, black),
        "black": (black, black),
    }


@pytest.mark.parametrize("case", pairs_for_gradients())
def test_values_and_gradients_are_finite(case: str):
    a, b = (images.clone().requires_grad_() for images in pairs_for_gradients()[case])
    value = vif(a, b)
    value.sum().backward()
    assert torch.isfinite(value).all()
    for images in (a, b):
        assert images.grad is not None
        assert torch.isfinite(images.grad).all()


def test_gradient_is_the_slope():
    a, b = map(to_unit_tensor, made_pair(1, 64, 64))
    b = (0.1 + 0.8 * b).requires_grad_()
    direction = torch.from_numpy(np.random.default_rng(1).normal(size=b.shape)) * 1e-5
    vif(a, b).sum().backward()
    assert b.grad is not None
    with torch.no_grad():
        slope = (vif(a, b + direction) - vif(a, b - direction)).item() / 2
    assert (b.grad * direction).sum().item() == pytest.approx(slope, rel=1e-4)


def test_float32_input_is_computed_in_float64():
    a, b = map(to_unit_tensor, made_pair(2, 64, 64))
    single = vif(a.float(), b.float())
    assert single.dtype == torch.float64
    torch.testing.assert_close(single, vif(a, b), rtol=0, atol=1e-6)
