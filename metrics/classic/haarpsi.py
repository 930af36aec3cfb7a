"""HaarPSI: Reisenhofer, Bosse, Kutyniok and Wiegand, Signal Processing: Image Communication 2018.

doi 10.1016/j.image.2017.11.001. Similarity of Haar wavelet coefficients of two fine scales, weighted by a
coarser one.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bapps_builder.images.compiled import compiled
from metrics.image_math.channels import YIQ, block_means, in_levels
from metrics.image_math.numpy_threads import in_chunks
from metrics.image_math.similarity import similarity
from metrics.image_math.tensors import check_unit_pair
from metrics.metric import Images, Metric
from metrics.registry import register_metric

_C, _ALPHA = 30.0, 4.2
_SCALES = 3
# How far the largest filter reaches.
_REACH = 2 ** (_SCALES - 1)
# One full window of the largest filter, on the halved image.
_SMALLEST_SIDE = 2 * 2**_SCALES


def haarpsi_similarity(a: Tensor, b: Tensor) -> Tensor:
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


def haarpsi_distance(a: Tensor, b: Tensor) -> Tensor:
    """1 - `haarpsi_similarity`."""
    return 1 - haarpsi_similarity(a, b)


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
    local = similarity(a, b, _C)
    # Eq. 10: per orientation the two fine scales, for colour I and Q.
    local = torch.stack([local[:, :2].mean(1), local[:, 3:5].mean(1), local[:, 6:].mean(1)], 1)
    weights = torch.maximum(a[:, 2:6:3], b[:, 2:6:3])
    # Where no image has any structure, all positions count alike.
    weights = torch.cat([weights, weights.mean(1, keepdim=True)], 1) + 1e-12
    mean = ((_ALPHA * local).sigmoid() * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3))
    return (mean.logit() / _ALPHA).square()


def haarpsi_of_bytes(a: Images, b: Images) -> NDArray[np.float64]:
    """1 - `haarpsi_similarity` of uint8 images (N, H, W, 3), many times as fast, for where no gradient is wanted."""
    distances = np.empty(len(a))
    _distances(a, b, distances)
    return distances


@compiled
def _distances(a: Images, b: Images, distances: NDArray[np.float64]) -> None:
    """Image by image, so that all of one stays in the nearest cache."""
    best = 1 / (1 + math.exp(-_ALPHA))
    for n in range(len(a)):
        first, second = _halved(a[n]), _halved(b[n])
        first_sums, second_sums = _integral(first[0]), _integral(second[0])
        lost = total = 0.0
        for y in range(first.shape[1] - 2 * _REACH):
            for x in range(first.shape[2] - 2 * _REACH):
                weights = 0.0
                for down in (True, False):
                    local = 0.0
                    for scale in range(1, _SCALES):
                        p, q = _step(first_sums, y, x, scale, down), _step(second_sums, y, x, scale, down)
                        local += _similar(p, q) / (_SCALES - 1)
                    weight = max(_step(first_sums, y, x, _SCALES, down), _step(second_sums, y, x, _SCALES, down))
                    weights += weight
                    lost += (weight + 1e-12) * (best - 1 / (1 + math.exp(-_ALPHA * local)))
                local = 0.0
                for plane in range(1, 3):
                    local += _similar(_mean(first[plane], y, x), _mean(second[plane], y, x)) / 2
                lost += (weights / 2 + 1e-12) * (best - 1 / (1 + math.exp(-_ALPHA * local)))
                total += 1.5 * weights + 3e-12
        # The logit of the mean less that of `best`, so that nothing lost is exactly nothing.
        lost /= total
        logit = math.log1p(-lost / best) - math.log1p(lost / (1 - best))
        distances[n] = 1 - (1 + logit / _ALPHA) ** 2


@compiled
def _halved(image: Images) -> NDArray[np.float64]:
    """YIQ in means of 2x2 pixels, with as many zeros around it as a filter reaches: (3, H / 2, W / 2)."""
    height, width, _ = image.shape
    planes = np.zeros((3, (height + 1) // 2 + 2 * _REACH, (width + 1) // 2 + 2 * _REACH))
    for y in range(height):
        for x in range(width):
            red, green, blue = image[y, x]
            for k in range(3):
                value = YIQ[k][0] * red + YIQ[k][1] * green + YIQ[k][2] * blue
                planes[k, _REACH + y // 2, _REACH + x // 2] += value / 4
    return planes


@compiled
def _integral(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over all that is above and left of each corner of a pixel."""
    height, width = plane.shape
    sums = np.zeros((height + 1, width + 1))
    for y in range(height):
        row = 0.0
        for x in range(width):
            row += plane[y, x]
            sums[y + 1, x + 1] = sums[y, x + 1] + row
    return sums


@compiled
def _step(sums: NDArray[np.float64], y: int, x: int, scale: int, down: bool) -> float:
    """Magnitude of `_haar` at a position, or of its like across, from the integral of the padded plane."""
    side, half = 2**scale, 2 ** (scale - 1)
    top, left = y + _REACH - half + 1, x + _REACH - half + 1
    bottom, right = top + side, left + side
    whole = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    if down:
        bottom = top + half
    else:
        right = left + half
    part = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return abs(2 * part - whole) / side


@compiled
def _mean(plane: NDArray[np.float64], y: int, x: int) -> float:
    """Magnitude of the mean of a position and its neighbours to the right and below."""
    y, x = y + _REACH, x + _REACH
    return abs(plane[y, x] + plane[y, x + 1] + plane[y + 1, x] + plane[y + 1, x + 1]) / 4


@compiled
def _similar(p: float, q: float) -> float:
    """`similarity`, exactly 1 where both are equal."""
    return 1 - (p - q) ** 2 / (p * p + q * q + _C)


HAARPSI = register_metric(
    Metric(
        concurrent=True,
        name="haarpsi",
        description="1 - HaarPSI in colour (YIQ), halved, C = 30, alpha = 4.2 on range 255",
        contrast=in_chunks(haarpsi_of_bytes),
        smallest_side=_SMALLEST_SIDE,
        make_loss=lambda: haarpsi_distance,
    )
)
