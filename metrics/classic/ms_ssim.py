"""Multi-scale structural similarity: Wang, Simoncelli and Bovik, Asilomar 2003, doi 10.1109/ACSSC.2003.1292216.

The settings that change a number:

window      11x11 Gaussian, sigma 1.5, population covariance, windows inside the image only
constants   K1 = 0.01, K2 = 0.03, values in [0, 1]
scales      each is the one before, averaged over 2x2 pixels; the last row or column of an odd side counts twice
colour      R, G and B on their own, then the mean of the three; a grey image gets the number of the paper.
            The variants @luma take MATLAB's rounded luma instead, as most papers print it
weights     5 scales: those of the paper (they sum to 1.0001 and are used as they are);
            3 scales: the first three of them over their sum, .0711, .4530, .4760
negative    contrast-structure that is negative on average counts as 0, and then so does the product

Five scales need a side of 161 pixels: the coarsest must hold one window. Three need 41. Why the first three
weights for 64-pixel patches: the weights were measured scale by scale, so the ratio of two of them still
holds when other scales are missing, and a sum of 1 keeps the index on the range of the single-scale SSIM.
Large images are not shrunk first: that is what the scales are for. All arithmetic is in float64.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bapps_builder.errors import MetricError
from bapps_builder.images.compiled import compiled
from metrics.classic.ssim import structure_and_similarity
from metrics.image_math.channels import LEVELS
from metrics.image_math.color import rounded_luma
from metrics.image_math.numpy_threads import in_chunks
from metrics.image_math.structure import WANG_2004, luminance, moments, structure
from metrics.image_math.tensors import check_unit_pair
from metrics.metric import Images, Metric, identity
from metrics.registry import register_metric

Loss = Callable[[Tensor, Tensor], Tensor]

WANG_2003 = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WEIGHTS = {3: tuple(weight / sum(WANG_2003[:3]) for weight in WANG_2003[:3]), 5: WANG_2003}


def smallest_side(scales: int) -> int:
    """Pixels a side needs so that the coarsest scale holds one window."""
    return (WANG_2004.side - 1) * 2 ** (scales - 1) + 1


def ms_ssim_similarity(a: Tensor, b: Tensor, *, scales: int = 5) -> Tensor:
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
    a, b = a.double(), b.double()
    product = torch.ones((), dtype=torch.float64, device=a.device)
    *finer, coarsest = WEIGHTS[scales]
    for weight in finer:
        product = product * _power_of_positive(structure(moments(a, b)).mean((2, 3)), weight)
        a, b = _halved(a), _halved(b)
    coarse = moments(a, b)
    product = product * _power_of_positive((luminance(coarse) * structure(coarse)).mean((2, 3)), coarsest)
    return product.mean(1)


def ms_ssim_distance(a: Tensor, b: Tensor, *, scales: int = 5) -> Tensor:
    """1 - `ms_ssim_similarity`."""
    return 1 - ms_ssim_similarity(a, b, scales=scales)


def ms_ssim_similarity_of_bytes(a: Images, b: Images, *, scales: int = 5) -> NDArray[np.float64]:
    """`ms_ssim_similarity` of uint8 images (N, H, W, 3), many times as fast, for where no gradient is wanted."""
    product = np.ones(a.shape[::3])
    *finer, coarsest = WEIGHTS[scales]
    x, y = a, b
    for weight in finer:
        contrast, _ = structure_and_similarity(x, y, WANG_2004, data_range=LEVELS)
        product *= contrast.clip(min=0) ** weight
        x, y = _halved_pixels(x), _halved_pixels(y)
    _, similarity = structure_and_similarity(x, y, WANG_2004, data_range=LEVELS)
    return (product * similarity.clip(min=0) ** coarsest).mean(1)


@compiled
def _halved_pixels(images: NDArray[np.generic]) -> NDArray[np.float64]:
    """As `_halved`, (N, H, W, C)."""
    count, height, width, channels = images.shape
    result = np.empty((count, (height + 1) // 2, (width + 1) // 2, channels))
    for n in range(count):
        for i in range(result.shape[1]):
            above, below = images[n, 2 * i], images[n, min(2 * i + 1, height - 1)]
            for j in range(result.shape[2]):
                left, right = 2 * j, min(2 * j + 1, width - 1)
                for k in range(channels):
                    total = float(above[left, k]) + above[right, k] + below[left, k] + below[right, k]
                    result[n, i, j, k] = total / 4
    return result


def _halved(planes: Tensor) -> Tensor:
    """Means of 2x2 pixels, the edge of an odd side doubled: (N, C, H, W) to half of it, rounded up."""
    planes = F.pad(planes, (0, planes.shape[3] % 2, 0, planes.shape[2] % 2), mode="replicate")
    rows = planes[..., ::2, :] + planes[..., 1::2, :]  # pooling is several times slower
    return (rows[..., ::2] + rows[..., 1::2]).mul_(0.25)


def _power_of_positive(base: Tensor, exponent: float) -> Tensor:
    """base^exponent, and 0 where base is not positive.

    A fractional power of a negative number is complex, and the slope of one at 0 infinite.
    """
    positive = base > 0
    return torch.where(positive, torch.where(positive, base, 1.0) ** exponent, 0.0)


def _metric(scales: int, weights: str) -> Metric:
    similarity = in_chunks(partial(ms_ssim_similarity_of_bytes, scales=scales))

    def variant(
        name: str, planes: str, embed: Callable[[Images], Images], make_loss: Callable[[], Loss] | None = None
    ) -> Metric:
        return Metric(
            concurrent=True,
            name=name,
            description=f"1 - MS-SSIM, {scales} scales, {weights}, 11x11 Gaussian window, sigma 1.5, "
            f"{planes}, negative structure 0",
            embed=embed,
            contrast=similarity,
            head=lambda similarity: 1 - similarity,
            smallest_side=smallest_side(scales),
            make_loss=make_loss,
        )

    name = f"ms-ssim-{scales}"
    return register_metric(
        variant(name, "mean over R, G, B", identity, lambda: partial(ms_ssim_distance, scales=scales)),
        variant(f"{name}@luma", "MATLAB's rounded luma", rounded_luma),
    )


MS_SSIM_3 = _metric(3, "the paper's first weights over their sum")
MS_SSIM_5 = _metric(5, "the paper's weights")
