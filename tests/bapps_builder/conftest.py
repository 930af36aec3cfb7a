"""A small patch set, and answers to it by people who keep to a known rule."""

from collections.abc import Callable
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bapps_builder.layout import IMAGE_FOLDERS, Task
from bapps_builder.patch_sets.manifest import Item, Made, item_id, item_table
from bapps_builder.patch_sets.patch_set import Description, finish_patch_set, write_patch

Pixels = NDArray[np.uint8]
MakePatchSet = Callable[..., Path]
MakeAnswers = Callable[..., pd.DataFrame]


def textured(seed: int, side: int = 64) -> Pixels:
    """A patch unlike any other: smooth random texture of all frequencies."""
    rng = np.random.default_rng(seed)
    spectrum = rng.normal(size=(side, side, 3)) + 1j * rng.normal(size=(side, side, 3))
    radius = 1 + np.hypot(*np.meshgrid(np.fft.fftfreq(side, 1 / side), np.fft.fftfreq(side, 1 / side)))
    field = np.fft.ifft2(spectrum / radius[..., None], axes=(0, 1)).real
    return np.clip(128 + 45 * field / field.std(), 0, 255).astype(np.uint8)


def distorted(patch: Pixels, strength: float, seed: int) -> Pixels:
    """The patch under white noise."""
    noise = np.random.default_rng(seed).normal(0, strength, patch.shape)
    return np.clip(patch + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def make_patch_set() -> MakePatchSet:
    """Write a patch set of `items` items; p1 is nearer to the reference for even ids, p0 for odd ones."""

    def make(
        folder: Path,
        *,
        items: int = 12,
        task: Task = "2afc",
        split: str = "val",
        name: str = "noise",
        seed: int = 0,
        photo: Callable[[int], str] = lambda index: f"raise/{index // 2:03d}.png",
    ) -> Path:
        for role in IMAGE_FOLDERS[task]:
            (folder / role).mkdir(parents=True)
        rows = []
        for index in range(items):
            one = item_id(index)
            reference = textured(10_000 * seed + index)
            near, far = (distorted(reference, strength, index) for strength in (6, 40))
            if task == "2afc":
                patches = {
                    "ref": reference,
                    "p0": far if index % 2 == 0 else near,
                    "p1": near if index % 2 == 0 else far,
                }
            else:
                patches = {"p0": reference, "p1": near if index % 2 == 0 else far}
            digests = {role: write_patch(folder, role, one, pixels) for role, pixels in patches.items()}
            rows.append(
                Item(
                    id=one,
                    task=task,
                    set=name,
                    split=split,  # pyrefly: ignore[bad-argument-type]
                    photo=photo(index),
                    photo_sha256=f"{abs(hash_of(photo(index))):064x}",
                    box=(0, 0, 64, 64),
                    scale=1.0,
                    seed=index,
                    border="image",
                    ref_sha256=digests.get("ref"),
                    p0=Made("white-noise(sigma=40)", 1, (0.9,), digests["p0"]),
                    p1=Made("white-noise(sigma=6)", 2, (0.2,), digests["p1"]),
                )
            )
        description = Description("test 1", {"numpy": "x"}, seed, {"family": "noise"}, {})
        finish_patch_set(folder, [item_table(rows)], description)
        return folder

    return make


def hash_of(text: str) -> int:
    return sum((index + 1) * 257**2 * ord(letter) for index, letter in enumerate(text))


@pytest.fixture(scope="session")
def make_answers() -> MakeAnswers:
    """Answers of `people` people to every item, with sentinels; person q errs on every (q + 2)-nd item."""

    def make(
        items: int = 12,
        *,
        people: int = 5,
        task: Task = "2afc",
        label: str = "val/noise",
        study: str = "study 1",
        first_person: int = 0,
        sentinels: int = 2,
    ) -> pd.DataFrame:
        right, wrong = ("p1", "p0") if task == "2afc" else ("same", "different")
        rows = []
        for person in range(first_person, first_person + people):
            for index in range(items):
                truth = index % 2 == 0
                errs = index % (person % 7 + 2) == 0
                rows.append(
                    {
                        "study": study,
                        "set": label,
                        "item": item_id(index),
                        "task": task,
                        "participant": f"pseudonym-{person}",
                        "session": f"session-{person}",
                        "trial": index,
                        "choice": right if truth != errs else wrong,
                        "side": "left" if (person + index) % 2 else "right",
                        "reaction_ms": 900 + 13.7 * index + person,
                        "input": "mouse" if person % 2 else "touch",
                        "role": "test",
                        "use": True,
                        "submitted_at": f"2026-01-01T00:00:{index:02d}Z",
                    }
                )
            for index in range(sentinels):
                rows.append(
                    {
                        **rows[-1],
                        "item": f"sentinel-{index}",
                        "trial": items + index,
                        "choice": right,
                        "expected": right if person != first_person else wrong,  # the first person fails
                        "role": "sentinel",
                    }
                )
        return pd.DataFrame(rows)

    return make


@pytest.fixture(scope="session")
def enlarge() -> Callable[[Pixels], Pixels]:
    """Make of a patch (n, n, 3) what the release holds, (4n, 4n, 3), in exact arithmetic."""

    def slowly(patch: Pixels) -> Pixels:
        """Output pixel x shows source pixel floor((n - 1) x / (side - 1) + .5), in both directions."""
        n = len(patch)
        side = 4 * n
        shown = [floor(Fraction((n - 1) * x, side - 1) + Fraction(1, 2)) for x in range(side)]
        return np.array([[patch[y, x] for x in shown] for y in shown], np.uint8)

    return slowly


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables and files go through in portions of a few rows, none a multiple of another."""
    for place in ("files.row_batches._READ", "checking.verify._PORTION"):
        monkeypatch.setattr(f"bapps_builder.{place}", 3)
    for place in ("files.row_batches.GROUP", "datasets.set_tables.GROUP"):
        monkeypatch.setattr(f"bapps_builder.{place}", 4)
    monkeypatch.setattr("bapps_builder.building.item_files._PORTION", 5)
