"""The answers table: what is read, what is refused, and by which words."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bapps_builder.answers.answer_table import check_answers, counted, read_answers, votes, write_answers
from bapps_builder.answers.columns import COLUMNS
from bapps_builder.errors import DatasetError


def answers(**changed: Any) -> pd.DataFrame:
    """Four answers of two people to two items, with some columns changed or added."""
    table = pd.DataFrame({"item": ["a", "a", "b", "b"], "participant": ["x", "y"] * 2, "choice": ["p0", "p1"] * 2})
    return table.assign(**changed)


def test_only_three_columns_are_needed_and_the_rest_is_filled_in() -> None:
    table = check_answers(answers(), name="t")
    assert list(table) == ["item", "task", "participant", "choice", "role", "use"]
    assert set(table["task"]) == {"2afc"}
    assert set(table["role"]) == {"test"}
    assert table["use"].all()


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_what_is_written_is_read(tmp_path: Path, suffix: str) -> None:
    table = check_answers(
        answers(
            study="s", set="val/cnn", expected=["", "", "p0", "p0"], side="left", reaction_ms=[1.5, np.nan, 2, 3],
            role=["test", "test", "sentinel", "sentinel"], use=[True, False, True, True], reason=["", "late", "", ""],
        ),
        name="t",
    )  # fmt: skip
    path = tmp_path / f"answers{suffix}"
    write_answers(path, table)
    pd.testing.assert_frame_equal(read_answers(path), table)
    assert list(tmp_path.iterdir()) == [path]


def test_columns_and_choices_of_other_tools(tmp_path: Path) -> None:
    path = tmp_path / "raw.csv"
    path.write_text("$Image,Who,Resp,more\n1,7,Left,x\n1,8,Right,x\n")
    table = read_answers(
        path,
        renamed={"item": "$Image", "participant": "Who", "choice": "Resp"},
        words={"Left": "p0", "Right": "p1"},
    )
    assert table["choice"].tolist() == ["p0", "p1"]
    assert table["participant"].tolist() == ["7", "8"]
    assert "more" not in table
    with pytest.raises(DatasetError, match="no column 'Subject'; it has"):
        read_answers(path, renamed={"participant": "Subject"})
    with pytest.raises(DatasetError, match="no answer has the choice 'left'; there: 'Left', 'Right'"):
        read_answers(path, renamed={"choice": "Resp"}, words={"left": "p0"})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (answers(colour="red"), "t: unknown columns colour; an answers table has"),
        (answers().drop(columns="participant"), "lacks participant; .* with --columns"),
        (answers().iloc[:0], "t: holds no answers"),
        (answers(choice=["p0", "p2", "p0", ""]), "1 of 4 values of choice are not given, the first in row 4"),
        (answers(choice=["p0", "p2", "p0", "p3"]), r"2 of 4 values of choice are not p0 or .* row 2: 'p2'"),
        (answers(choice=["p0", None, "p0", "p1"]), "1 of 4 values of choice are not given, the first in row 2"),
        (answers(item=["a", "a", None, "b"]), "1 of 4 values of item are not given, the first in row 3"),
        (answers(reaction_ms=["1", "soon", "", "2"]), "1 of 4 values of reaction_ms are not a number, .* 'soon'"),
        (answers(reaction_ms=[1, np.inf, 2, 3]), "not a finite number"),
        (answers(side="top"), "4 of 4 values of side are not left or right"),
        (answers(use=["true", "perhaps", "false", "true"]), "not true or false, the first in row 2: 'perhaps'"),
        (answers(choice="same", task="2afc"), "4 of 4 values of choice in the task 2afc are not p0 or p1"),
        (answers(choice=["p0", "same", "p0", "p1"]), "item a has answers of both tasks"),
        (answers(participant="x"), "2 answers that count .* already answered the same item .the first is x, item a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        check_answers(table, name="t")


def test_a_second_answer_that_does_not_count_is_kept() -> None:
    table = check_answers(answers(participant="x", use=[True, False, True, False]), name="t")
    assert len(table) == 4
    assert votes(counted(table)).to_dict("list") == {"item": ["a", "b"], "task": ["2afc"] * 2, "k": [0, 0], "n": [1, 1]}


def test_the_same_item_name_in_two_sets_is_two_items() -> None:
    table = check_answers(answers(item="a", participant="x", set=["1", "2", "3", "4"]), name="t")
    assert votes(table)["n"].tolist() == [1, 1, 1, 1]


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        read_answers(tmp_path / "none.csv")
    with pytest.raises(DatasetError, match=r"ends in \.parquet, \.csv, \.csv\.gz"):
        read_answers(tmp_path / "answers.xlsx")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match="not a readable table"):
        read_answers(tmp_path / "broken.parquet")


def test_the_data_dictionary_is_complete() -> None:
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    assert all(column.meaning for column in COLUMNS)
    assert [column.name for column in COLUMNS if column.required] == ["item", "participant", "choice"]
