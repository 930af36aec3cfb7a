"""Contact sheets to be looked at: distortions at growing severity, and every network of a zoo."""

from collections.abc import Sequence

import cv2
import numpy as np

from bapps_builder.errors import DistortionError
from distortions.cnn.zoo import Zoo
from distortions.distortion import MARGIN, Distortion, Patch
from distortions.recipes import apply_all, parse
from distortions.registry import distortions

SEVERITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Pixels: between patches, between the blocks of photos, above the patches, and at least left of them.
_GAP, _BLOCK_GAP, _HEADER, _NAMES = 4, 16, 26, 216
_FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)  # face, scale, thickness


def contact_sheet(
    photos: Sequence[Patch],
    shown: Sequence[Distortion] = (),
    *,
    severities: Sequence[float] = SEVERITIES,
    enlarge: int = 2,
    seed: int = 0,
) -> Patch:
    """Draw a table of patches: a row for each distortion, and for each photo a block of growing severity.

    Within a block of a row the random directions and fields are the same.

    Parameters
    ----------
    photos : sequence of uint8 arrays of shape (H, W, 3)
        Crops of one size, such as 96x96. MARGIN pixels on each side are cut off after distortion, as
        `generate` does.
    shown : sequence of Distortion
        By default all of this project.
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
    down, across = (enlarge * side + _GAP for side in _size_of(photos))
    block = across * len(severities) + _BLOCK_GAP
    shown = shown or list(distortions().values())
    names = max(_NAMES, *(12 + cv2.getTextSize(entry.name, *_FONT)[0][0] for entry in shown))
    sheet = np.full((_HEADER + down * len(shown), names + block * len(photos), 3), 255, np.uint8)
    for row, one in enumerate(shown):
        _write(sheet, one.name, x=6, y=_HEADER + down * row + down // 2)
    for number, photo in enumerate(photos):
        for column, severity in enumerate(severities):
            left = names + block * number + across * column
            _write(sheet, f"{severity:g}", x=left, y=_HEADER - 8)
            for row, one in enumerate(shown):
                values = one.at(severity, np.random.default_rng([seed, number, row, 0]))
                patch = one.apply(photo, np.random.default_rng([seed, number, row, 1]), values)
                _show(sheet, patch, x=left, y=_HEADER + down * row, enlarge=enlarge)
    return sheet


def network_sheet(photos: Sequence[Patch], zoo: Zoo, *, enlarge: int = 2, seed: int = 0) -> Patch:
    """Draw a table of patches: the photos in the first row, then a row for each network of a zoo.

    Parameters are those of `contact_sheet`.
    """
    down, across = (enlarge * side + _GAP for side in _size_of(photos))
    sheet = np.full((down * (1 + len(zoo.entries)), _NAMES + across * len(photos), 3), 255, np.uint8)
    for row, name in enumerate(("photos", *zoo.entries)):
        pictures = list(photos)
        if row:
            rngs = [np.random.default_rng([seed, number, row]) for number in range(len(photos))]
            pictures = apply_all([parse(name)] * len(photos), photos, rngs, margin=MARGIN, zoo=zoo)
            _write(sheet, zoo[name].variant.corruption, x=6, y=down * row + down // 2 + 20)
        _write(sheet, name, x=6, y=down * row + down // 2)
        for number, patch in enumerate(pictures):
            _show(sheet, patch, x=_NAMES + across * number, y=down * row, enlarge=enlarge)
    return sheet


def _size_of(photos: Sequence[Patch]) -> tuple[int, int]:
    """Height and width of the patches within the margins, which must be those of all."""
    sizes = sorted({photo.shape[:2] for photo in photos})
    if len(sizes) != 1 or min(sizes[0]) <= 2 * MARGIN:
        raise DistortionError(
            f"a contact sheet needs crops of one size, larger than their margin of {MARGIN} pixels a side, "
            f"got sizes {', '.join(f'{height}x{width}' for height, width in sizes) or 'of no photo'}"
        )
    return sizes[0][0] - 2 * MARGIN, sizes[0][1] - 2 * MARGIN


def _show(sheet: Patch, patch: Patch, *, x: int, y: int, enlarge: int) -> None:
    shown = patch[MARGIN:-MARGIN, MARGIN:-MARGIN].repeat(enlarge, 0).repeat(enlarge, 1)
    sheet[y : y + shown.shape[0], x : x + shown.shape[1]] = shown


def _write(sheet: Patch, text: str, *, x: int, y: int) -> None:
    face, scale, thickness = _FONT
    cv2.putText(sheet, text, (x, y), face, scale, (0, 0, 0), thickness, cv2.LINE_AA)
