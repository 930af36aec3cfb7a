"""JPEG against Pillow's encoder of the same quality and chroma sampling."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from distortions.distortion import Patch
from distortions.registry import find

WHOLE, HALVED = 0, 2  # Pillow's names for 4:4:4 and 4:2:0


@pytest.fixture(scope="module")
def patch() -> Patch:
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).uniform(-600, 850, (50, 41, 3)), (1.5, 1.5, 0))
    return np.clip(smooth, 0, 255).astype(np.uint8)


def through_pillow(patch: Patch, quality: int, subsampling: int) -> Patch:
    stream = io.BytesIO()
    Image.fromarray(patch).save(stream, "jpeg", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(stream))


@pytest.mark.parametrize(
    ("quality", "sampling", "other"),
    [(1, HALVED, WHOLE), (30, HALVED, WHOLE), (89, HALVED, WHOLE), (90, WHOLE, HALVED), (100, WHOLE, HALVED)],
)
def test_jpeg_is_that_of_pillow(patch: Patch, quality: int, sampling: int, other: int) -> None:
    made = find("jpeg").apply(patch, np.random.default_rng(0), {"quality": quality}).astype(int)
    difference = np.abs(made - through_pillow(patch, quality, sampling))
    # Both are libjpeg-turbo; their builds may round differently.
    assert difference.max() <= 2
    assert np.abs(made - through_pillow(patch, quality, other)).mean() > 3 * difference.mean() + 0.5


def test_quality_is_whole_and_severity_0_is_the_best() -> None:
    found = find("jpeg")
    drawn = [found.at(severity, np.random.default_rng(0))["quality"] for severity in np.linspace(0, 1, 101)]
    assert drawn[0] == 100
    assert drawn[-1] == 10
    assert drawn == sorted(drawn, reverse=True)
    assert all(isinstance(quality, int) for quality in drawn)
