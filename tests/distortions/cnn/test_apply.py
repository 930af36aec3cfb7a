"""Patches through networks: recipes, margins, sizes, and bytes that do not depend on who is in a batch."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from bapps_builder.errors import DistortionError, PatchSetError
from bapps_builder.layout import Task
from bapps_builder.patch_sets.patch_set import read_patch_set
from distortions.cnn.apply import BATCH, through_network
from distortions.cnn.corruptions import corrupt
from distortions.cnn.results import write_generator
from distortions.cnn.training import Learner, Training
from distortions.cnn.variants import find_variant
from distortions.cnn.zoo import FORMAT, Zoo, open_zoo
from distortions.distortion import Patch
from distortions.patch_sets.contact_sheet import network_sheet
from distortions.patch_sets.generate import generate
from distortions.patch_sets.replay import replay
from distortions.patch_sets.sampling import Family, Settings
from distortions.recipes import Recipe, apply_all, parse
from distortions.workers import Workers

# Of each normalization, corruption and upsampling one: untrained networks distort, too.
NAMES = ("cnn-030", "cnn-059", "cnn-070", "cnn-020", "cnn-031", "cnn-000")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo")
    for name in NAMES:
        row = find_variant(name)
        learner = Learner(row, Training(1))
        write_generator(learner, folder / f"{name}.safetensors", {"format": FORMAT, "row": asdict(row)})
    return folder


@pytest.fixture(scope="module")
def zoo(folder: Path) -> Zoo:
    return open_zoo(folder)


def patches(count: int, height: int = 64, width: int = 64) -> list[Patch]:
    return list(np.random.default_rng(5).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def rngs(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(count)]


@pytest.mark.parametrize("name", NAMES)
def test_alone_or_among_others_a_patch_comes_out_the_same(name: str, zoo: Zoo) -> None:
    some = patches(2 * BATCH + 3)
    together = through_network(name, some, rngs(len(some)), zoo=zoo)
    backwards = through_network(name, some[::-1], rngs(len(some))[::-1], zoo=zoo)[::-1]
    for k, patch in enumerate(some):
        alone = through_network(name, [patch], [np.random.default_rng(k)], zoo=zoo)[0]
        np.testing.assert_array_equal(together[k], alone)
        np.testing.assert_array_equal(together[k], backwards[k])
    assert (together[0] != some[0]).any()


def test_it_is_the_generator_on_the_corrupted_patch(zoo: Zoo) -> None:
    name, patch = "cnn-070", patches(1)[0]
    learner = Learner(find_variant(name), Training(1))
    corrupted = corrupt(patch, "pink-noise", np.random.default_rng(3))
    wanted = learner.outputs(np.stack([corrupted] * BATCH))[0]
    made = parse(name).apply(patch, np.random.default_rng(3), zoo=zoo)
    np.testing.assert_array_equal(made, wanted)


@pytest.mark.parametrize("shape", [(1, 1), (5, 40), (33, 64), (100, 70), (300, 260)])
def test_any_size(shape: tuple[int, int], zoo: Zoo) -> None:
    patch = patches(1, *shape)[0]
    for name in NAMES:
        made = parse(name).apply(patch, np.random.default_rng(0), zoo=zoo)
        assert made.shape == patch.shape
        assert made.dtype == np.uint8


def test_a_network_does_not_see_the_margin_and_mirrors_its_output_into_it(zoo: Zoo) -> None:
    crop = patches(1, 96, 96)[0]
    made = parse("cnn-059").apply(crop, np.random.default_rng(0), margin=16, zoo=zoo)
    inner = parse("cnn-059").apply(crop[16:-16, 16:-16], np.random.default_rng(0), zoo=zoo)
    np.testing.assert_array_equal(made[16:-16, 16:-16], inner)
    np.testing.assert_array_equal(made, np.pad(inner, ((16, 16), (16, 16), (0, 0)), "reflect"))


def test_networks_compose_with_other_distortions(zoo: Zoo) -> None:
    texts = ["cnn-030+jpeg(quality=23)", "gaussian-blur(sigma=1.5)+cnn-030", "cnn-000+cnn-031", "cnn-059", "identity"]
    recipes = [parse(text) for text in texts]
    assert [str(recipe) for recipe in recipes] == texts
    assert [recipe.has_network for recipe in recipes] == [True, True, True, True, False]
    some = patches(5, 96, 96)
    together = apply_all(recipes, some, rngs(5), margin=16, zoo=zoo)
    for recipe, patch, rng, made in zip(recipes, some, rngs(5), together, strict=True):
        np.testing.assert_array_equal(recipe.apply(patch, rng, margin=16, zoo=zoo), made)
    by_hand = parse("jpeg(quality=23)").apply(
        parse("cnn-030").apply(some[0], np.random.default_rng(0), margin=16, zoo=zoo), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(together[0], by_hand)
    assert apply_all([], [], []) == []
    assert not Recipe().has_network


@pytest.mark.parametrize("text", ["cnn-100", "cnn-17", "cnn-0017+jpeg(quality=3)"])
def test_unknown_networks(text: str) -> None:
    with pytest.raises(DistortionError, match=r"unknown variant 'cnn-\d+'; there are cnn-000 to cnn-095"):
        parse(text)


@pytest.mark.parametrize("text", ["cnn-017()", "cnn-017(sigma=1)"])
def test_networks_take_no_values(text: str) -> None:
    with pytest.raises(DistortionError, match="cnn-017 is a network and takes no values, got 'cnn-017"):
        parse(text)


def test_recipes_are_read_without_torch() -> None:
    code = (
        "import sys; from distortions.recipes import parse; import distortions.patch_sets.generate;"
        "from distortions.commands.bapps_distort import distort;"
        "assert str(parse('cnn-017+jpeg(quality=3)')) == 'cnn-017+jpeg(quality=3)';"
        "from click.testing import CliRunner; r = CliRunner().invoke(distort, ['list', '--cnn']);"
        "assert r.output.count('multiply-adds') == 96; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(("family", "task"), [("cnn", "2afc"), ("mix", "2afc"), ("mix", "jnd")])
def test_patch_sets_do_not_depend_on_workers_and_are_made_again(
    family: Family,
    task: Task,
    photos: Path,
    folder: Path,
    tmp_path: Path,
    digest: Callable[[Path], dict[str, str]],
) -> None:
    settings = Settings(60, task, family, "val", 5, "uniform")
    generate(settings, photos=[photos], folder=tmp_path / "set", zoo=folder)
    generate(settings, photos=[photos], folder=tmp_path / "again", zoo=folder, workers=Workers(2))
    assert digest(tmp_path / "set") == digest(tmp_path / "again")
    found = read_patch_set(tmp_path / "set")
    assert found.description.settings["zoo_sha256"] == open_zoo(folder).digest
    assert found.description.findings["zoo"] == str(folder)
    assert "torch" in found.description.versions
    networks = {side.recipe for item in found for side in (item.p0, item.p1) if side.recipe.startswith("cnn-")}
    assert networks == set(NAMES)
    made = replay(found, range(0, 60, 4), folder=tmp_path / "replayed")
    assert all(entry.same for entry in made)


def test_sets_know_their_zoo(photos: Path, folder: Path, tmp_path: Path) -> None:
    settings = Settings(4, "2afc", "cnn", "val", 5, "uniform")
    generate(settings, photos=[photos], folder=tmp_path / "set", zoo=folder)
    other = tmp_path / "other"
    other.mkdir()
    for name in NAMES[:3]:
        (other / f"{name}.safetensors").write_bytes((folder / f"{name}.safetensors").read_bytes())
    with pytest.raises(PatchSetError, match=r"other: is another zoo, SHA-256 \w+…; the set was made with"):
        replay(read_patch_set(tmp_path / "set"), [0], folder=tmp_path / "again", zoo=other)
    with pytest.raises(PatchSetError, match="holds a patch set made otherwise: zoo_sha256 was"):
        generate(settings, photos=[photos], folder=tmp_path / "set", zoo=other)
    with pytest.raises(DistortionError, match="no such zoo"):
        generate(settings, photos=[photos], folder=tmp_path / "new", zoo=tmp_path / "nowhere")
    assert not (tmp_path / "new").exists()


def test_a_sheet_shows_the_photos_and_every_network(zoo: Zoo) -> None:
    crops = patches(3, 96, 96)
    sheet = network_sheet(crops, zoo, seed=4)
    assert sheet.shape == (7 * 132, 216 + 3 * 132, 3)
    np.testing.assert_array_equal(sheet[:128:2, 216 + 132 : 216 + 260 : 2], crops[1][16:-16, 16:-16])
    made = parse("cnn-020").apply(crops[2], np.random.default_rng([4, 2, 2]), margin=16, zoo=zoo)
    assert list(zoo.entries)[1] == "cnn-020"
    np.testing.assert_array_equal(sheet[264 : 264 + 128 : 2, 480 : 480 + 128 : 2], made[16:-16, 16:-16])
