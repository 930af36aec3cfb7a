"""Where a patch is taken from a photo, with real image around it as far as there is any."""

import math
from typing import Protocol

import cv2
import numpy as np
from PIL import Image

from bapps_builder.images.enlargement import PATCH_SIDE
from bapps_builder.patch_sets.manifest import Border
from distortions.distortion import MARGIN, Patch

_BICUBIC_REACH = 2  # pixels to either side, times how much an image shrinks


class Sized(Protocol):
    """Anything with a shape that starts with (height, width)."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102


def scaled_size(photo: Sized, scale: float) -> tuple[int, int]:
    """Width and height of a photo after scaling, rounded down: every pixel lies inside the photo."""
    height, width = photo.shape[:2]
    return math.floor(width * scale), math.floor(height * scale)


def smallest_photo_side(largest_scale: float, side: int = PATCH_SIDE) -> int:
    """The side that a photo must have for that of a patch to fit into it, scaled by at most this."""
    least = math.ceil(side / largest_scale)
    return least if math.floor(least * largest_scale) >= side else least + 1


def cut(
    photo: Patch,
    *,
    left: int,
    top: int,
    size: tuple[int, int] = (PATCH_SIDE, PATCH_SIDE),
    scale: float = 1.0,
    margin: int = MARGIN,
) -> tuple[Patch, Border]:
    """Cut a patch and the margin around it from a scaled photo.

    Where the margin leaves the photo, the photo is reflected there, without repeating its last pixel.

    Parameters
    ----------
    photo : uint8 array of shape (H, W, 3)
    left, top : int
        Of the patch in the scaled photo, which must hold the whole patch.
    size : (width, height)
        Of the patch.
    scale : float
        1 leaves pixels as they are; else Pillow's bicubic filter, which widens when an image shrinks. Only the
        part that is needed is resized, to what resizing the whole photo would give.
    margin : int

    Returns
    -------
    uint8 array of shape (height + 2 margin, width + 2 margin, 3), which may share the photo's memory
    "image" if all of it is image, or "reflected"
    """
    width, height = scaled_size(photo, scale)
    if not (0 <= left <= width - size[0] and 0 <= top <= height - size[1]):
        raise ValueError(f"a patch at {left}, {top} does not lie in a photo of {width}x{height}")
    right, bottom = left + size[0] + margin, top + size[1] + margin
    left, top = left - margin, top - margin
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    region = photo[y0:y1, x0:x1] if scale == 1 else _part_of_scaled(photo, (x0, y0, x1, y1), scale)
    missing = (y0 - top, bottom - y1, x0 - left, right - x1)
    if not any(missing):
        return region, "image"
    return np.asarray(cv2.copyMakeBorder(region, *missing, cv2.BORDER_REFLECT_101), np.uint8), "reflected"


def without_margin(crop: Patch, margin: int = MARGIN) -> Patch:
    """The patch inside its margin, as an array of its own."""
    return np.ascontiguousarray(crop[margin:-margin, margin:-margin])


def contrast(patch: Patch) -> float:
    """Standard deviation of luma (BT.601), in levels: 0 for a flat patch, at most 127.5."""
    return float(cv2.meanStdDev(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY))[1][0, 0])


def _part_of_scaled(photo: Patch, box: tuple[int, int, int, int], scale: float) -> Patch:
    """What lies within a box (left, top, right, bottom) of the whole photo resized."""
    reach = math.ceil(_BICUBIC_REACH * max(1, 1 / scale)) + 1
    x0, y0, x1, y1 = (side / scale for side in box)
    height, width = photo.shape[:2]
    x1, y1 = min(x1, width), min(y1, height)  # a rounding error may lie outside
    left, top = max(math.floor(x0) - reach, 0), max(math.floor(y0) - reach, 0)
    right, bottom = min(math.ceil(x1) + reach, width), min(math.ceil(y1) + reach, height)
    part = photo[top:bottom, left:right]
    wide = _resized(part, (box[2] - box[0], bottom - top), (x0 - left, 0, x1 - left, bottom - top))
    return _resized(wide, (box[2] - box[0], box[3] - box[1]), (0, y0 - top, box[2] - box[0], y1 - top))


def _resized(image: Patch, size: tuple[int, int], box: tuple[float, float, float, float]) -> Patch:
    """Resize the part of an image within a box to (width, height).

    Along one side at a time: Pillow takes whichever first is faster, and levels are clipped in between.
    """
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC, box=box))
