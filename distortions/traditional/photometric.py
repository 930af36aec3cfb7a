"""Photometric distortions: every pixel by the same rule, in R'G'B' levels as an image stores them.

Results are rounded and clipped to 0..255. Names and family are of Zhang et al., CVPR 2018, Table 2; the
rules and their strengths are this project's. No rng is used.
"""

import math

import cv2
import numpy as np

from distortions.distortion import Parameter, Patch, Ramp, distortion

_NO_BORDER = "none: no pixel needs another"
# Weights of luma in R'G'B', ITU-R BT.601.
_LUMA = np.array([0.299, 0.587, 0.114])


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def _plus(patch: Patch, red: float, green: float, blue: float) -> Patch:
    # The fourth number is OpenCV's: a scalar has four.
    return np.asarray(cv2.add(patch, np.array([round(red), round(green), round(blue), 0.0])), np.uint8)


@distortion(
    ramp=Ramp(98, 0.64),
    draw=lambda strength, rng: {"levels": _sign(rng) * strength},
    border=_NO_BORDER,
    levels=Parameter(-255, 255, "levels", "added to R, G and B"),
)
def lightness_shift(patch: Patch, rng: np.random.Generator, *, levels: float) -> Patch:
    """Make everything lighter or darker by one amount.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
    levels : float
        Added to all three channels, in [-255, 255] levels: the strength or its negative, either as
        often.
    """
    return _plus(patch, levels, levels, levels)


@distortion(
    ramp=Ramp(88, 0.95),
    draw=lambda strength, rng: {"chroma": strength, "hue": 360 * rng.random()},
    border=_NO_BORDER,
    chroma=Parameter(0, 255, "levels", "size of the tint"),
    hue=Parameter(0, 360, "degrees", "colour of the tint: 0 red, 120 green, 240 blue"),
)
def color_shift(patch: Patch, rng: np.random.Generator, *, chroma: float, hue: float) -> Patch:
    """Tint everything with one colour, without a change of luma where nothing clips.

    The amounts added to R, G and B are chroma times the cosines of hue, hue - 120° and hue - 240°, less
    what they add to luma.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
    chroma : float
        In [0, 255] levels: the strength.
    hue : float
        In [0, 360] degrees, drawn evenly.
    """
    red, green, blue = (chroma * math.cos(math.radians(hue - angle)) for angle in (0, 120, 240))
    luma = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    return _plus(patch, red - luma, green - luma, blue - luma)


@distortion(
    ramp=Ramp(1.2, 0.8),
    draw=lambda strength, rng: {"factor": math.exp(_sign(rng) * strength)},
    border=_NO_BORDER,
    factor=Parameter(0, 10, "", "of the distance from the mean luma"),
)
def contrast(patch: Patch, rng: np.random.Generator, *, factor: float) -> Patch:
    """Draw all levels towards the mean luma of the patch, or away from it.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
    factor : float
        In [0, 10]: 0 leaves one grey, 1 changes nothing. Drawn as exp(strength) or its inverse,
        either as often.
    """
    mean = float(_LUMA @ cv2.mean(patch)[:3])
    return np.asarray(cv2.addWeighted(patch, factor, patch, 0, mean * (1 - factor)), np.uint8)


@distortion(
    ramp=Ramp(2.3, 0.62),
    draw=lambda strength, rng: {"factor": math.exp(_sign(rng) * strength)},
    border=_NO_BORDER,
    factor=Parameter(0, 10, "", "of the distance from grey"),
)
def saturation(patch: Patch, rng: np.random.Generator, *, factor: float) -> Patch:
    """Draw the colour of each pixel towards the grey of its luma, or away from it.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
    factor : float
        In [0, 10]: 0 leaves a grey image, 1 changes nothing. Drawn as exp(strength) or its inverse,
        either as often.
    """
    return np.asarray(cv2.transform(patch, factor * np.eye(3) + (1 - factor) * _LUMA), np.uint8)
