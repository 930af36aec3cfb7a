"""Multi-scale structural similarity: Wang, Simoncelli and Bovik, Asilomar 2003, doi 10.1109/ACSSC.2003.1292216.

The settings that change a number:

window      11x11 Gaussian, sigma 1.5, population covariance, windows inside the image only
constants   K1 = 0.01, K2 = 0.03, values in [0, 1]
scales      each is the one before, averaged over 2x2 pixels; the last row or column of an odd side counts twice
colour      R, G and B on their own, then the mean of the three; a grey image gets the number of the paper
weights     5 scales: those of the paper (they sum to 1.0001 and are used as they are);
            3 scales: the first three of them over their sum, .0711, .4530, .4760
negative    contrast-structure that is negative on average counts as 0, and then so does the product

Five scales need a side of 161 pixels: the coarsest must hold one window. Three need 41. Why the first three
weights for 64-pixel patches: the weights were measured scale by scale, so the ratio of two of them still
holds when other scales are missing, and a sum of 1 keeps the index on the range of the single-scale SSIM.
Large images are not shrunk first: that is what the scales are for. All arithmetic is in float64.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bapps_builder.errors import MetricError
from metrics.metric import Metric
from metrics.registry import register_metric
from metrics.ssim import K1, K2, WANG_2004
from metrics.tensors import check_unit_pair, to_unit_tensor

WANG_2003 = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WEIGHTS = {3: tuple(weight / sum(WANG_2003[:3]) for weight in WANG_2003[:3]), 5: WANG_2003}

# Outputs one band matrix computes: wider wastes work on its zeros, narrower on calls.
_TILE = 32
# Larger pieces of a batch make each intermediate so big that it is fetched from the system anew.
_SAMPLES_PER_PIECE = 150_000


def smallest_side(scales: int) -> int:
    """Pixels a side needs so that the coarsest scale holds one window."""
    return (WANG_2004.side - 1) * 2 ** (scales - 1) + 1


def ms_ssim(a: Tensor, b: Tensor, *, scales: int = 5) -> Tensor:
    """MS-SSIM per image (eq. 7), differentiable and symmetric.

    Parameters
    ----------
    a, b : float tensors of shape (N, 3, H, W), RGB in [0, 1]
        H and W at least 161 for five scales, 41 for three.
    scales : 3 or 5

    Returns
    -------
    float64 tensor of shape (N,), in [0, 1], 1 for equal images
        The gradient is 0 through a term that was negative.

    Raises
    ------
    MetricError
        If `scales` is another number, or a and b are no such pair.
    """
    if scales not in WEIGHTS:
        raise MetricError(f"MS-SSIM has 3 or 5 scales here, got {scales}")
    check_unit_pair(f"ms-ssim-{scales}", a, b, smallest_side=smallest_side(scales))
    pair = torch.stack((a, b)).double()  # (2, N, 3, H, W)
    product = torch.ones((), dtype=torch.float64, device=a.device)
    *finer, coarsest = WEIGHTS[scales]
    for weight in finer:
        product = product * _power_of_positive(_structure(*_moments(pair)).mean((2, 3)), weight)
        pair = _halved(pair)
    moments = _moments(pair)
    product = product * _power_of_positive((_luminance(*moments) * _structure(*moments)).mean((2, 3)), coarsest)
    return product.mean(1)


def windowed(planes: Tensor, taps: tuple[float, ...]) -> Tensor:
    """Correlate with a separable window, inside the image only: (..., H, W) to (..., H - k + 1, W - k + 1).

    Products with band matrices, a tile of outputs at a time: in float64 several times faster than a
    convolution of torch, and no less exact.
    """
    extra = len(taps) - 1
    along_rows = torch.cat(
        [
            planes[..., start : start + count + extra] @ _band(taps, count, planes.device)
            for start, count in _tiles(planes.shape[-1] - extra)
        ],
        -1,
    )
    return torch.cat(
        [
            _band(taps, count, planes.device).mT @ along_rows[..., start : start + count + extra, :]
            for start, count in _tiles(planes.shape[-2] - extra)
        ],
        -2,
    )


def _tiles(outputs: int) -> list[tuple[int, int]]:
    """Start and length of near-equal tiles."""
    count = -(-outputs // _TILE)
    cuts = [outputs * tile // count for tile in range(count + 1)]
    return [(start, end - start) for start, end in pairwise(cuts)]


@lru_cache(maxsize=64)
def _band(taps: tuple[float, ...], count: int, device: torch.device) -> Tensor:
    """The matrix (count + k - 1, count) whose product windows a row.

    Made outside of inference mode, whoever asks first: what that mode makes could not serve a gradient later.
    """
    band = np.zeros((count + len(taps) - 1, count))
    for column in range(count):
        band[column : column + len(taps), column] = taps
    with torch.inference_mode(mode=False):
        return torch.from_numpy(band).to(device)


def _moments(pair: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of each window: mean x mean y, mean x² + mean y², the covariance, and the sum of the two variances."""
    x, y = pair
    # The variances are needed as their sum only, so x² and y² share a plane.
    mean_x, mean_y, squares, products = windowed(torch.stack((x, y, x * x + y * y, x * y)), WANG_2004.taps)
    product_of_means, squared_means = mean_x * mean_y, mean_x**2 + mean_y**2
    return product_of_means, squared_means, products - product_of_means, squares - squared_means


