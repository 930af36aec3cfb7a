"""Blur: by a Gaussian kernel, or by a bilateral filter, which spares edges.

Names and family are of Zhang et al., CVPR 2018, Table 2; the strengths are this project's. No rng is used.
"""

import cv2
import numpy as np

from distortions.distortion import REFLECTED, Parameter, Patch, Ramp, distortion


@distortion(
    ramp=Ramp(1.3, 0.46),
    draw=lambda strength, rng: {"sigma": strength},
    border=REFLECTED,
    sigma=Parameter(0, 100, "pixels", "standard deviation of the kernel"),
)
def gaussian_blur(patch: Patch, rng: np.random.Generator, *, sigma: float) -> Patch:
    """Blur with a Gaussian kernel.

    The kernel is as wide as three sigma on each side.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
    sigma : float
        Standard deviation in [0, 100] pixels: the strength.
    """
    if sigma == 0:
        return patch.copy()
    return np.asarray(cv2.GaussianBlur(patch, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), np.uint8)


_RADIUS = 3  # pixels: of the window, and the standard deviation within it


@distortion(
    ramp=Ramp(250, 1.5),
    draw=lambda strength, rng: {"sigma": strength},
    border=REFLECTED,
    sigma=Parameter(0, 1000, "levels", "difference of colour that is still smoothed away"),
    radius=Parameter(1, 192, "pixels", "of the window", whole=True),
)
def bilateral_filter(patch: Patch, rng: np.random.Generator, *, sigma: float, radius: int = _RADIUS) -> Patch:
    """Smooth areas of like colour and leave the edges between them.

    A pixel becomes the mean over a round window, weighted by closeness (Gaussian of the window's radius) and by
    likeness of colour (Gaussian of sigma).

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
    sigma : float
        In [0, 1000] levels, on the sum of the absolute differences of R, G and B: the strength.
    radius : int
        Of the window, in [1, 192] pixels, by default 3. The time goes with its square.

    References
    ----------
    Tomasi and Manduchi, Bilateral filtering for gray and color images, ICCV 1998, doi 10.1109/ICCV.1998.710815.
    """
    if sigma == 0:
        return patch.copy()
    output = cv2.bilateralFilter(patch, 2 * radius + 1, sigma, radius, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(output, np.uint8)
