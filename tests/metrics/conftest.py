"""Pairs of images that the tests of metrics share."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Images = NDArray[np.uint8]
MakePair = Callable[[int, int, int], tuple[Images, Images]]


@pytest.fixture(scope="session")
def made_pair() -> MakePair:
    """Cloudy images in colour with edges (n, height, width), and the same with noise and less contrast."""

    def make(n: int, height: int, width: int) -> tuple[Images, Images]:
        rng = np.random.default_rng(n * height + width)
        clouds = gaussian_filter(rng.normal(size=(n, height, width, 3)), (0, 2, 2, 0)) * 400 + 128
        clouds += 40 * (gaussian_filter(clouds[..., :1], (0, 4, 4, 0)) > 128)
        worse = 0.8 * clouds + 20 + rng.normal(scale=12, size=clouds.shape)
        return clouds.clip(0, 255).astype(np.uint8), worse.clip(0, 255).astype(np.uint8)

    return make
