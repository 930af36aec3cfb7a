"""Corruptions, by their statistics."""

import cv2
import numpy as np
import pytest
from scipy.stats import kstest

from distortions.cnn.corruptions import FACTORS, SIGMAS, corrupt
from distortions.cnn.variants import CORRUPTIONS, Corruption
from distortions.distortion import Patch

GREY = np.full((64, 64, 3), 128, np.uint8)


def photo() -> Patch:
    rng = np.random.default_rng(3)
    return np.asarray(cv2.GaussianBlur(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), (0, 0), 1.5), np.uint8)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_shape_seed_and_input_left_alone(corruption: Corruption) -> None:
    patch = photo()
    before = patch.copy()
    first, again, other = (corrupt(patch, corruption, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == patch.shape
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(patch, before)
    if "noise" in corruption:
        assert (first != other).any()


def test_null_changes_nothing() -> None:
    np.testing.assert_array_equal(corrupt(photo(), "null", np.random.default_rng(0)), photo())


def spectrum(corruption: Corruption, count: int) -> np.ndarray:
    """Mean power of the corruption of grey patches, by frequency."""
    power = np.zeros((64, 64))
    for seed in range(count):
        noise = corrupt(GREY, corruption, np.random.default_rng(seed)).astype(float) - 128
        power += (np.abs(np.fft.fft2(noise, axes=(0, 1))) ** 2).mean(2)
    return power


@pytest.mark.parametrize(("corruption", "slope"), [("white-noise", 0.0), ("pink-noise", -1.0)])
def test_noise_has_its_slope(corruption: Corruption, slope: float) -> None:
    power = spectrum(corruption, 200)
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64))
    inside = (frequency > 0.03) & (frequency < 0.5)
    fitted = np.polyfit(np.log(frequency[inside]), np.log(power[inside]), 1)[0]
    assert fitted == pytest.approx(slope, abs=0.05)


@pytest.mark.parametrize("corruption", ["white-noise", "pink-noise"])
def test_strengths_of_noise_are_even(corruption: Corruption) -> None:
    made = [corrupt(GREY, corruption, np.random.default_rng(seed)) for seed in range(300)]
    deviations = np.array([patch.astype(float).std() for patch in made])
    low, high = SIGMAS
    # A field's own deviation scatters around the drawn one; clipping at 0 and 255 takes a little off the strongest.
    assert kstest((deviations - low) / (high - low), "uniform").pvalue > 0.001
    assert np.mean(made) == pytest.approx(127.5, abs=0.7)


def test_colour_is_removed_and_luma_stays() -> None:
    made = corrupt(photo(), "color-removal", np.random.default_rng(0))
    assert (made[..., 0] == made[..., 1]).all()
    assert (made[..., 0] == made[..., 2]).all()
    np.testing.assert_allclose(made[..., 0], photo() @ [0.299, 0.587, 0.114], atol=0.51)


def test_downsampling_takes_away_high_frequencies_by_every_factor() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    seen = set()
    for seed in range(40):
        made = corrupt(noise, "downsampling", np.random.default_rng(seed))
        power = (np.abs(np.fft.fft2(made.astype(float) - made.mean(), axes=(0, 1))) ** 2).mean(2)
        frequency = np.maximum(*np.abs(np.meshgrid(np.fft.fftfreq(96), np.fft.fftfreq(96))))
        kept = [factor for factor in FACTORS if power[frequency > 0.75 / factor].sum() < 0.2 * power.sum()]
        # Means over squares of white noise have one part of their variance in factor ** 2.
        factor = min(FACTORS, key=lambda f: abs(made.astype(float).var() * f**2 / noise.astype(float).var() - 0.7))
        assert factor in kept
        seen.add(factor)
        flat = corrupt(GREY, "downsampling", np.random.default_rng(seed))
        np.testing.assert_array_equal(flat, GREY)
    assert seen == set(FACTORS)


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (17, 5)])
@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_any_size(corruption: Corruption, shape: tuple[int, int]) -> None:
    patch = np.zeros((*shape, 3), np.uint8)
    assert corrupt(patch, corruption, np.random.default_rng(0)).shape == (*shape, 3)
