"""A distance for simulated people: how different two patches look to them.

It is this project's own and no metric of `metrics`, so that scoring those on simulated answers is not
circular. Differences of Lab are taken at four scales, divided by what the local contrast of the original hides,
and summed with fixed weights.
"""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

# Of each scale, from the finest: people are least sensitive to the finest detail of a small patch.
_SCALE_WEIGHTS = (0.15, 0.35, 0.35, 0.15)
_CHANNEL_WEIGHTS = np.array([1.0, 0.6, 0.4])  # L, a, b
# Contrast in Lab units that is there on any screen, and how much of a patch's own hides a difference.
_FLOOR, _MASKING = 4.0, 0.7

_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = _TO_XYZ.sum(axis=1)


def latent_distance(original: Pixels, other: Pixels) -> float:
    """Distance of two patches, uint8 (H, W, 3): 0 if they are identical, about 1 for a plain difference."""
    first, second = _lab(original), _lab(other)
    total = 0.0
    for weight in _SCALE_WEIGHTS:
        difference = np.sqrt(((first - second) ** 2 * _CHANNEL_WEIGHTS).sum(axis=2))
        masked = difference / (_FLOOR + _MASKING * _contrast(first[..., 0]))
        total += weight * float(np.mean(masked**2)) ** 0.5
        first, second = _halved(first), _halved(second)
    return total


def _lab(image: Pixels) -> Floats:
    """CIE Lab under D65."""
    level = image / 255.0
    linear = np.where(level > 0.04045, ((level + 0.055) / 1.055) ** 2.4, level / 12.92)
    relative = linear @ _TO_XYZ.T / _WHITE
    f = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=2)


def _halved(image: Floats) -> Floats:
    """Means of 2x2 pixels; an odd last row or column is left out, a single one stays."""
    height, width = (max(side // 2 * 2, 1) for side in image.shape[:2])
    rows = image[:height]
    rows = (rows[::2] + rows[1::2]) / 2 if height > 1 else rows
    columns = rows[:, :width]
    return (columns[:, ::2] + columns[:, 1::2]) / 2 if width > 1 else columns


def _contrast(lightness: Floats) -> Floats:
    """Mean absolute difference to the four neighbours, the border mirrored."""
    padded = np.pad(lightness, 1, mode="reflect") if min(lightness.shape) > 1 else np.pad(lightness, 1, mode="edge")
    centre = padded[1:-1, 1:-1]
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.mean([np.abs(centre - neighbour) for neighbour in around], axis=0)
