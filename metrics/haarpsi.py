"""HaarPSI: Reisenhofer, Bosse, Kutyniok and Wiegand, Signal Processing: Image Communication 2018.

doi 10.1016/j.image.2017.11.001. Similarity of Haar wavelet coefficients of two fine scales, weighted by a
coarser one.
"""

import torch
from torch import Tensor
from torch.nn import functional

from metrics.metric import Metric
from metrics.pieces import contrast, embedding
from metrics.planes import YIQ, block_means, in_levels
from metrics.registry import register_metric
from metrics.similarity import similarity
from metrics.tensors import check_unit_pair

_C, _ALPHA = 30.0, 4.2
_SCALES = 3
# One full window of the largest filter, on the halved image.
_SMALLEST_SIDE = 2 * 2**_SCALES


def haarpsi(a: Tensor, b: Tensor) -> Tensor:
    """Haar perceptual similarity index of colour images per pair, eq. 10 to 13; differentiable and symmetric.

    YIQ on 0 to 255, halved by means of 2x2 blocks at every size (the authors' preprocessing). Haar
    filters of sides 2 and 4 are compared, C = 30, weighted by the one of side 8; means of 2x2 of I and Q
    likewise; alpha = 4.2.

    Parameters
    ----------
    a, b : float tensors of shape (N, 3, H, W)
        RGB in [0, 1], H and W at least 16. Computed in float64.

    Returns
    -------
    tensor of shape (N,), float64
        In [0, 1], 1 for equal images.

    Raises
    ------
    MetricError
        If the tensors are no such pair.
    """
    check_unit_pair("haarpsi", a, b, smallest_side=_SMALLEST_SIDE)
    return _index(_coefficients(a.double()), _coefficients(b.double()))


def _coefficients(images: Tensor) -> Tensor:
    """Magnitudes of both orientations at each scale, and of I and Q: (N, 3, H, W) to (N, 8, H / 2, W / 2).

    In the order horizontal 2, 4, 8, vertical 2, 4, 8, I, Q.
    """
    yiq = block_means(in_levels(images, YIQ), 2)
    luminance = yiq[:, :1]
    steps_down = [_haar(luminance, scale) for scale in range(1, _SCALES + 1)]
    steps_across = [_haar(luminance.mT, scale).mT for scale in range(1, _SCALES + 1)]
    chroma = _window_sums(_window_sums(functional.pad(yiq[:, 1:], (0, 1, 0, 1)), 2).mT, 2).mT / 4
    return torch.cat([*steps_down, *steps_across, chroma], 1).abs()


def _haar(images: Tensor, scale: int) -> Tensor:
    """Upper less lower half of the window of side 2^scale around each position, divided by the side."""
    side, half, height = 2**scale, 2 ** (scale - 1), images.shape[-2]
    padded = functional.pad(images, (half - 1, half, half - 1, half))
    halves = _window_sums(padded.mT, half).mT
    steps = halves[..., :height, :] - halves[..., half : half + height, :]
    return _window_sums(steps, side) / side


def _window_sums(images: Tensor, side: int) -> Tensor:
    """Sums of `side` neighbours along the last axis, `side` a power of 2."""
    reach = 1
    while reach < side:
        images = images[..., :-reach] + images[..., reach:]
        reach *= 2
    return images


def _index(a: Tensor, b: Tensor) -> Tensor:
    a, b = a.double(), b.double()
    local = similarity(a, b, _C)
    # Eq. 10: per orientation the two fine scales, for colour I and Q.
    local = torch.stack([local[:, :2].mean(1), local[:, 3:5].mean(1), local[:, 6:].mean(1)], 1)
    weights = torch.maximum(a[:, 2:6:3], b[:, 2:6:3])
    # Where no image has any structure, all positions count alike.
    weights = torch.cat([weights, weights.mean(1, keepdim=True)], 1) + 1e-12
    mean = ((_ALPHA * local).sigmoid() * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3))
    return (mean.logit() / _ALPHA).square()


HAARPSI = register_metric(
    Metric(
        concurrent=True,
        name="haarpsi",
        description="1 - HaarPSI in colour (YIQ), halved, C = 30, alpha = 4.2 on range 255",
        embed=embedding(_coefficients, dtype=torch.float32),
        contrast=contrast(_index),
        head=lambda index: (1 - index).clip(min=0),
        smallest_side=_SMALLEST_SIDE,
    )
)
