"""Make docs/distortions.png anew: every distortion at growing severity, on two photos that scikit-image brings along.

python docs/pictures/contact_sheet.py
"""

from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image

from distortions.distortion import Patch
from distortions.patch_sets.contact_sheet import contact_sheet
from distortions.registry import find
from distortions.traditional import TWENTY
from distortions.workers import settle_opencv

SHEET = Path(__file__).resolve().parents[1] / "distortions.png"


def crop(photo: Patch, *, top: int, left: int, side: int) -> Patch:
    """A square of a photo, shrunk to a patch of 64x64 with its margin."""
    square = photo[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (96, 96), interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    """Write the sheet."""
    settle_opencv()
    photos = [
        crop(skimage.data.astronaut(), top=20, left=140, side=192),
        crop(skimage.data.coffee(), top=60, left=200, side=288),
    ]
    sheet = contact_sheet(photos, [find(name) for name in TWENTY], seed=2)
    Image.fromarray(sheet).save(SHEET, optimize=True)
    print(SHEET)


if __name__ == "__main__":
    main()
