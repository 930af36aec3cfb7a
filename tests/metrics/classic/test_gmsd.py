"""GMSD against the authors' numbers. Properties: test_properties.py."""

from pathlib import Path

import numpy as np
import pytest

from bapps_builder.images.image_files import read_image
from metrics.classic.gmsd import GMSD, gmsd
from metrics.image_math.tensors import to_unit_tensor


@pytest.mark.parametrize(
    ("reference", "distorted", "expected"),
    [("goldhill.gif", "goldhill_jpeg.gif", 0.138012587), ("I01.BMP", "i01_01_5.bmp", 0.094124656)],
)
def test_authors_numbers(shared_data: Path, reference: str, distorted: str, expected: float) -> None:
    # The numbers of the authors' MATLAB code for these pairs: .138013 and .094125.
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in (reference, distorted))
    assert GMSD(a, b) == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize("size", [(64, 64), (63, 66), (64, 31), (6, 7)])
def test_bytes_and_tensors_give_one_number(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size[0])
    a, b = rng.integers(0, 256, (2, 9, *size, 3), dtype=np.uint8)
    b[0] = a[0]
    b[1] = a[1] // 2
    wanted = gmsd(to_unit_tensor(a), to_unit_tensor(b)).numpy()
    np.testing.assert_allclose(GMSD(a, b), wanted, rtol=0, atol=1e-11)
