"""`bapps-distort train-cnn` and the networks in other commands, in-process."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from zoo_photographs import PHOTOS, copy_photos

from bapps_builder.images.image_files import read_image
from distortions.cnn import runs
from distortions.cnn.plan import multiply_adds, weights
from distortions.cnn.variants import variants
from distortions.cnn.zoo import open_zoo
from distortions.commands.bapps_distort import distort
from distortions.photos import list_photos

SHORT = ("--steps", "2", "--batch", "2", "--side", "32")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(distort, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    return result.stderr.strip().splitlines()[-1]


@pytest.fixture(autouse=True)
def anything_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runs, "FIRST_MEASURE", 100)
    monkeypatch.chdir(tmp_path)


def test_trains_what_is_asked_for_and_goes_on(photos: Path, tmp_path: Path) -> None:
    result = run("train-cnn", "--photos", photos, "--variants", "50,59", *SHORT, "--out", tmp_path / "zoo")
    assert result.exit_code == 0, result.output
    assert result.stdout == "cnn-050: trained\ncnn-059: trained\n"
    assert "cnn-059: step 2/2, l1 0." in result.stderr
    again = run("train-cnn", "--photos", photos, "--variants", "50", *SHORT, "--out", tmp_path / "zoo")
    assert again.stdout == "cnn-050: complete already\n"
    entries = open_zoo(tmp_path / "zoo").entries
    assert list(entries) == ["cnn-050", "cnn-059"]
    # The seed alone decides: two processes come to the same as one.
    run("train-cnn", "--photos", photos, "--variants", "50,59", *SHORT, "--workers", 2, "--out", tmp_path / "other")
    assert open_zoo(tmp_path / "other").digest == open_zoo(tmp_path / "zoo").digest

    made = run("apply", "cnn-059+jpeg(quality=30)", photos / "a.png", tmp_path / "out.png", "--zoo", tmp_path / "zoo")
    assert made.exit_code == 0, made.output
    assert read_image(tmp_path / "out.png").shape == read_image(photos / "a.png").shape
    options = ("--photos", photos, "--items", 8, "--workers", 1, "--zoo", tmp_path / "zoo")
    assert run("generate", *options, "--family", "mix", "--out", tmp_path / "set").exit_code == 0
    replayed = run("replay", tmp_path / "set", "--rows", "0-7", "--out", tmp_path / "again")
    assert replayed.stdout == "8 rows, 24 patches, 0 differ from the manifest\n"


def test_a_dask_cluster_trains_the_same(cluster: str, photos: Path, tmp_path: Path) -> None:
    command = ("train-cnn", "--photos", photos, "--variants", "50,59", *SHORT)
    result = run(*command, "--dask", cluster, "--out", tmp_path / "spread")
    assert result.exit_code == 0, result.output
    assert sorted(result.stdout.splitlines()) == ["cnn-050: trained", "cnn-059: trained"]  # as they are done
    run(*command, "--out", tmp_path / "here")
    assert open_zoo(tmp_path / "spread").digest == open_zoo(tmp_path / "here").digest
    again = run(*command, "--dask", cluster, "--out", tmp_path / "spread")
    assert sorted(again.stdout.splitlines()) == ["cnn-050: complete already", "cnn-059: complete already"]


def test_one_that_comes_to_nothing_is_told_and_the_others_are_kept(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finite = runs.Learner.is_finite
    monkeypatch.setattr(runs.Learner, "is_finite", lambda self: self.variant.name != "cnn-050" and finite(self))
    result = run("train-cnn", "--photos", photos, "--variants", "50,59", *SHORT, "--out", tmp_path / "zoo")
    assert result.exit_code == 1
    assert result.stdout == "cnn-059: trained\n"
    assert "cnn-050: a weight is not a number; nothing of it is kept" in result.stderr
    assert list(open_zoo(tmp_path / "zoo").entries) == ["cnn-059"]


def test_epochs_and_estimate(photos: Path, tmp_path: Path) -> None:
    options = ("--photos", photos, "--variants", "50,59", "--batch", 1, "--side", 32, "--out", tmp_path / "zoo")
    text = run("train-cnn", *options, "--epochs", 4, "--estimate").stdout
    assert "billion operations a step" in text
    assert "2 variants x 12 steps" in text  # three of five photos to learn from
    assert not (tmp_path / "zoo").exists()


def test_bad_input(photos: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "zoo")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no photos in it" in refused("train-cnn", "--photos", empty, *SHORT, *out)
    assert "no such folder of photos" in refused("train-cnn", "--photos", tmp_path / "nowhere", *SHORT, *out)
    small = refused("train-cnn", "--photos", photos, "--side", 256, "--steps", 1, *out)
    assert "but a patch needs at least 256x256 pixels" in small
    ours = ("train-cnn", "--photos", photos)
    assert "variants are numbered 0 to 95" in refused(*ours, "--variants", "96", *SHORT, *out)
    assert "give one" in refused(*ours, "--steps", 1, "--epochs", 1, *out)
    assert "--side must be a multiple of 16, got 40" in refused(*ours, "--side", 40, *out)
    assert "must not be larger than --side 64, got 128" in refused(*ours, "--vgg-side", 128, *out)
    assert "the torch device 'tpu9' cannot be used" in refused(*ours, *SHORT, "--device", "tpu9", *out)
    assert not (tmp_path / "zoo").exists()
    run(*ours, "--variants", "50", *SHORT, *out)
    assert "was trained otherwise: steps was 2 and is 3" in refused(
        *ours, "--variants", "50", "--steps", 3, "--batch", 2, "--side", 32, *out
    )
    assert "no such zoo" in refused(
        "generate", "--photos", photos, "--items", 2, "--family", "cnn", "--zoo", empty / "x", "--out", tmp_path / "s"
    )
    assert "no such zoo" in refused("apply", "cnn-003", photos / "a.png", tmp_path / "o.png", "--zoo", empty / "x")
    assert "cnn-003 is not among the trained variants" in refused(
        "apply", "cnn-003", photos / "a.png", tmp_path / "o.png", "--zoo", tmp_path / "zoo"
    )


def test_list_prints_weights_and_multiply_adds() -> None:
    lines = run("list", "--cnn").stdout.splitlines()
    assert len(lines) == 96
    assert lines[59].startswith("cnn-059: color-removal, 3 layers, 1 skips and the top one, 3 with dropout, transposed")
    assert lines[59].endswith("rate 0.000652; 47,107 weights, 5.6M multiply-adds")
    rows = json.loads(run("list", "--cnn", "--json").stdout)
    for row in rows:
        variant = variants()[row["name"]]
        assert (row["weights"], row["multiply_adds"]) == (weights(variant), multiply_adds(variant))
    assert "ask for one" in refused("list", "--cnn", "--compositions")


def test_the_photos_of_the_starter_zoo_are_in_scikit_image(tmp_path: Path) -> None:
    copy_photos(tmp_path / "photos")
    assert [photo.name for photo in list_photos([tmp_path / "photos"], smallest_side=64).photos] == sorted(PHOTOS)
