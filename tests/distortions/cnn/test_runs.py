"""Trainings: deterministic, resumable to the byte, and honest about what came to nothing."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from torch.utils.flop_counter import FlopCounterMode

from bapps_builder.errors import ImageError
from bapps_builder.images.image_files import read_image
from distortions.cnn import runs
from distortions.cnn.budget import operations
from distortions.cnn.results import Diverged
from distortions.cnn.runs import Place, Report, checked_device, train
from distortions.cnn.streaming import Examples, Stream, _order, split
from distortions.cnn.training import Learner, Training, quality_of
from distortions.cnn.variants import Variant, variants
from distortions.cnn.zoo import KEY, open_zoo, read_entry
from distortions.photos import Collection, list_photos
from metrics.training.recipe import TrainingError

# A row with batch normalization, dropout, a feature loss and a discriminator.
ROW = next(
    row
    for row in variants().values()
    if row.normalization == "batch" and row.dropout and row.vgg and row.discriminator and row.layers == 3
)
SHORT = Training(6, batch=2, side=32, vgg_patches=1, vgg_side=32, seed=4)


@pytest.fixture(scope="module")
def collection(photos: Path) -> Collection:
    return list_photos([photos], smallest_side=64)


class Stopped(Exception):
    pass


def stop_after(steps: int):
    def advance(count: int) -> None:
        nonlocal steps
        steps -= count
        if steps <= 0:
            raise Stopped

    return advance


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure after the second step, so that what is to be kept can be seen to have learned or not."""
    monkeypatch.setattr(runs, "FIRST_MEASURE", 2)


