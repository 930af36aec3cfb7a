"""FLIP by the authors' package against a slow computation of the paper's equations."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import correlate

from bapps_builder.errors import MetricError
from bapps_builder.images.image_files import read_image
from metrics.metric import Images, Metric
from metrics.registry import load

MakePair = Callable[[int, int, int], tuple[Images, Images]]

Floats = NDArray[np.float64]

PAIRS = [("goldhill.gif", "goldhill_jpeg.gif"), ("I01.BMP", "i01_01_5.bmp")]
DEGREE = 67.0206  # pixels
# Linear sRGB to XYZ under D65 as fractions (the paper's reference 10), and the white of it.
XYZ = np.array(
    [
        [10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794],
        [2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897],
        [1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382],
    ]
)
WHITE = XYZ.sum(1)
# Table 1 of the paper: each channel's contrast sensitivity as a sum of Gaussians (amplitude, width).
SENSITIVITY = [[(1, 0.0047)], [(1, 0.0053)], [(34.1, 0.04), (13.5, 0.025)]]


def opponent(image: Images) -> Floats:
    """sRGB levels to the linear opponent space Y, Cx, Cz."""
    unit = image / 255
    linear = np.where(unit > 0.04045, ((unit + 0.055) / 1.055) ** 2.4, unit / 12.92)
    x, y, z = np.moveaxis(linear @ XYZ.T / WHITE, -1, 0)
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)))


def hunt_lab(linear: Floats) -> Floats:
    """Linear sRGB (..., 3) to Lab whose chroma grows with lightness (eq. 5 and 6)."""
    relative = linear @ XYZ.T / WHITE
    f = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness = 116 * f[..., 1] - 16
    a, b = 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])
    return np.stack((lightness, 0.01 * lightness * a, 0.01 * lightness * b), -1)


def hyab(a: Floats, b: Floats) -> Floats:
    difference = a - b
    return abs(difference[..., 0]) + np.hypot(difference[..., 1], difference[..., 2])


def grid(radius: int) -> tuple[Floats, Floats]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(float)
    return x, y


def seen(image: Images) -> Floats:
    """The image as the eye blurs it, within the gamut, in Hunt-adjusted Lab (H, W, 3)."""
    radius = math.ceil(3 * math.sqrt(0.04 / (2 * math.pi**2)) * DEGREE)
    x, y = grid(radius)
    squared = (x**2 + y**2) / DEGREE**2
    blurred = []
    for plane, gaussians in zip(opponent(image), SENSITIVITY, strict=True):
        kernel = sum(a * math.sqrt(math.pi / b) * np.exp(-(math.pi**2) * squared / b) for a, b in gaussians)
        blurred.append(correlate(plane, kernel / np.sum(kernel), mode="nearest"))
    middle = (blurred[0] + 16) / 116
    relative = np.stack((middle + blurred[1] / 500, middle, middle - blurred[2] / 200), -1)
    return hunt_lab((relative * WHITE @ np.linalg.inv(XYZ).T).clip(0, 1))


def features(image: Images) -> tuple[Floats, Floats]:
    """How much of an edge, and of a point, each pixel is."""
    lightness = (opponent(image)[0] + 16) / 116
    sigma = 0.5 * 0.082 * DEGREE
    x, y = grid(math.ceil(3 * sigma))
    bell = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    strengths = []
    for kernel in (-x * bell, (x**2 / sigma**2 - 1) * bell):
        kernel = np.where(kernel > 0, kernel / kernel[kernel > 0].sum(), kernel / -kernel[kernel < 0].sum())
        across, down = (correlate(lightness, k, mode="nearest") for k in (kernel, kernel.T))
        strengths.append(np.hypot(across, down))
    return strengths[0], strengths[1]


def by_equations(reference: Images, test: Images) -> Floats:
    """The error map of one pair."""
    green, blue = hunt_lab(np.array([0.0, 1.0, 0.0])), hunt_lab(np.array([0.0, 0.0, 1.0]))
    largest = hyab(green, blue) ** 0.7
    knee, height = 0.4 * largest, 0.95
    colour = hyab(seen(reference), seen(test)) ** 0.7
    colour = np.where(colour < knee, height / knee * colour, height + (colour - knee) / (largest - knee) * (1 - height))
    (edges_r, points_r), (edges_t, points_t) = features(reference), features(test)
    feature = np.maximum(abs(edges_r - edges_t), abs(points_r - points_t))
    return colour ** (1 - np.sqrt(feature / math.sqrt(2)))


@pytest.fixture
def flip() -> Metric:
    pytest.importorskip("flip_evaluator")
    return load("flip")


@pytest.mark.parametrize("names", PAIRS, ids=lambda names: names[0])
def test_equals_equations_on_real_images(flip: Metric, shared_data: Path, names: tuple[str, str]):
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in names)
    assert flip(a, b)[0] == pytest.approx(by_equations(a[0], b[0]).mean(), abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (67, 75), (70, 530)])
def test_maps_equal_equations_on_made_images(flip: Metric, height: int, width: int, made_pair: MakePair) -> None:
    a, b = made_pair(2, height, width)
    spatial = flip.spatial
    assert spatial is not None
    maps = spatial(a, b)
    assert maps.shape == (2, height, width)
    np.testing.assert_allclose(maps, [by_equations(x, y) for x, y in zip(a, b, strict=True)], rtol=0, atol=2e-4)
    np.testing.assert_allclose(flip(a, b), maps.mean((1, 2)), rtol=0, atol=1e-12)


def test_flat_images(flip: Metric):
    black, white = (np.full((1, 64, 64, 3), level, np.uint8) for level in (0, 255))
    assert flip(black, black)[0] == 0
    assert 0.9 < flip(black, white)[0] <= 1


def test_any_view_of_memory_gives_the_same(flip: Metric, made_pair: MakePair) -> None:
    a, b = made_pair(2, 64, 64)
    flipped = np.ascontiguousarray(a[:, ::-1]), np.ascontiguousarray(b[:, ::-1])
    np.testing.assert_array_equal(flip(a[:, ::-1], b[:, ::-1]), flip(*flipped))


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)
    with pytest.raises(MetricError, match=r'metric flip needs .*: pip install "bapps\[flip\]"$') as caught:
        load("flip")
    assert "\n" not in str(caught.value)
