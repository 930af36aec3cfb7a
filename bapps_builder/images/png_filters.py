"""The filters of PNG undone: section 9 of the W3C Recommendation PNG, fastest for three bytes a pixel."""

import numpy as np
from numpy.typing import NDArray

from bapps_builder.images.compiled import compiled

Bytes = NDArray[np.uint8]

_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)


@compiled
def undo_filters(rows: Bytes, pixels: Bytes) -> bool:
    """Undo the filter of each row.

    Parameters
    ----------
    rows : array of shape (H, 1 + 3 W)
        A row's filter, then its filtered bytes.
    pixels : array of shape (H, 3 W)
        Filled with the bytes as they were.

    Returns
    -------
    bool
        False if a row has a filter that does not exist.
    """
    nothing = np.zeros(pixels.shape[1], np.uint8)
    above = nothing
    for i in range(len(rows)):
        kind, row, out = rows[i, 0], rows[i, 1:], pixels[i]
        if kind == _NONE:
            _undo_up(row, nothing, out)
        elif kind == _SUB:
            _undo_sub(row.reshape(-1, 3), out.reshape(-1, 3))
        elif kind == _UP:
            _undo_up(row, above, out)
        elif kind == _AVERAGE:
            _undo_average(row.reshape(-1, 3), above.reshape(-1, 3), out.reshape(-1, 3))
        elif kind == _PAETH:
            _undo_paeth(row.reshape(-1, 3), above.reshape(-1, 3), out.reshape(-1, 3))
        else:
            return False
        above = out
    return True


@compiled
def undo_filters_of_any_step(rows: Bytes, pixels: Bytes, step: int) -> bool:
    """Undo the filter of each row of a picture whose pixels take `step` bytes, or share one.

    Parameters
    ----------
    rows : array of shape (H, 1 + N)
        A row's filter, then its filtered bytes.
    pixels : array of shape (H, N)
        Filled with the bytes as they were.
    step : int
        From a byte to the one that filters call left.

    Returns
    -------
    bool
        False if a row has a filter that does not exist.
    """
    above = np.zeros(pixels.shape[1], np.uint8)
    for i in range(len(rows)):
        kind, row, out = rows[i, 0], rows[i, 1:], pixels[i]
        if kind > _PAETH:
            return False
        for j in range(len(out)):
            left = int(out[j - step]) if j >= step else 0
            corner = int(above[j - step]) if j >= step else 0
            up = int(above[j])
            if kind == _NONE:
                guess = 0
            elif kind == _SUB:
                guess = left
            elif kind == _UP:
                guess = up
            elif kind == _AVERAGE:
                guess = (left + up) >> 1
            else:
                guess = _nearest(left, up, corner)
            out[j] = (row[j] + guess) & 255
        above = out
    return True


@compiled
def _undo_up(row: Bytes, above: Bytes, out: Bytes) -> None:
    for j in range(len(row)):
        out[j] = row[j] + above[j]


# The pixel to the left stays in registers, one a channel: through memory these loops would take twice as long.


@compiled
def _undo_sub(row: Bytes, out: Bytes) -> None:
    red = green = blue = 0
    for j in range(len(row)):
        red = (red + row[j, 0]) & 255
        green = (green + row[j, 1]) & 255
        blue = (blue + row[j, 2]) & 255
        out[j, 0], out[j, 1], out[j, 2] = red, green, blue


@compiled
def _undo_average(row: Bytes, above: Bytes, out: Bytes) -> None:
    red = green = blue = 0
    for j in range(len(row)):
        red = (row[j, 0] + ((red + above[j, 0]) >> 1)) & 255
        green = (row[j, 1] + ((green + above[j, 1]) >> 1)) & 255
        blue = (row[j, 2] + ((blue + above[j, 2]) >> 1)) & 255
        out[j, 0], out[j, 1], out[j, 2] = red, green, blue


@compiled
def _undo_paeth(row: Bytes, above: Bytes, out: Bytes) -> None:
    red = green = blue = 0
    corner_red = corner_green = corner_blue = 0
    for j in range(len(row)):
        up_red, up_green, up_blue = int(above[j, 0]), int(above[j, 1]), int(above[j, 2])
        red = (row[j, 0] + _nearest(red, up_red, corner_red)) & 255
        green = (row[j, 1] + _nearest(green, up_green, corner_green)) & 255
        blue = (row[j, 2] + _nearest(blue, up_blue, corner_blue)) & 255
        corner_red, corner_green, corner_blue = up_red, up_green, up_blue
        out[j, 0], out[j, 1], out[j, 2] = red, green, blue


@compiled
def _nearest(left: int, up: int, corner: int) -> int:
    """Of the three the one nearest to left + up - corner, ties in this order (section 9.4)."""
    nearest, distance = left, abs(up - corner)
    from_up, from_corner = abs(left - corner), abs(left + up - 2 * corner)
    if from_up < distance:
        nearest, distance = up, from_up
    if from_corner < distance:
        nearest = corner
    return nearest
