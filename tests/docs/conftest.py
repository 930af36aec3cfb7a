"""What the pages of the documentation begin with: made once, by the commands themselves, of what is shipped."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bapps_builder.images.image_files import encode_png


class Shelf:
    """A folder in which each thing is made when it is first wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: set[Callable[[Shelf], None]] = set()

    def run(self, script: str, folder: Path | None = None) -> str:
        """Run lines of shell as a user does, stop at the first that fails, and give what they print."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder or self.folder,
            env={**os.environ, "PATH": path, "COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def get(self, name: str) -> Path:
        """Where a thing is, which is made if it is not there."""
        maker = MAKERS[name]
        if maker not in self._made:
            maker(self)
            self._made.add(maker)
        return self.folder / name

    def give(self, name: str, target: Path) -> None:
        """Put a copy of a thing into a page's folder."""
        found = self.get(name)
        copy = shutil.copytree if found.is_dir() else shutil.copy
        copy(found, target / name)


def photos(shelf: Shelf) -> None:
    """Photographs that come with scikit-image; those of training are others."""
    from skimage import data

    for folder, names in {"photos": ("astronaut", "chelsea"), "other-photos": ("coffee", "rocket")}.items():
        (shelf.folder / folder).mkdir()
        for name in names:
            photo = np.ascontiguousarray(np.asarray(getattr(data, name)())[..., :3])
            (shelf.folder / folder / f"{name}.png").write_bytes(encode_png(photo))


def images(shelf: Shelf) -> None:
    """Originals and what an encoder and a scaler made of them, as folders and as single files."""
    shelf.get("photos")
    shelf.run("""
        mkdir -p decoded sr/mine sr/other frames
        cp -r photos originals
        for photo in photos/*; do
            name="$(basename "$photo")"
            bapps-distort apply 'jpeg(quality=30)' "$photo" "decoded/$name"
            bapps-distort apply 'gaussian-blur(sigma=1)' "$photo" "sr/mine/$name"
            bapps-distort apply 'gaussian-blur(sigma=2)' "$photo" "sr/other/$name"
        done
        for file in original.png a.png frames/0.png; do cp originals/astronaut.png "$file"; done
        for file in decoded.png b.png frames/1.png; do cp decoded/astronaut.png "$file"; done
    """)


def patches(shelf: Shelf) -> None:
    """A patch set of 24 items."""
    shelf.get("photos")
    shelf.run("bapps-distort generate --photos photos --out patches --items 24 --seed 1")


def answers(shelf: Shelf) -> None:
    """Answers of simulated people to it, with the preset that needs no more patches than there are."""
    shelf.get("patches")
    shelf.run("""
        bapps-collect init study.toml --patches patches --preset paper-2afc
        bapps-collect simulate study.toml --patches patches
        bapps-collect export study.toml answers.parquet --database sqlite:///study.simulated.sqlite
    """)


def dataset(shelf: Shelf) -> None:
    """A dataset of simulated people: val/traditional, train/{traditional,cnn,mix} of other photos, and JND."""
    shelf.get("answers.parquet")
    shelf.run("""
        bapps-distort generate --photos other-photos --out train --items 30 --split train --seed 2
        for name in cnn mix; do
            mkdir -p "$name/a" "$name/b"
            for photo in other-photos/*; do
                bapps-distort apply 'gaussian-blur(sigma=1)' "$photo" "$name/a/$(basename "$photo")"
                bapps-distort apply 'jpeg(quality=20)' "$photo" "$name/b/$(basename "$photo")"
            done
            bapps-distort import --reference other-photos --outputs a="$name/a" b="$name/b" --out "$name-set" \\
                --items 12 --set "$name" --split train
        done
        bapps-distort generate --photos photos --out jnd --items 12 --task jnd
        learning="--patches train --patches cnn-set --patches mix-set"
        bapps-collect init learning.toml $learning --preset paper-2afc
        bapps-collect simulate learning.toml $learning
        bapps-collect export learning.toml learning.parquet --database sqlite:///learning.simulated.sqlite
        bapps-collect init same.toml --patches jnd --preset paper-jnd
        bapps-collect simulate same.toml --patches jnd
        bapps-collect export same.toml same.parquet --database sqlite:///same.simulated.sqlite
        bapps-build build --patches patches $learning --patches jnd --out dataset \\
            --answers answers.parquet --answers learning.parquet --answers same.parquet
    """)


