"""What a network is given in place of the patch that it shall give back: its task.

The kinds are those of Zhang et al., CVPR 2018, Table 2; the strengths, drawn anew for each patch, are this
project's. `generate` corrupts a patch in the same way before it goes through a network.
"""

import cv2
import numpy as np

from distortions.cnn.variants import Corruption
from distortions.distortion import Patch
from distortions.traditional.noise import gaussian_pink_noise, gaussian_white_noise

SIGMAS = (10.0, 50.0)  # levels
FACTORS = (2, 3, 4)


def corrupt(patch: Patch, corruption: Corruption, rng: np.random.Generator) -> Patch:
    """Corrupt a patch.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    corruption : str
        "null" leaves it as it is. "pink-noise" and "white-noise" add a Gaussian field with a standard deviation even
        over 10 to 50 levels. "color-removal" puts luma (BT.601) into all channels. "downsampling" takes means over
        squares with a side of 2, 3 or 4 pixels and comes back to the size by bicubic interpolation.
    rng : numpy Generator

    Returns
    -------
    uint8 array of shape (H, W, 3)
    """
    if corruption == "null":
        return patch
    if corruption == "pink-noise":
        return gaussian_pink_noise(patch, rng, sigma=rng.uniform(*SIGMAS))
    if corruption == "white-noise":
        return gaussian_white_noise(patch, rng, sigma=rng.uniform(*SIGMAS))
    if corruption == "color-removal":
        return np.asarray(cv2.cvtColor(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    height, width = patch.shape[:2]
    factor = int(rng.choice(FACTORS))
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    means = cv2.resize(patch, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(means, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
