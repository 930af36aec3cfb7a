"""Structural similarity: Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 2004, doi 10.1109/TIP.2003.819861.

Two settings go by the name SSIM, so both are here and say which they are:

ssim                 an 11x11 Gaussian window, sigma 1.5, population covariance: the authors' own code
dssim, dssim-lab     a 7x7 uniform window, sample covariance: what the official LPIPS evaluation ran

Both average over the windows that lie inside the image and over channels, in float64 (float32 is off by
more than 1e-5, since a variance is the small difference of two large numbers).

The authors' code first shrinks images whose shorter side is 384 pixels or more, by the factor
round(side / 256), and so does `ssim`. The other two never shrink.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from metrics.chunks import in_chunks, scratch
from metrics.color import rgb_to_lab
from metrics.metric import Images, Metric
from metrics.registry import register_metric

Floats = NDArray[np.float64]

# Side to which the authors' code shrinks larger images, about.
VIEWED_SIDE = 256
# Constants of the paper: C1 = (K1 L)², C2 = (K2 L)².
K1, K2 = 0.01, 0.03
# Output pixels one band matrix computes: wider wastes work on its zeros, narrower on calls.
_TILE = 16
# Rows a product takes at a time. Larger products would start the threads of the BLAS inside ours; those
# wait by spinning, and take the cores from everybody else.
_ROWS = 384


@dataclass(frozen=True)
class Window:
    """A separable window, and whether covariances divide by n - 1 (sample) or n (population)."""

    taps: tuple[float, ...]
    sample_covariance: bool

    @property
    def side(self) -> int:
        """Its width in pixels."""
        return len(self.taps)

    @property
    def covariance_factor(self) -> float:
        """What the plain windowed covariance is multiplied by."""
        n = self.side**2
        return n / (n - 1) if self.sample_covariance else 1.0


def gaussian_window(side: int, sigma: float) -> Window:
    """A Gaussian of `side` taps that sum to 1, with population covariance."""
    x = np.arange(side) - (side - 1) / 2
    taps = np.exp(-(x**2) / (2 * sigma**2))
    return Window(tuple(taps / taps.sum()), sample_covariance=False)


def uniform_window(side: int) -> Window:
    """A flat window of `side` taps, with sample covariance."""
    return Window((1 / side,) * side, sample_covariance=True)


WANG_2004 = gaussian_window(11, 1.5)
OFFICIAL_LPIPS = uniform_window(7)


def structural_similarity(
    a: NDArray[np.generic], b: NDArray[np.generic], window: Window, *, data_range: float
) -> Floats:
    """Mean SSIM per image, eq. 13 averaged over channels and inner positions.

    Parameters
    ----------
    a, b : arrays of shape (N, H, W, C)
        H and W at least `window.side`.
    window : Window
    data_range : float
        L of the paper: 255 for levels, 100 for Lab.

    Returns
    -------
    array of shape (N,), 1 for equal images
    """
    n, height, width, channels = a.shape
    # Rows first, so that windowing along them or across them is a plain matrix product.
    x, y, squares, product = scratch("moments", (4, height, n, channels, width))
    x[...] = a.transpose(1, 0, 3, 2)
    y[...] = b.transpose(1, 0, 3, 2)
    np.multiply(x, y, out=product)
    np.multiply(x, x, out=squares)
    squares += np.multiply(y, y, out=scratch("square", y.shape))
    # Variances enter eq. 13 as their sum only, so x² and y² need one plane, not two.
    windowed = scratch("windowed", (4, height - window.side + 1, n, channels, width - window.side + 1))
    for moment, result in zip((x, y, squares, product), windowed, strict=True):
        _window(moment, window, result)
    x, y, squares, product = windowed
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    means = np.multiply(x, y, out=scratch("means", x.shape))
    mean_squares = np.multiply(x, x, out=scratch("mean squares", x.shape))
    mean_squares += np.multiply(y, y, out=y)
    product -= means
    squares -= mean_squares
    product *= 2 * window.covariance_factor
    product += c2
    squares *= window.covariance_factor
    squares += c2
    means *= 2
    means += c1
    mean_squares += c1
    means *= product
    means /= mean_squares
    means /= squares
    return means.mean((0, 2, 3))


def _window(plane: Floats, window: Window, result: Floats) -> None:
    """Window along the first and last axis, inner positions only: (H, ..., W) into `result` (H', ..., W')."""
    height, width = plane.shape[0], plane.shape[-1]
    along_rows = scratch("along rows", (plane.size // width, result.shape[-1]))
    _filter(plane.reshape(-1, width), window, along_rows)
    _filter(along_rows.reshape(height, -1).T, window, result.reshape(len(result), -1).T)


def _filter(rows: Floats, window: Window, result: Floats) -> None:
    """Correlate each row (M, W) with the window, inner positions only, into `result` (M, W').

    A product with a band matrix per tile of columns: at these widths several times faster than a loop
    over taps, and no less exact.
    """
    count, width = rows.shape
    outputs = width - window.side + 1
    blocks = count // _ROWS
    for these in (slice(0, blocks * _ROWS), slice(blocks * _ROWS, count)):
        some, into = rows[these], result[these]
        if not len(some):
            continue
        # Stacked products of a few hundred rows: each stays on the thread that asks for it.
        shape = (max(1, len(some) // _ROWS), min(_ROWS, len(some)))
        some, into = some.reshape(*shape, width), into.reshape(*shape, outputs)
        for start in range(0, outputs, _TILE):
            tile = min(_TILE, outputs - start)
            band = _band(window, tile)
            np.matmul(some[..., start : start + len(band)], band, out=into[..., start : start + tile])


@lru_cache(maxsize=64)
def _band(window: Window, count: int) -> Floats:
    """The matrix (count + side - 1, count) whose product windows a row."""
    band = np.zeros((count + window.side - 1, count))
    for column in range(count):
        band[column : column + window.side, column] = window.taps
    return band


def ssim(a: Images, b: Images) -> Floats:
    """SSIM of Wang's settings per image, uint8 (N, H, W, 3) to (N,); images of 384 pixels up shrink first."""
    factor = max(1, math.floor(min(a.shape[1:3]) / VIEWED_SIDE + 0.5))
    return structural_similarity(_shrunk(a, factor), _shrunk(b, factor), WANG_2004, data_range=255)


def _shrunk(images: Images, factor: int) -> NDArray[np.generic]:
    """Every factor-th pixel of a mean filter of that width, borders mirrored, as the authors' code shrinks."""
    if factor == 1:
        return images
    n, height, width, channels = images.shape
    rows, columns = math.ceil(height / factor), math.ceil(width / factor)
    before = (factor - 1) // 2
    margins = [(before, max(0, kept * factor - size - before)) for kept, size in ((rows, height), (columns, width))]
    padded = np.pad(images, [(0, 0), *margins, (0, 0)], mode="symmetric")[:, : rows * factor, : columns * factor]
    return padded.reshape(n, rows, factor, columns, factor, channels).mean((2, 4))


def official_ssim(a: Images, b: Images) -> Floats:
    """SSIM of the official evaluation's settings per image, uint8 (N, H, W, 3) to (N,)."""
    return structural_similarity(a, b, OFFICIAL_LPIPS, data_range=255)


def official_ssim_of_lab(a: Images, b: Images) -> Floats:
    """The same on their Lab values."""
    lab, other = (rgb_to_lab(x, out=scratch(name, x.shape)) for name, x in (("lab", a), ("other lab", b)))
    return structural_similarity(lab, other, OFFICIAL_LPIPS, data_range=100)


_UNIFORM = "SSIM with a 7x7 uniform window, sample covariance"

SSIM = register_metric(
    Metric(
        concurrent=True,
        name="ssim",
        description="1 - SSIM, 11x11 Gaussian window, sigma 1.5, population covariance, mean over R, G, B, range 255, "
        "shrunk to about 256 pixels first if the shorter side is 384 or more",
        contrast=in_chunks(ssim),
        head=lambda similarity: 1 - similarity,
        smallest_side=WANG_2004.side,
    )
)
DSSIM = register_metric(
    Metric(
        concurrent=True,
        name="dssim",
        description=f"(1 - SSIM) / 2, {_UNIFORM}, mean over R, G, B, range 255",
        contrast=in_chunks(official_ssim),
        head=lambda similarity: (1 - similarity) / 2,
        smallest_side=OFFICIAL_LPIPS.side,
    )
)
DSSIM_LAB = register_metric(
    Metric(
        concurrent=True,
        name="dssim-lab",
        description=f"(1 - SSIM) / 2, {_UNIFORM}, mean over L, a, b, range 100",
        contrast=in_chunks(official_ssim_of_lab),
        head=lambda similarity: (1 - similarity) / 2,
        smallest_side=OFFICIAL_LPIPS.side,
    )
)
