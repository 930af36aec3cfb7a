"""Make a small BAPPS-format dataset from the photographs that come with scikit-image.

    python examples/small_dataset.py dataset

Nobody was asked: the answers are simulated, by five voters who prefer the smaller pixel difference in
blurred luminance and often err. The set shows that the tools run; it proves nothing about metrics.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from bapps_builder.images import encode_png
from bapps_builder.layout import SetFolder

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
ITEMS_PER_SET = 60
VOTERS = 5
SIDE = 64

Image = NDArray[np.uint8]


def distorted(patch: Image, rng: np.random.Generator) -> Image:
    """One of four simple distortions, of random strength."""
    kind, strength = rng.integers(4), rng.uniform(0.1, 1)
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(patch, (0, 0), 3 * strength), np.uint8)
    if kind == 1:
        noisy = patch + rng.normal(0, 40 * strength, patch.shape)
    elif kind == 2:
        _, coded = cv2.imencode(".jpg", patch, [cv2.IMWRITE_JPEG_QUALITY, int(60 - 55 * strength)])
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    else:
        noisy = patch.astype(np.float64) + 60 * strength * rng.choice([-1, 1])
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def simulated_fraction(ref: Image, p0: Image, p1: Image, rng: np.random.Generator) -> float:
    """The fraction of simulated voters who choose p1."""

    def seen(patch: Image) -> NDArray[np.float64]:
        return cv2.GaussianBlur(patch.mean(2), (0, 0), 1.5)

    far0, far1 = (float(np.abs(seen(p) - seen(ref)).mean()) for p in (p0, p1))
    chance = 1 / (1 + np.exp(-3 * (far0 - far1) / (far0 + far1 + 1e-6)))
    return float(rng.binomial(VOTERS, chance) / VOTERS)


def write_set(root: Path, name: str, photos: tuple[str, ...], rng: np.random.Generator) -> None:
    """Write one validation set of triplets cropped from the photographs."""
    folder = SetFolder(root, "2afc", "val", name).path
    for role in ("ref", "p0", "p1", "judge"):
        (folder / role).mkdir(parents=True)
    for k in range(ITEMS_PER_SET):
        photo = np.asarray(getattr(data, photos[k % len(photos)])())[..., :3]
        y, x = (int(rng.integers(size - SIDE)) for size in photo.shape[:2])
        ref = np.ascontiguousarray(photo[y : y + SIDE, x : x + SIDE])
        p0, p1 = distorted(ref, rng), distorted(ref, rng)
        for role, patch in (("ref", ref), ("p0", p0), ("p1", p1)):
            (folder / role / f"{k:06d}.png").write_bytes(encode_png(patch))
        fraction = simulated_fraction(ref, p0, p1, rng)
        np.save(folder / "judge" / f"{k:06d}.npy", np.array([fraction], np.float32))


def main(target: Path) -> None:
    """Write the dataset beside `target`, then rename it into place."""
    if target.exists():
        print(f"{target} is there already and stays as it is; remove it to have it made anew")
        return
    print(f"making {target} from photographs of scikit-image, with SIMULATED answers (nobody was asked)")
    with tempfile.TemporaryDirectory(dir=target.absolute().parent) as temporary:
        made = Path(temporary) / "dataset"
        rng = np.random.default_rng(0)
        write_set(made, "simulated-people", PHOTOS[:2], rng)
        write_set(made, "simulated-things", PHOTOS[2:], rng)
        shutil.move(made, target)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: small_dataset.py FOLDER")
    main(Path(sys.argv[1]))
