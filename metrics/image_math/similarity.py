"""Similarity of two features value by value and its pooling, which GMSD, FSIM, VSI, MDSI and HaarPSI share."""

import math

from torch import Tensor

# Far below any weight that is not rounding noise; where all weights are 0, all positions count alike.
NO_WEIGHT = 1e-8


def similarity(a: Tensor, b: Tensor, constant: float) -> Tensor:
    """(2ab + c) / (a² + b² + c), exactly 1 where a and b are equal."""
    return (a * b).mul_(2).add_(constant) / (a * a).add_(b * b).add_(constant)


def safe_sqrt(values: Tensor) -> Tensor:
    """Square root with gradient 0 at 0, where the true one is infinite; 1e-12 there instead of 0."""
    return values.clamp_min(1e-24).sqrt_()


def power(values: Tensor, exponent: float) -> Tensor:
    """Power of positive values, in a fraction of the time of `pow`."""
    return values.log().mul_(exponent).exp_()


def real_power(values: Tensor, exponent: float) -> Tensor:
    """Real part of the principal power of real values, held at |x| = 1e-12 near 0, where it is too steep."""
    of_negative = math.cos(math.pi * exponent)
    sides = values.detach().sign().mul_((1 - of_negative) / 2).add_((1 + of_negative) / 2)
    return power(values.abs().clamp_min(1e-12), exponent) * sides


def weighted_mean(maps: Tensor, weights: Tensor) -> Tensor:
    """Mean over positions of maps (N, K, h, w) with weights (N, 1, h, w), or a plain one if all are 0: (N, K)."""
    weights = weights + NO_WEIGHT
    # From 1 down, so that maps of ones give 1 and small differences keep their digits.
    return 1 - ((1 - maps) * weights).sum((2, 3)) / weights.sum((2, 3))
