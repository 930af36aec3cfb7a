"""Planes that metrics compare: weighted sums of the channels, and smaller planes, zeros outside the image."""

import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional

# Constants of most papers are on levels of 0 to 255.
LEVELS = 255.0
# Rec. ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)
YIQ = (LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


def mixed(images: Tensor, weights: Sequence[Sequence[float]]) -> Tensor:
    """Weighted sums of the channels: (N, 3, H, W) to (N, K, H, W), K rows of three weights."""
    return (images.new_tensor(weights) @ images.flatten(2)).unflatten(2, images.shape[2:])


def in_levels(images: Tensor, weights: Sequence[Sequence[float]]) -> Tensor:
    """The same of unit RGB, on 0 to 255."""
    return mixed(images, [[LEVELS * weight for weight in row] for row in weights])


def block_means(planes: Tensor, side: int) -> Tensor:
    """Means of blocks of `side` x `side`, one for every block that begins: (..., H, W) to about 1 / side of it.

    Blocks are placed as by a "same" convolution that keeps every `side`-th value from the first.
    """
    height, width = planes.shape[-2:]
    before, after = side - 1 - side // 2, side // 2
    padded = functional.pad(planes, (before, after, before, after))
    # Sums of slices, since pooling is several times slower.
    rows = reduce(torch.add, (padded[..., i : i + height : side, :] for i in range(side)))
    return reduce(torch.add, (rows[..., i : i + width : side] for i in range(side))).div_(side**2)


def shrunk(planes: Tensor) -> Tensor:
    """Shrink (N, K, H, W) to about 256 pixels on the shorter side, by means of blocks, never to enlarge it."""
    side = max(1, math.floor(min(planes.shape[2:]) / 256 + 0.5))
    return block_means(planes, side) if side > 1 else planes
