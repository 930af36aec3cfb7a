"""Noise: spectra, distributions, and the pattern of a transposed convolution."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from distortions.registry import find
from distortions.traditional.noise import coloured_field, normal_field, uniform_field

Floats = NDArray[np.floating]

GREY = np.full((64, 64, 3), 128, np.uint8)


def planes(make: Callable[[], Floats], count: int) -> Floats:
    """At least `count` planes of fields (H, W, 3): (N, H, W)."""
    return np.concatenate([make().transpose(2, 0, 1) for _ in range(-(-count // 3))])[:count]


def slope(fields: Floats, *, lowest: int = 1) -> float:
    """Slope of log mean power over log frequency, rings of one cycle from `lowest` to 32: (N, 64, 64)."""
    assert fields.shape[1:] == (64, 64)
    power = (np.abs(np.fft.fft2(fields)) ** 2).mean(0)
    cycles = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64))) * 64
    rings = np.rint(cycles).astype(int)
    frequencies = np.arange(lowest, 33)
    means = [power[rings == ring].mean() for ring in frequencies]
    return float(np.polyfit(np.log(frequencies), np.log(means), 1)[0])


@pytest.mark.parametrize("wanted", [-2, -1.5, -1, -0.3, 0, 0.7, 1, 1.5, 2])
def test_spectrum_of_coloured_fields(wanted: float) -> None:
    rng = np.random.default_rng(0)
    assert slope(planes(lambda: coloured_field((64, 64), rng, slope=wanted), 400)) == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize("make", [uniform_field, normal_field])
def test_spectrum_of_white_fields(make: Callable[..., Floats]) -> None:
    rng = np.random.default_rng(0)
    assert slope(planes(lambda: make((64, 64), rng), 400)) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("wanted", [-2, -1, 0, 1, 2])
def test_spectrum_of_a_patch_cut_out_of_its_margin(wanted: float) -> None:
    rng = np.random.default_rng(0)
    cut = planes(lambda: coloured_field((96, 96), rng, slope=wanted)[16:80, 16:80], 400)
    # A cut field no longer meets itself at its ends: a window, and rings beyond the window's own width.
    window = np.hanning(66)[1:-1]
    assert slope((cut - cut.mean((1, 2), keepdims=True)) * window * window[:, None], lowest=4) == pytest.approx(
        wanted, abs=0.1
    )


@pytest.mark.parametrize("shape", [(64, 64), (65, 63), (96, 96), (2, 2), (1, 7), (5, 1)])
@pytest.mark.parametrize("wanted", [-2, 0, 1.3])
def test_coloured_fields_have_mean_0_and_variance_1(shape: tuple[int, int], wanted: float) -> None:
    rng = np.random.default_rng(1)
    fields = planes(lambda: coloured_field(shape, rng, slope=wanted), 3000 if math.prod(shape) < 99 else 400)
    assert fields.mean((1, 2)) == pytest.approx(0, abs=1e-5)
    assert fields.var((1, 2)).mean() == pytest.approx(1, abs=0.06)


def test_power_does_not_depend_on_the_direction() -> None:
    # Columns that are their own mirror images have rules of their own in a half spectrum.
    rng = np.random.default_rng(2)
    power = (np.abs(np.fft.fft2(planes(lambda: coloured_field((16, 16), rng, slope=-1), 6000))) ** 2).mean(0)
    assert power[1:, 0] == pytest.approx(power[0, 1:], rel=0.15)
    assert power[8, 0] == pytest.approx(power[0, 8], rel=0.15)
    assert power[3, 8] == pytest.approx(power[8, 3], rel=0.15)


def test_fields_are_gaussian_and_channels_independent() -> None:
    rng = np.random.default_rng(3)
    for field in (normal_field((96, 96), rng), coloured_field((96, 96), rng, slope=1)):
        assert stats.kstest(field.ravel(), "norm").statistic < 0.01
        assert np.abs(np.corrcoef(field.reshape(-1, 3).T) - np.eye(3)).max() < 0.05
    assert stats.kstest(uniform_field((96, 96), rng).ravel(), "uniform", args=(-1, 2)).statistic < 0.01


@pytest.mark.parametrize(
    ("name", "values", "deviation"),
    [
        ("uniform-white-noise", {"amplitude": 30}, 30 / math.sqrt(3)),
        ("gaussian-white-noise", {"sigma": 12}, 12),
        ("gaussian-pink-noise", {"sigma": 12}, 12),
        ("gaussian-blue-noise", {"sigma": 12}, 12),
        ("gaussian-colored-noise", {"sigma": 12, "slope": -2}, 12),
    ],
)
def test_strength_is_in_levels(name: str, values: dict[str, float], deviation: float) -> None:
    made = np.stack([find(name).apply(GREY, np.random.default_rng(seed), values) for seed in range(60)])
    assert (made - 128.0).var() ** 0.5 == pytest.approx(deviation, rel=0.05)
    assert made.mean() == pytest.approx(128, abs=0.5)


@pytest.mark.parametrize(("name", "values"), [("gaussian-blue-noise", {}), ("gaussian-colored-noise", {"slope": 2.0})])
def test_clipping_flattens_what_is_added_to_a_dark_patch(name: str, values: dict[str, float]) -> None:
    rng, dark = np.random.default_rng(0), np.full((64, 64, 3), 5, np.uint8)
    added = [planes(lambda: find(name).apply(p, rng, {"sigma": 15, **values}) * 1.0, 120) for p in (GREY, dark)]  # noqa: B023
    assert slope(added[1]) < slope(added[0]) - 0.2


def overlap_counts(side: int) -> NDArray[np.int64]:
    """How often torch's transposed convolution of kernel 3 and stride 2 writes to each pixel, borders cut off."""
    ones = torch.ones(1, 1, side, side)
    return torch.nn.functional.conv_transpose2d(ones, torch.ones(1, 1, 3, 3), stride=2)[0, 0, 2:-2, 2:-2].long().numpy()


