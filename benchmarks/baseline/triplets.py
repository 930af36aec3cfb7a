"""Triplets for benchmarks: crops of scikit-image's photographs under simple distortions, in the BAPPS layout."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from bapps_builder.datasets.reader import ItemSet
from bapps_builder.layout import SetFolder

SIDE = 64
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")

Pixels = NDArray[np.uint8]


def triplet_arrays(count: int, *, seed: int, side: int = SIDE) -> tuple[Pixels, Pixels, Pixels]:
    """Give (ref, p0, p1), each uint8 (count, side, side, 3), for the same seed the same."""
    rng = np.random.default_rng(seed)
    photos = [np.asarray(getattr(data, name)())[..., :3] for name in PHOTOS]
    refs, firsts, seconds = [], [], []
    for k in range(count):
        photo = photos[k % len(photos)]
        y, x = (int(rng.integers(length - side)) for length in photo.shape[:2])
        ref = np.ascontiguousarray(photo[y : y + side, x : x + side])
        refs.append(ref)
        firsts.append(_distorted(ref, rng))
        seconds.append(_distorted(ref, rng))
    return np.stack(refs), np.stack(firsts), np.stack(seconds)


def _distorted(patch: Pixels, rng: np.random.Generator) -> Pixels:
    strength = rng.uniform(0.1, 1)
    kind = rng.integers(3)
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(patch, (0, 0), 3 * strength), np.uint8)
    if kind == 1:
        _, coded = cv2.imencode(".jpg", patch, [cv2.IMWRITE_JPEG_QUALITY, int(60 - 55 * strength)])
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    noisy = patch + rng.normal(0, 40 * strength, patch.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def write_triplets(root: Path, count: int, *, file_side: int, side: int = SIDE, seed: int = 0) -> ItemSet:
    """Write `count` triplets of `side` pixels as PNG files of `file_side`, enlarged as BAPPS's are, and open them.

    Pillow at its highest compression makes the bytes of the released files.
    """
    folder = SetFolder(root, "2afc", "val", f"side{file_side}")
    shown = np.floor((side - 1) * np.arange(file_side) / (file_side - 1) + 0.5).astype(int)
    for role in ("ref", "p0", "p1", "judge"):
        (folder.path / role).mkdir(parents=True)
    for role, patches in zip(("ref", "p0", "p1"), triplet_arrays(count, seed=seed, side=side), strict=True):
        for k, patch in enumerate(patches):
            image = Image.fromarray(patch[shown[:, None], shown])
            image.save(folder.path / role / f"{k:06d}.png", compress_level=9)
    fractions = np.random.default_rng(seed).integers(6, size=count) / 5
    for k, fraction in enumerate(fractions):
        np.save(folder.path / "judge" / f"{k:06d}.npy", np.array([fraction], np.float32))
    return ItemSet(folder)
