"""FSIM against the authors' numbers, and its phase congruency against a slow one. Properties: test_properties.py."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from bapps_builder.images.image_files import read_image
from metrics.classic.fsim import FSIM, FSIMC, fast_phase_congruency, phase_congruency
from metrics.metric import Metric

Floats = NDArray[np.float64]


# The authors' MATLAB code on these pairs, as piq 0.8.0 quotes it in its tests, to all the digits given.
@pytest.mark.parametrize(
    ("metric", "reference", "distorted", "expected"),
    [
        (FSIM, "goldhill.gif", "goldhill_jpeg.gif", 0.89691),
        (FSIM, "I01.BMP", "i01_01_5.bmp", 0.93674),
        (FSIMC, "I01.BMP", "i01_01_5.bmp", 0.92587),
    ],
)
def test_authors_numbers(shared_data: Path, metric: Metric, reference: str, distorted: str, expected: float) -> None:
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in (reference, distorted))
    assert 1 - metric(a, b) == pytest.approx([expected], abs=5e-6)


def test_number_in_a_published_table(shared_data: Path) -> None:
    # (1 - FSIMc) / 2 of another implementation, which pads the shrunk image differently.
    table = pd.read_csv(shared_data / "tid2013-scores" / "tid2013_fsim.csv").set_index("dis")["pred"]
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in ("I01.BMP", "i01_01_5.bmp"))
    assert FSIMC(a, b) / 2 == pytest.approx([table["i01_01_5.bmp"]], abs=2e-5)


def slow_phase_congruency(image: Floats) -> Floats:
    """Kovesi's phase congruency as FSIM's authors compute it, one filter at a time."""
    rows, columns = image.shape

    def axis(n: int) -> Floats:
        return np.arange(-(n - 1) / 2, (n - 1) / 2 + 1) / (n - 1) if n % 2 else np.arange(-n / 2, n / 2) / n

    x, y = np.meshgrid(axis(columns), axis(rows))
    radius, theta = np.fft.ifftshift(np.hypot(x, y)), np.fft.ifftshift(np.arctan2(-y, x))
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    radius[0, 0] = 1
    spectrum = np.fft.fft2(image)
    energy_all, amplitude_all = np.zeros(image.shape), np.zeros(image.shape)
    for orientation in range(4):
        angle = orientation * math.pi / 4
        ds = np.sin(theta) * math.cos(angle) - np.cos(theta) * math.sin(angle)
        dc = np.cos(theta) * math.cos(angle) + np.sin(theta) * math.sin(angle)
        spread = np.exp(-(np.arctan2(ds, dc) ** 2) / (2 * (math.pi / 4 / 1.2) ** 2))
        responses: list[NDArray[np.complex128]] = []
        in_space: list[Floats] = []
        squared_filter = 0.0
        for scale in range(4):
            log_gabor = np.exp(-(np.log(radius * 6 * 2**scale) ** 2) / (2 * math.log(0.55) ** 2)) * low_pass
            log_gabor[0, 0] = 0
            one = log_gabor * spread
            responses.append(np.fft.ifft2(spectrum * one))
            in_space.append(np.fft.ifft2(one).real * math.sqrt(rows * columns))
            squared_filter = squared_filter or float((one**2).sum())
        even, odd = sum(r.real for r in responses), sum(r.imag for r in responses)
        length = np.sqrt(even**2 + odd**2) + 1e-4
        mean_even, mean_odd = even / length, odd / length
        energy = sum(
            r.real * mean_even + r.imag * mean_odd - np.abs(r.real * mean_odd - r.imag * mean_even) for r in responses
        )
        power = -np.median(np.abs(responses[0]) ** 2) / math.log(0.5) / squared_filter
        squares = sum(float((f**2).sum()) for f in in_space)
        products = sum(float((in_space[i] * in_space[j]).sum()) for i in range(4) for j in range(i + 1, 4))
        tau = math.sqrt((2 * power * squares + 4 * power * products) / 2)
        noise = tau * math.sqrt(math.pi / 2) + 2 * math.sqrt((2 - math.pi / 2) * tau**2)
        energy_all += np.maximum(energy - noise / 1.7, 0)
        amplitude_all += sum(np.abs(r) for r in responses)
    return energy_all / amplitude_all


@pytest.mark.parametrize(("height", "width"), [(64, 64), (67, 75), (50, 63)])
def test_phase_congruency_is_the_slow_one(height: int, width: int) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (2, height, width)).cumsum(2) % 256
    expected = np.stack([slow_phase_congruency(image) for image in images])
    found = phase_congruency(torch.from_numpy(images)).numpy()
    assert found == pytest.approx(expected, abs=1e-8)
    assert found.max() > 0.3


def test_flat_image_has_no_phase_congruency() -> None:
    flat = torch.full((1, 64, 64), 200 / 3)
    for plane in (flat, flat.double()):
        assert phase_congruency(plane).abs().max() == 0


def test_both_share_the_work() -> None:
    assert FSIM.embed is FSIMC.embed
    assert FSIM.contrast is FSIMC.contrast


@pytest.mark.parametrize("size", [(48, 48), (64, 64), (65, 51)])
def test_both_ways_to_phase_congruency_agree(size: tuple[int, int]) -> None:
    planes = torch.rand(4, *size, generator=torch.Generator().manual_seed(0)).mul_(255)
    planes[1, 20:] /= 50
    planes[2] = 7
    wanted = phase_congruency(planes.double())
    assert (fast_phase_congruency(planes) - wanted).abs().max() < 1e-5
    assert wanted[1].max() > 0.1
