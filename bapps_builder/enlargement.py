"""BAPPS files are enlarged patches: undo the enlargement, or see what shrinking them again gives.

The files are 256x256 (a few 252x252) and show patches of 64x64 (63x63). Output pixel x shows source pixel
floor((n - 1) x / (4n - 1) + 0.5), in both directions: blocks are mostly, not all, 4 wide. Read off the
released files, true of them bit for bit.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bapps_builder.errors import ImageError
from bapps_builder.images import resize_bilinear

PATCH_SIDE = 64
ENLARGEMENT = 4


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
            f"{name}: is {width}x{height}, no enlargement of a square patch by {ENLARGEMENT}; "
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
    shown, first = _enlargement(len(image))
    rows = image.take(first, axis=0)
    if not np.array_equal(rows.take(shown, axis=0), image):
        return None
    patch = rows.take(first, axis=1)
    return patch if np.array_equal(patch.take(shown, axis=1), rows) else None


def shrink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Resize a square image to a patch with Pillow's BILINEAR filter, bit for bit, faster where it is enlarged.

    Pillow filters along rows first, then along columns, with bytes in between. The 256 rows of a file
    show 64 different ones, so filtering along rows is done on those alone.
    """
    side = len(image)
    if side == ENLARGEMENT * PATCH_SIDE:
        shown, first = _enlargement(side)
        rows = image.take(first, axis=0)
        if np.array_equal(_words(rows.take(shown, axis=0)), _words(image)):
            narrow = resize_bilinear(rows, width=PATCH_SIDE, height=PATCH_SIDE)
            return resize_bilinear(narrow.take(shown, axis=0), width=PATCH_SIDE, height=PATCH_SIDE)
    return resize_bilinear(image, width=PATCH_SIDE, height=PATCH_SIDE)


def _words(image: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The same memory eight bytes at a time, which compares faster."""
    return np.ascontiguousarray(image).reshape(-1).view(np.uint64)


@lru_cache(maxsize=8)
def _enlargement(side: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For a file of `side` pixels: the source pixel each output shows, and the first output of each source."""
    n = side // ENLARGEMENT
    # floor((n - 1) x / (side - 1) + 1/2) in whole numbers, so that no rounding can shift a pixel
    shown = (2 * (n - 1) * np.arange(side) + side - 1) // (2 * (side - 1))
    return shown, np.searchsorted(shown, np.arange(n))
