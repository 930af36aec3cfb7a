"""Colours of an ICC profile converted to sRGB by littlecms, as Pillow has it."""

import io
import struct
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Space = Literal["L", "RGB", "CMYK"]

# What a profile calls the colours that it is for, and the channels of each.
_SPACES: dict[str, Space] = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
_CHANNELS: dict[Space, int] = {"L": 1, "RGB": 3, "CMYK": 4}
_HIGH_RANGE = {16: "PQ", 18: "HLG"}  # transfer characteristics, ITU-T H.273
_STRIP = 256  # rows that are converted at a time
_LATTICE = 17  # colours a channel that tell whether a profile is sRGB


class SpacesDiffer(Exception):
    """A profile that cannot be read, or one for colours of another kind."""


def to_srgb(colours: NDArray[np.uint8], profile: bytes) -> NDArray[np.uint8]:
    """Convert colours to sRGB, with the rendering intent that the profile names.

    Parameters
    ----------
    colours : uint8 array of shape (H, W, 1), (H, W, 3) or, for CMYK, (H, W, 4)
    profile : bytes
        An ICC profile for grey, RGB or CMYK.

    Returns
    -------
    uint8 array of shape (H, W, 3), or `colours` themselves if the profile is sRGB but for a level of rounding

    Raises
    ------
    SpacesDiffer
        If the profile cannot be read, or is for another number of channels.
    """
    space, transform, is_srgb = _transform(profile)
    if _CHANNELS[space] != colours.shape[2]:
        if colours.shape[2] == 1 and space == "RGB":  # grey that a program saved with the profile of its screen
            colours = np.repeat(colours, 3, axis=2)
        else:
            raise SpacesDiffer(f"its colour profile is for {space}, and it has {colours.shape[2]} channels")
    if is_srgb:
        return colours
    out = np.empty((*colours.shape[:2], 3), np.uint8)
    for row in range(0, len(out), _STRIP):
        out[row : row + _STRIP] = _converted(colours[row : row + _STRIP], space, transform)
    return out


def _converted(colours: NDArray[np.uint8], space: Space, transform: Any) -> NDArray[np.uint8]:
    strip = Image.fromarray(np.ascontiguousarray(colours[..., 0] if space == "L" else colours), space)
    return np.asarray(ImageCms.applyTransform(strip, transform))


@lru_cache(maxsize=16)
def _transform(profile: bytes) -> tuple[Space, Any, bool]:
    """The space a profile is for, the way from it to sRGB, and whether it is sRGB."""
    if reason := _high_range(profile):
        raise SpacesDiffer(f"its colour profile is for levels of {reason}")
    try:
        opened = ImageCms.getOpenProfile(io.BytesIO(profile))
        space = _SPACES.get(opened.profile.xcolor_space.strip())
        if space is None:
            raise SpacesDiffer(f"its colour profile is for {opened.profile.xcolor_space.strip()}")
        intent = ImageCms.Intent(opened.profile.rendering_intent)
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), space, "RGB", intent)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise SpacesDiffer("its colour profile cannot be read") from error
    return space, transform, space == "RGB" and _is_srgb(transform)


def _high_range(profile: bytes) -> str:
    """What the tag cicp of a profile calls levels of high dynamic range, whose curve is no ordinary one; else ""."""
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        for number in range(min(count, 100)):
            kind, start, _ = struct.unpack_from(">4sII", profile, 132 + 12 * number)
            if kind == b"cicp":
                return _HIGH_RANGE.get(profile[start + 9], "")
    except (struct.error, IndexError):  # whoever reads the whole profile will say what is wrong
        pass
    return ""


def _is_srgb(transform: Any) -> bool:
    axis = np.linspace(0, 255, _LATTICE).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(_LATTICE, -1, 3)
    moved = _converted(lattice, "RGB", transform)
    return int(np.abs(moved.astype(np.int16) - lattice).max()) <= 1
