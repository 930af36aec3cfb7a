"""BAPPS files are enlarged patches: undo the enlargement, or see what shrinking them again gives.

The files are 256x256 (a few 252x252) and show patches of 64x64 (63x63). Output pixel x shows source pixel
floor((n - 1) x / (4n - 1) + 0.5), in both directions: blocks are mostly, not all, 4 wide. Read off the
released files, true of them bit for bit.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bapps_builder.errors import ImageError
from bapps_builder.images.image_files import resize_bilinear

PATCH_SIDE = 64
ENLARGEMENT = 4
# Pillow's filters for bytes sum whole multiples of 1 / 2^22.
_FILTER_BITS = 22


def undo_enlargement(image: NDArray[np.uint8], *, name: str) -> NDArray[np.uint8]:
    """Give back the patch (n, n, 3) from which a BAPPS file (4n, 4n, 3) was enlarged.

    Raises
    ------
    ImageError
        Unless enlarging the result again gives `image` bit for bit.
    """
    height, width = image.shape[:2]
    if height != width or height % ENLARGEMENT:
        raise ImageError(
            f"{name}: is {width}x{height}, not an enlargement of a square patch by {ENLARGEMENT}; "
            "use the load mode official or native"
        )
    patch = patch_of(image)
    if patch is None:
        raise ImageError(
            f"{name}: enlarging its pixels again does not give the file back, so it was not made as BAPPS "
            "files were; use the load mode official or native"
        )
    return patch


def patch_of(image: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """The patch of which a square image is the enlargement, or None if it is not one."""
    # Imported late, since a command that reads no dataset should not wait for the compiler.
    from bapps_builder.images.enlargement_loops import take_patch

    n, rest = divmod(len(image), ENLARGEMENT)
    if rest:
        return None
    patch = np.empty((n, n, 3), np.uint8)
    places, first = _enlargement(len(image))
    return patch if take_patch(np.ascontiguousarray(image), places, first, patch) else None


def shrink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Resize a square image to a patch with Pillow's BILINEAR filter, bit for bit, faster where it is enlarged."""
    if len(image) == PATCH_SIDE:
        return image
    patch = patch_of(image)
    return resize_bilinear(image, width=PATCH_SIDE, height=PATCH_SIDE) if patch is None else blurred(patch)


def blurred(patch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What `shrink` makes of the enlargement of a patch (n, n, 3).

    The filter sums whole numbers. Where several of its pixels show the same one of a smaller patch, their
    weights can be added first, so the patch is all it needs to see.
    """
    from bapps_builder.images.enlargement_loops import filter_patch  # late, as above

    result = np.empty((PATCH_SIDE, PATCH_SIDE, 3), np.uint8)
    filter_patch(patch, *_filter(ENLARGEMENT * len(patch)), _FILTER_BITS, result)
    return result


@lru_cache(maxsize=8)
def _enlargement(side: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For a file of `side` pixels: the source pixel each output shows, and the first output of each source."""
    n = side // ENLARGEMENT
    # floor((n - 1) x / (side - 1) + 1/2) in whole numbers, so that no rounding can shift a pixel
    places = (2 * (n - 1) * np.arange(side) + side - 1) // (2 * (side - 1))
    return places, np.searchsorted(places, np.arange(n))


class _Filter(NamedTuple):
    """Each pixel of the result is the sum of K neighbours in the patch, times weights of 1 / 2^22.

    Attributes
    ----------
    start : array of shape (64,)
        The first of the neighbours.
    weights : array of shape (64, K)
    """

    start: NDArray[np.intp]
    weights: NDArray[np.int32]


@lru_cache(maxsize=8)
def _filter(side: int) -> _Filter:
    """Pillow's BILINEAR from `side` pixels to a patch: a triangle as wide as two pixels of the result."""
    places, _ = _enlargement(side)
    scale = side / PATCH_SIDE
    support = max(scale, 1.0)
    folded = np.zeros((PATCH_SIDE, side // ENLARGEMENT), np.int64)
    for pixel in range(PATCH_SIDE):
        centre = (pixel + 0.5) * scale
        support_places = np.arange(max(0, int(centre - support + 0.5)), min(side, int(centre + support + 0.5)))
        triangle = np.maximum(0.0, 1 - np.abs((support_places - centre + 0.5) / support))
        whole = (0.5 + triangle / triangle.sum() * 2**_FILTER_BITS).astype(np.int64)
        np.add.at(folded[pixel], places[support_places], whole)
    first, last = (folded > 0).argmax(1), folded.shape[1] - (folded[:, ::-1] > 0).argmax(1)
    width = int((last - first).max())
    start = np.minimum(first, folded.shape[1] - width)
    weights = np.take_along_axis(folded, start[:, None] + np.arange(width), axis=1)
    return _Filter(start, weights.astype(np.int32))
