"""The window that a page shows of large pictures, against all windows looked at one by one, and planted differences."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.report.crops import Window, window_of_largest_difference


def slowest(pictures: list[np.ndarray], side: int) -> tuple[int, int, int]:
    """The sum, top and left of the best window, from the definition."""
    height, width = pictures[0].shape[:2]
    rows, columns = min(side, height), min(side, width)
    sums = {}
    for top, left in product(range(height - rows + 1), range(width - columns + 1)):
        cut = [one[top : top + rows, left : left + columns].astype(float) for one in pictures]
        sums[top, left] = int(sum(((other - cut[0]) ** 2).sum() for other in cut[1:]))
    top, left = max(sums, key=lambda place: (sums[place], -place[0], -place[1]))
    return sums[top, left], top, left


@given(
    st.integers(1, 14), st.integers(1, 14), st.integers(1, 8), st.integers(2, 3), st.integers(1, 255), st.integers(0)
)
def test_the_window_is_the_best_of_all(height: int, width: int, side: int, count: int, most: int, seed: int) -> None:
    """Few levels make windows that are equally good."""
    rng = np.random.default_rng(seed)
    pictures = [rng.integers(0, most + 1, (height, width, 3), dtype=np.uint8) for _ in range(count)]
    window = window_of_largest_difference(pictures, side=side)
    difference, top, left = slowest(pictures, side)
    assert window.difference == difference
    assert (window.height, window.width) == (min(side, height), min(side, width))
    if difference:
        assert (window.top, window.left) == (top, left)


@pytest.mark.parametrize("which", [1, 2])
def test_a_planted_difference_is_in_the_window_of_every_picture(which: int) -> None:
    pictures = [np.random.default_rng(0).integers(0, 200, (300, 500, 3), dtype=np.uint8)] * 3
    pictures[which] = pictures[which].copy()
    pictures[which][200:240, 400:430] += 50
    window = window_of_largest_difference(pictures)
    assert (window.width, window.height, window.whole) == (128, 128, (500, 300))
    assert window.top <= 200
    assert window.top + 128 >= 240
    assert window.left <= 400
    assert window.left + 128 >= 430
    assert window.difference == 40 * 30 * 3 * 50**2
    np.testing.assert_array_equal(window.of(pictures[0]), pictures[0][window.top :, window.left :][:128, :128])


def test_the_greatest_difference_there_can_be_is_summed_without_overflow() -> None:
    black, white = np.zeros((600, 130, 3), np.uint8), np.full((600, 130, 3), 255, np.uint8)
    assert window_of_largest_difference([black, white, white]).difference == 2 * 3 * 128 * 128 * 255**2


def test_equal_pictures_are_shown_in_the_middle() -> None:
    grey = np.full((200, 328, 3), 9, np.uint8)
    assert window_of_largest_difference([grey, grey]) == Window(100, 36, 128, 128, (328, 200), 0)
    assert window_of_largest_difference([grey]) == Window(100, 36, 128, 128, (328, 200), 0)
