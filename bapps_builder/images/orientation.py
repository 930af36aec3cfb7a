"""Pictures turned and mirrored as the orientation tag of EXIF and TIFF says."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# (H, W, channels): uint8, uint16 or float32
Levels = NDArray[Any]

_TAG = 0x0112


def orientation_in(exif: Image.Exif) -> int:
    """The tag, 1 to 8; 1 where there is none, or what stands there means nothing."""
    value = exif.get(_TAG, 1)
    return value if isinstance(value, int) and value in range(1, 9) else 1


def upright(levels: Levels, orientation: int) -> Levels:
    """Turn and mirror levels (H, W, C) as the tag says."""
    if orientation in (5, 6, 7, 8):
        levels = levels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        levels = levels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        levels = levels[::-1]
    return np.ascontiguousarray(levels)
