"""Differences pixel by pixel: l1, l2, l2-lab, psnr."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from metrics.image_math.color import squared_lab_difference
from metrics.image_math.numpy_threads import in_chunks
from metrics.image_math.tensors import check_unit_pair
from metrics.metric import Images, Metric
from metrics.registry import register_metric

Floats = NDArray[np.float64]


def mean_absolute(a: Images, b: Images) -> Floats:
    """Mean |a - b| per image, in levels of 0 to 255; uint8 (N, H, W, 3) to (N,)."""
    return (np.maximum(a, b) - np.minimum(a, b)).mean((1, 2, 3), dtype=np.float64)


def mean_square(a: Images, b: Images) -> Floats:
    """Mean (a - b)² per image, in squared levels of 0 to 255; uint8 (N, H, W, 3) to (N,)."""
    difference = (a.astype(np.int16) - b).reshape(len(a), -1).astype(np.float64)
    return np.einsum("ij,ij->i", difference, difference) / difference.shape[1]


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean |a - b| per pair, on [-1, 1] as the metric has it; differentiable, float (N, 3, H, W) in [0, 1] to (N,)."""
    check_unit_pair("l1", a, b, smallest_side=1)
    return 2 * (a.double() - b.double()).abs().mean((1, 2, 3))


def l2(a: Tensor, b: Tensor) -> Tensor:
    """Mean (a - b)² per pair, on [-1, 1] as the metric has it; differentiable, float (N, 3, H, W) in [0, 1] to (N,)."""
    check_unit_pair("l2", a, b, smallest_side=1)
    return 4 * (a.double() - b.double()).square().mean((1, 2, 3))


def l2_lab(a: Images, b: Images) -> Floats:
    """Half the mean squared Lab difference per image, Lab divided by 100; uint8 (N, H, W, 3) to (N,)."""
    return 0.5 / 100**2 * squared_lab_difference(a, b) / a[0].size


def _negative_psnr(square: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return 10 * np.log10(square / 255**2)


def _unit_square(square: Floats) -> Floats:
    return square / 127.5**2


_mean_square = in_chunks(mean_square)

L1 = register_metric(
    Metric(
        concurrent=True,
        name="l1",
        description="mean absolute difference, RGB in [-1, 1]",
        contrast=in_chunks(mean_absolute),
        head=lambda levels: levels / 127.5,
        make_loss=lambda: l1,
    )
)
L2 = register_metric(
    Metric(
        concurrent=True,
        name="l2",
        description="mean squared difference, RGB in [-1, 1]",
        contrast=_mean_square,
        head=_unit_square,
        make_loss=lambda: l2,
    )
)
PSNR = register_metric(
    Metric(
        concurrent=True,
        name="psnr",
        description="negative peak signal-to-noise ratio in dB, RGB, peak 255; -inf for equal images",
        contrast=_mean_square,
        head=_negative_psnr,
    )
)
L2_LAB = register_metric(
    Metric(
        concurrent=True,
        name="l2-lab",
        description="half the mean squared difference in CIE Lab (D65) / 100, float64, as in the official evaluation",
        contrast=in_chunks(l2_lab),
    )
)
