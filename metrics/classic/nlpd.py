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
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from metrics.image_math.channels import LUMA, mixed
from metrics.image_math.color import rounded_gray
from metrics.image_math.tensors import check_unit_pair
from metrics.image_math.torch_threads import contrast, embedding
from metrics.metric import Images, Metric
from metrics.registry import register_metric

SMALLEST_SIDE = 17
_OUTER, _INNER, _CENTRE = 0.05, 0.25, 0.4


@dataclass(frozen=True)
class Level:
    """The normalisation of a pyramid level: its constant, and a value's neighbours as (down, right, weight)."""

    constant: float
    neighbours: tuple[tuple[int, int, float], ...]


# Fine to coarse.
LEVELS = (
    Level(0.0248, ((0, 1, 0.1493), (0, -1, 0.1460), (1, 0, 0.1011), (-1, 0, 0.1015), (0, -2, 0.0072))),
    Level(0.0185, ((0, 1, 0.1986), (0, -1, 0.1846), (1, 0, 0.0757), (-1, 0, 0.0837))),
    Level(0.0179, ((0, 1, 0.2138), (0, -1, 0.2243), (1, 0, 0.0477), (-1, 0, 0.0467))),
    Level(0.0191, ((0, 1, 0.2503), (0, -1, 0.2616))),
    Level(0.0220, ((0, 1, 0.2598), (0, -1, 0.2552))),
    Level(0.2782, ((0, 1, 0.2215), (0, -1, 0.0717))),
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
    low = mixed(images.double(), [LUMA])[:, 0]
    pyramid = []
    for level in LEVELS[:-1]:
        current = low
        (halve_rows, double_rows), (halve_columns, double_columns) = (_blurs(n, low.device) for n in low.shape[1:])
        low = halve_rows @ current @ halve_columns.mT
        pyramid.append(_normalised(current - double_rows @ low @ double_columns.mT, level))
    pyramid.append(_normalised(low, LEVELS[-1]))
    return pyramid


def pyramid_distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Mean over levels of the root mean square difference: (N,)."""
    squares = torch.stack([((x - y) ** 2).mean((1, 2)) for x, y in zip(a, b, strict=True)])  # (levels, N)
    # The slope of a square root at 0 is infinite.
    differs = squares > 0
    return torch.where(differs, torch.where(differs, squares, 1.0).sqrt(), 0.0).mean(0)


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # what that mode makes could not serve a gradient later
def _blurs(length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Both blurs of an axis as matrices, several times faster than slices: to half its length, and back."""
    half = -(-length // 2)
    halving = _halved(torch.eye(length, dtype=torch.float64)).mT
    doubling = _doubled(torch.eye(half, dtype=torch.float64), length).mT
    return halving.contiguous().to(device), doubling.contiguous().to(device)


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
    total = torch.full_like(values, level.constant)
    for down, right, weight in level.neighbours:
        total.add_(magnitudes[:, 1 + down :, 2 + right :][:, :height, :width], alpha=weight)
    return values / total


_SETTINGS = "normalised Laplacian pyramid distance, 6 levels, the authors' constants of 2016"
_embed, _contrast = embedding(normalised_pyramid), contrast(pyramid_distance)


def _embed_gray(images: Images) -> list[list[Tensor]]:
    return _embed(rounded_gray(images))


NLPD = register_metric(
    Metric(
        concurrent=True,
        name="nlpd",
        description=f"{_SETTINGS}, luma in [0, 1]",
        embed=_embed,
        contrast=_contrast,
        smallest_side=SMALLEST_SIDE,
        make_loss=lambda: nlpd,
    ),
    Metric(
        concurrent=True,
        name="nlpd@matlab",
        description=f"{_SETTINGS}, MATLAB's rounded luma in [0, 1]",
        embed=_embed_gray,
        contrast=_contrast,
        smallest_side=SMALLEST_SIDE,
    ),
)