def test_checkerboard_is_the_overlap_of_a_transposed_convolution() -> None:
    counts = overlap_counts(20)[:32, :32]
    assert sorted(set(counts.ravel().tolist())) == [1, 2, 4]
    values = {"amplitude": 40, "phase_x": 0, "phase_y": 0}
    added = find("checkerboard").apply(GREY, np.random.default_rng(0), values)[:32, :32] - 128.0
    for channel in range(3):
        # One straight line in each small block, where the strength hardly changes.
        blocks = [(slice(y, y + 4), slice(x, x + 4)) for y in range(0, 32, 4) for x in range(0, 32, 4)]
        fits = [np.corrcoef(counts[block].ravel(), added[(*block, channel)].ravel())[0, 1] for block in blocks]
        assert np.median(fits) > 0.98
    assert np.abs(added.mean((0, 1))).max() < 1


@pytest.mark.parametrize(("phase_x", "phase_y"), [(0, 1), (1, 0), (1, 1)])
def test_phases_move_the_checkerboard(phase_x: int, phase_y: int) -> None:
    rough = {}
    for phases in ((0, 0), (phase_x, phase_y)):
        values = {"amplitude": 40, "phase_x": phases[0], "phase_y": phases[1]}
        rough[phases] = find("checkerboard").apply(GREY, np.random.default_rng(0), values) > 128
    moved = np.roll(rough[0, 0], (phase_y, phase_x), (0, 1))
    assert (moved[1:, 1:] == rough[phase_x, phase_y][1:, 1:]).mean() > 0.99


def test_checkerboard_differs_from_place_to_place_and_between_channels() -> None:
    values = {"amplitude": 20, "phase_x": 0, "phase_y": 0}
    added = np.abs(find("checkerboard").apply(GREY, np.random.default_rng(0), values) - 128.0)
    local = added.reshape(8, 8, 8, 8, 3).mean((1, 3))
    assert local.min() < 0.5 * local.mean()
    assert local.max() > 1.5 * local.mean()
    assert np.corrcoef(local.reshape(-1, 3).T)[0, 1] < 0.9
