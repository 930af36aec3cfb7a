"""Sets of 64x64 patches from photographs of 8 bits keep their bytes: what a study has shown can be made again.

The distortions are two that compute with whole numbers, so that the bytes do not depend on the processor.
"""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from bapps_builder.patch_sets.patch_set import read_patch_set
from distortions.patch_sets.generate import generate
from distortions.patch_sets.sampling import Settings

# Taken on 29 November 2026, before photographs were read by a reader of their own.
BEFORE = "7f6394542b19d1cacc775652597da929621aa60b735a23c2f93cc2cdfe190768"


def save_photos(folder: Path) -> None:
    """Photographs without a colour profile, of many kinds that have 8 bits, with an edge that shows how they lie."""
    y, x = np.mgrid[:150, :210]
    levels = np.stack([x, y + x // 2, 255 - y], 2) + np.random.default_rng(2).integers(0, 40, (150, 210, 3))
    picture = Image.fromarray(np.where((x > 120)[..., None], levels, levels // 2).clip(0, 255).astype(np.uint8))
    alpha = Image.fromarray((x + y).clip(0, 255).astype(np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    folder.mkdir()
    picture.save(folder / "rgb.png")
    picture.save(folder / "rgb.bmp")
    picture.save(folder / "rgb.webp", lossless=True)
    picture.save(folder / "rgb.tif", compression="tiff_lzw")
    picture.save(folder / "turned.jpg", quality=92, exif=turned)
    picture.convert("L").save(folder / "grey.png")
    picture.convert("L").save(folder / "grey.jpg", quality=92)
    picture.convert("P", palette=Image.Palette.ADAPTIVE).save(folder / "palette.png")
    picture.convert("P", palette=Image.Palette.ADAPTIVE).save(folder / "palette.gif")
    Image.merge("RGBA", (*picture.split(), alpha)).save(folder / "transparent.png")


def test_a_set_of_64_pixels_keeps_its_bytes(tmp_path: Path) -> None:
    save_photos(tmp_path / "photos")
    settings = Settings(
        40, "2afc", "traditional", "val", seed=5, severity_law="uniform", distortions=("lightness-shift", "jpeg")
    )
    generate(settings, photos=[tmp_path / "photos"], folder=tmp_path / "set")
    found = read_patch_set(tmp_path / "set")
    assert len({item.photo for item in found}) == 10
    sha256 = hashlib.sha256()
    for item in found:
        sha256.update(f"{item.id} {item.photo} {item.box} {item.border} {item.p0.recipe} {item.p1.recipe}\n".encode())
        for role in found.roles:
            sha256.update((tmp_path / "set" / role / f"{item.id}.png").read_bytes())
    assert sha256.hexdigest() == BEFORE
