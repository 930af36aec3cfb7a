"""sRGB to CIE Lab, in float64.

D65 white and the 2-degree observer, with the constants of scikit-image, to which it agrees to rounding
(OpenCV's own Lab differs by up to 0.25).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from metrics.chunks import scratch
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
_LAB = np.array([[0.0, 116.0, 0.0, -16.0], [500.0, -500.0, 0.0, 0.0], [0.0, 200.0, -200.0, 0.0]])


def rgb_to_lab(images: Images, *, out: Floats | None = None) -> Floats:
    """Convert sRGB, uint8 (N, H, W, 3), to Lab, float64 (N, H, W, 3): L in [0, 100], a and b about ±110.

    The result is written into `out` if it is given, a contiguous array of that shape.
    """
    result = np.empty(images.shape) if out is None else out
    pixels = (-1, 1, 3)  # cv2 takes two dimensions and channels
    linear, relative = (scratch(name, images.shape) for name in ("linear", "relative"))
    np.take(_LINEAR, images, out=linear, mode="clip")  # "clip" spares a buffer; bytes are always in range
    cv2.transform(linear.reshape(pixels), _RELATIVE_XYZ, dst=relative.reshape(pixels))
    f = linear
    cv2.pow(relative.reshape(pixels), 1 / 3, dst=f.reshape(pixels))
    dark = relative <= _THRESHOLD
    if dark.any():
        np.copyto(f, _SLOPE * relative + _OFFSET, where=dark)
    cv2.transform(f.reshape(pixels), _LAB, dst=result.reshape(pixels))
    return result
