"""The adapter of ColorVideoVDP against a stand-in with the interface of cvvdp 0.5.7."""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from bapps_builder.errors import MetricError
from metrics.registry import load


class StandIn:
    """Quality 10 minus the mean difference, with a little more for test than for reference."""

    made: list["StandIn"]

    def __init__(
        self,
        display_name: str = "standard_4k",
        display_photometry: Any = None,
        display_geometry: Any = None,
        config_paths: Any = (),
        heatmap: str | None = None,
        quiet: bool = False,
        device: torch.device | None = None,
    ) -> None:
        self.display_name, self.heatmap, self.device = display_name, heatmap, device
        StandIn.made.append(self)

    def predict(
        self, test_cont: np.ndarray, reference_cont: np.ndarray, dim_order: str = "BCFHW", frames_per_second: int = 0
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        assert dim_order == "BHWC"
        assert test_cont.dtype == reference_cont.dtype == np.uint8
        assert test_cont.ndim == 4
        test, reference = (torch.tensor(array).float() / 255 for array in (test_cont, reference_cont))
        difference = (test - reference).abs().mean((1, 2, 3)) + 0.25 * test.mean((1, 2, 3))
        return (10 - difference).squeeze(), {}  # as the package: one pair has no axis


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    package = ModuleType("pycvvdp")
    monkeypatch.setattr(package, "cvvdp", StandIn, raising=False)
    monkeypatch.setitem(sys.modules, "pycvvdp", package)
    monkeypatch.setattr(StandIn, "made", [], raising=False)
    return StandIn


def pair(n: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.random.default_rng(n).integers(0, 256, (n, 64, 67, 3), dtype=np.uint8)
    return a, 255 - a


@pytest.mark.parametrize("n", [1, 4])
def test_distance_is_ten_minus_quality_and_the_reference_comes_first(stand_in: type[StandIn], n: int):
    reference, test = pair(n)
    x, y = reference / 255, test / 255
    expected = abs(x - y).mean((1, 2, 3)) + 0.25 * y.mean((1, 2, 3))
    distances = load("cvvdp")(reference, test)
    assert distances.shape == (n,)
    assert distances.dtype == np.float64
    np.testing.assert_allclose(distances, expected, atol=1e-5)


def test_display_and_device_reach_the_package(stand_in: type[StandIn]):
    for name in ("cvvdp", "cvvdp@standard_4k", "cvvdp@standard_fhd"):
        load(name)
    assert [model.display_name for model in stand_in.made] == ["standard_4k", "standard_4k", "standard_fhd"]
    assert all(model.heatmap is None and model.device == torch.device("cpu") for model in stand_in.made)


def test_names_parse_back(stand_in: type[StandIn]):
    assert load("cvvdp@standard_4k").name == "cvvdp"
    assert load("cvvdp@standard_fhd").name == "cvvdp@standard_fhd"
    assert "standard_fhd" in load("cvvdp@standard_fhd").description


def test_unknown_display(stand_in: type[StandIn]):
    with pytest.raises(MetricError, match="unknown variant cvvdp@cinema; its variants: cvvdp@standard_4k"):
        load("cvvdp@cinema")


def test_too_small(stand_in: type[StandIn]):
    a = np.zeros((1, 3, 64, 3), np.uint8)
    with pytest.raises(MetricError, match="at least 4 pixels a side, got 3"):
        load("cvvdp")(a, a)


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pycvvdp", None)
    with pytest.raises(MetricError, match=r'metric cvvdp needs .*: pip install "bapps\[cvvdp\]"$') as caught:
        load("cvvdp")
    assert "\n" not in str(caught.value)
