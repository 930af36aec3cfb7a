"""VSI: Zhang, Shen and Li, IEEE TIP 2014, doi 10.1109/TIP.2014.2346028.

Similarity of visual saliency, gradients and colours, weighted by saliency. Saliency is SDSP (Zhang, Gu and
Li, ICIP 2013, doi 10.1109/ICIP.2013.6738036): band-pass energy, the centre, and warm colours.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics.fsim import real_power, shrunk, weighted_mean
from metrics.gmsd import SCHARR, contrast, embedding, gradient_magnitude, in_levels, safe_sqrt, similarity
from metrics.metric import Metric
from metrics.registry import register_metric
from metrics.tensors import check_unit_pair

Floats = NDArray[np.float64]

# Constants for saliency, gradients and colours, and the powers of the last two.
_C1, _C2, _C3 = 1.27, 386.0, 130.0
_ALPHA, _BETA = 0.40, 0.020
_LMN = ((0.06, 0.63, 0.27), (0.30, 0.04, -0.35), (0.34, -0.60, 0.17))
# SDSP: bandwidth and centre of the log-Gabor filter, spread of the centre and of the colours, working side.
_SIGMA_F, _OMEGA, _SIGMA_D, _SIGMA_C = 1.34, 0.0210, 145.0, 0.001
_SIDE = 256
# Linear sRGB to XYZ (D65 primaries) relative to a D50 white: the authors mix the two.
_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_WHITE = (0.9642, 1.0, 0.8251)
_LINEAR_BELOW, _THRESHOLD, _KAPPA = 0.04045, 0.008856, 903.3
_LAB = ((0.0, 116.0, 0.0), (500.0, -500.0, 0.0), (0.0, 200.0, -200.0))
# A smaller range of colour or saliency is rounding noise.
_FLAT = 1e-3
# One full window of the 3x3 gradient filter.
_SMALLEST_SIDE = 3


def vsi(a: Tensor, b: Tensor) -> Tensor:
    """Visual saliency-induced index per pair, eq. 3 to 7; differentiable and symmetric.

    L, M, N on 0 to 255. Saliency is computed at 256x256 (bilinear, smoothed when shrinking) and brought
    back: omega 0.021, sigma F 1.34, sigma D 145, sigma C 0.001. Then images with a shorter side of 384 or
    more are shrunk F times by means of FxF blocks, F = round(shorter side / 256). Scharr gradients divided
    by 16. C1 = 1.27, C2 = 386, C3 = 130, alpha = .4, beta = .02. Where the product of the colour
    similarities is negative, the real part of its power counts, as in the authors' code.

    Parameters
    ----------
    a, b : float tensors of shape (N, 3, H, W)
        RGB in [0, 1], H and W at least 3. Computed in float64.

    Returns
    -------
    tensor of shape (N,), float64
        At most 1, for equal images.

    Raises
    ------
    MetricError
        If the tensors are no such pair.
    """
    check_unit_pair("vsi", a, b, smallest_side=_SMALLEST_SIDE)
    return _index(_features(a.double()), _features(b.double()))


def _features(images: Tensor) -> Tensor:
    """Saliency, gradient magnitude, M, N, shrunk: unit RGB (N, 3, H, W) to (N, 4, h, w)."""
    lmn = shrunk(in_levels(images, _LMN))
    salient = shrunk(saliency(images).double())
    return torch.cat([salient, gradient_magnitude(lmn[:, :1], SCHARR), lmn[:, 1:]], 1)


def _index(a: Tensor, b: Tensor) -> Tensor:
    local = similarity(a[:, 0], b[:, 0], _C1) * similarity(a[:, 1], b[:, 1], _C2).pow(_ALPHA)
    local = local * real_power(similarity(a[:, 2:], b[:, 2:], _C3).prod(1), _BETA)
    return weighted_mean(local[:, None], torch.maximum(a[:, :1], b[:, :1]))[:, 0]


def saliency(images: Tensor) -> Tensor:
    """SDSP saliency from 0 to 1 in each image, 0 where all is flat: unit RGB (N, 3, H, W) to (N, 1, H, W)."""
    height, width = images.shape[2:]
    lab = _to_lab(_resized(images, _SIDE, _SIDE))
    band_pass, centre = (torch.from_numpy(array).to(lab) for array in _priors())
    filtered = torch.fft.irfft2(torch.fft.rfft2(lab) * band_pass, s=(_SIDE, _SIDE))
    energy = safe_sqrt(filtered.square().sum(1, keepdim=True))
    from_coldest = _unit_range(lab[:, 1:]).square().sum(1, keepdim=True) / _SIGMA_C**2
    # Beyond 50 nothing is left of the exponential but underflow, which is slow.
    warmth = 1 - torch.exp(-from_coldest.clamp_max(50))
    return _unit_range(_resized(energy * centre * warmth, height, width))


def _unit_range(planes: Tensor) -> Tensor:
    """Each plane of (N, K, H, W) less its smallest value, over its range; 0 if that is rounding noise."""
    low, high = planes.amin((2, 3), keepdim=True), planes.amax((2, 3), keepdim=True)
    return (planes - low) * torch.where(high - low < _FLAT, 0.0, 1 / (high - low).clamp_min(_FLAT))


def _to_lab(images: Tensor) -> Tensor:
    """sRGB in [0, 1] to Lab, (N, 3, H, W)."""
    # Curve and straight line meet at the threshold (to 1e-7), so beyond it either adds nothing: no selection.
    t = _LINEAR_BELOW
    linear = _power((images.clamp_min(t) + 0.055) * (1 / 1.055), 2.4) + (images.clamp_max(t) - t) * (1 / 12.92)
    xyz = linear.new_tensor(_XYZ) / linear.new_tensor(_WHITE)[:, None]
    relative = xyz @ linear.flatten(2)
    t = _THRESHOLD
    root = _power(relative.clamp_min(t), 1 / 3) + (relative.clamp_max(t) - t) * (_KAPPA / 116)
    return (root.new_tensor(_LAB) @ root - root.new_tensor([16, 0, 0])[:, None]).unflatten(2, images.shape[2:])


def _power(values: Tensor, exponent: float) -> Tensor:
    """Power of positive values, in half the time of `pow`."""
    return (values.log() * exponent).exp()


def _resized(images: Tensor, height: int, width: int) -> Tensor:
    """Bilinear, (N, K, H, W) to (N, K, height, width)."""
    rows = torch.from_numpy(_resizing(images.shape[2], height)).to(images)
    columns = torch.from_numpy(_resizing(images.shape[3], width)).to(images)
    return rows @ images @ columns.T


@lru_cache(maxsize=64)
def _resizing(source: int, target: int) -> Floats:
    """The matrix (target, source) of a bilinear resize, widened to smooth when it shrinks, edges mirrored."""
    reach = max(1.0, source / target)
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    positions = np.floor(centres - reach).astype(int)[:, None] + np.arange(math.ceil(2 * reach) + 2)
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - positions) / reach)
    mirrored = positions % (2 * source)
    mirrored = np.minimum(mirrored, 2 * source - 1 - mirrored)
    matrix = np.zeros((target, source))
    np.add.at(matrix, (np.arange(target)[:, None], mirrored), weights / weights.sum(1, keepdims=True))
    return matrix


@lru_cache(maxsize=1)
def _priors() -> tuple[Floats, Floats]:
    """The log-Gabor filter on a half spectrum (256, 129), and the weight of the centre (256, 256)."""
    radius = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE))
    inside = (radius > 0) & (radius <= 0.5)
    log_ratio = np.log(np.where(inside, radius, 1) / _OMEGA)
    band_pass = np.where(inside, np.exp(-(log_ratio**2) / (2 * _SIGMA_F**2)), 0)
    # The authors count pixels from 1 and put the centre at 128.
    squares = (np.arange(_SIDE) + 1 - _SIDE / 2) ** 2
    return band_pass, np.exp(-(squares[:, None] + squares) / _SIGMA_D**2)


VSI = register_metric(
    Metric(
        concurrent=True,
        name="vsi",
        description=(
            "1 - VSI, SDSP saliency at 256x256, Scharr gradients, C1 = 1.27, C2 = 386, C3 = 130 on range 255, "
            "alpha = .4, beta = .02, images from 384 pixels shrunk to about 256"
        ),
        # Features in float32 move no index by more than 1e-6.
        embed=embedding(_features, dtype=torch.float32, working_size=3 * _SIDE**2),
        contrast=contrast(_index),
        head=lambda index: 1 - index,
        smallest_side=_SMALLEST_SIDE,
    )
)
