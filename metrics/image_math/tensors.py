"""Images as torch tensors, for metrics that are differentiable: float (N, 3, H, W), RGB in [0, 1]."""

import torch
from torch import Tensor

from bapps_builder.errors import MetricError
from metrics.metric import Images


def to_unit_tensor(images: Images, *, dtype: torch.dtype = torch.float64) -> Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in [0, 1]."""
    planes = torch.from_numpy(images).permute(0, 3, 1, 2)
    return planes.to(dtype, memory_format=torch.contiguous_format).div_(255)


def check_unit_pair(name: str, a: Tensor, b: Tensor, *, smallest_side: int) -> None:
    """Raise MetricError unless a and b are float (N, 3, H, W) of one shape, in [0, 1], large enough."""
    for images in (a, b):
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise MetricError(
                f"{name} takes float images (N, 3, H, W), got shape {tuple(images.shape)}, type {images.dtype}"
            )
    if a.shape != b.shape:
        raise MetricError(f"{name} takes two batches of one shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    if min(a.shape[2:]) < smallest_side:
        raise MetricError(
            f"{name} takes images of at least {smallest_side} pixels a side, got {a.shape[3]}x{a.shape[2]}"
        )
    with torch.no_grad():
        low, high = float(torch.minimum(a.min(), b.min())), float(torch.maximum(a.max(), b.max()))
    if not (low >= 0 and high <= 1):
        raise MetricError(f"{name} takes values in [0, 1], got {low:.4g} to {high:.4g}; scale or clamp the images")
