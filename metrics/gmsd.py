"""GMSD: Xue, Zhang, Mou and Bovik, IEEE TIP 2014, doi 10.1109/TIP.2013.2293423.

The spread of local gradient similarities: damage that is uneven is what people see.

The steps that FSIM, VSI and MDSI take too are the public functions of this file. All filters follow the
authors: zeros outside the image, the result as large as the image.
"""

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from metrics.metric import Images, Metric
from metrics.registry import register_metric
from metrics.tensors import check_unit_pair, to_unit_tensor

Floats = NDArray[np.float64]

# Constants of these papers are on levels of 0 to 255.
LEVELS = 255.0
# The inner and outer weights that smooth a 3x3 gradient filter.
PREWITT = (1 / 3, 1 / 3)
SCHARR = (10 / 16, 3 / 16)

# Samples a piece: fewer waste time between operations, more do not fit the cache.
_PIECE = 200_000

# Section II: the constant of the similarity, written T in the authors' code.
_C = 170.0
_LUMINANCE = ((0.299, 0.587, 0.114),)
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
    return gradient_magnitude(block_means(in_levels(images, _LUMINANCE), 2), PREWITT)[:, 0]


def _deviation(a: Tensor, b: Tensor) -> Tensor:
    return safe_sqrt(similarity(a, b, _C).flatten(1).var(1))


def in_levels(images: Tensor, weights: Sequence[Sequence[float]]) -> Tensor:
    """Weighted sums of the channels, on 0 to 255: unit RGB (N, 3, H, W) to (N, K, H, W); K rows of three weights."""
    return (images.new_tensor(weights) * LEVELS @ images.flatten(2)).unflatten(2, images.shape[2:])


def block_means(images: Tensor, side: int) -> Tensor:
    """Means of blocks of `side` x `side`, one for every block that begins: (..., H, W) to about 1 / side of it.

    Blocks are placed as by a "same" convolution that keeps every `side`-th value from the first.
    """
    height, width = images.shape[-2:]
    before, after = side - 1 - side // 2, side // 2
    padded = functional.pad(images, (before, after, before, after))
    # Sums of slices, since pooling is several times slower.
    rows = reduce(torch.add, (padded[..., i : i + height : side, :] for i in range(side)))
    return reduce(torch.add, (rows[..., i : i + width : side] for i in range(side))) / side**2


def gradient_magnitude(images: Tensor, weights: tuple[float, float]) -> Tensor:
    """Length of the gradient, filters of 3x3 with the given smoothing: (N, K, H, W) to the same shape."""
    inner, outer = weights
    padded = functional.pad(images, (1, 1, 1, 1))
    across = padded[..., 2:] - padded[..., :-2]
    across = inner * across[..., 1:-1, :] + outer * (across[..., :-2, :] + across[..., 2:, :])
    down = padded[..., 2:, :] - padded[..., :-2, :]
    down = inner * down[..., 1:-1] + outer * (down[..., :-2] + down[..., 2:])
    return safe_sqrt(across.square() + down.square())


def similarity(a: Tensor, b: Tensor, constant: float) -> Tensor:
    """(2ab + c) / (a² + b² + c) value by value, exactly 1 where a and b are equal."""
    return (2 * (a * b) + constant) / (a * a + b * b + constant)


def safe_sqrt(values: Tensor) -> Tensor:
    """Square root with gradient 0 at 0, where the true one is infinite; 1e-12 there instead of 0."""
    return values.clamp_min(1e-24).sqrt()


def embedding(
    function: Callable[[Tensor], Tensor], *, dtype: torch.dtype = torch.float64, working_size: int = 0
) -> Callable[[Images], Tensor]:
    """Make the `embed` of a metric of a function of unit RGB (N, 3, H, W): without gradients, a piece at a time.

    `working_size` is how many samples the function makes of an image, if that is more than the image has.
    """

    @torch.inference_mode()
    def embed(images: Images) -> Tensor:
        rows = max(1, _PIECE // max(working_size, images[0].size))
        starts = range(0, len(images), rows)
        return torch.cat([function(to_unit_tensor(images[start : start + rows]).to(dtype)) for start in starts])

    return embed


def contrast(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Floats]:
    """Make the `contrast` of a metric of a function of two embeddings: without gradients, in float64, in pieces."""

    @torch.inference_mode()
    def compare(a: Tensor, b: Tensor) -> Floats:
        rows = max(1, _PIECE // a[0].numel())
        pairs = zip(a.split(rows), b.split(rows), strict=True)
        return torch.cat([function(one.double(), other.double()) for one, other in pairs]).numpy()

    return compare


GMSD = register_metric(
    Metric(
        concurrent=True,
        name="gmsd",
        description="GMSD of luminance, halved, Prewitt gradients, c = 170 on range 255, sample deviation",
        embed=embedding(_gradients),
        contrast=contrast(_deviation),
        smallest_side=_SMALLEST_SIDE,
    )
)
