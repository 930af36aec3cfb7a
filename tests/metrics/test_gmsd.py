"""GMSD against the authors' numbers. Properties: test_properties.py."""

from pathlib import Path

import pytest

from bapps_builder.images import read_image
from metrics.gmsd import GMSD


@pytest.mark.parametrize(
    ("reference", "distorted", "expected"),
    [("goldhill.gif", "goldhill_jpeg.gif", 0.138012587), ("I01.BMP", "i01_01_5.bmp", 0.094124656)],
)
def test_authors_numbers(shared_data: Path, reference: str, distorted: str, expected: float) -> None:
    # The numbers of the authors' MATLAB code for these pairs: .138013 and .094125.
    a, b = (read_image(shared_data / "metric-pairs" / name)[None] for name in (reference, distorted))
    assert GMSD(a, b) == pytest.approx([expected], abs=1e-6)
