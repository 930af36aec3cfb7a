"""Pixels of every distortion, as they were when the tests were written.

    BAPPS_WRITE_GOLDEN=1 pytest tests/distortions/traditional/test_golden.py     writes them anew

A change of pixels makes recipes of published patch sets mean something else, so it should be meant.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from bapps_builder.images.image_files import encode_png, read_image
from distortions.distortion import Patch
from distortions.registry import distortions, find
from distortions.traditional import TWENTY


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "tests" / "golden" / "distortions"


def scene() -> Patch:
    """A sky from blue to orange, a disc, stripes that grow finer, and a grey ramp; 40x48."""
    y, x = np.mgrid[:40, :48]
    made = np.stack([60 + 4 * y, 90 + 2 * y, 200 - 3 * y], 2)
    made[(y - 14) ** 2 + (x - 15) ** 2 < 90] = (250, 220, 60)
    made[:, 28:] = np.where((x[:, 28:] ** 2 // 60) % 2, 100, 150)[..., None]
    made[32:] = (5 * x[32:])[..., None]
    return made.astype(np.uint8)


def made(name: str) -> Patch:
    found = find(name)
    return found.apply(scene(), np.random.default_rng(2), found.at(0.7, np.random.default_rng(1)))


def test_there_is_one_for_each_of_the_paper(folder: Path) -> None:
    assert set(TWENTY) <= {path.stem for path in folder.iterdir()} <= set(distortions())


@pytest.mark.parametrize("name", distortions())
def test_pixels_are_as_they_were(name: str, folder: Path) -> None:
    path = folder / f"{name}.png"
    if os.environ.get("BAPPS_WRITE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(made(name)))
    if name not in TWENTY and not path.exists():
        return  # its pixels may still change
    golden = read_image(path)
    assert np.abs(made(name).astype(int) - golden).max() <= 1
    assert np.abs(scene().astype(int) - golden).mean() > 0.5
