"""The contact sheet: every distortion at growing severity, to be looked at."""

from collections.abc import Sequence

import cv2
import numpy as np

from bapps_builder.errors import DistortionError
from distortions.registry import MARGIN, Patch, distortions

SEVERITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Pixels: between patches, between the blocks of photos, above the patches, and left of them.
_GAP, _BLOCK_GAP, _HEADER, _NAMES = 4, 16, 26, 216


def contact_sheet(
    photos: Sequence[Patch], *, severities: Sequence[float] = SEVERITIES, enlarge: int = 2, seed: int = 0
) -> Patch:
    """Draw a table of patches: a row for each distortion, and for each photo a block of growing severity.

    Within a block of a row the random directions and fields are the same.

    Parameters
    ----------
    photos : sequence of uint8 arrays of shape (H, W, 3)
        Crops of one size, such as 96x96. MARGIN pixels on each side are cut off after distortion, as
        `generate` does.
    severities : sequence of float
        In [0, 1].
    enlarge : int
        Side of the square on the sheet that shows one pixel.
    seed : int

    Returns
    -------
    uint8 array of shape (height of the sheet, its width, 3)

    Raises
    ------
    DistortionError
        If there is no photo, the photos differ in size, or nothing is left within the margin.
    """
    sizes = sorted({photo.shape[:2] for photo in photos})
    if len(sizes) != 1 or min(sizes[0]) <= 2 * MARGIN:
        raise DistortionError(
            f"a contact sheet wants crops of one size, larger than their margin of {MARGIN} pixels a side, "
            f"got sizes {', '.join(f'{height}x{width}' for height, width in sizes) or 'of no photo'}"
        )
    down, across = (enlarge * (side - 2 * MARGIN) + _GAP for side in sizes[0])
    block = across * len(severities) + _BLOCK_GAP
    known = distortions()
    sheet = np.full((_HEADER + down * len(known), _NAMES + block * len(photos), 3), 255, np.uint8)
    for row, name in enumerate(known):
        _write(sheet, name, x=6, y=_HEADER + down * row + down // 2)
    for number, photo in enumerate(photos):
        for column, severity in enumerate(severities):
            left = _NAMES + block * number + across * column
            _write(sheet, f"{severity:g}", x=left, y=_HEADER - 8)
            for row, found in enumerate(known.values()):
                values = found.at(severity, np.random.default_rng([seed, number, row, 0]))
                patch = found.apply(photo, np.random.default_rng([seed, number, row, 1]), values)
                shown = patch[MARGIN:-MARGIN, MARGIN:-MARGIN].repeat(enlarge, 0).repeat(enlarge, 1)
                top = _HEADER + down * row
                sheet[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    return sheet


def _write(sheet: Patch, text: str, *, x: int, y: int) -> None:
    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
