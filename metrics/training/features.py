"""From a batch of triplets to squared differences of unit features, as every way of training needs them."""

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from bapps_builder.datasets.reader import Batch
from metrics.deep.lpips import LPIPS
from metrics.metric import Images, Precision


def squared_differences(module: LPIPS, batch: Batch, precision: Precision) -> list[tuple[Tensor, Tensor]]:
    """Squared differences of unit features, for each layer those of (ref, p0) and (ref, p1): (N, C_l, h_l, w_l)."""
    device = next(module.parameters()).device
    images = to_signed(np.concatenate(batch.images)).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        layers = module.unit_features(module.scaling_layer(images))
    pairs = []
    for feature in layers:
        ref, p0, p1 = feature.chunk(3)
        pairs.append(((ref - p0).square(), (ref - p1).square()))
    return pairs


def to_signed(images: Images) -> Tensor:
    """uint8 (N, H, W, 3) to float32 (N, 3, H, W) in [-1, 1], channels last in memory as they are."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def channels_last(module: LPIPS) -> LPIPS:
    """Lay out convolutions as the images are, which is faster; numbers stay the same."""
    cast("Any", module).to(memory_format=torch.channels_last)  # torch's annotations do not know memory_format
    return module
