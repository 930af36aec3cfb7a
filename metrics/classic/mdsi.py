"""MDSI: Nafchi, Shahkolaei, Hedjam and Cheriet, IEEE Access 2016, doi 10.1109/ACCESS.2016.2604042.

Local similarities of gradients and colours, and how far they deviate from their mean.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from metrics.image_math.channels import in_levels, shrunk
from metrics.image_math.gradients import PREWITT, gradients, length
from metrics.image_math.similarity import similarity
from metrics.image_math.tensors import check_unit_pair
from metrics.image_math.torch_threads import contrast, embedding
from metrics.metric import Metric
from metrics.registry import register_metric

_C1, _C2, _C3 = 140.0, 55.0, 550.0
_ALPHA = 0.6
# Both powers of the deviation pooling, q on the similarities and o on their deviation.
_Q, _O = 0.25, 0.25
# Luminance, then the chromaticities H and M of eq. 5.
_LHM = ((0.2989, 0.5870, 0.1140), (0.30, 0.04, -0.35), (0.34, -0.60, 0.17))
# One full window of the 3x3 gradient filter.
_SMALLEST_SIDE = 3


def mdsi(reference: Tensor, distorted: Tensor) -> Tensor:
    """Mean deviation similarity index per pair; differentiable, and not symmetric.

    Luminance .2989 R + .587 G + .114 B and two chromaticities on 0 to 255. Images with a shorter side of
    384 or more are first shrunk F times by means of FxF blocks, F = round(shorter side / 256). Prewitt
    gradients divided by 3; C1 = 140, C2 = 55, C3 = 550; gradient and colour similarity are summed with
    alpha = .6; mean absolute deviation of their power q = 1/4, to the power o = 1/4. Where the sum is
    negative, the principal complex power is taken, as in the authors' code.

    Parameters
    ----------
    reference, distorted : float tensors of shape (N, 3, H, W)
        RGB in [0, 1], H and W at least 3. Computed in float64.

    Returns
    -------
    tensor of shape (N,), float64
        At least 0, which is for equal images (1e-8 after the pooling power); bigger is further.

    Raises
    ------
    MetricError
        If the tensors are no such pair.
    """
    check_unit_pair("mdsi", reference, distorted, smallest_side=_SMALLEST_SIDE)
    return _deviation(_features(reference.double()), _features(distorted.double()))


class _Features(NamedTuple):
    """Of N images, shrunk, (N, h, w) each: the slopes of luminance, the length of both, and chromaticities H and M."""

    across: Tensor
    down: Tensor
    gradient: Tensor
    h: Tensor
    m: Tensor


def _features(images: Tensor) -> _Features:
    luminance, h, m = shrunk(in_levels(images, _LHM)).unbind(1)
    across, down = gradients(luminance, PREWITT)
    return _Features(across, down, length(across, down), h, m)


def _deviation(reference: _Features, distorted: _Features) -> Tensor:
    # Eq. 4: the fused image, the mean of both, tells edges that came from edges that went.
    fused = length((reference.across + distorted.across).mul_(0.5), (reference.down + distorted.down).mul_(0.5))
    local = (
        similarity(reference.gradient, distorted.gradient, _C1)
        + similarity(distorted.gradient, fused, _C2)
        - similarity(reference.gradient, fused, _C2)
    )
    # Eq. 6: both chromaticities in one ratio.
    (h, m), (other_h, other_m) = (reference.h, reference.m), (distorted.h, distorted.m)
    products = h * other_h + m * other_m
    squares = (h * h + m * m) + (other_h * other_h + other_m * other_m)
    colours = (2 * products + _C3) / (squares + _C3)
    return _pooled((_ALPHA * local + (1 - _ALPHA) * colours).flatten(1))


def _pooled(values: Tensor) -> Tensor:
    """Eq. 9 and 11: the mean absolute deviation of the q-th power, to the power o: (N, M) to (N,)."""
    power = values.abs().clamp_min(1e-12).sqrt().sqrt()
    # The principal fourth root of a negative value lies on the diagonal of the complex plane.
    twice_negative = torch.addcmul(power, power, values.detach().sign(), value=-1)
    diagonal = math.sqrt(0.5)
    real = power.add(twice_negative, alpha=(diagonal - 1) / 2)
    imaginary = twice_negative * (diagonal / 2)
    real, imaginary = (part - part.mean(1, keepdim=True) for part in (real, imaginary))
    deviation = torch.addcmul(real * real, imaginary, imaginary).clamp_min(1e-64).sqrt_().mean(1)
    return deviation.clamp_min(1e-32).pow(_O)


MDSI = register_metric(
    Metric(
        concurrent=True,
        name="mdsi",
        description=(
            "MDSI, Prewitt gradients, C1 = 140, C2 = 55, C3 = 550 on range 255, sum with alpha = .6, q = o = 1/4, "
            "images from 384 pixels shrunk to about 256; the first image is the reference"
        ),
        embed=embedding(_features),
        contrast=contrast(_deviation),
        smallest_side=_SMALLEST_SIDE,
        make_loss=lambda: mdsi,
    )
)
