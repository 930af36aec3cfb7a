"""Which part of large pictures a page shows: the window in which they differ most, the same for all of an item."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Pixels of a window's side; pictures that are no larger are shown whole.
SIDE = 128

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Window:
    """A part of pictures that are all of one size.

    Attributes
    ----------
    left, top, width, height : int
        In pixels.
    whole : tuple of (width, height)
        Of the pictures.
    difference : int
        Squared differences of the levels of all channels, summed over the window and over the pictures that the
        first one is compared with. At 0 the pictures are the same, and the window is in the middle.
    """

    left: int
    top: int
    width: int
    height: int
    whole: tuple[int, int]
    difference: int

    def of(self, picture: Pixels) -> Pixels:
        """Cut the window out of a picture."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


def window_of_largest_difference(pictures: Sequence[Pixels], *, side: int = SIDE) -> Window:
    """Find the window in which the first picture differs most from the others; of equals the uppermost leftmost.

    Sums are whole numbers, so nothing is rounded. Of the integral image only the rows of one window are held, so that
    photographs need little memory beyond their own.

    Parameters
    ----------
    pictures : sequence of ndarray of shape (H, W, 3), uint8
    side : int
        Of the window, in pixels; along a shorter side of the pictures it is that side.
    """
    height, width = pictures[0].shape[:2]
    rows, columns = min(side, height), min(side, width)
    column_sums = np.zeros(width, np.int64)
    best = Window((width - columns) // 2, (height - rows) // 2, columns, rows, (width, height), 0)
    for bottom in range(height):
        column_sums += _difference_of_row(pictures, bottom)
        if bottom >= rows:
            column_sums -= _difference_of_row(pictures, bottom - rows)
        if bottom >= rows - 1:
            integral = np.concatenate(([0], np.cumsum(column_sums)))  # (W + 1,)
            sums = integral[columns:] - integral[:-columns]  # (W - columns + 1,)
            left = int(np.argmax(sums))
            if sums[left] > best.difference:
                best = Window(left, bottom - rows + 1, columns, rows, (width, height), int(sums[left]))
    return best


def _difference_of_row(pictures: Sequence[Pixels], row: int) -> NDArray[np.int64]:
    first, *others = (picture[row].astype(np.int64) for picture in pictures)
    return sum(((other - first) ** 2).sum(axis=1) for other in others) + np.zeros(len(first), np.int64)
