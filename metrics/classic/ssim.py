"""Structural similarity: Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 2004, doi 10.1109/TIP.2003.819861.

Two settings go by the name SSIM, so both are here and say which they are:

ssim                 an 11x11 Gaussian window, sigma 1.5, population covariance: the authors' own code
dssim, dssim-lab     a 7x7 uniform window, sample covariance: what the official LPIPS evaluation ran

Both average over the windows that lie inside the image and over channels, in float64 (float32 is off by
more than 1e-5, since a variance is the small difference of two large numbers).

The authors' code first shrinks images whose shorter side is 384 pixels or more, by the factor
round(side / 256), and so does `ssim`. The other two never shrink, and neither do its variants:

ssim@full            as `ssim`, at the images' own size, whatever it is
ssim@luma            the same on MATLAB's rounded luma (rgb2gray), as most papers print it
"""

import math
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapps_builder.images.compiled import compiled
from metrics.image_math.color import rgb_to_lab, rounded_luma
from metrics.image_math.numpy_threads import in_chunks
from metrics.image_math.structure import K1, K2, WANG_2004, luminance, moments, structure
from metrics.image_math.tensors import check_unit_pair
from metrics.image_math.windows import Window, uniform_window
from metrics.metric import Images, Metric
from metrics.registry import register_metric

Floats = NDArray[np.float64]

OFFICIAL_LPIPS = uniform_window(7)

# Side to which the authors' code shrinks larger images, about.
VIEWED_SIDE = 256


def ssim_similarity(a: Tensor, b: Tensor, window: Window = WANG_2004, *, shrink: bool = True) -> Tensor:
    """SSIM per image, eq. 13 averaged over R, G, B and inner positions; differentiable and symmetric.

    Parameters
    ----------
    a, b : float tensors of shape (N, 3, H, W)
        RGB in [0, 1], H and W at least `window.side`. Computed in float64.
    window : Window
    shrink : bool
        Shrink images of 384 pixels up first, as the authors' code does.

    Returns
    -------
    tensor of shape (N,), float64
        At most 1, for equal images.

    Raises
    ------
    MetricError
        If the tensors are no such pair.
    """
    return 1 - _distance("ssim", a, b, window=window, shrink=shrink)


def _distance(
    name: str, a: Tensor, b: Tensor, *, window: Window = WANG_2004, shrink: bool = True, scale: float = 1.0
) -> Tensor:
    """`scale` times 1 - SSIM, for the loss of a name."""
    check_unit_pair(name, a, b, smallest_side=window.side)
    factor = _shrinking(*a.shape[2:]) if shrink else 1
    statistics = moments(_shrunk_planes(a.double(), factor), _shrunk_planes(b.double(), factor), window)
    return scale * (1 - luminance(statistics) * structure(statistics)).mean((1, 2, 3))


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
    return structure_and_similarity(a, b, window, data_range=data_range)[1].mean(1)


def structure_and_similarity(
    a: NDArray[np.generic], b: NDArray[np.generic], window: Window, *, data_range: float
) -> Floats:
    """Means over inner positions of contrast times structure (eq. 9 and 10) and of SSIM: (2, N, C).

    Parameters as of `structural_similarity`.
    """
    count, height, width, channels = a.shape
    sums = np.empty((2, count, channels))
    constants = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    _sums(a, b, window.taps, window.covariance_factor, constants, sums)
    return sums / ((height - window.side + 1) * (width - window.side + 1))


@compiled
def _sums(
    a: NDArray[np.generic],
    b: NDArray[np.generic],
    taps: tuple[float, ...],
    covariance_factor: float,
    constants: tuple[float, float],
    sums: Floats,
) -> None:
    """Sums over inner positions of contrast times structure and of eq. 13, images (N, H, W, C) to (2, N, C).

    x² and y² enter eq. 13 as a sum only, so their windowed variances need one plane: that of (x - y)²,
    which is exactly 0 for equal images.
    """
    n, height, width, channels = a.shape
    side = len(taps)  # known to the compiler, which unrolls the loops over it and makes vectors of those inside
    inner_height, inner_width = height - side + 1, width - side + 1
    c1, c2 = constants
    row = np.empty((4, width))  # x, y, (x - y)², x y
    along = np.empty((height, 4, inner_width))
    windowed = np.empty((4, inner_width))
    for image in range(n):
        for channel in range(channels):
            structure_total = similarity_total = 0.0
            for i in range(height):
                for j in range(width):
                    x, y = float(a[image, i, j, channel]), float(b[image, i, j, channel])
                    row[0, j] = x
                    row[1, j] = y
                    row[2, j] = (x - y) ** 2
                    row[3, j] = x * y
                for moment in range(4):
                    for j in range(inner_width):
                        value = 0.0
                        for k in range(side):
                            value += taps[k] * row[moment, j + k]
                        along[i, moment, j] = value
            for i in range(inner_height):
                for moment in range(4):
                    for j in range(inner_width):
                        value = 0.0
                        for k in range(side):
                            value += taps[k] * along[i + k, moment, j]
                        windowed[moment, j] = value
                for j in range(inner_width):
                    x, y = windowed[0, j], windowed[1, j]
                    means, gap = 2 * x * y, (x - y) ** 2
                    covariances = covariance_factor * (2 * windowed[3, j] - means)
                    variances = covariances + covariance_factor * (windowed[2, j] - gap)
                    structure = (covariances + c2) / (variances + c2)
                    structure_total += structure
                    similarity_total += structure * (means + c1) / (means + gap + c1)
            sums[0, image, channel], sums[1, image, channel] = structure_total, similarity_total


