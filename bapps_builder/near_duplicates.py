"""Find patches that look the same, among more pairs than could be compared.

A perceptual hash of 64 bits says where a small, grey copy has more or less of each of 64 low frequencies than
is usual in it. Equal patches have equal hashes; compression, slight noise or brightness change few bits. Pairs
whose hashes differ in at most 5 are compared in pixels. Patches without detail (sky, walls) are left out: they
all look alike.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Hashes = NDArray[np.uint64]

MAX_BITS = 5
_BANDS = (11, 11, 11, 11, 10, 10)  # one more than bits may differ, so that a close pair shares one whole band
_SIDE, _FREQUENCIES = 32, 8
_THUMBNAIL = 16
_DETAIL = 4.0  # standard deviation of what is left of a thumbnail, in levels
_CORRELATION = 0.95
_PAIRS_AT_A_TIME = 1 << 22


def perceptual_hash(image: Pixels) -> tuple[int, bool]:
    """Hash an image (H, W, 3); also tell whether it has detail enough for the hash to mean something."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_FREQUENCIES, :_FREQUENCIES].reshape(-1)
    median = np.sort(low[1:])[len(low) // 2 - 1]  # without the mean, low[0], which is far above the others
    bits = np.packbits(low > median)
    detail = _detail(grey).ravel()
    return int.from_bytes(bits.tobytes(), "big"), bool(detail @ detail >= len(detail) * _DETAIL**2)


def close_pairs(a: Hashes, b: Hashes) -> NDArray[np.intp]:
    """All pairs (i, j) with a[i] and b[j] differing in at most MAX_BITS bits, shape (P, 2), in order."""
    found = [_of_band(a, b, shift, width) for shift, width in _bands()]
    return np.unique(np.concatenate([np.empty((0, 2), np.intp), *found]), axis=0)


def _bands() -> Iterator[tuple[int, int]]:
    shift = 0
    for width in _BANDS:
        yield shift, width
        shift += width


def _of_band(a: Hashes, b: Hashes, shift: int, width: int) -> NDArray[np.intp]:
    """The close pairs that agree in one band of bits."""
    keys_a, keys_b = ((hashes >> np.uint64(shift)) & np.uint64((1 << width) - 1) for hashes in (a, b))
    order = np.argsort(keys_b, kind="stable")
    first, last = (np.searchsorted(keys_b[order], keys_a, side) for side in ("left", "right"))
    ends = np.cumsum(last - first)
    found, start = [], 0
    while start < len(a):  # some rows of a at a time, since a band may be shared by many
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _PAIRS_AT_A_TIME, "right")))
        counts = (last - first)[start:stop]
        i = np.repeat(np.arange(start, stop), counts)
        within = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
        j = order[np.repeat(first[start:stop], counts) + within]
        near = np.bitwise_count(a[i] ^ b[j]) <= MAX_BITS
        found.append(np.column_stack([i[near], j[near]]))
        start = stop
    return np.concatenate([np.empty((0, 2), np.intp), *found])


def same_picture(a: Pixels, b: Pixels) -> bool:
    """Whether two images show the same: what is left of small grey copies without their slope is correlated."""
    x, y = (_detail(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)).ravel() for image in (a, b))
    return float(x @ y) >= _CORRELATION * float(np.sqrt((x @ x) * (y @ y)))


def _detail(grey: cv2.typing.MatLike) -> NDArray[np.float64]:
    """A copy of 16x16 less the plane that fits it best: slopes of light are alike everywhere."""
    small = cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float64)
    small -= small.mean()
    ramp = np.arange(_THUMBNAIL) - (_THUMBNAIL - 1) / 2
    power = _THUMBNAIL * (ramp @ ramp)
    small -= ramp[:, None] * (ramp @ small.sum(1) / power)
    return small - ramp * (small.sum(0) @ ramp / power)