def _luminance(product_of_means: Tensor, squared_means: Tensor, covariance: Tensor, variances: Tensor) -> Tensor:
    """2004, eq. 6."""
    return (2 * product_of_means + K1**2) / (squared_means + K1**2)


def _structure(product_of_means: Tensor, squared_means: Tensor, covariance: Tensor, variances: Tensor) -> Tensor:
    """Contrast times structure: 2004, eq. 9 times eq. 10, with C3 = C2 / 2."""
    return (2 * covariance + K2**2) / (variances + K2**2)


def _halved(pair: Tensor) -> Tensor:
    """Means of 2x2 pixels, the edge of an odd side doubled: (2, N, C, H, W) to half of it, rounded up."""
    planes = pair.flatten(0, 1)
    planes = F.pad(planes, (0, planes.shape[3] % 2, 0, planes.shape[2] % 2), mode="replicate")
    return F.avg_pool2d(planes, 2).unflatten(0, pair.shape[:2])


def _power_of_positive(base: Tensor, exponent: float) -> Tensor:
    """base^exponent, and 0 where base is not positive.

    A fractional power of a negative number is complex, and the slope of one at 0 infinite.
    """
    positive = base > 0
    return torch.where(positive, torch.where(positive, base, 1.0) ** exponent, 0.0)


@torch.inference_mode()
def _in_pieces(a: Tensor, b: Tensor, scales: int) -> Tensor:
    rows = max(1, _SAMPLES_PER_PIECE // a.shape[1:].numel())
    pieces = zip(a.split(rows), b.split(rows), strict=True)
    return torch.cat([ms_ssim(x, y, scales=scales) for x, y in pieces])


def _three_scales(a: Tensor, b: Tensor) -> Tensor:
    return _in_pieces(a, b, 3)


def _five_scales(a: Tensor, b: Tensor) -> Tensor:
    return _in_pieces(a, b, 5)


def _distance(similarity: Tensor) -> NDArray[np.float64]:
    return (1 - similarity).numpy()


_SETTINGS = "11x11 Gaussian window, sigma 1.5, mean over R, G, B, negative structure 0"

MS_SSIM_3 = register_metric(
    Metric(
        concurrent=True,
        name="ms-ssim-3",
        description=f"1 - MS-SSIM, 3 scales, the paper's first weights over their sum, {_SETTINGS}",
        embed=to_unit_tensor,
        contrast=_three_scales,
        head=_distance,
        smallest_side=smallest_side(3),
    )
)
MS_SSIM_5 = register_metric(
    Metric(
        concurrent=True,
        name="ms-ssim-5",
        description=f"1 - MS-SSIM, 5 scales, the paper's weights, {_SETTINGS}",
        embed=to_unit_tensor,
        contrast=_five_scales,
        head=_distance,
        smallest_side=smallest_side(5),
    )
)
