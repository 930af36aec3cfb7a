"""What people said, read from answers, counts, fractions, JSON and datasets."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.people.consistency_jnd import jnd
from analysis.people.consistency_settings import Settings
from analysis.people.judgments import Reading, read_judgments
from analysis.scoring.distances import SetDistances
from analysis.scoring.item_facts import facts_of_set, read_facts, sample_of
from analysis.scoring.judged_sets import judged_sets
from bapps_builder.errors import DatasetError, Notice
from bapps_builder.images.image_files import encode_png
from bapps_builder.layout import TASKS, SetFolder, Task
from bapps_builder.patch_sets.manifest import item_id
from bapps_builder.patch_sets.patch_set import pixel_digest


def items_of(path: Path, reading: Reading | None = None) -> list[tuple[str, str, int, int]]:
    [found] = read_judgments(path, reading)
    return [tuple(row) for row in found.items[["set", "item", "k", "n"]].itertuples(index=False)]


def test_counts_fractions_and_json_say_the_same(tmp_path: Path) -> None:
    expected = [("x", "a", 2, 5), ("x", "b", 5, 5)]
    (tmp_path / "x.csv").write_text("id,k,n\na,2,5\nb,5,5\n")
    assert items_of(tmp_path / "x.csv", Reading(task="2afc")) == expected
    (tmp_path / "x.csv").write_text("id,judge,d0,d1\na,0.4,1,2\nb,1,1,2\n")
    assert items_of(tmp_path / "x.csv", Reading(votes=5)) == expected
    (tmp_path / "x.json").write_text(json.dumps({"a": [1, 0, 0, 1, 0], "b": [1] * 5}))
    assert items_of(tmp_path / "x.json", Reading(task="2afc")) == expected
    rows = [
        f"{item},p{person},{'p1' if person < k else 'p0'}" for item, k in (("a", 2), ("b", 5)) for person in range(5)
    ]
    (tmp_path / "y.csv").write_text("\n".join(["item,participant,choice", *rows]))
    assert items_of(tmp_path / "y.csv") == [("all", "a", 2, 5), ("all", "b", 5, 5)]


def test_a_table_of_distances_of_several_metrics_says_what_people_said_once(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("metric,set,id,d0,d1,judge\nm,val/a,1,0,1,0.5\nn,val/a,1,0,1,0.5\n")
    assert items_of(tmp_path / "x.csv", Reading(votes=2)) == [("val/a", "1", 1, 2)]


@pytest.mark.parametrize("kept", ["fractions", "counts", "answers"])
def test_a_dataset_tells_the_best_it_has(tmp_path: Path, kept: str) -> None:
    folder = tmp_path / "2afc" / "val" / "cnn"
    (folder / "judge").mkdir(parents=True)
    for item, p in (("000000", 0.4), ("000001", 1.0)):
        np.save(folder / "judge" / f"{item}.npy", np.array([p], np.float32))
    items = pd.DataFrame(
        {"id": ["000000", "000001"], "set": "cnn", "split": "val", "photo": ["a", "b"], "k": [2, 5], "n": 5}
    )
    if kept != "fractions":
        items.to_parquet(folder / "items.parquet")
    if kept == "answers":
        choices = ["p1", "p1", "p0", "p0", "p0", *["p1"] * 5]
        rows = {"item": np.repeat(items["id"], 5), "participant": list("vwxyz") * 2, "choice": choices}
        pd.DataFrame(rows).to_parquet(folder / "answers.parquet")
    reading = Reading(votes=5) if kept == "fractions" else Reading()
    assert items_of(tmp_path, reading) == [("val/cnn", "000000", 2, 5), ("val/cnn", "000001", 5, 5)]
    [found] = read_judgments(tmp_path, reading)
    assert (found.answers is not None) == (kept == "answers")
    assert ("photo" in found.items) == (kept != "fractions")


def test_facts_from_a_table_are_joined(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,k,n\na,2,5\nb,5,5\n")
    (tmp_path / "facts.csv").write_text("id,photo,p0_recipe,other\nb,second.jpg,jpeg(quality=1.0),z\na,first.jpg,x,z\n")
    facts = read_facts(tmp_path / "facts.csv")
    [found] = read_judgments(tmp_path / "x.csv", Reading(task="2afc", facts=facts))
    assert found.items["photo"].tolist() == ["first.jpg", "second.jpg"]
    assert "other" not in found.items
    assert sample_of(found.items).unit == "photos"
    assert sample_of(found.items.assign(photo=["a", ""])).unit == "items, photos unknown"


@pytest.mark.parametrize("task", ["2afc", "jnd"])
def test_facts_are_those_of_the_task(tmp_path: Path, task: Task) -> None:
    """Both tasks have a set of one name, whose items have the same ids."""
    photos = {"2afc": "first.jpg", "jnd": "second.jpg"}
    (tmp_path / "facts.csv").write_text("task,id,photo\n2afc,a,first.jpg\njnd,a,second.jpg\n")
    folders = [SetFolder(tmp_path, other, "val", "cnn") for other in TASKS]
    for folder in folders:
        folder.path.mkdir(parents=True)
        pd.DataFrame({"id": ["a"], "photo": [photos[folder.task]]}).to_parquet(folder.path / "items.parquet")

    (tmp_path / "x.csv").write_text("id,k,n\na,2,5\n")
    in_one_table = read_facts(tmp_path / "facts.csv")
    [found] = read_judgments(tmp_path / "x.csv", Reading(task=task, facts=in_one_table))
    assert found.items["photo"].tolist() == [photos[task]]

    beside = [facts for folder in folders if (facts := facts_of_set(folder)) is not None]
    result = SetDistances(task, "val/cnn", ("m",), ("a",), np.zeros((1, 1 + (task == "2afc"), 1)), np.array([0.4]))
    for facts in ([in_one_table], beside):
        [judged] = judged_sets([result], facts=facts)
        assert judged.items["photo"].tolist() == [photos[task]]


@pytest.mark.parametrize(
    ("name", "text", "reading", "message"),
    [
        ("x.csv", "id,judge\na,0.4\n", Reading(), "has fractions only; say how many .* --votes"),
        ("x.csv", "id,judge\na,0.4\n", Reading(votes=3), "cannot come from 3 votes, .*; 5 votes fit"),
        ("x.csv", "id,judge\na,nan\n", Reading(votes=5), "not fractions in .* the first for item a: 'nan'"),
        ("x.csv", "id,k,n\na,6,5\n", Reading(task="2afc"), "1 items have no k in 0..n, the first a"),
        ("x.csv", "id,k,n\na,1.5,5\n", Reading(task="2afc"), "1 values of k are no whole number, .* '1.5'"),
        ("x.csv", "id,k,n\na,1,5\n", Reading(), "do not say which task"),
        ("x.csv", "id,k,n\na,1,5\na,1,5\n", Reading(task="2afc"), "two rows for item a"),
        ("x.csv", "image,votes\na,1\n", Reading(), "has the columns image, votes; expected item, participant, choice"),
        ("x.json", "[1]", Reading(task="jnd"), "expected an object of lists"),
        ("x.json", '{"a": [2]}', Reading(task="jnd"), "the votes of a must be a list of 0 and 1"),
        ("x.json", '{"a": [1]}', Reading(), "do not say which task"),
        ("x.json", '{"a": [1]}', Reading(task="jnd", identical="*_n-0"), "no item matches --identical"),
        ("x.json", "{", Reading(), "not readable as JSON"),
        (
            "x.csv",
            "study,item,participant,choice\ns,a,1,p0\nt,a,2,p1\n",
            Reading(),
            r"2 studies mixed \(s, t\); take one with --study",
        ),
        ("x.csv", "study,item,participant,choice\ns,a,1,p0\n", Reading(study="t"), "no study 't'; there: s"),
        ("x.csv", "item,participant,choice\na,1,p0\n", Reading(task="jnd"), "no answers of the task jnd"),
        (
            "x.csv",
            "item,participant,choice,use\na,1,p0,false\n",
            Reading(),
            "no answer to a test item of the task 2afc counts",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, text: str, reading: Reading, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_judgments(tmp_path / name, reading)


def test_of_several_studies_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("study,item,participant,choice\ns,a,1,p0\ns,a,2,p1\nt,a,1,p1\nt,b,2,p1\nt,b,3,p1\n")
    assert items_of(tmp_path / "x.csv", Reading(study="s")) == [("all", "a", 1, 2)]
    assert items_of(tmp_path / "x.csv", Reading(study="t")) == [("all", "a", 1, 1), ("all", "b", 2, 2)]


def test_a_set_without_labels_is_named(tmp_path: Path) -> None:
    (tmp_path / "2afc" / "val" / "cnn" / "judge").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"no judge/\*\.npy in it"):
        read_judgments(tmp_path, Reading(votes=5))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no sets in it"):
        read_judgments(tmp_path)
    for name in ("none.csv", "none.json"):
        with pytest.raises(DatasetError, match="no such file"):
            read_judgments(tmp_path / name)
    (tmp_path / "f.csv").write_text("photo\na\n")
    with pytest.raises(DatasetError, match="expected id and any of photo"):
        read_facts(tmp_path / "f.csv")


def write_pairs(root: Path, *, table: bool) -> SetFolder:
    """A JND set of four pairs, the second of equal pixels though its recipe blurs; nine of ten said "same" to it."""
    folder = SetFolder(root, "jnd", "val", "traditional")
    for role in folder.roles:
        (folder.path / role).mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for number, same in enumerate((3, 9, 4, 2)):
        item = item_id(number)
        first = rng.integers(0, 256, (64, 64, 3), np.uint8)
        second = first.copy() if number == 1 else np.bitwise_xor(first, 1)
        # Another encoder, so that equal pixels are not equal bytes.
        folder.file("p0", item).write_bytes(encode_png(first))
        Image.fromarray(second).save(folder.file("p1", item))
        np.save(folder.file("same", item), np.array([same / 10], np.float32))
        hashes = {"p0_sha256": pixel_digest(first), "p1_sha256": pixel_digest(second)}
        rows.append({"id": item, "set": "traditional", "split": "val", "k": same, "n": 10, **hashes})
    if table:
        pd.DataFrame(rows).to_parquet(folder.path / "items.parquet")
    return folder


@pytest.mark.parametrize("kept", ["files", "hashes", "answers"])
def test_identical_pixels_are_identical_whatever_was_meant(tmp_path: Path, kept: str) -> None:
    """H is over the three pairs that differ, F over the one that does not: 21 of 30 and 1 of 10 said "different"."""
    folder = write_pairs(tmp_path, table=kept != "files")
    if kept == "answers":
        said = [
            (item_id(k), f"w{p}", "same" if p < n else "different")
            for k, n in enumerate((3, 9, 4, 2))
            for p in range(10)
        ]
        pd.DataFrame(said, columns=["item", "participant", "choice"]).to_parquet(folder.path / "answers.parquet")
    [found] = read_judgments(tmp_path, Reading(votes=10))
    assert found.items["identical"].tolist() == [False, True, False, False]
    sections = {section.title: section for section in jnd(found, Settings(draws=100))}
    [pooled, *people] = sections["Same or different as signal detection (JND)"].rows
    assert pooled[1:5] == (30, 10, pytest.approx(21.5 / 31), pytest.approx(1.5 / 11))
    if kept == "answers":  # the first person said "different" of no pair, the last of all
        assert [(row[1], row[2]) for row in people] == [(3, 1)] * 10
        assert people[9][3:5] == (pytest.approx(3.5 / 4), pytest.approx(1.5 / 2))


def test_hashes_of_any_table_tell_identical_pairs(tmp_path: Path) -> None:
    """A manifest as the table about items, for answers that a study exported, or counts with their own hashes."""
    folder = write_pairs(tmp_path / "data", table=True)
    manifest = folder.path / "items.parquet"
    facts = read_facts(manifest)
    (tmp_path / "x.csv").write_text(
        "set,item,participant,choice\nval/traditional,000001,1,same\nval/traditional,000002,1,same\n"
    )
    [found] = read_judgments(tmp_path / "x.csv", Reading(facts=facts))
    assert found.items["identical"].tolist() == [True, False]
    assert found.answers is not None
    assert found.answers["expected"].tolist() == ["same", ""]
    [counted] = read_judgments(manifest, Reading(task="jnd"))
    assert counted.items["identical"].tolist() == [False, True, False, False]


def test_only_the_set_that_is_meant_has_the_identical_pair(tmp_path: Path) -> None:
    """Ids of two sets are the same: a pair of one set says nothing about that of the other."""
    rows = [
        (s, "a", f"w{p}", "different", "same" if s == "val/x" else "") for s in ("val/x", "val/y") for p in range(4)
    ]
    table = pd.DataFrame(rows, columns=["set", "item", "participant", "choice", "expected"])
    table.to_csv(tmp_path / "x.csv", index=False)
    [found] = read_judgments(tmp_path / "x.csv")
    assert found.items["identical"].tolist() == [True, False]
    [pooled, *_] = jnd(found, Settings(draws=100))[1].rows
    assert pooled[1:3] == (4, 4)


def test_facts_that_lost_their_zeros_are_joined_and_others_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,k,n\n000001,2,5\n000002,5,5\n")
    (tmp_path / "facts.csv").write_text("id,photo\n2,second.jpg\n1,first.jpg\n")
    with pytest.warns(Notice, match="the table of items: 2 ids had lost their zeros and were padded"):
        [found] = read_judgments(tmp_path / "x.csv", Reading(task="2afc", facts=read_facts(tmp_path / "facts.csv")))
    assert found.items["photo"].tolist() == ["first.jpg", "second.jpg"]
    (tmp_path / "facts.csv").write_text("id,photo\nx,second.jpg\n")
    with pytest.raises(DatasetError, match="none of the 2 ids of what people said is in it; it has ids like 'x'"):
        read_judgments(tmp_path / "x.csv", Reading(task="2afc", facts=read_facts(tmp_path / "facts.csv")))