@pytest.fixture
def anything_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six steps teach nothing; take what comes."""
    monkeypatch.setattr(runs, "FIRST_MEASURE", 100)


@pytest.mark.usefixtures("anything_is_kept")
def test_interrupted_twice_it_comes_to_the_same_bytes(collection: Collection, tmp_path: Path) -> None:
    whole, parts = (Place(tmp_path / name, checkpoint_every=2) for name in ("whole", "parts"))
    for place in (whole, parts):
        place.zoo.mkdir()
    assert train(ROW, SHORT, collection, whole)
    for steps in (3, 5):  # after a checkpoint at 2, then at 4
        with pytest.raises(Stopped):
            train(ROW, SHORT, collection, parts, advance=stop_after(steps))
        assert [path.name for path in parts.zoo.iterdir()] == [f"{ROW.name}.checkpoint.safetensors"]
    done = 0

    def count(steps: int) -> None:
        nonlocal done
        done += steps

    assert train(ROW, SHORT, collection, parts, advance=count)
    assert done == 6
    for suffix in ("safetensors", "png"):
        assert (parts.zoo / f"{ROW.name}.{suffix}").read_bytes() == (whole.zoo / f"{ROW.name}.{suffix}").read_bytes()
    assert len(list(parts.zoo.iterdir())) == 2
    assert not train(ROW, SHORT, collection, parts)  # complete already


@pytest.mark.usefixtures("anything_is_kept")
def test_the_file_says_where_it_comes_from(collection: Collection, tmp_path: Path) -> None:
    reports: list[Report] = []
    train(ROW, replace(SHORT, half=True), collection, Place(tmp_path), report=reports.append)
    about = read_entry(tmp_path / f"{ROW.name}.safetensors").about
    assert about["row"] == asdict(ROW)
    assert about["training"] == asdict(replace(SHORT, half=True))
    assert about["photos_sha256"] == collection.digest
    assert about["photos"] == 5
    assert {"torch", "numpy", "opencv", "bapps"} == set(about["versions"])
    assert about["vgg16_sha256"]
    assert [entry["step"] for entry in about["losses"]] == [1, 6]
    assert about["held_out"]["after_step"] == 6
    assert 0 < about["held_out"]["last"]["l1"] < 1
    assert about["held_out"]["last"]["lpips"] > 0
    assert [report.step for report in reports] == [1, 6]
    assert str(reports[1]).startswith(f"{ROW.name}: step 6/6, l1 0.")
    assert read_image(tmp_path / f"{ROW.name}.png").shape == (3 * 128, 10 * 128, 3)
    assert open_zoo(tmp_path).entries.keys() == {ROW.name}


@pytest.mark.usefixtures("quick")
def test_a_run_that_diverges_leaves_nothing(collection: Collection, tmp_path: Path) -> None:
    wild = replace(ROW, learning_rate=1e30)
    with pytest.raises(Diverged, match=rf"{ROW.name}: (diverged at step|a weight is not a number)"):
        train(wild, SHORT, collection, Place(tmp_path, checkpoint_every=100))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_run_that_learns_nothing_is_not_kept(collection: Collection, tmp_path: Path) -> None:
    idle = replace(ROW, learning_rate=0.0, normalization="none")
    with pytest.raises(Diverged, match=r"learned nothing: held-out l1 is \d\.\d+ and was 0\.\d+ after 2 steps"):
        train(idle, replace(SHORT, steps=4), collection, Place(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("anything_is_kept")
def test_what_was_trained_otherwise_is_named(collection: Collection, photos: Path, tmp_path: Path) -> None:
    train(ROW, SHORT, collection, Place(tmp_path))
    with pytest.raises(
        TrainingError, match=r"was trained otherwise: seed was 4 and is 5; steps was 6 and is 7\. Choose"
    ):
        train(ROW, replace(SHORT, steps=7, seed=5), collection, Place(tmp_path))
    fewer = Collection(collection.photos[:4], ())
    with pytest.raises(TrainingError, match="photos was 5 and is 4; photos_sha256 was"):
        train(ROW, SHORT, fewer, Place(tmp_path))


def test_broken_checkpoints_are_named(collection: Collection, tmp_path: Path) -> None:
    path = tmp_path / f"{ROW.name}.checkpoint.safetensors"
    place = Place(tmp_path, checkpoint_every=2)
    with pytest.raises(Stopped):
        train(ROW, SHORT, collection, place, advance=stop_after(3))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match=r"not a checkpoint of this run: .* remove it to begin anew"):
        train(ROW, SHORT, collection, place)
    path.write_bytes(whole)
    with pytest.raises(TrainingError, match="batch was 2 and is 3"):
        train(ROW, replace(SHORT, batch=3), collection, place)
    about = {
        "format": 1,
        "row": asdict(ROW),
        "training": asdict(SHORT),
        "photos": 5,
        "photos_sha256": collection.digest,
    }
    save_file({"x": np.zeros(1, np.float32)}, path, {KEY: json.dumps(about)})
    with pytest.raises(TrainingError, match="not a checkpoint of this run"):
        train(ROW, SHORT, collection, place)


def test_memory_that_ran_out_is_an_error_of_ours(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.setattr(runs.Learner, "step", full)
    with pytest.raises(TrainingError, match=rf"{ROW.name}: a step of 2 crops: not enough memory"):
        train(ROW, SHORT, collection, Place(tmp_path))
    monkeypatch.setattr(runs.Learner, "step", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(ROW, SHORT, collection, Place(tmp_path))


def test_a_full_disk_keeps_the_checkpoint(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, checkpoint_every=2)
    with pytest.raises(Stopped):
        train(ROW, SHORT, collection, place, advance=stop_after(3))
    kept = (tmp_path / f"{ROW.name}.checkpoint.safetensors").read_bytes()
    monkeypatch.setattr(Path, "write_bytes", lambda *arguments: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(TrainingError, match=r"cannot be written: No space left; the last checkpoint stays, make room"):
        train(ROW, SHORT, collection, place)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {f"{ROW.name}.checkpoint.safetensors": kept}


def test_devices() -> None:
    assert not checked_device("cpu", "auto")
    assert checked_device("cpu", "bf16")
    with pytest.raises(TrainingError, match="the torch device 'nonsense' cannot be used"):
        checked_device("nonsense", "auto")


def test_bf16_trains_too(collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "FIRST_MEASURE", 100)
    assert train(ROW, replace(SHORT, steps=2, bf16=True), collection, Place(tmp_path))


def test_photos_to_measure_on_are_no_photos_to_learn_from(collection: Collection) -> None:
    for seed in range(5):
        learned, held = split(collection.photos, seed)
        assert len(held) == 2
        assert {p.name for p in learned} | {p.name for p in held} == {p.name for p in collection.photos}
        assert not {p.name for p in learned} & {p.name for p in held}
    many = [replace(collection.photos[0], name=str(number)) for number in range(2000)]
    assert len(split(many, 0)[1]) == 64
    with pytest.raises(ImageError, match="training needs 3 photos at least, two of them to measure on; there are 2"):
        split(collection.photos[:2], 0)


def test_a_stream_takes_every_photo_once_a_turn_and_can_begin_anywhere(collection: Collection) -> None:
    def stream() -> Stream:
        return Stream(collection.photos, "white-noise", 32, 5, (1, 2))

    first = stream()
    order = [_order((1, 2), turn, 5).tolist() for turn in range(3)]
    assert all(sorted(some) == [0, 1, 2, 3, 4] for some in order)
    assert order[0] != order[1]
    batches = [first.examples(step) for step in range(4)]
    late = stream().examples(3)
    np.testing.assert_array_equal(late.clean, batches[3].clean)
    np.testing.assert_array_equal(late.corrupted, batches[3].corrupted)
    assert (batches[2].clean != batches[3].clean).any()
    assert (late.clean != late.corrupted).any()
    # Each clean crop, or its mirror image, is a piece of the photo whose turn it is.
    for number, crop in enumerate(batches[0].clean):
        photo = collection.photos[order[0][number]].read()
        found = [
            (photo[y : y + 32, x : x + 32] == side).all()
            for side in (crop, crop[:, ::-1])
            for y, x in np.argwhere((photo[: photo.shape[0] - 31, : photo.shape[1] - 31] == side[0, 0]).all(2))
        ]
        assert any(found)


def test_damaged_photos_are_passed_over(collection: Collection, tmp_path: Path) -> None:
    bad = replace(collection.photos[0], name="bad.png", path=tmp_path / "bad.png")
    data = collection.photos[0].path.read_bytes()[:2000]
    bad.path.write_bytes(data)
    bad = replace(bad, sha256=hashlib.sha256(data).hexdigest())
    stream = Stream([bad, *collection.photos[1:]], "null", 32, 8, (0,))
    assert stream.examples(0).clean.shape == (8, 32, 32, 3)
    assert stream.damaged == {"bad.png"}
    with pytest.raises(ImageError, match="none of the 1 photos can be decoded, for example"):
        Stream([bad], "null", 32, 1, (0,)).examples(0)


def test_quality_by_hand() -> None:
    clean = np.zeros((2, 8, 8, 3), np.uint8)
    made = np.full_like(clean, 51)
    found = quality_of(made, clean, with_lpips=False)
    assert found.l1 == pytest.approx(0.2)
    assert found.psnr == pytest.approx(20 * np.log10(5))
    assert found.lpips is None


@pytest.mark.parametrize("name", ["cnn-030", "cnn-081", "cnn-061", "cnn-094"])
def test_operations_are_those_that_torch_counts(name: str) -> None:

    row: Variant = variants()[name]
    training = Training(1, batch=4, side=64, vgg_patches=2, vgg_side=32)
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    learner = Learner(row, training)
    with FlopCounterMode(display=False) as counter:
        learner.step(0, Examples(noise, noise))
    # Counted from the row: the first layers pass no gradient back to the patches, which is not left out.
    assert 0.75 * operations(row, training) < counter.get_total_flops() <= operations(row, training)
