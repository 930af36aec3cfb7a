"""sRGB to CIE Lab, in float64.

D65 white and the 2-degree observer, with the constants of scikit-image, to which it agrees within 1e-9
(OpenCV's own Lab differs by up to 0.25).
"""

import numpy as np
from numpy.typing import NDArray

from bapps_builder.images.compiled import compiled
from metrics.metric import Images

Floats = NDArray[np.float64]

# IEC 61966-2-1: the 256 levels of a channel as linear light, and linear light to XYZ.
_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS > 0.04045, ((_LEVELS + 0.055) / 1.055) ** 2.4, _LEVELS / 12.92)
_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_RELATIVE_XYZ = _XYZ / _WHITE[:, None]
# CIE 15: f is a cube root, but linear below the threshold; L = 116 fy - 16, a = 500 (fx - fy), b = 200 (fy - fz)
_THRESHOLD, _SLOPE, _OFFSET = 0.008856, 7.787, 16 / 116
# The cube root as straight pieces: within 3e-5 of it above the threshold. One more piece, for 1 itself.
_PIECES = 4096
_POINTS = np.arange(_PIECES + 2) / _PIECES
_RISE = np.diff(np.cbrt(_POINTS)) * _PIECES
_START = np.cbrt(_POINTS[:-1]) - _RISE * _POINTS[:-1]


# What MATLAB's rgb2gray multiplies by: the first row of the inverse of its rounded matrix from YIQ to RGB.
MATLAB_LUMA = (0.298936021293775, 0.587043074451121, 0.114020904255103)


def rounded_luma(images: Images) -> Images:
    """Luma rounded to whole levels, halves up, as MATLAB's rgb2gray gives it: uint8 (N, H, W, 3) to (N, H, W, 1)."""
    return np.floor(images @ np.array(MATLAB_LUMA) + 0.5).astype(np.uint8)[..., None]


def rounded_gray(images: Images) -> Images:
    """The same as an image of three equal channels: uint8 (N, H, W, 3) to (N, H, W, 3)."""
    return np.repeat(rounded_luma(images), 3, axis=3)


def rgb_to_lab(images: Images) -> Floats:
    """Convert sRGB, uint8 (N, H, W, 3), to Lab, float64 (N, H, W, 3): L in [0, 100], a and b about ±110."""
    result = np.empty(images.shape)
    _convert(images.reshape(-1, images.shape[2], 3), result.reshape(-1, images.shape[2], 3))
    return result


def squared_lab_difference(a: Images, b: Images) -> Floats:
    """Squared differences of Lab summed over pixels and channels, two uint8 (N, H, W, 3) to (N,)."""
    sums = np.empty(len(a))
    _sum_differences(a, b, sums)
    return sums


@compiled
def _convert(rows: Images, result: Floats) -> None:
    planes = np.empty((3, rows.shape[1]))
    for row in range(rows.shape[0]):
        _lab_planes(rows[row], planes)
        for channel in range(3):
            result[row, :, channel] = planes[channel]


@compiled
def _sum_differences(a: Images, b: Images, sums: Floats) -> None:
    """One row at a time, so that no Lab image goes through memory."""
    lab, other = np.empty((3, a.shape[2])), np.empty((3, a.shape[2]))
    for n in range(a.shape[0]):
        total = 0.0
        for row in range(a.shape[1]):
            _lab_planes(a[n, row], lab)
            _lab_planes(b[n, row], other)
            for k in range(3):
                for i in range(a.shape[2]):
                    total += (lab[k, i] - other[k, i]) ** 2
        sums[n] = total


@compiled
def _lab_planes(pixels: Images, planes: Floats) -> None:
    """Lab of sRGB pixels (M, 3) into planes (3, M) of L, a, b."""
    count = pixels.shape[0]
    for i in range(count):
        red, green, blue = _LINEAR[pixels[i, 0]], _LINEAR[pixels[i, 1]], _LINEAR[pixels[i, 2]]
        for k in range(3):
            planes[k, i] = _RELATIVE_XYZ[k, 0] * red + _RELATIVE_XYZ[k, 1] * green + _RELATIVE_XYZ[k, 2] * blue
    for k in range(3):
        plane = planes[k]
        for i in range(count):
            x = plane[i]
            piece = np.uint32(np.int32(x * _PIECES))
            guess = _START[piece] + _RISE[piece] * x
            # One step of Halley's method triples the digits. Unlike a library's root, the loop becomes vectors.
            cube = guess * guess * guess
            guess *= (cube + 2 * x) / (2 * cube + x)
            plane[i] = guess if x > _THRESHOLD else _SLOPE * x + _OFFSET
    for i in range(count):
        x, y, z = planes[0, i], planes[1, i], planes[2, i]
        planes[0, i] = 116 * y - 16
        planes[1, i] = 500 * (x - y)
        planes[2, i] = 200 * (y - z)
