"""Gradients of planes by filters of 3x3, zeros outside the image: as GMSD, FSIM, VSI and MDSI take them."""

import torch
from torch import Tensor
from torch.nn import functional

from metrics.image_math.similarity import safe_sqrt

# The inner and outer weights that smooth a filter.
PREWITT = (1 / 3, 1 / 3)
SCHARR = (10 / 16, 3 / 16)


def gradients(planes: Tensor, weights: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Slopes across and down: (N, K, H, W) to two of the same shape."""
    inner, outer = weights
    padded = functional.pad(planes, (1, 1, 1, 1))
    across = padded[..., 2:] - padded[..., :-2]
    across = (inner * across[..., 1:-1, :]).add_(across[..., :-2, :] + across[..., 2:, :], alpha=outer)
    down = padded[..., 2:, :] - padded[..., :-2, :]
    down = (inner * down[..., 1:-1]).add_(down[..., :-2] + down[..., 2:], alpha=outer)
    return across, down


def gradient_magnitude(planes: Tensor, weights: tuple[float, float]) -> Tensor:
    """Length of the gradient: (N, K, H, W) to the same shape."""
    return length(*gradients(planes, weights))


def length(across: Tensor, down: Tensor) -> Tensor:
    """Length of a gradient from its two slopes."""
    return safe_sqrt(torch.addcmul(across * across, down, down))
