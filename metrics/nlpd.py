"""Normalised Laplacian pyramid distance: Laparra, Ballé, Berardino and Simoncelli, Human Vision and Electronic
Imaging 2016, doi 10.2352/ISSN.2470-1173.2016.16.HVEI-103.

The settings that change a number, all as in the authors' released function (`NLP_dist`):

input       luma 0.299 R + 0.587 G + 0.114 B (BT.601, not rounded), values in [0, 1]
pyramid     6 levels of Burt and Adelson, blur (.05, .25, .4, .25, .05), edges mirrored on the way down and
            repeated on the way up; the sixth level is what the blurs leave
normalised  each value over a constant plus a weighted sum of its neighbours' magnitudes, 0 beyond the edge;
            constants and weights were fitted to natural images by the authors and stand in `LEVELS`
pooled      root mean square of the differences in each level, then the mean of the six levels

The authors convolve with the weights, which turns them around: what stands left of the centre in their
matrix weighs the neighbour on the right. `LEVELS` names the neighbours by where they are.
It is symmetric. The smallest side is 17 pixels: fewer leave the fifth level a single pixel, with nothing to
mirror. Large images are not shrunk first. All arithmetic is in float64.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from metrics.metric import Images, Metric
from metrics.registry import register_metric
from metrics.tensors import check_unit_pair, to_unit_tensor
from metrics.vif import luma

SMALLEST_SIDE = 17
_OUTER, _INNER, _CENTRE = 0.05, 0.25, 0.4


@dataclass(frozen=True)
class Level:
    """The normalisation of a pyramid level: its constant, and the weights of a value's neighbours."""

    constant: float
    right: float
    left: float
    below: float = 0.0
    above: float = 0.0
    second_left: float = 0.0


# Fine to coarse.
LEVELS = (
    Level(0.0248, right=0.1493, left=0.1460, below=0.1011, above=0.1015, second_left=0.0072),
    Level(0.0185, right=0.1986, left=0.1846, below=0.0757, above=0.0837),
    Level(0.0179, right=0.2138, left=0.2243, below=0.0477, above=0.0467),
    Level(0.0191, right=0.2503, left=0.2616),
    Level(0.0220, right=0.2598, left=0.2552),
    Level(0.2782, right=0.2215, left=0.0717),
)


def nlpd(a: Tensor, b: Tensor) -> Tensor:
    """NLPD per image, differentiable and symmetric.

    Parameters
    ----------
    a, b : float tensors of shape (N, 3, H, W), RGB in [0, 1]
        H and W at least 17.

    Returns
    -------
    float64 tensor of shape (N,), at least 0, 0 for equal images
        The gradient of a level is 0 where the two agree in all of it.

    Raises
    ------
    MetricError
        If a and b are no such pair.
    """
    check_unit_pair("nlpd", a, b, smallest_side=SMALLEST_SIDE)
    return pyramid_distance(normalised_pyramid(a), normalised_pyramid(b))


def normalised_pyramid(images: Tensor) -> list[Tensor]:
    """The six normalised levels of images (N, 3, H, W): (N, h, w) each, fine to coarse."""
    low = luma(images)
    pyramid = []
    for level in LEVELS[:-1]:
        current, low = low, _halved(_halved(low).mT).mT
        height, width = current.shape[1:]
        expected = _doubled(_doubled(low, width).mT, height).mT
        pyramid.append(_normalised(current - expected, level))
    pyramid.append(_normalised(low, LEVELS[-1]))
    return pyramid


def pyramid_distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Mean over levels of the root mean square difference: (N,)."""
    squares = torch.stack([((x - y) ** 2).mean((1, 2)) for x, y in zip(a, b, strict=True)])  # (levels, N)
    # The slope of a square root at 0 is infinite.
    differs = squares > 0
    return torch.where(differs, torch.where(differs, squares, 1.0).sqrt(), 0.0).mean(0)


def _halved(rows: Tensor) -> Tensor:
    """Blur along the last axis, edges mirrored, and keep every second: (..., n) to (..., ceil(n / 2))."""
    span = rows.shape[-1] + rows.shape[-1] % 2 - 1
    mirrored = torch.cat((rows[..., :2].flip(-1), rows, rows[..., -2:].flip(-1)), -1)
    taps = [mirrored[..., offset : offset + span : 2] for offset in range(5)]
    return _OUTER * (taps[0] + taps[4]) + _INNER * (taps[1] + taps[3]) + _CENTRE * taps[2]


def _doubled(rows: Tensor, length: int) -> Tensor:
    """Zeros between the values, edges repeated, blur times 2, along the last axis: (..., n) to (..., length).

    At even places the blur meets three values, at odd places two.
    """
    left = torch.cat((rows[..., :1], rows[..., :-1]), -1)
    right = torch.cat((rows[..., 1:], rows[..., -1:]), -1)
    even = 2 * (_OUTER * (left + right) + _CENTRE * rows)
    odd = 2 * _INNER * (rows + right)
    return torch.stack((even, odd), -1).flatten(-2)[..., :length]


def _normalised(values: Tensor, level: Level) -> Tensor:
    height, width = values.shape[1:]
    magnitudes = F.pad(values.abs(), (2, 1, 1, 1))  # left, right, top, bottom

    def neighbours(down: int, right: int) -> Tensor:
        return magnitudes[:, 1 + down : 1 + down + height, 2 + right : 2 + right + width]

    total = level.constant + level.right * neighbours(0, 1) + level.left * neighbours(0, -1)
    total = total + level.below * neighbours(1, 0) + level.above * neighbours(-1, 0)
    return values / (total + level.second_left * neighbours(0, -2))


@torch.inference_mode()
def _embed(images: Images) -> list[Tensor]:
    return normalised_pyramid(to_unit_tensor(images))


@torch.inference_mode()
def _contrast(a: list[Tensor], b: list[Tensor]) -> Tensor:
    return pyramid_distance(a, b)


def _to_numpy(distances: Tensor) -> NDArray[np.float64]:
    return distances.numpy()


NLPD = register_metric(
    Metric(
        concurrent=True,
        name="nlpd",
        description="normalised Laplacian pyramid distance, 6 levels, the authors' constants of 2016, luma in [0, 1]",
        embed=_embed,
        contrast=_contrast,
        head=_to_numpy,
        smallest_side=SMALLEST_SIDE,
    )
)
