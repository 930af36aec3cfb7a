"""Images as people have them in Python, as the uint8 batches that metrics take: files, Pillow, NumPy, torch.

Whole numbers are levels as they are. Floats mean nothing without a range, so whoever passes them names it; metrics
are defined on 8 bits, to which floats are rounded (a loss takes them unrounded: `metrics.losses`).
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bapps_builder.errors import ImageError
from bapps_builder.images.formats.pillow_files import picture_of
from bapps_builder.images.photographs import read_photo
from bapps_builder.images.picture import eight_bits
from metrics.metric import Images

ImageLike = str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor
Range = tuple[float, float]

# How far outside its range a value may lie, of the range's width: resampling overshoots by a little.
_TOLERANCE = 1e-2


def as_batch(images: ImageLike, *, value_range: Range | None = None, name: str = "image") -> tuple[Images, bool]:
    """One image or a batch of them as uint8 RGB (N, H, W, 3), and whether it was a batch.

    Parameters
    ----------
    images : path, Pillow image, array (H, W, 3) or (N, H, W, 3), or tensor (3, H, W) or (N, 3, H, W)
    value_range : (low, high), optional
        What black and white are among floats, such as (0, 1) or (-1, 1). Needed for them, and for nothing else.
    name : str
        What an error calls the image.

    Raises
    ------
    ImageError
        If it is none of these, a float without a range or beyond it, or a file that is no readable image.
    """
    if isinstance(images, str | os.PathLike):
        return read_photo(Path(images))[None], False
    if isinstance(images, Image.Image):
        return eight_bits(picture_of(images, name), name=name)[None], False
    if isinstance(images, Tensor):
        if images.ndim not in (3, 4) or images.shape[-3] != 3:
            raise ImageError(f"{name}: a tensor must be (3, H, W) or (N, 3, H, W), got shape {tuple(images.shape)}")
        images = images.detach().movedim(-3, -1)
        images = (images.float() if images.dtype is torch.bfloat16 else images).cpu().numpy()
    elif not isinstance(images, np.ndarray):
        raise ImageError(
            f"{name}: must be a path, a Pillow image, a NumPy array or a torch tensor, got {type(images).__name__}"
        )
    elif images.ndim not in (3, 4) or images.shape[-1] != 3:
        raise ImageError(f"{name}: an array must be (H, W, 3) or (N, H, W, 3), got shape {images.shape}")
    levels = _levels(images, value_range, name)
    return (levels, True) if levels.ndim == 4 else (levels[None], False)


def _levels(values: np.ndarray[Any, Any], value_range: Range | None, name: str) -> Images:
    if values.dtype == np.uint8 or not values.size:
        return values.astype(np.uint8, copy=False)
    if not np.issubdtype(values.dtype, np.floating):
        raise ImageError(f"{name}: must be uint8, or floats with a value_range, got type {values.dtype}")
    if value_range is None:
        raise ImageError(
            f"{name}: floats need a declared range, such as value_range=(0, 1); these go from {values.min():.4g} to "
            f"{values.max():.4g}"
        )
    low, high = value_range
    if not low < high:
        raise ImageError(f"value_range must be (low, high) with low < high, got {value_range!r}")
    share = (values.astype(np.float64) - low) / (high - low)
    if not (np.isfinite(share).all() and share.min() >= -_TOLERANCE and share.max() <= 1 + _TOLERANCE):
        raise ImageError(
            f"{name}: values must lie in [{low:g}, {high:g}], got {values.min():.4g} to {values.max():.4g}; name their "
            "range with value_range, or clip them"
        )
    return np.rint(share.clip(0, 1) * 255).astype(np.uint8)
