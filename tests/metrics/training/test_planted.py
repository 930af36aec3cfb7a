"""A planted truth: judgments follow one layer of the trunk, and lin has to find out which.

Single weights are not identifiable and not compared.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bapps_builder.answers.vote_arithmetic import twoafc_payoff
from bapps_builder.images.image_files import encode_png, read_image
from bapps_builder.layout import SetFolder
from distortions.recipes import draw, traditional
from metrics.deep.lpips import LPIPS
from metrics.training.features import to_signed
from metrics.training.recipe import Recipe
from metrics.training.session import Settings, train

PATCHES = 330
HELD_OUT = 3

Triplets = tuple[NDArray[np.uint8], ...]
# For each item and layer, what the layer adds to the uncalibrated distance of (ref, p0) and (ref, p1): (N, 2, L).
Layers = NDArray[np.float64]


@contextmanager
def silent(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    yield lambda steps: None


def triplets(photos: list[NDArray[np.uint8]], rng: np.random.Generator) -> Triplets:
    names, rows = traditional(), []
    for photo in photos:
        for _ in range(PATCHES):
            y, x = (int(rng.integers(length - 63)) for length in photo.shape[:2])
            ref = np.ascontiguousarray(photo[y : y + 64, x : x + 64])
            drawn = [names[rng.integers(len(names))] for _ in range(2)]
            recipes = [draw(steps, tuple(rng.uniform(0.1, 0.8, len(steps))), rng) for steps in drawn]
            rows.append((ref, *(recipe.apply(ref, rng) for recipe in recipes)))
    return tuple(np.stack(column) for column in zip(*rows, strict=True))


def layers_of(module: LPIPS, items: Triplets) -> Layers:
    ref, *others = (to_signed(images).split(100) for images in items)
    with torch.no_grad():
        pairs = [torch.cat([module.per_layer(a, b) for a, b in zip(ref, other, strict=True)]) for other in others]
    return torch.stack(pairs, 1).double().numpy()


def write(folder: Path, items: Triplets, fractions: NDArray[np.float64]) -> None:
    for role, patches in zip(("ref", "p0", "p1"), items, strict=True):
        (folder / role).mkdir(parents=True)
        for k, patch in enumerate(patches):
            (folder / role / f"{k:06d}.png").write_bytes(encode_png(patch))
    (folder / "judge").mkdir()
    for k, fraction in enumerate(fractions):
        np.save(folder / "judge" / f"{k:06d}.npy", np.array([fraction], np.float32))


@pytest.fixture(scope="module")
def material(shared_data: Path) -> dict[str, tuple[Triplets, Layers]]:
    """Items of the Kodak photos: some photos to learn from, the others held out."""
    rng = np.random.default_rng(0)
    photos = [read_image(path) for path in sorted((shared_data / "kodak").glob("*.png"))]
    plain = LPIPS("alex", version=None, check_range=False)
    parts = {"train": triplets(photos[:-HELD_OUT], rng), "val": triplets(photos[-HELD_OUT:], rng)}
    return {split: (items, layers_of(plain, items)) for split, items in parts.items()}


def score(distances: NDArray[np.float64], fractions: NDArray[np.float64]) -> float:
    return float(twoafc_payoff(distances[:, 0], distances[:, 1], fractions).mean())


@pytest.mark.slow
@pytest.mark.parametrize("exact", [False, True], ids=["fast", "exact"])
@pytest.mark.parametrize("planted", [0, 2, 4])
def test_lin_finds_the_planted_layer(
    material: dict[str, tuple[Triplets, Layers]], tmp_path: Path, planted: int, exact: bool
) -> None:
    fractions = {}
    for split, (items, layers) in material.items():
        fractions[split] = (layers[:, 1, planted] < layers[:, 0, planted]).astype(np.float64)
        write(SetFolder(tmp_path, "2afc", split, "planted").path, items, fractions[split])
    # 2,970 items instead of 150,000: larger steps, and more of them.
    recipe = Recipe("lin", "alex", ("train/planted",), exact=exact, lr=1e-2, batch_size=25)
    train(recipe, Settings(tmp_path, tmp_path / "run", cache=tmp_path / "cache"), progress=silent)

    items, layers = material["val"]
    learned = LPIPS.from_file(tmp_path / "run", check_range=False)
    found = layers_of(learned, items)
    shares = found.mean((0, 1)) / found.mean((0, 1)).sum()
    before, after = score(layers.sum(2), fractions["val"]), score(found.sum(2), fractions["val"])
    print(f"layer {planted + 1}: uncalibrated {100 * before:.2f}, lin {100 * after:.2f}, shares {shares.round(3)}")
    assert int(shares.argmax()) == planted
    if planted == 0:
        assert before <= 0.95
        assert (after - before) / (1 - before) >= 0.8
        assert shares[0] >= 0.7
