"""Write the free photographs that come with scikit-image into two folders, for training and for validation.

    python examples/photographs.py FOLDER

All are in the public domain or CC0, as the docstrings of `skimage.data` say. No photograph is in both folders.
"""

import sys
from pathlib import Path

import numpy as np
from skimage import data

from bapps_builder.images.image_files import encode_png

PHOTOGRAPHS = {
    "train": ("astronaut", "brick", "camera", "coffee", "gravel", "hubble_deep_field"),
    "val": ("chelsea", "grass", "retina", "rocket"),
}


def main(folder: Path) -> None:
    """Write FOLDER/train and FOLDER/val."""
    for split, names in PHOTOGRAPHS.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        for name in names:
            pixels = np.asarray(getattr(data, name)(), np.uint8)
            if pixels.ndim == 2:
                pixels = np.repeat(pixels[..., None], 3, axis=2)
            (folder / split / f"{name}.png").write_bytes(encode_png(np.ascontiguousarray(pixels[..., :3])))
        print(f"{folder / split}: {', '.join(names)}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: photographs.py FOLDER")
    main(Path(sys.argv[1]))
