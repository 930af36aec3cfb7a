"""VSI: Zhang, Shen and Li, IEEE TIP 2014, doi 10.1109/TIP.2014.2346028.

Similarity of visual saliency, gradients and colours, weighted by saliency. Saliency is SDSP (Zhang, Gu and
Li, ICIP 2013, doi 10.1109/ICIP.2013.6738036): band-pass energy, the centre, and warm colours.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapps_builder.images.compiled import compiled
from metrics.image_math.channels import in_levels, shrunk
from metrics.image_math.gradients import SCHARR, gradient_magnitude
from metrics.image_math.similarity import power, real_power, safe_sqrt, similarity, weighted_mean
from metrics.image_math.tensors import check_unit_pair
from metrics.image_math.torch_threads import contrast, embedding
from metrics.metric import Metric
from metrics.registry import register_metric

Planes = NDArray[np.float32]

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
_TO_WHITE = np.array(_XYZ) / np.array(_WHITE)[:, None]
_LINEAR_BELOW, _THRESHOLD, _KAPPA = 0.04045, 0.008856, 903.3
_LAB = ((0.0, 116.0, 0.0), (500.0, -500.0, 0.0), (0.0, 200.0, -200.0))
# The bits of 1.0 in float32.
_ONE = 0x3F800000
# A smaller range of colour or saliency is rounding noise.
_FLAT = 1e-3
# Beyond exp(-50) nothing is left of the coldness of a colour but underflow, which is slow.
_COLDEST = 50.0
# One full window of the 3x3 gradient filter.
_SMALLEST_SIDE = 3


def vsi_similarity(a: Tensor, b: Tensor) -> Tensor:
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
    return _index(_features(a.double(), saliency), _features(b.double(), saliency))


def vsi_distance(a: Tensor, b: Tensor) -> Tensor:
    """1 - `vsi_similarity`."""
    return 1 - vsi_similarity(a, b)


class _Features(NamedTuple):
    """Of N images, shrunk: saliency and gradient magnitude (N, 1, h, w), M and N (N, 2, h, w)."""

    saliency: Tensor
    gradient: Tensor
    colours: Tensor


def _features(images: Tensor, saliency_of: Callable[[Tensor], Tensor]) -> _Features:
    lmn = shrunk(in_levels(images, _LMN))
    return _Features(shrunk(saliency_of(images)), gradient_magnitude(lmn[:, :1], SCHARR), lmn[:, 1:])


def _index(a: _Features, b: _Features) -> Tensor:
    m, n = similarity(a.colours, b.colours, _C3).split(1, 1)
    local = similarity(a.saliency, b.saliency, _C1) * power(similarity(a.gradient, b.gradient, _C2), _ALPHA)
    return weighted_mean(local * real_power(m * n, _BETA), torch.maximum(a.saliency, b.saliency))[:, 0]


def saliency(images: Tensor) -> Tensor:
    """SDSP saliency from 0 to 1 in each image, 0 where all is flat: unit RGB (N, 3, H, W) to (N, 1, H, W)."""
    return _saliency(images, _to_lab, _priors_combined)


def fast_saliency(images: Tensor) -> Tensor:
    """`saliency` of images in float32 in half the time, where no gradient is wanted."""
    return _saliency(images, _to_lab_in_one_pass, _priors_combined_in_one_pass)


def _saliency(
    images: Tensor, to_lab: Callable[[Tensor], Tensor], combined: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Tensor:
    lab = to_lab(images)
    band_pass, centre = _priors(lab.dtype, lab.device)
    bands = torch.fft.irfft2(torch.fft.rfft2(lab).mul(band_pass), s=(_SIDE, _SIDE))
    return _unit_range(_resized(combined(bands, _unit_range(lab[:, 1:]), centre), *images.shape[2:]))


def _priors_combined(bands: Tensor, colours: Tensor, centre: Tensor) -> Tensor:
    """Energy of the bands of Lab (N, 3, H, W), times closeness to the centre (H, W), times warmth.

    Warmth is distance from the coldest colour, in a and b on their own ranges (N, 2, H, W).
    """
    x, y, z = bands.split(1, 1)
    energy = safe_sqrt((x * x).addcmul(y, y).addcmul(z, z))
    a, b = colours.split(1, 1)
    from_coldest = torch.addcmul(a * a, b, b).mul_(_SIGMA_C**-2)
    return energy * centre * (1 - from_coldest.clamp_max(_COLDEST).neg_().exp_())


def _priors_combined_in_one_pass(bands: Tensor, colours: Tensor, centre: Tensor) -> Tensor:
    salient = torch.empty_like(bands[:, :1])
    _combine_priors(bands.numpy(), colours.numpy(), centre.numpy(), salient.numpy())
    return salient


@compiled
def _combine_priors(bands: Planes, colours: Planes, centre: Planes, salient: Planes) -> None:
    count, _, height, width = bands.shape
    for n in range(count):
        for i in range(height):
            cold = 0
            for j in range(width):
                x, y, z = bands[n, 0, i, j], bands[n, 1, i, j], bands[n, 2, i, j]
                salient[n, 0, i, j] = np.sqrt(x * x + y * y + z * z) * centre[i, j]
                cold += _from_coldest(colours, n, i, j) < _COLDEST
            # Few rows have a colour so near to the coldest, and an exponential keeps loops from being vectors.
            if cold:
                for j in range(width):
                    salient[n, 0, i, j] *= 1 - math.exp(-min(_from_coldest(colours, n, i, j), np.float32(_COLDEST)))


@compiled
def _from_coldest(colours: Planes, n: int, i: int, j: int) -> np.float32:
    a, b = colours[n, 0, i, j], colours[n, 1, i, j]
    return (a * a + b * b) * np.float32(_SIGMA_C**-2)


def _unit_range(planes: Tensor) -> Tensor:
    """Each plane of (N, K, H, W) less its smallest value, over its range; 0 if that is rounding noise."""
    low, high = planes.amin((2, 3), keepdim=True), planes.amax((2, 3), keepdim=True)
    return (planes - low) * torch.where(high - low < _FLAT, 0.0, 1 / (high - low).clamp_min(_FLAT))


def _to_lab(images: Tensor) -> Tensor:
    """Unit sRGB (N, 3, H, W), resized, to Lab (N, 3, 256, 256) but for a constant in L, which no band passes.

    The curve and the straight line meet at either threshold (to 1e-7), so beyond it one of them adds nothing,
    and neither has to be selected.
    """
    above = _resized(images - _LINEAR_BELOW, _SIDE, _SIDE)
    curve = power(above.clamp_min(0).add_(_LINEAR_BELOW + 0.055), 2.4)
    linear = above.clamp_max(0).mul_(1 / 12.92).add_(curve, alpha=1.055**-2.4)
    relative = linear.new_tensor(_TO_WHITE) @ linear.flatten(2)
    root = relative.clamp_max(_THRESHOLD).mul_(_KAPPA / 116).add_(power(relative.clamp_min(_THRESHOLD), 1 / 3))
    return (root.new_tensor(_LAB) @ root).unflatten(2, above.shape[2:])


def _to_lab_in_one_pass(images: Tensor) -> Tensor:
    narrow = images @ _resizing(images.shape[3], _SIDE, images.dtype, images.device).T
    first, weights = _taps(images.shape[2], _SIDE)
    lab = images.new_empty(len(images), 3, _SIDE, _SIDE)
    _convert_to_lab(narrow.numpy(), first, weights, _TO_WHITE.astype(np.float32), lab.numpy())
    return lab


@compiled
def _convert_to_lab(narrow: Planes, first: NDArray[np.int64], weights: Planes, to_white: Planes, lab: Planes) -> None:
    """The rest of `_to_lab` from images that have their width: a row at a time, which stays in the nearest cache."""
    rows, width = lab.shape[2:]
    row = np.empty((3, width), np.float32)
    for n in range(len(lab)):
        for y in range(rows):
            for c in range(3):
                values = row[c]
                values[:] = -np.float32(_LINEAR_BELOW)
                for k in range(weights.shape[1]):
                    weight, source = weights[y, k], narrow[n, c, first[y] + k]
                    for x in range(width):
                        values[x] += weight * source[x]
                for x in range(width):
                    base = max(values[x], np.float32(0)) + np.float32(_LINEAR_BELOW + 0.055)
                    curve = base * base * _root(base, 5) ** 2
                    values[x] = min(values[x], np.float32(0)) * np.float32(1 / 12.92) + curve * np.float32(1.055**-2.4)
            red, green, blue = row
            lightness, a, b = lab[n, 0, y], lab[n, 1, y], lab[n, 2, y]
            for x in range(width):
                p, q, r = red[x], green[x], blue[x]
                relative_x = _curve_of_lab(to_white[0, 0] * p + to_white[0, 1] * q + to_white[0, 2] * r)
                relative_y = _curve_of_lab(to_white[1, 0] * p + to_white[1, 1] * q + to_white[1, 2] * r)
                relative_z = _curve_of_lab(to_white[2, 0] * p + to_white[2, 1] * q + to_white[2, 2] * r)
                lightness[x] = np.float32(116) * relative_y
                a[x] = np.float32(500) * (relative_x - relative_y)
                b[x] = np.float32(200) * (relative_y - relative_z)


@compiled
def _curve_of_lab(relative: np.float32) -> np.float32:
    straight = min(relative, np.float32(_THRESHOLD)) * np.float32(_KAPPA / 116)
    return straight + _root(max(relative, np.float32(_THRESHOLD)), 3)


@compiled
def _root(value: np.float32, degree: int) -> np.float32:
    """Root of a positive number to float32's precision, in operations that become vectors.

    The first guess divides the exponent by the degree and is within some percent; then two steps of Halley's
    method, each of which cubes the error.
    """
    bits = np.float32(value).view(np.int32)
    guess = np.int32(bits // np.int32(degree) + np.int32(_ONE - _ONE // degree)).view(np.float32)
    for _ in range(2):
        power_of_guess = guess**degree
        less, more = np.float32(degree - 1), np.float32(degree + 1)
        guess *= (less * power_of_guess + more * value) / (more * power_of_guess + less * value)
    return guess


def _resized(images: Tensor, height: int, width: int) -> Tensor:
    """Bilinear, (N, K, H, W) to (N, K, height, width)."""
    rows = _resizing(images.shape[2], height, images.dtype, images.device)
    columns = _resizing(images.shape[3], width, images.dtype, images.device)
    return rows @ images @ columns.T


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # what that mode makes could not serve a gradient later
def _resizing(source: int, target: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix (target, source) of a bilinear resize, widened to smooth when it shrinks, edges mirrored."""
    reach = max(1.0, source / target)
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    positions = np.floor(centres - reach).astype(int)[:, None] + np.arange(math.ceil(2 * reach) + 2)
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - positions) / reach)
    mirrored = positions % (2 * source)
    mirrored = np.minimum(mirrored, 2 * source - 1 - mirrored)
    matrix = np.zeros((target, source))
    np.add.at(matrix, (np.arange(target)[:, None], mirrored), weights / weights.sum(1, keepdims=True))
    return torch.from_numpy(matrix).to(device, dtype)


