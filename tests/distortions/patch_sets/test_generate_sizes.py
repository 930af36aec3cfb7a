"""Patch sets of other sizes than 64x64: what they hold, and that they can be made again."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bapps_builder.errors import PatchSetError
from bapps_builder.layout import Task
from distortions.patch_sets import generate as generate_module
from distortions.patch_sets.generate import generate
from distortions.patch_sets.replay import replay
from distortions.patch_sets.sampling import Settings
from distortions.photos import Skipped
from distortions.sizes import PatchSize, Strength
from distortions.workers import Workers

SETTINGS = Settings(60, "2afc", "traditional", "val", seed=3)


@pytest.mark.parametrize("strength", ["pixels", "relative"])
@pytest.mark.parametrize(("width", "height"), [(128, 128), (120, 80)])
def test_sets_of_other_sizes_are_made_and_made_again(
    width: int, height: int, strength: Strength, photos: Path, tmp_path: Path
) -> None:
    size = PatchSize(width, height, strength)
    settings = dataclasses.replace(SETTINGS, items=24, rescale=(0.9, 1.0), size=size)
    made = generate(settings, photos=[photos], folder=tmp_path / "set")
    assert made.patch_set.description.settings["patch_size"] == [width, height]
    assert made.patch_set.description.settings["strength"] == strength
    assert made.patch_set.description.settings["margin"] == (32 if strength == "relative" else 16)
    for item in made.patch_set:
        assert item.box[2:] == (width, height)
        assert {made.patch_set.read(item, role).shape for role in made.patch_set.roles} == {(height, width, 3)}
    assert all(entry.same for entry in replay(made.patch_set, range(24), folder=tmp_path / "again"))


@pytest.mark.parametrize("task", ["2afc", "jnd"])
def test_networks_take_other_sizes(task: Task, photos: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, items=6, task=task, family="mix", size=PatchSize(104, 72))
    made = generate(settings, photos=[photos], folder=tmp_path / "set").patch_set
    assert all(entry.same for entry in replay(made, range(6), folder=tmp_path / "again"))


def test_units_of_other_sizes_do_not_matter(
    photos: Path, tmp_path: Path, digest: Callable[[Path], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(SETTINGS, items=20, size=PatchSize(70, 130))
    monkeypatch.setattr(generate_module, "_UNIT", 8)
    monkeypatch.setattr(generate_module, "_PIXELS_AN_ITEM", 10**9)
    assert generate(settings, photos=[photos], folder=tmp_path / "one").new
    monkeypatch.undo()
    assert generate(settings, photos=[photos], folder=tmp_path / "two", workers=Workers(2)).new
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_a_photo_that_lies_on_its_side_is_skipped_once_that_is_seen(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "photos")
    turned = Image.Exif()
    turned[0x0112] = 6
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (150, 300, 3), dtype=np.uint8))
    picture.save(tmp_path / "photos" / "turned.jpg", exif=turned)
    settings = dataclasses.replace(SETTINGS, items=24, size=PatchSize(200, 150))
    made = generate(settings, photos=[tmp_path / "photos"], folder=tmp_path / "set")
    assert made.skipped == (Skipped("turned.jpg", "is 150x300, but a patch needs at least 200x150 pixels"),)
    assert "turned.jpg" not in {item.photo for item in made.patch_set}


def test_a_set_begun_with_one_size_is_not_finished_with_another(photos: Path, tmp_path: Path) -> None:
    generate(dataclasses.replace(SETTINGS, items=4), photos=[photos], folder=tmp_path / "set")
    with pytest.raises(PatchSetError, match="patch_size"):
        generate(
            dataclasses.replace(SETTINGS, items=4, size=PatchSize(80, 80)), photos=[photos], folder=tmp_path / "set"
        )
