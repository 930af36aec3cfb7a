"""A patch set judged by simulated people: crops of photographs under two traditional recipes each.

Nobody was asked. A simulated person sees the geometric mean of three distances that know nothing of deep
features (MDSI, HaarPSI and NLPD), and chooses by the logarithm of the ratio of the two, with noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bapps_builder.images.image_files import encode_png, read_image
from bapps_builder.layout import SetFolder
from distortions.recipes import draw, traditional
from metrics.registry import load

SIDE = 64
VOTERS = 5
SEEN = ("mdsi", "haarpsi", "nlpd")
NOISE = 0.3

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Triplets:
    """N items: three batches of patches, uint8 (N, 64, 64, 3)."""

    ref: Images
    p0: Images
    p1: Images


def photos_of(folder: Path) -> dict[str, Images]:
    """The PNG photos of a folder by stem."""
    found = {path.stem: read_image(path) for path in sorted(folder.glob("*.png"))}
    if not found:
        raise SystemExit(f"{folder}: no PNG photos")
    return found


def triplets_of(photo: Images, count: int, rng: np.random.Generator) -> Triplets:
    """Crops of one photo, each under two random traditional recipes of severity .1 to .8 a step."""
    names, rows = traditional(), []
    for _ in range(count):
        y, x = (int(rng.integers(length - SIDE + 1)) for length in photo.shape[:2])
        ref = np.ascontiguousarray(photo[y : y + SIDE, x : x + SIDE])
        rows.append((ref, *(_distorted(ref, names[rng.integers(len(names))], rng) for _ in range(2))))
    return Triplets(*(np.stack(patches) for patches in zip(*rows, strict=True)))


def _distorted(ref: Images, names: tuple[str, ...], rng: np.random.Generator) -> Images:
    severities = tuple(rng.uniform(0.1, 0.8, len(names)).tolist())
    return draw(names, severities, rng).apply(ref, rng)


def judged(items: Triplets, rng: np.random.Generator) -> NDArray[np.float64]:
    """The fraction of simulated voters who choose p1, shape (N,)."""
    seen = [load(name) for name in SEEN]
    far0, far1 = (
        np.mean([np.log(np.maximum(metric(items.ref, other), 1e-6)) for metric in seen], axis=0)
        for other in (items.p0, items.p1)
    )
    chance = 1 / (1 + np.exp((far1 - far0) / NOISE))
    return rng.binomial(VOTERS, chance) / VOTERS


def write_set(root: Path, label: str, items: Triplets, fractions: Sequence[float] | NDArray[np.float64]) -> None:
    """Write one 2AFC set `split/name` in the BAPPS layout."""
    split, name = label.split("/")
    folder = SetFolder(root, "2afc", split, name).path
    for role, patches in (("ref", items.ref), ("p0", items.p0), ("p1", items.p1)):
        (folder / role).mkdir(parents=True)
        for k, patch in enumerate(patches):
            (folder / role / f"{k:06d}.png").write_bytes(encode_png(patch))
    (folder / "judge").mkdir()
    for k, fraction in enumerate(fractions):
        np.save(folder / "judge" / f"{k:06d}.npy", np.array([fraction], np.float32))
