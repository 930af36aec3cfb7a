"""GMSD: Xue, Zhang, Mou and Bovik, IEEE TIP 2014, doi 10.1109/TIP.2013.2293423.

The spread of local gradient similarities: damage that is uneven is what people see. Filters and block
means follow the authors: zeros outside the image, the result as large as the image. `gmsd@matlab` begins
with MATLAB's rounded luma (rgb2gray), as the authors' script does.
"""

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bapps_builder.images.compiled import compiled
from metrics.image_math.channels import LUMA, block_means, in_levels
from metrics.image_math.color import rounded_gray
from metrics.image_math.gradients import PREWITT, gradient_magnitude
from metrics.image_math.numpy_threads import in_chunks
from metrics.image_math.similarity import safe_sqrt, similarity
from metrics.image_math.tensors import check_unit_pair
from metrics.metric import Images, Metric
from metrics.registry import register_metric

# Section II: the constant of the similarity, written T in the authors' code.
_C = 170.0
# Halving leaves the 3x3 filter one full window.
_SMALLEST_SIDE = 6


def gmsd(a: Tensor, b: Tensor) -> Tensor:
    """Gradient magnitude similarity deviation per pair, eq. 4 to 6; differentiable and symmetric.

    Luminance .299 R + .587 G + .114 B on 0 to 255; means of 2x2 blocks at every size; Prewitt gradients
    divided by 3; c = 170; sample standard deviation (n - 1) of the similarities, as in the authors' code.

    Parameters
    ----------
    a, b : float tensors of shape (N, 3, H, W)
        RGB in [0, 1], H and W at least 6. Computed in float64.

    Returns
    -------
    tensor of shape (N,), float64
        At least 0, which is for equal images; bigger is further.

    Raises
    ------
    MetricError
        If the tensors are no such pair.
    """
    check_unit_pair("gmsd", a, b, smallest_side=_SMALLEST_SIDE)
    return _deviation(_gradients(a.double()), _gradients(b.double()))


def _gradients(images: Tensor) -> Tensor:
    """Gradient magnitudes of the halved luminance: (N, 3, H, W) to (N, H / 2, W / 2)."""
    return gradient_magnitude(block_means(in_levels(images, [LUMA]), 2), PREWITT)[:, 0]


def _deviation(a: Tensor, b: Tensor) -> Tensor:
    local = similarity(a, b, _C).flatten(1)
    # Several times faster than `var`.
    squares = (local - local.mean(1, keepdim=True)).square().sum(1)
    return safe_sqrt(squares / (local.shape[1] - 1))


def gmsd_of_bytes(a: Images, b: Images) -> NDArray[np.float64]:
    """`gmsd` of uint8 images (N, H, W, 3), several times as fast, for where no gradient is wanted."""
    deviations = np.empty(len(a))
    _deviations(a, b, deviations)
    return deviations


@compiled
def _deviations(a: Images, b: Images, deviations: NDArray[np.float64]) -> None:
    """Image by image, so that all of one stays in the nearest cache."""
    count, height, width, _ = a.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    local = np.empty((rows, columns))
    for i in range(count):
        first, second = _halved(a[i]), _halved(b[i])
        for y in range(rows):
            for x in range(columns):
                p, q = _squared_gradient(first, y, x), _squared_gradient(second, y, x)
                local[y, x] = (2 * math.sqrt(p * q) + _C) / (p + q + _C)
        deviations[i] = math.sqrt(np.sum((local - local.mean()) ** 2) / (local.size - 1))


@compiled
def _halved(image: Images) -> NDArray[np.float64]:
    """Luminance in means of 2x2 pixels, with zeros around it."""
    height, width, _ = image.shape
    plane = np.zeros(((height + 1) // 2 + 2, (width + 1) // 2 + 2))
    for y in range(height):
        for x in range(width):
            value = LUMA[0] * image[y, x, 0] + LUMA[1] * image[y, x, 1] + LUMA[2] * image[y, x, 2]
            plane[1 + y // 2, 1 + x // 2] += value / 4
    return plane


@compiled
def _squared_gradient(plane: NDArray[np.float64], y: int, x: int) -> float:
    """Of Prewitt's filters over 3, around the position that has y rows and x columns before it."""
    across = down = 0.0
    for k in range(3):
        across += plane[y + k, x + 2] - plane[y + k, x]
        down += plane[y + 2, x + k] - plane[y, x + k]
    return (across * across + down * down) / 9


_SETTINGS = "halved, Prewitt gradients, c = 170 on range 255, sample deviation"
_contrast = in_chunks(gmsd_of_bytes)

GMSD = register_metric(
    Metric(
        concurrent=True,
        name="gmsd",
        description=f"GMSD of luminance, {_SETTINGS}",
        contrast=_contrast,
        smallest_side=_SMALLEST_SIDE,
        make_loss=lambda: gmsd,
    ),
    Metric(
        concurrent=True,
        name="gmsd@matlab",
        description=f"GMSD of MATLAB's rounded luma, {_SETTINGS}",
        embed=rounded_gray,
        contrast=_contrast,
        smallest_side=_SMALLEST_SIDE,
    ),
)
