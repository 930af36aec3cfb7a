"""VIFp against sewar, which follows the authors' code step by step."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bapps_builder.images.image_files import read_image
from metrics.classic.vif import vif_similarity
from metrics.image_math.tensors import to_unit_tensor
from metrics.metric import Images
from metrics.registry import load

MakePair = Callable[[int, int, int], tuple[Images, Images]]

PAIRS = [("goldhill.gif", "goldhill_jpeg.gif"), ("I01.BMP", "i01_01_5.bmp")]


def by_sewar(reference: Images, distorted: Images) -> list[float]:
    sewar = pytest.importorskip("sewar")
    weights = np.array([0.299, 0.587, 0.114])
    return [1 - sewar.vifp(x @ weights, y @ weights) for x, y in zip(reference, distorted, strict=True)]


@pytest.mark.parametrize("names", PAIRS, ids=lambda names: names[0])
def test_equals_sewar_on_real_images(shared_data: Path, names: tuple[str, str]):
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in names)
    np.testing.assert_allclose(load("vif")(a, b), by_sewar(a, b), rtol=0, atol=1e-9)


# Computed with sewar 0.4.10.
@pytest.mark.parametrize(
    ("names", "there", "back"), [(PAIRS[0], 0.733532, 0.720286), (PAIRS[1], 0.685313, 0.716988)], ids=["gold", "I01"]
)
def test_pinned_on_real_images(shared_data: Path, names: tuple[str, str], there: float, back: float):
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in names)
    assert load("vif")(a, b)[0] == pytest.approx(there, abs=1e-6)
    assert load("vif")(b, a)[0] == pytest.approx(back, abs=1e-6)


@pytest.mark.parametrize(("height", "width"), [(41, 41), (64, 64), (67, 75), (60, 530)])
def test_equals_sewar_on_made_images(height: int, width: int, made_pair: MakePair) -> None:
    a, b = made_pair(2, height, width)
    np.testing.assert_allclose(load("vif")(a, b), by_sewar(a, b), rtol=0, atol=1e-9)


def test_equals_sewar_where_some_windows_are_flat(made_pair: MakePair) -> None:
    a, b = made_pair(2, 80, 80)
    a[0, :40], b[1, :, :50] = 77, 200
    np.testing.assert_allclose(load("vif")(a, b), by_sewar(a, b), rtol=0, atol=1e-9)


def test_more_contrast_is_more_than_one(made_pair: MakePair) -> None:
    a = to_unit_tensor(made_pair(2, 64, 64)[0])
    assert (vif_similarity(0.3 + 0.4 * a, 0.2 + 0.6 * a) > 1).all()


def test_blind_to_a_constant(made_pair: MakePair) -> None:
    a = 0.5 * to_unit_tensor(made_pair(2, 64, 64)[0])
    torch.testing.assert_close(vif_similarity(a, a + 0.3), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-6)


def test_flat_references(made_pair: MakePair) -> None:
    textured, _ = made_pair(1, 64, 64)
    black, grey = (np.full((1, 64, 64, 3), level, np.uint8) for level in (0, 128))
    pairs = [(black, black), (grey, grey), (grey, black), (grey, textured), (textured, grey)]
    assert [load("vif")(x, y)[0] for x, y in pairs] == pytest.approx([0, 0, 0, 1, 1], abs=1e-6)