def tables(shelf: Shelf) -> None:
    """The judgments of the patch set as other people's studies have them."""
    found = pd.read_parquet(shelf.get("answers.parquet"))
    found = found[(found["role"] == "test") & found["use"]]
    items = sorted(found["item"].unique())
    files = {role: [f"patches/{role}/{item}.png" for item in items] for role in ("ref", "p0", "p1")}
    write_csv(shelf.folder / "items.csv", {"item": items, **files, "split": "val", "set": "theirs"})
    write_csv(shelf.folder / "answers.csv", found[["item", "participant", "choice"]])
    first, second = found[::2], found[1::2]  # a batch has several trials in a row
    trials = {
        f"{name}{n}": values.to_numpy()[: len(second)]
        for n, half in ((1, first), (2, second))
        for name, values in {
            "Input.item": half["item"],
            "Answer.choice": (half["choice"] == "p1").eq(half["side"] == "left").map({True: "L", False: "R"}),
            "Input.p1_side": half["side"],
        }.items()
    }
    write_csv(shelf.folder / "batch.csv", {"WorkerId": second["participant"].to_numpy(), **trials})
    votes = {item: (some["choice"] == "p1").astype(int).tolist() for item, some in found.groupby("item")}
    write_csv(shelf.folder / "fractions.csv", {"id": list(votes), "judge": [np.mean(v) for v in votes.values()]})
    pairs = {f"{item}_n-{k % 3}.png": some for k, (item, some) in enumerate(votes.items())}
    (shelf.folder / "votes.json").write_text(json.dumps(pairs))
    choices = found["choice"].map({"p0": "Left", "p1": "Right"})
    write_csv(shelf.folder / "raw.csv", {"Image": found["item"], "Subject": found["participant"], "Response": choices})


def distances(shelf: Shelf) -> None:
    """Distances of two metrics."""
    shelf.get("dataset")
    shelf.run("bapps-score --data dataset --metric ssim --metric l2 --save-distances mine.csv")


def opinions(shelf: Shelf) -> None:
    """Opinion scores of 24 images of four references, and two metrics that follow them more or less."""
    rng = np.random.default_rng(0)
    mos = rng.uniform(1, 5, 24)
    noisy = {name: 5 - mos + rng.normal(0, spread, 24) for name, spread in (("near", 0.3), ("far", 1.5))}
    write_csv(shelf.folder / "tid2013.csv", {"ref": [f"I{k % 4:02d}" for k in range(24)], "mos": mos, **noisy})


def write_csv(path: Path, columns: Any) -> None:
    """Write a table."""
    pd.DataFrame(columns).to_csv(path, index=False)


# Each thing by the name under which a page asks for it.
MAKERS: dict[str, Callable[[Shelf], None]] = {
    **dict.fromkeys(("photos", "other-photos"), photos),
    **dict.fromkeys(("originals", "decoded", "sr", "frames"), images),
    **dict.fromkeys(("original.png", "decoded.png", "a.png", "b.png"), images),
    **dict.fromkeys(("items.csv", "answers.csv", "batch.csv", "fractions.csv", "votes.json", "raw.csv"), tables),
    "patches": patches,
    "answers.parquet": answers,
    "dataset": dataset,
    "mine.csv": distances,
    "tid2013.csv": opinions,
}


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """The shelf of all pages."""
    return Shelf(tmp_path_factory.mktemp("shelf"))
