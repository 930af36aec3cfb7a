"""A later round adds to a dataset and renumbers nothing; what ends a build half-way leaves no half."""

import errno
from pathlib import Path

import pandas as pd
import pytest
from build_command import Answers, Make, built, counted_by_hand, fractions, refused, run, tree, written

import bapps_builder.building.build
import bapps_builder.building.item_files
from bapps_builder.checking.set_files import list_files
from bapps_builder.checking.verify import verify
from bapps_builder.datasets.dataset_record import read_record


def test_a_later_round_adds_answers_and_items_and_renumbers_nothing(
    tmp_path: Path, patches: Path, make_answers: Answers
) -> None:
    first = make_answers()
    short = (first["item"].isin(["000000", "000005"])) & (first["participant"] == "pseudonym-1")
    out = tmp_path / "out"
    built(
        *("--patches", patches, "--answers", written(first[~short], tmp_path / "1.csv"), "--min-answers", 5),
        *("--leave-out-short", "--out", out),
    )
    before = pd.read_parquet(out / "2afc/val/noise/items.parquet").set_index("id")["source_id"]
    # The second export holds the first too, the two answers that were missing, and two more people.
    second = pd.concat([first, make_answers(people=2, first_person=5)])
    result = run("append", out, "--patches", patches, "--answers", written(second, tmp_path / "2.csv"))
    assert result.exit_code == 0, result.output
    items = pd.read_parquet(out / "2afc/val/noise/items.parquet").set_index("id")
    pd.testing.assert_series_equal(items["source_id"][:10], before)
    assert items["source_id"][10:].to_dict() == {"000010": "000000", "000011": "000005"}
    by_source = {items["source_id"][item]: share for item, share in fractions(out).items()}
    assert by_source == counted_by_hand(second)
    assert items["n"].tolist() == [7] * 12
    record = read_record(out)
    assert [one.file for one in record.rounds] == ["1.csv", "2.csv"]
    assert len(record.sources) == 1
    assert not verify(out, list_files(out)).failed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.csv", "2.csv", "out", "patches"]


def test_a_later_round_takes_decisions_by_rules_anew(tmp_path: Path, patches: Path, make_answers: Answers) -> None:
    out, first = tmp_path / "out", make_answers(sentinels=4)
    rule = ["--rule", "sentinels>=0.4", "--planned"]
    built("--patches", patches, "--answers", written(first, tmp_path / "1.csv"), "--out", out, *rule)
    assert read_record(out).people == 4
    # Six more sentinels, all passed: six of ten are enough for the first person, whose answers now count.
    more = first[(first["participant"] == "pseudonym-0") & (first["role"] == "sentinel")].head(3)
    more = pd.concat([more.assign(session=name, choice="p1", expected="p1") for name in ("s2", "s3")])
    assert run("append", out, "--answers", written(more, tmp_path / "2.csv")).exit_code == 0
    assert read_record(out).people == 5
    assert fractions(out) == counted_by_hand(first)


def test_rounds_that_contradict_the_dataset_are_refused_and_change_nothing(
    tmp_path: Path, patches: Path, make_answers: Answers
) -> None:
    out, table = tmp_path / "out", make_answers(sentinels=0)
    built("--patches", patches, "--answers", written(table, tmp_path / "1.csv"), "--out", out)
    before = tree(out)
    changed = table.head(1).assign(choice="p0" if table["choice"][0] == "p1" else "p1", submitted_at="later")
    message = refused("append", out, "--answers", written(changed, tmp_path / "2.csv"))
    assert "1 answers are from people who answered the same item in an earlier round" in message
    assert "pseudonym-0" in message
    other = make_answers(study="another", first_person=9)
    message = refused("append", out, "--answers", written(other, tmp_path / "3.csv"))
    assert "'another'" in message
    assert "'study 1'" in message
    unused = table.assign(use=False)
    message = refused("append", out, "--answers", written(unused, tmp_path / "4.csv"))
    assert "12 items of the dataset would be left with fewer than 1 answers" in message
    assert "the first val/noise 000000 with 0" in message
    assert tree(out) == before
    assert refused("append", tmp_path / "patches", "--answers", tmp_path / "1.csv").count("was not built")


def test_another_patch_set_of_the_same_names_is_not_mistaken_for_the_first(
    tmp_path: Path, patches: Path, make_patch_set: Make, make_answers: Answers
) -> None:
    built("--patches", patches, "--answers", written(make_answers(), tmp_path / "1.csv"), "--out", tmp_path / "out")
    other = make_patch_set(tmp_path / "other", seed=3)
    second = written(make_answers(first_person=5), tmp_path / "2.csv")
    message = refused("append", tmp_path / "out", "--patches", other, "--answers", second)
    assert "12 items are others than those of the same name" in message


def test_a_full_disk_leaves_nothing_half_built(
    tmp_path: Path, patches: Path, make_answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = written(make_answers(), tmp_path / "a.csv")
    calls = []

    def full(k: int, n: int) -> bytes:
        calls.append(k)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, "No space left on device", "judge")
        return b""

    monkeypatch.setattr(bapps_builder.building.item_files, "label_bytes", full)
    message = refused("build", "--patches", patches, "--answers", answers, "--out", tmp_path / "out")
    assert "No space left on device" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "patches"]


def test_an_interrupted_append_leaves_the_old_dataset(
    tmp_path: Path, patches: Path, make_answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    built("--patches", patches, "--answers", written(make_answers(), tmp_path / "1.csv"), "--out", out)
    before = tree(out)
    second = written(make_answers(first_person=5), tmp_path / "2.csv")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bapps_builder.building.build, "write_record", interrupted)
    assert run("append", out, "--answers", second).exit_code == 1
    assert tree(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.csv", "2.csv", "out", "patches"]


def test_an_existing_folder_is_never_built_over(tmp_path: Path, patches: Path, make_answers: Answers) -> None:
    (tmp_path / "out").mkdir()
    answers = written(make_answers(), tmp_path / "a.csv")
    message = refused("build", "--patches", patches, "--answers", answers, "--out", tmp_path / "out")
    assert "already exists" in message
    assert list((tmp_path / "out").iterdir()) == []
