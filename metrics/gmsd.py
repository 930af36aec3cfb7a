"""GMSD: Xue, Zhang, Mou and Bovik, IEEE TIP 2014, doi 10.1109/TIP.2013.2293423.

The spread of local gradient similarities: damage that is uneven is what people see. Filters and block
means follow the authors: zeros outside the image, the result as large as the image.
"""

import torch
from torch import Tensor

from metrics.gradients import PREWITT, gradient_magnitude
from metrics.metric import Metric
from metrics.pieces import contrast, embedding
from metrics.planes import LUMA, block_means, in_levels
from metrics.registry import register_metric
from metrics.similarity import safe_sqrt, similarity
from metrics.tensors import check_unit_pair

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


GMSD = register_metric(
    Metric(
        concurrent=True,
        name="gmsd",
        description="GMSD of luminance, halved, Prewitt gradients, c = 170 on range 255, sample deviation",
        # Float32 moves no distance by more than 1e-6.
        embed=embedding(_gradients, dtype=torch.float32),
        contrast=contrast(_deviation),
        smallest_side=_SMALLEST_SIDE,
    )
)
