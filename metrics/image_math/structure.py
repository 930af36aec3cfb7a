"""Structural similarity of tensors, window by window: Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 2004.

What SSIM and its multi-scale form share, with gradients. Values lie in [0, 1].
"""

from typing import NamedTuple

import torch
from torch import Tensor

from metrics.image_math.windows import Window, gaussian_window, windowed

# Constants of the paper: C1 = (K1 L)², C2 = (K2 L)².
K1, K2 = 0.01, 0.03
WANG_2004 = gaussian_window(11, 1.5)


class Moments(NamedTuple):
    """Of each window of x and y: mean x mean y, mean x² + mean y², the covariance, and the sum of the variances."""

    product_of_means: Tensor
    squared_means: Tensor
    covariance: Tensor
    variances: Tensor


def moments(x: Tensor, y: Tensor, window: Window = WANG_2004) -> Moments:
    """Moments of planes (N, C, H, W) in every window that lies inside."""
    # The variances are needed as their sum only, so x² and y² share a plane.
    planes = (x, y, torch.addcmul(x * x, y, y), x * y)
    mean_x, mean_y, squares, products = (windowed(plane, window.taps) for plane in planes)
    product_of_means, squared_means = mean_x * mean_y, torch.addcmul(mean_x * mean_x, mean_y, mean_y)
    factor = window.covariance_factor
    return Moments(
        product_of_means, squared_means, factor * (products - product_of_means), factor * (squares - squared_means)
    )


def luminance(of: Moments) -> Tensor:
    """Eq. 6."""
    return (2 * of.product_of_means + K1**2) / (of.squared_means + K1**2)


def structure(of: Moments) -> Tensor:
    """Contrast times structure: eq. 9 times eq. 10, with C3 = C2 / 2."""
    return (2 * of.covariance + K2**2) / (of.variances + K2**2)
