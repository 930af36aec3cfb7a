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
SIDE = 32  # of a thumbnail
_FREQUENCIES = 8  # in each direction
_COARSE = SIDE // 2
_DETAIL = 4.0  # standard deviation of what is left of a coarse thumbnail, in levels
_CORRELATION = 0.95
_PAIRS_AT_A_TIME = 1 << 22
# The lowest frequencies of the cosine transform (DCT-II), a row each.
_COSINES = cv2.dct(np.eye(SIDE, dtype=np.float32), flags=cv2.DCT_ROWS).T[:_FREQUENCIES]


def thumbnail(image: Pixels) -> Pixels:
    """The small grey copy (SIDE, SIDE) of an image (H, W, 3) that hashes and comparisons are made of."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def perceptual_hashes(thumbnails: Pixels) -> tuple[Hashes, NDArray[np.bool_]]:
    """Hash N thumbnails (N, SIDE, SIDE); also tell which have detail enough for the hash to mean something."""
    # Two large products of matrices rather than two small ones a thumbnail.
    across = thumbnails.reshape(-1, SIDE).astype(np.float32) @ _COSINES.T  # (32 N, 8)
    down = across.reshape(-1, SIDE, _FREQUENCIES).swapaxes(1, 2).reshape(-1, SIDE) @ _COSINES.T  # (8 N, 8)
    low = down.reshape(-1, _FREQUENCIES, _FREQUENCIES).swapaxes(1, 2).reshape(len(thumbnails), -1)  # (N, 64)
    others = low[:, 1:]  # without the mean, which is far above them
    middle = others.shape[1] // 2
    usual = np.partition(others, middle, axis=1)[:, middle, None]  # the median of an odd number
    bits = np.packbits(low > usual, axis=1)  # (N, 8)
    detail = _detail(thumbnails)
    return bits.view(">u8").astype(np.uint64).ravel(), (detail**2).mean(1) >= _DETAIL**2


def close_pairs(a: Hashes, b: Hashes) -> NDArray[np.intp]:
    """All pairs (i, j) with a[i] and b[j] differing in at most MAX_BITS bits, shape (P, 2), in order."""
    pairs = [_of_band(a, b, shift, width) for shift, width in _bands()]
    return np.unique(np.concatenate([np.empty((0, 2), np.intp), *pairs]), axis=0)


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
    parts, start = [], 0
    while start < len(a):  # some rows of a at a time, since a band may be shared by many
        total = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, total + _PAIRS_AT_A_TIME, "right")))
        counts = (last - first)[start:stop]
        i = np.repeat(np.arange(start, stop), counts)
        within = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
        j = order[np.repeat(first[start:stop], counts) + within]
        near = np.bitwise_count(a[i] ^ b[j]) <= MAX_BITS
        parts.append(np.column_stack([i[near], j[near]]))
        start = stop
    return np.concatenate([np.empty((0, 2), np.intp), *parts])


def same_picture(a: Pixels, b: Pixels) -> bool:
    """Whether two images show the same: what is left of small grey copies without their slope is correlated."""
    x, y = _detail(np.stack([thumbnail(a), thumbnail(b)]))
    return float(x @ y) >= _CORRELATION * float(np.sqrt((x @ x) * (y @ y)))


def _detail(thumbnails: Pixels) -> NDArray[np.float64]:
    """Coarser copies less the plane that fits each best, (N, 256): slopes of light are alike everywhere."""
    pairs = thumbnails[:, ::2].astype(np.uint16) + thumbnails[:, 1::2]
    small = (pairs[:, :, ::2] + pairs[:, :, 1::2]) / 4.0  # means of four, (N, 16, 16)
    small -= small.mean((1, 2), keepdims=True)
    ramp = np.arange(_COARSE) - (_COARSE - 1) / 2
    power = _COARSE * (ramp @ ramp)
    down, across = small.sum(2) @ ramp / power, small.sum(1) @ ramp / power  # both before either is taken away
    small -= down[:, None, None] * ramp[:, None] + across[:, None, None] * ramp
    return small.reshape(len(thumbnails), -1)
