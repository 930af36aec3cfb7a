"""What `enlargement.py` does for every pixel of a file, compiled."""

import numpy as np
from numpy.typing import NDArray

from bapps_builder.images.compiled import compiled

Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]


@compiled
def take_patch(image: Bytes, places: Places, first: Places, patch: Bytes) -> bool:
    """Fill `patch` (n, n, 3) from an image (4n, 4n, 3), and tell whether the image shows it and nothing else.

    `places` (4n,) and `first` (n,) are the pixel of the patch that each one of the image shows, and the first
    to show each.
    """
    side = len(image)
    repeats = np.zeros(3 * side, np.uint8)  # all bits of a byte that must be as the one to its left
    for x in range(1, side):
        if places[x] == places[x - 1]:
            repeats[3 * x : 3 * x + 3] = 255
    for y in range(side):
        row, difference = image[y].reshape(-1), np.uint8(0)
        if repeats[3 * y]:
            above = image[y - 1].reshape(-1)
            for j in range(len(row)):
                difference |= row[j] ^ above[j]
        else:
            for j in range(3, len(row)):
                difference |= (row[j] ^ row[j - 3]) & repeats[j]
        if difference:
            return False
    for i in range(len(patch)):
        for j in range(len(patch)):
            for channel in range(3):
                patch[i, j, channel] = image[first[i], first[j], channel]
    return True


@compiled
def filter_patch(patch: Bytes, start: Places, weights: NDArray[np.int32], bits: int, result: Bytes) -> None:
    """Fill `result` (R, R, 3) with a filtered patch (n, n, 3): along rows, to bytes, then along columns.

    `start` (R,) and `weights` (R, K) are the neighbours that each pixel of the result sums, in
    multiples of 1 / 2^bits.
    """
    count, side = weights.shape[1], len(result)
    half = np.int32(1 << (bits - 1))
    narrow = np.empty((len(patch), side, 3), np.uint8)
    for i in range(len(patch)):
        for x in range(side):
            for channel in range(3):
                total = half
                for k in range(count):
                    total += weights[x, k] * np.int32(patch[i, start[x] + k, channel])
                narrow[i, x, channel] = total >> bits
    total_row = np.empty(side * 3, np.int32)
    for y in range(side):
        total_row[:] = half
        for k in range(count):
            row, weight = narrow[start[y] + k].reshape(-1), weights[y, k]
            for j in range(len(row)):
                total_row[j] += weight * np.int32(row[j])
        out = result[y].reshape(-1)
        for j in range(len(out)):
            out[j] = total_row[j] >> bits
