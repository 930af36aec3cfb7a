"""MDSI against the authors' numbers and against a slow one. Properties: test_properties.py."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import convolve2d

from bapps_builder.images.image_files import read_image
from metrics.classic.mdsi import MDSI


@pytest.mark.parametrize(
    ("reference", "distorted", "expected"),
    [("goldhill.gif", "goldhill_jpeg.gif", 0.395910876130775), ("I01.BMP", "i01_01_5.bmp", 0.338972600511665)],
)
def test_authors_numbers(shared_data: Path, reference: str, distorted: str, expected: float) -> None:
    # The authors' MATLAB code ("sum") on these pairs, as piq 0.8.0 quotes it in its tests.
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in (reference, distorted))
    assert MDSI(a, b) == pytest.approx([expected], abs=1e-9)


def slow_mdsi(reference: NDArray[np.uint8], distorted: NDArray[np.uint8]) -> float:
    """The equations of the paper on one pair with a shorter side below 384, in complex numbers."""

    def planes(image: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
        r, g, b = np.moveaxis(image.astype(float), 2, 0)
        luminance = 0.2989 * r + 0.587 * g + 0.114 * b
        return [luminance, 0.3 * r + 0.04 * g - 0.35 * b, 0.34 * r - 0.6 * g + 0.17 * b]

    def gradient(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        kernel = np.array([[1, 0, -1]] * 3) / 3
        return np.hypot(convolve2d(plane, kernel, "same"), convolve2d(plane, kernel.T, "same"))

    (l1, h1, m1), (l2, h2, m2) = planes(reference), planes(distorted)
    r, d, f = gradient(l1), gradient(l2), gradient((l1 + l2) / 2)
    gradients = (
        (2 * r * d + 140) / (r**2 + d**2 + 140)
        + (2 * d * f + 55) / (d**2 + f**2 + 55)
        - (2 * r * f + 55) / (r**2 + f**2 + 55)
    )
    colours = (2 * (h1 * h2 + m1 * m2) + 550) / (h1**2 + h2**2 + m1**2 + m2**2 + 550)
    power = (0.6 * gradients + 0.4 * colours).astype(complex) ** 0.25
    return float(np.abs(power - power.mean()).mean() ** 0.25)


def test_slow_one_on_opposite_colours() -> None:
    # Saturated noise, so that some similarities are negative and their fourth roots complex.
    a, b = (255 * np.random.default_rng(0).integers(0, 2, (2, 3, 64, 71, 3))).astype(np.uint8)
    expected = [slow_mdsi(x, y) for x, y in zip(a, b, strict=True)]
    assert MDSI(a, b) == pytest.approx(expected, abs=1e-9)
