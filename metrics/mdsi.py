"""MDSI: Nafchi, Shahkolaei, Hedjam and Cheriet, IEEE Access 2016, doi 10.1109/ACCESS.2016.2604042.

Local similarities of gradients and colours, and how far they deviate from their mean.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics.fsim import shrunk
from metrics.gmsd import PREWITT, contrast, embedding, gradient_magnitude, in_levels, similarity
from metrics.metric import Metric
from metrics.registry import register_metric
from metrics.tensors import check_unit_pair

Floats = NDArray[np.float64]

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
    return _deviation(_planes(reference.double()), _planes(distorted.double()))


def _planes(images: Tensor) -> Tensor:
    """L, H, M, shrunk: unit RGB (N, 3, H, W) to (N, 3, h, w)."""
    return shrunk(in_levels(images, _LHM))


def _deviation(reference: Tensor, distorted: Tensor) -> Tensor:
    luminance = torch.cat([reference[:, :1], distorted[:, :1]], 1)
    fused = luminance.mean(1, keepdim=True)
    of_reference, of_distorted, of_fused = gradient_magnitude(torch.cat([luminance, fused], 1), PREWITT).unbind(1)
    # Eq. 4: the fused image tells edges that came from edges that went.
    gradients = (
        similarity(of_reference, of_distorted, _C1)
        + similarity(of_distorted, of_fused, _C2)
        - similarity(of_reference, of_fused, _C2)
    )
    # Eq. 6: both chromaticities in one ratio.
    h, m, other_h, other_m = *reference[:, 1:].unbind(1), *distorted[:, 1:].unbind(1)
    products = h * other_h + m * other_m
    squares = (h * h + m * m) + (other_h * other_h + other_m * other_m)
    colours = (2 * products + _C3) / (squares + _C3)
    combined = (_ALPHA * gradients + (1 - _ALPHA) * colours).flatten(1)
    return _pooled(combined)


def _pooled(values: Tensor) -> Tensor:
    """Eq. 9 and 11: the mean absolute deviation of the q-th power, to the power o: (N, M) to (N,)."""
    power = values.abs().clamp_min(1e-12).sqrt().sqrt()
    turned = power * torch.where(values < 0, math.sqrt(0.5), 0.0)
    turned = torch.complex(torch.where(values < 0, turned, power), turned)
    deviation = (turned - turned.mean(1, keepdim=True)).abs().mean(1)
    return deviation.clamp_min(1e-32).pow(_O)


MDSI = register_metric(
    Metric(
        concurrent=True,
        name="mdsi",
        description=(
            "MDSI, Prewitt gradients, C1 = 140, C2 = 55, C3 = 550 on range 255, sum with alpha = .6, q = o = 1/4, "
            "images from 384 pixels shrunk to about 256; the first image is the reference"
        ),
        embed=embedding(_planes),
        contrast=contrast(_deviation),
        smallest_side=_SMALLEST_SIDE,
    )
)
