"""The steps that similarity indices share, at the values where they are delicate."""

import pytest
import torch

from metrics.image_math.similarity import real_power, safe_sqrt, similarity, weighted_mean


def test_power_of_a_negative_value_is_its_real_part() -> None:
    values = torch.tensor([-0.5, 0.25], dtype=torch.float64)
    expected = [((-0.5 + 0j) ** 0.03).real, 0.25**0.03]
    assert real_power(values, 0.03).tolist() == pytest.approx(expected, rel=1e-12)


def test_equal_features_are_exactly_alike() -> None:
    values = torch.rand(1000, generator=torch.Generator().manual_seed(0)) * 255
    assert (similarity(values, values.clone(), 170.0) == 1).all()


def test_root_has_a_gradient_at_0() -> None:
    values = torch.tensor([0.0, 4.0], dtype=torch.float64, requires_grad=True)
    safe_sqrt(values).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0, 0.25]


def test_without_weights_all_positions_count_alike() -> None:
    maps = torch.tensor([0.0, 1.0, 0.5, 0.5], dtype=torch.float64).view(1, 1, 2, 2)
    weights = torch.tensor([0.0, 2.0, 0.0, 0.0], dtype=torch.float64).view(1, 1, 2, 2)
    assert weighted_mean(maps, torch.zeros_like(maps)).item() == pytest.approx(0.5)
    assert weighted_mean(maps, weights).item() == pytest.approx(1, abs=1e-7)