@lru_cache(maxsize=64)
def _taps(source: int, target: int) -> tuple[NDArray[np.int64], Planes]:
    """The same matrix by its bands: for each row the place of the first weight, and the weights (target, K)."""
    matrix = _resizing(source, target, torch.float32, torch.device("cpu")).numpy()
    first = (matrix != 0).argmax(1)
    reach = int((source - (matrix[:, ::-1] != 0).argmax(1) - first).max())
    first = np.minimum(first, source - reach)
    return first, np.take_along_axis(matrix, first[:, None] + np.arange(reach), 1)


@lru_cache(maxsize=4)
@torch.inference_mode(mode=False)
def _priors(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The log-Gabor filter on a half spectrum (256, 129), complex, and the weight of the centre (256, 256)."""
    radius = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE))
    in_band = (radius > 0) & (radius <= 0.5)
    log_ratio = np.log(np.where(in_band, radius, 1) / _OMEGA)
    band_pass = np.where(in_band, np.exp(-(log_ratio**2) / (2 * _SIGMA_F**2)), 0)
    # The authors count pixels from 1 and put the centre at 128.
    squares = (np.arange(_SIDE) + 1 - _SIDE / 2) ** 2
    centre = np.exp(-(squares[:, None] + squares) / _SIGMA_D**2)
    return torch.from_numpy(band_pass).to(device, dtype.to_complex()), torch.from_numpy(centre).to(device, dtype)


VSI = register_metric(
    Metric(
        concurrent=True,
        name="vsi",
        description=(
            "1 - VSI, SDSP saliency at 256x256, Scharr gradients, C1 = 1.27, C2 = 386, C3 = 130 on range 255, "
            "alpha = .4, beta = .02, images from 384 pixels shrunk to about 256"
        ),
        # Features in float32 move no index by more than 1e-6.
        embed=embedding(partial(_features, saliency_of=fast_saliency), dtype=torch.float32, working_size=3 * _SIDE**2),
        contrast=contrast(_index),
        head=lambda index: 1 - index,
        smallest_side=_SMALLEST_SIDE,
        make_loss=lambda: vsi_distance,
    )
)