def ssim_similarity_of_bytes(a: Images, b: Images) -> Floats:
    """SSIM of Wang's settings per image, uint8 (N, H, W, 3) to (N,); images of 384 pixels up shrink first."""
    factor = _shrinking(*a.shape[1:3])
    return structural_similarity(_shrunk(a, factor), _shrunk(b, factor), WANG_2004, data_range=255)


def full_size_similarity_of_bytes(a: Images, b: Images) -> Floats:
    """SSIM of Wang's settings per image at its own size, uint8 (N, H, W, C) to (N,)."""
    return structural_similarity(a, b, WANG_2004, data_range=255)


def _shrinking(height: int, width: int) -> int:
    """The factor by which the authors' code shrinks an image."""
    return max(1, math.floor(min(height, width) / VIEWED_SIDE + 0.5))


def _shrunk(images: Images, factor: int) -> NDArray[np.generic]:
    """Every factor-th pixel of a mean filter of that width, borders mirrored, as the authors' code shrinks."""
    if factor == 1:
        return images
    n, height, width, channels = images.shape
    rows, columns = _places(height, factor), _places(width, factor)
    blocks = images[:, rows][:, :, columns].reshape(n, len(rows) // factor, factor, -1, factor, channels)
    return blocks.mean((2, 4))


def _shrunk_planes(planes: Tensor, factor: int) -> Tensor:
    """The same of (N, C, H, W)."""
    if factor == 1:
        return planes
    rows, columns = (torch.from_numpy(_places(side, factor)).to(planes.device) for side in planes.shape[2:])
    samples = planes.index_select(2, rows).index_select(3, columns)
    return samples.unflatten(3, (-1, factor)).unflatten(2, (-1, factor)).mean((3, 5))


def _places(side: int, factor: int) -> NDArray[np.intp]:
    """Where the pixels of the blocks are that become one each, mirrored beyond the border."""
    blocks, before = math.ceil(side / factor), (factor - 1) // 2
    after = max(0, blocks * factor - side - before)
    return np.pad(np.arange(side), (before, after), mode="symmetric")[: blocks * factor]


def official_similarity_of_bytes(a: Images, b: Images) -> Floats:
    """SSIM of the official evaluation's settings per image, uint8 (N, H, W, 3) to (N,)."""
    return structural_similarity(a, b, OFFICIAL_LPIPS, data_range=255)


def official_similarity_of_lab(a: Images, b: Images) -> Floats:
    """The same on their Lab values."""
    return structural_similarity(rgb_to_lab(a), rgb_to_lab(b), OFFICIAL_LPIPS, data_range=100)


_UNIFORM = "SSIM with a 7x7 uniform window, sample covariance"

_GAUSSIAN = "1 - SSIM, 11x11 Gaussian window, sigma 1.5, population covariance"
_full_size = in_chunks(full_size_similarity_of_bytes)

SSIM = register_metric(
    Metric(
        concurrent=True,
        name="ssim",
        description=f"{_GAUSSIAN}, mean over R, G, B, range 255, "
        "shrunk to about 256 pixels first if the shorter side is 384 or more",
        contrast=in_chunks(ssim_similarity_of_bytes),
        head=lambda similarity: 1 - similarity,
        smallest_side=WANG_2004.side,
        make_loss=lambda: partial(_distance, "ssim"),
    ),
    Metric(
        concurrent=True,
        name="ssim@full",
        description=f"{_GAUSSIAN}, mean over R, G, B, range 255, never shrunk",
        contrast=_full_size,
        head=lambda similarity: 1 - similarity,
        smallest_side=WANG_2004.side,
        make_loss=lambda: partial(_distance, "ssim@full", shrink=False),
    ),
    Metric(
        concurrent=True,
        name="ssim@luma",
        description=f"{_GAUSSIAN}, MATLAB's rounded luma, range 255, never shrunk",
        embed=rounded_luma,
        contrast=_full_size,
        head=lambda similarity: 1 - similarity,
        smallest_side=WANG_2004.side,
    ),
)
DSSIM = register_metric(
    Metric(
        concurrent=True,
        name="dssim",
        description=f"(1 - SSIM) / 2, {_UNIFORM}, mean over R, G, B, range 255",
        contrast=in_chunks(official_similarity_of_bytes),
        head=lambda similarity: (1 - similarity) / 2,
        smallest_side=OFFICIAL_LPIPS.side,
        make_loss=lambda: partial(_distance, "dssim", window=OFFICIAL_LPIPS, shrink=False, scale=0.5),
    )
)
DSSIM_LAB = register_metric(
    Metric(
        concurrent=True,
        name="dssim-lab",
        description=f"(1 - SSIM) / 2, {_UNIFORM}, mean over L, a, b, range 100",
        contrast=in_chunks(official_similarity_of_lab),
        head=lambda similarity: (1 - similarity) / 2,
        smallest_side=OFFICIAL_LPIPS.side,
    )
)
