"""Building datasets: what comes out, what is refused, and that nothing is ever half there."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from build_command import Answers, Make, built, counted_by_hand, fractions, refused, tree, written
from PIL import Image

from bapps_builder.checking.set_files import list_files
from bapps_builder.checking.verify import verify
from bapps_builder.datasets.dataset_record import read_record
from bapps_builder.datasets.reader import ItemSet
from bapps_builder.datasets.splits import drawn_splits
from bapps_builder.layout import SetFolder
from bapps_builder.patch_sets.patch_set import pixel_digest

# --- what comes out ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "word"), [("2afc", "p1"), ("jnd", "same")])
def test_fractions_are_those_of_the_answers(
    tmp_path: Path, make_patch_set: Make, make_answers: Answers, task: str, word: str
) -> None:
    patches = make_patch_set(tmp_path / "patches", task=task)
    table = make_answers(task=task)
    built("--patches", patches, "--answers", written(table, tmp_path / "a.csv"), "--out", tmp_path / "out")
    assert fractions(tmp_path / "out", task) == counted_by_hand(table, word)
    assert len(set(fractions(tmp_path / "out", task).values())) > 2


def read_as_the_official_loader(folder: Path) -> list[tuple[list[np.ndarray], float]]:
    """Four sorted listings taken side by side, as the official 2AFC dataset does."""
    listings = [sorted((folder / role).iterdir()) for role in ("ref", "p0", "p1", "judge")]
    items = []
    for ref, p0, p1, judge in zip(*listings, strict=True):
        images = [np.asarray(Image.open(path).convert("RGB")) for path in (ref, p0, p1)]
        items.append((images, float(np.load(judge).reshape((1, 1, 1))[0, 0, 0])))
    return items


def test_the_official_loaders_rules_and_our_reader_see_the_same(
    tmp_path: Path, patches: Path, make_answers: Answers
) -> None:
    built("--patches", patches, "--answers", written(make_answers(), tmp_path / "a.csv"), "--out", tmp_path / "out")
    folder = SetFolder(tmp_path / "out", "2afc", "val", "noise")
    theirs = read_as_the_official_loader(folder.path)
    (ours,) = ItemSet(folder).batches(load="native")
    assert len(theirs) == len(ours.ids) == 12
    for index, (images, judge) in enumerate(theirs):
        assert judge == ours.labels[index]
        for role in range(3):
            np.testing.assert_array_equal(images[role], ours.images[role][index])
    label = np.load(folder.file("judge", "000003"))
    assert (label.dtype, label.shape) == (np.dtype("<f4"), (1,))


def test_items_and_answers_stand_beside_the_set_and_sentinels_apart(
    tmp_path: Path, patches: Path, make_answers: Answers
) -> None:
    table = make_answers(people=3)
    built("--patches", patches, "--answers", written(table, tmp_path / "a.csv"), "--out", tmp_path / "out")
    folder = tmp_path / "out" / "2afc" / "val" / "noise"
    items = pd.read_parquet(folder / "items.parquet")
    assert items["n"].tolist() == [3] * 12
    assert items["p0_recipe"].unique().tolist() == ["white-noise(sigma=40)"]
    for role in ("ref", "p0", "p1"):
        pixels = np.asarray(Image.open(folder / role / "000007.png"))
        assert items[f"{role}_sha256"][7] == pixel_digest(pixels)
    answers = pd.read_parquet(folder / "answers.parquet")
    assert set(answers["role"]) == {"test"}
    assert len(answers) == 36
    others = pd.read_parquet(tmp_path / "out" / "other_answers.parquet")
    assert set(others["role"]) == {"sentinel"}
    assert len(answers) + len(others) == len(table)
    assert not {"sentinel-0", "sentinel-1"} & set(items["source_id"])


def test_images_are_linked_or_copied(tmp_path: Path, patches: Path, make_answers: Answers) -> None:
    answers = written(make_answers(), tmp_path / "a.csv")
    for name, options in (("linked", []), ("copied", ["--copy"])):
        built("--patches", patches, "--answers", answers, "--out", tmp_path / name, *options)
        image = tmp_path / name / "2afc/val/noise/p1/000004.png"
        assert image.samefile(patches / "p1/000004.png") == (name == "linked")
        assert image.read_bytes() == (patches / "p1/000004.png").read_bytes()


@pytest.mark.usefixtures("small_portions")
def test_the_same_command_gives_the_same_bytes_with_any_number_of_workers(
    tmp_path: Path, patches: Path, make_answers: Answers
) -> None:
    answers = written(make_answers(), tmp_path / "a.csv")
    for name, workers in (("one", 1), ("two", 2)):
        built("--patches", patches, "--answers", answers, "--out", tmp_path / name, "--name", "x", "--workers", workers)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize("portions", ["as they are", "small"])
def test_several_sets_from_several_studies(
    tmp_path: Path, make_patch_set: Make, make_answers: Answers, portions: str, request: pytest.FixtureRequest
) -> None:
    if portions == "small":
        request.getfixturevalue("small_portions")
    pair = make_patch_set(tmp_path / "pair", split="train", name="mix", photo=lambda index: f"fivek/{index}.dng")
    single = make_patch_set(tmp_path / "single", task="jnd", seed=1)
    first, second = make_answers(label="train/mix"), make_answers(task="jnd", study="study 2")
    files = written(first, tmp_path / "a.csv"), written(second, tmp_path / "b.csv")
    built("--patches", pair, "--patches", single, "--answers", files[0], "--answers", files[1], "--out", tmp_path / "o")
    assert fractions(tmp_path / "o", "2afc", "train/mix") == counted_by_hand(first)
    assert fractions(tmp_path / "o", "jnd") == counted_by_hand(second, "same")
    record = read_record(tmp_path / "o")
    assert list(record.sets) == ["2afc/train/mix", "jnd/val/noise"]
    assert (record.split.train, record.split.val, record.split.both) == (12, 6, ())
    assert not verify(tmp_path / "o", list_files(tmp_path / "o")).failed


def test_simulated_answers_are_called_so(tmp_path: Path, patches: Path, make_answers: Answers) -> None:
    answers = written(make_answers().assign(simulated=True), tmp_path / "a.csv")
    built("--patches", patches, "--answers", answers, "--out", tmp_path / "out", "--name", "Mine")
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("# Mine (simulated)\n")
    named = re.findall(r"`(\S+\.json)`", card)
    assert named == ["dataset.json"]
    assert all((tmp_path / "out" / name).is_file() for name in named)
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["simulated"] is True


# --- exclusions --------------------------------------------------------------------------------------


def test_answers_recorded_as_unused_do_not_count_and_stay(tmp_path: Path, patches: Path, make_answers: Answers) -> None:
    table = make_answers()
    slow = (table["participant"] == "pseudonym-2") & (table["role"] == "test")
    table.loc[slow, ["use", "reason"]] = [False, "withdrew"]
    built("--patches", patches, "--answers", written(table, tmp_path / "a.csv"), "--out", tmp_path / "out")
    assert fractions(tmp_path / "out") == counted_by_hand(table)
    answers = pd.read_parquet(tmp_path / "out/2afc/val/noise/answers.parquet")
    assert (answers["reason"] == "withdrew").sum() == 12
    record = read_record(tmp_path / "out")
    assert [(step.people_out, step.answers_left) for step in record.flow] == [(0, 60), (1, 48)]
    assert not record.settings.post_hoc


@pytest.mark.parametrize("planned", [False, True])
def test_rules_exclude_people_and_are_post_hoc_unless_planned(
    tmp_path: Path, patches: Path, make_answers: Answers, planned: bool
) -> None:
    table = make_answers()  # the first person fails every sentinel
    options = ["--rule", "sentinels>=0.8", *(["--planned"] if planned else [])]
    answers = written(table, tmp_path / "a.csv")
    built("--patches", patches, "--answers", answers, "--out", tmp_path / "out", *options)
    others = table[table["participant"] != "pseudonym-0"]
    assert fractions(tmp_path / "out") == counted_by_hand(others)
    record, card = read_record(tmp_path / "out"), (tmp_path / "out/README.md").read_text()
    assert record.settings.post_hoc is not planned
    assert ("post hoc" in card.splitlines()[0]) is not planned
    assert record.people == 4
    last_rows = [flow[-1].answers_left for flow in (record.flow, record.post_hoc_flow) if flow]
    assert last_rows == ([48] if planned else [60, 48])
    assert all(f"| {rows} |" in card for rows in last_rows)
    kept = pd.read_parquet(tmp_path / "out/2afc/val/noise/answers.parquet")
    assert set(kept.loc[kept["participant"] == "pseudonym-0", "reason"]) == {"rule sentinels>=0.8"}


# --- enough answers ----------------------------------------------------------------------------------


def test_items_with_too_few_answers_end_the_build_or_are_left_out(
    tmp_path: Path, patches: Path, make_answers: Answers
) -> None:
    table = make_answers(sentinels=0)
    table = table[~((table["item"].isin(["000000", "000005"])) & (table["participant"] == "pseudonym-1"))]
    options = ["--patches", patches, "--answers", written(table, tmp_path / "a.csv"), "--min-answers", 5]
    message = refused("build", *options, "--out", tmp_path / "out")
    assert "2 of 12 items have fewer than 5" in message
    assert "val/noise 000000: 4, val/noise 000005: 4" in message
    assert not (tmp_path / "out").exists()
    built(*options, "--out", tmp_path / "out", "--leave-out-short")
    items = pd.read_parquet(tmp_path / "out/2afc/val/noise/items.parquet")
    assert items["id"].tolist() == [f"{index:06d}" for index in range(10)]
    assert items["source_id"].tolist() == [f"{index:06d}" for index in range(12) if index not in (0, 5)]
    assert len(pd.read_parquet(tmp_path / "out/other_answers.parquet")) == 8
    assert not verify(tmp_path / "out", list_files(tmp_path / "out")).failed


# --- splits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("by", "photo"), [("photo", "p/{}.png"), ("collection", "collection-{}/x.png")])
def test_photographs_are_divided_so_that_none_is_on_both_sides(
    tmp_path: Path, make_patch_set: Make, make_answers: Answers, by: str, photo: str
) -> None:
    patches = make_patch_set(tmp_path / "patches", items=40, photo=lambda index: photo.format(index // 4))
    answers = written(make_answers(40), tmp_path / "a.csv")
    options = ["--split", by, "--val-share", 0.4, "--seed", 1]
    built("--patches", patches, "--answers", answers, "--out", tmp_path / "out", *options)
    photos = {
        split: set(pd.read_parquet(tmp_path / "out/2afc" / split / "noise/items.parquet")["photo"])
        for split in ("train", "val")
    }
    assert photos["train"] | photos["val"] == {photo.format(number) for number in range(10)}
    assert not photos["train"] & photos["val"]
    proof = read_record(tmp_path / "out").split
    assert (proof.train, proof.val) == (len(photos["train"]), len(photos["val"]))
    keys = pd.read_parquet(tmp_path / "out/2afc/val/noise/items.parquet")["photo_sha256"]
    text = "".join(f"{key}\n" for key in sorted(set(keys)))
    assert proof.val_sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert not verify(tmp_path / "out", list_files(tmp_path / "out")).failed


def test_draws_have_the_share_asked_for_and_do_not_depend_on_each_other() -> None:
    keys = [f"photo-{number}" for number in range(4000)]
    drawn = drawn_splits(keys, val_share=0.2, seed=5)
    assert 0.18 < (drawn == "val").mean() < 0.22
    assert drawn_splits(keys[:10], val_share=0.2, seed=5).tolist() == drawn[:10].tolist()
    assert drawn_splits(keys, val_share=0.2, seed=6).tolist() != drawn.tolist()


def test_a_photograph_on_both_sides_ends_the_build(tmp_path: Path, make_patch_set: Make, make_answers: Answers) -> None:
    train = make_patch_set(tmp_path / "train", split="train", seed=1)
    val = make_patch_set(tmp_path / "val")
    files = [written(make_answers(label=f"{split}/noise"), tmp_path / f"{split}.csv") for split in ("train", "val")]
    message = refused(
        *("build", "--patches", train, "--patches", val, "--answers", files[0], "--answers", files[1]),
        *("--out", tmp_path / "out"),
    )
    assert "6 photographs would be in training and validation" in message


# --- bad input ---------------------------------------------------------------------------------------


def test_answers_that_do_not_fit_are_named_with_their_rows(
    tmp_path: Path, patches: Path, make_answers: Answers
) -> None:
    table = make_answers(sentinels=0)

    def message(changed: pd.DataFrame) -> str:
        found = refused(
            "build", "--patches", patches, "--answers", written(changed, tmp_path / "a.csv"), "--out", "out"
        )
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "patches"]
        return found

    unknown = table.copy()
    unknown.loc[[3, 8], "item"] = ["000099", "000100"]
    assert "2 of 60 answers are to items that are not among the 12 given, the first in row 4: '000099'" in message(
        unknown
    )
    assert "of the set 'val/other'" in message(table.assign(set="val/other"))
    words = table.copy()
    words.loc[[5, 6], "choice"] = "left"
    assert "2 of 60 values of choice are not p0 or p1 or different or same, the first in row 6: 'left'" in message(
        words
    )
    twice = pd.concat([table, table.head(1)])
    assert "1 answers that count are from people who already answered the same item" in message(twice)
    other_task = make_answers(task="jnd", sentinels=0)
    assert "60 answers are of another task than their item, the first in row 1" in message(other_task)
    mixed = pd.concat([table, other_task.assign(participant="somebody")])
    assert "answers of both tasks" in message(mixed)
    two = pd.concat([table, make_answers(study="study 2", first_person=7, sentinels=0)])
    assert "answers of 2 studies (study 1, study 2); choose one with --study" in message(two)


def test_one_study_of_several_can_be_chosen(tmp_path: Path, patches: Path, make_answers: Answers) -> None:
    table = make_answers()
    two = pd.concat([table, make_answers(study="study 2", people=2)])
    answers = written(two, tmp_path / "a.csv")
    built("--patches", patches, "--answers", answers, "--out", tmp_path / "out", "--study", "study 1")
    assert fractions(tmp_path / "out") == counted_by_hand(table)
    message = refused("build", "--patches", patches, "--answers", answers, "--out", "out", "--study", "study 3")
    assert "it has study 1, study 2" in message


def test_patches_that_are_missing_or_changed_are_named(tmp_path: Path, patches: Path, make_answers: Answers) -> None:
    answers = written(make_answers(), tmp_path / "a.csv")
    arguments = ["build", "--patches", patches, "--answers", answers, "--out", tmp_path / "out"]
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(patches / "p1" / "000002.png")
    assert "p1/000002.png: its pixels have SHA-256" in refused(*arguments)
    (patches / "p1" / "000002.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    assert "p1/000002.png: truncated PNG" in refused(*arguments)
    (patches / "p1" / "000002.png").unlink()
    assert "1 of 12 files are missing, the first 000002.png" in refused(*arguments)
    assert "no such folder" in refused("build", "--patches", tmp_path / "nothing", *arguments[3:])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "x\0y", "a" * 101])
def test_a_set_cannot_be_named_so_that_it_leaves_the_dataset(tmp_path: Path, patches: Path, name: str) -> None:
    from bapps_builder.building.item_sources import read_source
    from bapps_builder.errors import DatasetError

    row = {"item": "1", "set": name, "p0": "a.png", "p1": "b.png"}
    pd.DataFrame([row]).to_parquet(tmp_path / "items.parquet")
    if not name:  # an empty cell is the default set
        assert read_source(tmp_path / "items.parquet").names["set"].to_pylist() == ["items"]
        return
    with pytest.raises(DatasetError, match="cannot name a set"):
        read_source(tmp_path / "items.parquet")
