"""The generator of a variant: its plan as a torch module, and patches as its tensors."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distortions.cnn.plan import Layer, plan
from distortions.cnn.variants import Variant
from distortions.distortion import Patch

_SLOPE = 0.2  # of the encoder's rectifiers, for negative numbers
_DROPPED = 0.5
_GROUPS = 8

N = TypeVar("N", bound=nn.Module)


class _Block(nn.Module):
    """One layer of the plan."""

    def __init__(self, variant: Variant, layer: Layer, *, up: bool) -> None:
        super().__init__()
        self.skip = layer.skip
        self.convolution = _up(layer, variant) if up else nn.Conv2d(layer.inputs, layer.outputs, 3, layer.factor, 1)
        self.normalization = _normalization(variant, layer) if layer.normalized else nn.Identity()
        linear = up and not layer.normalized
        self.activation = nn.Identity() if linear else nn.LeakyReLU(0.0 if up else _SLOPE, inplace=True)
        self.dropout = nn.Dropout(_DROPPED if layer.dropout else 0.0)

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        """(N, inputs, h, w), and what a skip connection brings, to (N, outputs, h', w')."""
        y = self.normalization(self.convolution(x))
        return self.dropout(self.activation(y + beside if self.skip else y))


class Generator(nn.Module):
    """Corrupted patches to repaired ones; both (N, 3, H, W) in [-1, 1], the output unbounded.

    H and W must be multiples of 16 and at least 32.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        layers = plan(variant)
        self.down = nn.ModuleList(_Block(variant, layer, up=False) for layer in layers.down)
        self.up = nn.ModuleList(_Block(variant, layer, up=True) for layer in layers.up)

    def forward(self, x: Tensor) -> Tensor:
        """Repair patches (N, 3, H, W)."""
        finer = []
        for block in self.down:
            finer.append(x)
            x = block(x, x)
        for block in self.up:
            x = block(x, finer.pop())
        return x


def _up(layer: Layer, variant: Variant) -> nn.Module:
    if layer.factor == 1:
        return nn.Conv2d(layer.inputs, layer.outputs, 3, 1, 1)
    if variant.upsampling == "transposed":
        return nn.ConvTranspose2d(layer.inputs, layer.outputs, 3, 2, 1, output_padding=1)
    if variant.upsampling == "pixel-shuffle":
        return nn.Sequential(nn.Conv2d(layer.inputs, 4 * layer.outputs, 3, 1, 1), nn.PixelShuffle(2))
    larger = nn.Upsample(scale_factor=2, mode=variant.upsampling)
    return nn.Sequential(larger, nn.Conv2d(layer.inputs, layer.outputs, 3, 1, 1))


def _normalization(variant: Variant, layer: Layer) -> nn.Module:
    if variant.normalization == "batch":
        return nn.BatchNorm2d(layer.outputs)
    if variant.normalization == "instance":
        return nn.InstanceNorm2d(layer.outputs, affine=True)
    if variant.normalization == "group":
        return nn.GroupNorm(_GROUPS, layer.outputs)
    return nn.Identity()


def placed(net: N, device: torch.device | str) -> N:
    """Move a net to a device, channels last in memory, which its convolutions are faster with."""
    return cast(Any, net).to(device=device, memory_format=torch.channels_last)


def to_tensor(patches: Sequence[Patch] | Patch, device: torch.device | str = "cpu") -> Tensor:
    """uint8 patches (H, W, 3) of one size to float32 (N, 3, H, W) in [-1, 1], channels last in memory."""
    stacked = torch.from_numpy(np.asarray(patches, np.uint8)).to(device)
    return stacked.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1)


def to_patches(images: Tensor) -> NDArray[np.uint8]:
    """(N, 3, H, W) in [-1, 1], clipped and rounded, to uint8 (N, H, W, 3)."""
    levels = images.float().add(1).mul_(127.5).round_().clamp_(0, 255)
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
