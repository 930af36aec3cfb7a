"""Datasets whose files tests damage: one of ours, and one as others release it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bapps_builder.commands.bapps_build import build as command
from bapps_builder.images.image_files import encode_png

Make = Callable[..., Path]

Answers = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory, make_patch_set: Make, make_answers: Answers) -> Path:
    """A dataset of ours: a training and a validation set of 2AFC, and one of JND."""
    root = tmp_path_factory.mktemp("verify")
    sources = (
        make_patch_set(root / "train", split="train", seed=1, photo=lambda index: f"fivek/{index}.dng"),
        make_patch_set(root / "val"),
        make_patch_set(root / "jnd", task="jnd", seed=2),
    )
    arguments = ["build", "--out", str(root / "clean"), "--copy"]
    for source, study, options in zip(sources, "abc", ({"label": "train/noise"}, {}, {"task": "jnd"}), strict=True):
        answers = root / f"{study}.csv"
        make_answers(study=study, **options).to_csv(answers, index=False)
        arguments += ["--patches", str(source), "--answers", str(answers)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return root / "clean"


@pytest.fixture
def ours(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "ours"))


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """A set as others release it, without tables: enlarged patches of 64x64, fractions of five votes."""
    folder = tmp_path / "theirs/2afc/val/frameinterp"
    shown = np.floor((64 - 1) * np.arange(256) / (256 - 1) + 0.5).astype(int)
    for number, role in enumerate(("ref", "p0", "p1")):
        (folder / role).mkdir(parents=True)
        for index in range(4):
            patch = np.random.default_rng([number, index]).integers(0, 256, (64, 64, 3), dtype=np.uint8)
            (folder / role / f"{index:06d}.png").write_bytes(encode_png(patch[shown][:, shown]))
    (folder / "judge").mkdir()
    for index in range(4):
        np.save(folder / "judge" / f"{index:06d}.npy", np.array([index / 5], np.float32))
    return tmp_path / "theirs"
