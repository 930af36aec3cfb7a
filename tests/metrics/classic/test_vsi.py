"""VSI against a slow one, written from the papers alone. Properties: test_properties.py.

No number of the authors' own code is published for images that are at hand.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import convolve2d

from bapps_builder.images.image_files import read_image
from metrics.classic.vsi import VSI, fast_saliency, saliency, vsi_similarity
from metrics.image_math.tensors import to_unit_tensor

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]


def resize(plane: Floats, rows: int, columns: int) -> Floats:
    """Bilinear as MATLAB's imresize: a triangle as wide as a target pixel, edges mirrored."""
    for target in (rows, columns):
        source = len(plane)
        wide = max(1.0, source / target)
        padded = np.concatenate([plane[::-1], plane, plane[::-1]])  # row i of the plane is source + i
        at = np.arange(-source, 2 * source)
        made: list[Floats] = []
        for i in range(target):
            weights = np.maximum(0, 1 - np.abs(at - ((i + 0.5) * source / target - 0.5)) / wide)
            made.append(weights @ padded / weights.sum())
        plane = np.stack(made).T
    return plane


def slow_saliency(image: Image) -> Floats:
    rgb = np.stack([resize(p / 255, 256, 256) for p in np.moveaxis(image.astype(float), 2, 0)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = np.tensordot(to_xyz, linear, 1) / np.array([0.9642, 1, 0.8251])[:, None, None]
    fx, fy, fz = np.where(xyz > 0.008856, np.cbrt(xyz), (903.3 * xyz + 16) / 116)
    lab = [116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)]
    u = (np.arange(1, 257) - 129) / 256
    radius = np.hypot(u[:, None], u)
    with np.errstate(divide="ignore"):
        log_gabor = np.exp(-(np.log(radius / 0.021) ** 2) / (2 * 1.34**2)) * (radius <= 0.5)
    log_gabor = np.fft.ifftshift(log_gabor)
    frequency = np.sqrt(sum(np.fft.ifft2(np.fft.fft2(p) * log_gabor).real ** 2 for p in lab))
    at = np.arange(1, 257) - 128
    centre = np.exp(-(at[:, None] ** 2 + at**2) / 145**2)
    a, b = ((p - p.min()) / (p.max() - p.min()) for p in lab[1:])
    warmth = 1 - np.exp(-(a**2 + b**2) / 0.001**2)
    found = resize(frequency * centre * warmth, *image.shape[:2])
    return (found - found.min()) / (found.max() - found.min())


def slow_vsi(one: Image, other: Image) -> float:
    rows, columns = one.shape[:2]
    side = max(1, int(np.floor(min(rows, columns) / 256 + 0.5)))

    def shrink(plane: Floats) -> Floats:
        full = convolve2d(plane, np.full((side, side), 1 / side**2))
        return full[side // 2 :, side // 2 :][:rows:side, :columns:side]

    def features(image: Image) -> tuple[Floats, ...]:
        r, g, b = np.moveaxis(image.astype(float), 2, 0)
        luminance = shrink(0.06 * r + 0.63 * g + 0.27 * b)
        kernel = np.array([[3, 0, -3], [10, 0, -10], [3, 0, -3]]) / 16
        gradient = np.hypot(convolve2d(luminance, kernel, "same"), convolve2d(luminance, kernel.T, "same"))
        colours = shrink(0.30 * r + 0.04 * g - 0.35 * b), shrink(0.34 * r - 0.60 * g + 0.17 * b)
        return shrink(slow_saliency(image)), gradient, *colours

    (s1, g1, m1, n1), (s2, g2, m2, n2) = features(one), features(other)

    def alike(x: Floats, y: Floats, constant: float) -> Floats:
        return (2 * x * y + constant) / (x**2 + y**2 + constant)

    colour = ((alike(m1, m2, 130) * alike(n1, n2, 130)).astype(complex) ** 0.02).real
    local = alike(s1, s2, 1.27) * alike(g1, g2, 386) ** 0.4 * colour
    return float(np.average(local, weights=np.maximum(s1, s2)))


def test_slow_one_on_photographs(shared_data: Path) -> None:
    # 512x384, so that saliency shrinks one axis by 2, and all is shrunk by 2 afterwards.
    a, b = (read_image(shared_data / "metric-pairs" / name) for name in ("I01.BMP", "i01_01_5.bmp"))
    found = 1 - VSI(a[None], b[None])
    assert found == pytest.approx([slow_vsi(a, b)], abs=1e-6)
    # piq 0.8.0 gives .96405; it resizes without smoothing, with another white and another padding.
    assert found == pytest.approx([0.96405], abs=2e-4)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (67, 75), (300, 129)])
def test_slow_one(height: int, width: int) -> None:
    a, b = np.random.default_rng(0).integers(0, 256, (2, 2, height, width, 3), dtype=np.uint8)
    expected = [slow_vsi(x, y) for x, y in zip(a, b, strict=True)]
    assert vsi_similarity(to_unit_tensor(a), to_unit_tensor(b)).numpy() == pytest.approx(expected, abs=1e-7)
    assert 1 - VSI(a, b) == pytest.approx(expected, abs=1e-6)


def test_flat_image_has_no_saliency() -> None:
    flat = torch.full((1, 3, 64, 64), 0.3)
    for images in (flat, flat.double()):
        assert saliency(images).abs().max() == 0


def test_both_ways_to_saliency_agree() -> None:
    images = torch.rand(4, 3, 64, 70, generator=torch.Generator().manual_seed(0))
    images[1, :, 20:] /= 50  # the straight parts of the curves
    images[2] = 0.3
    wanted = saliency(images.double())
    assert (fast_saliency(images) - wanted).abs().max() < 2e-6
    assert wanted[2].max() == 0
    assert wanted[1].max() == 1
