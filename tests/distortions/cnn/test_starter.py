"""The starter zoo: frozen, covering, within its bars, and as varied as it should be."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zoo_photographs import copy_photos

from bapps_builder.images.image_files import read_image
from distortions.cnn import runs
from distortions.cnn.apply import through_network
from distortions.cnn.runs import Place, train
from distortions.cnn.training import Training, quality_of
from distortions.cnn.variants import CORRUPTIONS, UPSAMPLINGS, variants
from distortions.cnn.zoo import STARTER, Entry, Zoo, open_zoo, read_entry
from distortions.distortion import Patch
from distortions.photos import list_photos
from metrics.registry import load

ENTRIES = list(open_zoo().entries.values())
GOLDEN = Path(__file__).with_name("starter_zoo.json")
# cnn-050 trained again with another seed.
SECOND_SEED = Path(__file__).with_name("second_seed")


def test_it_is_frozen() -> None:
    assert {entry.variant.name: entry.sha256 for entry in ENTRIES} == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.variant.name)
def test_its_files_are_whole_and_say_how_they_were_trained(entry: Entry) -> None:
    assert all(np.isfinite(array).all() for array in entry.tensors().values())
    training = entry.about["training"]
    assert training["steps"] >= 5000
    assert training["batch"] == 16
    assert training["half"]
    if entry.variant.vgg:
        assert entry.variant.vgg_tap in ("relu1_2", "relu2_2", "relu3_3")
    first, last = entry.about["held_out"]["first"], entry.about["held_out"]["last"]
    assert entry.about["held_out"]["after_step"] == 100
    assert last["l1"] <= 0.6 * first["l1"]
    assert 0.03 <= last["lpips"] <= 0.45
    assert last["psnr"] >= 16


def test_it_covers_what_it_should_and_is_small() -> None:
    rows = [entry.variant for entry in ENTRIES]
    assert {row.corruption for row in rows} == set(CORRUPTIONS)
    assert {row.upsampling for row in rows} == set(UPSAMPLINGS)
    assert {bool(row.adversarial) for row in rows} == {False, True}
    assert sum(path.stat().st_size for path in STARTER.iterdir()) <= 8_000_000


def kodak_patches(shared_data: Path, count: int = 48) -> list[Patch]:
    photos = [read_image(path) for path in sorted((shared_data / "kodak").glob("*.png"))]
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        photo = photos[number % len(photos)]
        top, left = (int(rng.integers(side - 63)) for side in photo.shape[:2])
        found.append(photo[top : top + 64, left : left + 64])
    return found


def outputs(entry: Entry, patches: list[Patch]) -> np.ndarray:
    zoo = Zoo(entry.path.parent, {entry.variant.name: entry})
    rngs = [np.random.default_rng(seed) for seed in range(len(patches))]
    return np.stack(through_network(entry.variant.name, patches, rngs, zoo=zoo))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.variant.name)
def test_photos_that_no_network_saw_stay_recognisable_and_are_damaged(entry: Entry, shared_data: Path) -> None:
    patches = kodak_patches(shared_data)
    found = quality_of(outputs(entry, patches), np.stack(patches), with_lpips=True)
    assert found.lpips is not None
    assert 0.03 <= found.lpips <= 0.45
    assert found.psnr >= 16


def test_variants_differ_more_than_seeds(shared_data: Path) -> None:
    again = [read_entry(path) for path in sorted(SECOND_SEED.glob("*.safetensors"))]
    assert again
    patches = kodak_patches(shared_data, 24)
    made = {entry.variant.name: outputs(entry, patches) for entry in ENTRIES}
    metric = load("lpips-alex")
    between = [metric(a, b).mean() for a, b in permutations(made.values(), 2)]
    for entry in again:
        own = next(other for other in ENTRIES if other.variant == entry.variant)
        assert entry.about["training"] == {**own.about["training"], "seed": entry.about["training"]["seed"]}
        assert entry.about["training"]["seed"] != own.about["training"]["seed"]
        seeds = metric(made[entry.variant.name], outputs(entry, patches)).mean()
        assert np.mean(between) >= 2 * seeds


@pytest.mark.slow
def test_its_command_makes_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first hundred steps of the quickest come to what its file says they came to."""
    entry = read_entry(STARTER / "cnn-050.safetensors")
    copy_photos(tmp_path / "photos")
    collection = list_photos([tmp_path / "photos"], smallest_side=64)
    assert collection.digest == entry.about["photos_sha256"]
    settings: dict[str, Any] = {**entry.about["training"], "steps": 100}
    monkeypatch.setattr(runs, "REPORT_EVERY", 100)
    train(variants()["cnn-050"], Training(**settings), collection, Place(tmp_path))
    held_out = read_entry(tmp_path / "cnn-050.safetensors").about["held_out"]
    assert held_out["first"]["l1"] == pytest.approx(entry.about["held_out"]["first"]["l1"], rel=0.02)
