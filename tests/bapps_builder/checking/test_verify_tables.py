"""Each fault of the tables beside the sets, of the record and of the card is brought up by its check."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from dataset_checks import VAL, checked, edited, failures, of


def test_no_items_table(ours: Path) -> None:
    (ours / VAL / "items.parquet").unlink()
    assert ("items", VAL) in failures(checked(ours))


def test_an_items_table_with_a_row_too_few(ours: Path) -> None:
    edited(ours / VAL / "items.parquet", lambda table: table.drop(index=3))
    report = checked(ours)
    assert {("items", VAL), ("record", VAL)} <= failures(report)
    assert "000003" in of(report, "items").what


def test_an_items_table_with_a_row_twice(ours: Path) -> None:
    edited(ours / VAL / "items.parquet", lambda table: pd.concat([table, table.head(1)]))
    assert ("items", VAL) in failures(checked(ours))


def test_votes_that_are_impossible(ours: Path) -> None:
    edited(ours / VAL / "items.parquet", lambda table: table.assign(k=table["n"] + 1))
    assert ("items", VAL) in failures(checked(ours))


def test_a_label_that_is_not_k_of_n(ours: Path) -> None:
    path = ours / VAL / "judge/000002.npy"
    np.save(path, 1 - np.load(path))
    report = checked(ours)
    assert failures(report) == {("fraction", VAL)}
    assert of(report, "fraction").what.endswith("000002")


def test_no_answers_table(ours: Path) -> None:
    (ours / VAL / "answers.parquet").unlink()
    assert ("answers", VAL) in failures(checked(ours))


def test_an_answer_that_was_turned_round(ours: Path) -> None:
    def turn(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[0, "choice"] = {"p0": "p1", "p1": "p0"}[table["choice"][0]]
        return table

    edited(ours / VAL / "answers.parquet", turn)
    report = checked(ours)
    assert failures(report) == {("votes", VAL), ("record", VAL)}
    assert of(report, "votes").what.endswith("000000")


def test_an_answer_to_an_item_that_is_not_there(ours: Path) -> None:
    def stray(table: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([table, table.head(1).assign(item="000099")])

    edited(ours / VAL / "answers.parquet", stray)
    assert ("answers", VAL) in failures(checked(ours))


def test_an_answer_to_a_sentinel(ours: Path) -> None:
    def sentinel(table: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([table, table.head(1).assign(role="sentinel")])

    edited(ours / VAL / "answers.parquet", sentinel)
    report = checked(ours)
    assert ("answers", VAL) in failures(report)
    assert "sentinels" in of(report, "answers").what


def test_two_answers_of_one_person(ours: Path) -> None:
    edited(ours / VAL / "answers.parquet", lambda table: pd.concat([table, table.head(1)]))
    report = checked(ours)
    assert ("answers", VAL) in failures(report)
    assert "already answered the same item" in of(report, "answers").what


def test_simulated_answers_that_are_not_called_so(ours: Path) -> None:
    edited(ours / VAL / "answers.parquet", lambda table: table.assign(simulated=True))
    assert ("simulated", VAL) in failures(checked(ours))


def test_a_table_that_was_edited_without_a_trace_in_its_contents(ours: Path) -> None:
    edited(ours / VAL / "items.parquet", lambda table: table.assign(photo="another.png"))
    assert ("record", VAL) in failures(checked(ours))


def test_a_record_that_cannot_be_read(ours: Path) -> None:
    (ours / "dataset.json").write_text("{")
    assert failures(checked(ours)) == {("record", "")}


def test_a_set_the_record_does_not_know(ours: Path) -> None:
    shutil.copytree(ours / VAL, ours / "2afc/val/copy")
    report = checked(ours)
    assert ("record", "") in failures(report)
    assert "2afc/val/copy" in of(report, "record").what


def test_a_set_of_the_record_that_is_gone(ours: Path) -> None:
    shutil.rmtree(ours / "jnd")
    assert failures(checked(ours)) == {("record", "")}


def test_no_card(ours: Path) -> None:
    (ours / "README.md").unlink()
    assert failures(checked(ours)) == {("card", "")}
