"""The whole road with pictures that are not 64x64, from photographs to a release that a library of others reads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
import skimage.data
from click.testing import CliRunner
from PIL import Image

from analysis.commands.report import report
from analysis.commands.score import score
from bapps_builder.commands.bapps_build import build
from bapps_builder.images.image_files import encode_png, read_image
from bapps_builder.patch_sets.patch_set import read_patch_set
from collection_app.commands.bapps_collect import collect
from distortions.commands.bapps_distort import distort
from metrics.commands.train import train
from metrics.registry import load

ITEMS = 24
_LOAD = """
import json, sys
from datasets import load_dataset
rows = load_dataset(sys.argv[1], "2afc")["validation"]
print("FOUND" + json.dumps([list(row["ref"].size) for row in rows]))
"""


def run(command: click.Command, *arguments: object) -> str:
    made = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert made.exit_code == 0, made.output
    return made.stdout


def save_photos(folder: Path, split: str, sizes: list[tuple[int, int]]) -> None:
    """Parts of photographs, two of each size (width, height); those of training are turned over."""
    folder.mkdir()
    photos = [skimage.data.astronaut(), skimage.data.coffee()]
    if split == "train":
        photos = [photo[::-1, ::-1] for photo in photos]
    for width, height in sizes:
        for number, photo in enumerate(photos):
            part = np.ascontiguousarray(photo[20 : 20 + height, 10 : 10 + width])
            (folder / f"{width}x{height}-{number}.png").write_bytes(encode_png(part))


def generated(folder: Path, split: str, size: str) -> Path:
    options = ("--items", ITEMS, "--split", split, "--size", size, "--workers", 1, "--set", "ours")
    run(distort, "generate", "--photos", folder / f"photos-{split}", "--out", folder / split, *options)
    return folder / split


def imported(folder: Path, split: str, size: str) -> Path:
    """Three codecs of one encoder, as crops or whole."""
    outputs = []
    for quality in (4, 12, 30):
        name = f"q{quality}"
        (folder / f"{name}-{split}").mkdir()
        for photo in (folder / f"photos-{split}").iterdir():
            Image.open(photo).save(folder / f"{name}-{split}" / f"{photo.stem}.jpg", quality=quality)
        outputs.append(f"{name}={folder / f'{name}-{split}'}")
    count = () if size == "full" else ("--items", ITEMS)
    options = (*count, "--split", split, "--size", size, "--workers", 1, "--set", "ours")
    run(
        distort,
        *("import", "--reference", folder / f"photos-{split}", "--outputs", *outputs, "--out", folder / split),
        *options,
    )
    return folder / split


WAYS = {
    "generate 256x256": (generated, "256", [(360, 300)]),
    "import 320x240": (imported, "320x240", [(360, 300)]),
    "two sizes": (imported, "full", [(96, 80), (72, 112), (130, 90), (88, 88)]),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_whole_road(way: str, tmp_path: Path) -> None:
    make, size, sizes = WAYS[way]
    for split, some in (("train", sizes[: len(sizes) // 2] or sizes), ("val", sizes[len(sizes) // 2 :])):
        save_photos(tmp_path / f"photos-{split}", split, some)
    sets = [make(tmp_path, split, size) for split in ("train", "val")]
    patches = [word for folder in sets for word in ("--patches", folder)]
    study, answers, dataset = (tmp_path / name for name in ("study.toml", "answers.parquet", "dataset"))
    database = f"sqlite:///{tmp_path / 'people.sqlite'}"
    run(collect, "init", study, *patches, "--preset", "paper-2afc")
    run(collect, "simulate", study, *patches, "--database", database)
    run(collect, "export", study, answers, "--database", database)
    run(build, "build", *patches, "--answers", answers, "--out", dataset)
    assert "nothing failed" in run(build, "verify", dataset)

    # Scored as computed one item at a time from the patch set.
    table = tmp_path / "distances.csv"
    run(score, "--data", dataset, "--metric", "l2", "--metric", "ssim", "--save-distances", table)
    distances = pd.read_csv(table, dtype={"id": str}).query("metric == 'ssim'").reset_index()
    made = read_patch_set(sets[1])
    assert len(distances) == len(made)
    ssim = load("ssim")
    for item, row in zip(made, distances.itertuples(), strict=True):
        ref, p0, p1 = (made.read(item, role)[None] for role in made.roles)
        assert [row.d0, row.d1] == pytest.approx([ssim(ref, p0)[0], ssim(ref, p1)[0]], rel=1e-6)
    shapes = {read_image(path).shape[:2] for path in (dataset / "2afc/val/ours/ref").iterdir()}
    assert shapes == {(item.box[3], item.box[2]) for item in made}
    assert len(shapes) == (2 if way == "two sizes" else 1)

    learning = ("--sets", "train/ours", "--val", "val/ours", "--epochs", 1, "--decay-epochs", 1, "--batch-size", 7)
    run(train, "lin", "--net", "alex", "--data", dataset, *learning, "--out", tmp_path / "run")
    run(report, "--distances", table, "--data", dataset, "--out", tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 10_000
    run(build, "publish", "--to", "parquet", "--license", "cc-by-4.0", dataset, tmp_path / "release")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, str(tmp_path / "release")],
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.partition("FOUND")[2])
    assert {tuple(one) for one in found} == {(width, height) for height, width in shapes}
    assert len(found) == len(made)
