"""The command `bapps-score`, and a dataset of noise that is small enough for loops to score it."""

from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from analysis.commands.score import score
from bapps_builder.images.image_files import encode_png

Pixels = NDArray[np.uint8]


def noise(*seed: int, side: int = 64) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def write_set(root: Path, task: str, label: str, labels: list[float], *, seed: int, side: int = 64) -> None:
    """Items of noise around a reference; item k of role r is noise(seed, k, r)."""
    folder = root / task / label
    roles = ("ref", "p0", "p1") if task == "2afc" else ("p0", "p1")
    last = "judge" if task == "2afc" else "same"
    for role in (*roles, last):
        (folder / role).mkdir(parents=True)
    for k, value in enumerate(labels):
        for r, role in enumerate(roles):
            (folder / role / f"{k:06d}.png").write_bytes(encode_png(noise(seed, k, r, side=side)))
        np.save(folder / last / f"{k:06d}.npy", np.array([value], np.float32))


JUDGE = {"val/cnn": [0.0, 0.2, 1.0, 0.6], "val/traditional": [1.0, 0.4, 0.8]}

SAME = [1.0, 0.0, 2 / 3, 1 / 3]

SEEDS = {"val/cnn": 1, "val/traditional": 2}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(score, [str(argument) for argument in arguments])
