"""Answers of other tools: renamed columns, several trials a row, sides to be decoded."""

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from bapps_builder.answers.foreign_answers import read_foreign_answers
from bapps_builder.commands.bapps_build import build as command
from bapps_builder.errors import DatasetError

# Two workers, three trials a row, as the batch results of Amazon Mechanical Turk look.
BATCH = """HITId,WorkerId,AssignmentStatus,Input.item1,Input.p1_1,Input.item2,Input.p1_2,Input.item10,Input.p1_10,\
Answer.choice1,Answer.choice2,Answer.choice10
H1,A2SECRETWORKER,Approved,a,left,b,right,c,left,L,L,R
H1,A9OTHERWORKER,Approved,a,left,b,right,,,R,R,
"""
COLUMNS = {
    "item": "Input.item{n}",
    "choice": "Answer.choice{n}",
    "side": "Input.p1_{n}",
    "participant": "WorkerId",
}
WORDS = {"L": "left", "R": "right"}


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    (tmp_path / "batch.csv").write_text(BATCH)
    return tmp_path / "batch.csv"


def test_rows_of_several_trials_become_an_answer_each_with_sides_decoded(batch: Path) -> None:
    table = read_foreign_answers(batch, columns=COLUMNS, words=WORDS)
    rows = list(zip(table["participant"], table["item"], table["choice"], table["trial"], table["task"], strict=True))
    assert rows == [
        ("person-00001", "a", "p1", 1, "2afc"),  # left was chosen, and p1 was on the left
        ("person-00001", "b", "p0", 2, "2afc"),
        ("person-00001", "c", "p0", 10, "2afc"),
        ("person-00002", "a", "p0", 1, "2afc"),
        ("person-00002", "b", "p1", 2, "2afc"),
    ]
    assert "SECRET" not in table.to_csv()


def test_a_dataset_is_built_from_a_batch_by_the_command(batch: Path, tmp_path: Path) -> None:
    from PIL import Image

    for index, name in enumerate(f"{item}-{role}" for item in "abc" for role in ("ref", "p0", "p1")):
        Image.new("RGB", (64, 64), (20 * index, 0, 0)).save(tmp_path / f"{name}.png")
    rows = [{"item": item, **{role: f"{item}-{role}.png" for role in ("ref", "p0", "p1")}} for item in "abc"]
    pd.DataFrame(rows).to_csv(tmp_path / "items.csv", index=False)
    arguments = ["build", "--items", tmp_path / "items.csv", "--set", "val/old", "--answers", batch]
    arguments += [part for ours, theirs in COLUMNS.items() for part in ("--columns", f"{ours}={theirs}")]
    arguments += ["--choices", "L=left", "--choices", "R=right", "--out", tmp_path / "out"]
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    items = pd.read_parquet(tmp_path / "out/2afc/val/old/items.parquet")
    assert items[["source_id", "k", "n"]].to_numpy().tolist() == [["a", 1, 2], ["b", 1, 2], ["c", 0, 1]]
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and b"SECRET" in path.read_bytes()]


def test_one_answer_a_row_under_other_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("pair,who,said\n1,x,identical\n1,y,differs\n2,x,differs\n")
    columns = {"item": "pair", "participant": "who", "choice": "said"}
    table = read_foreign_answers(
        tmp_path / "a.csv", columns=columns, words={"identical": "same", "differs": "different"}
    )
    assert table["choice"].tolist() == ["same", "different", "different"]
    assert table["task"].tolist() == ["jnd"] * 3
    pd.read_csv(tmp_path / "a.csv").to_parquet(tmp_path / "a.parquet")
    words = {"identical": "same", "differs": "different"}
    pd.testing.assert_frame_equal(read_foreign_answers(tmp_path / "a.parquet", columns=columns, words=words), table)


@pytest.mark.parametrize(
    ("columns", "words", "message"),
    [
        ({"person": "WorkerId"}, WORDS, "no column of answers is called 'person'"),
        ({"participant": "Worker"}, WORDS, "no column 'Worker'"),
        ({"item": "Input.picture{n}"}, WORDS, "no column is like 'Input.picture{n}'"),
        ({}, {"L": "left"}, r"3 of 5 values of choice are not p0 or p1 or different or same"),
        ({"side": "Input.item{n}"}, WORDS, "the side on which p1 was shown is 'a'"),
    ],
)
def test_a_mapping_that_does_not_fit_is_named(
    batch: Path, columns: dict[str, str], words: dict[str, str], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        read_foreign_answers(batch, columns={**COLUMNS, **columns}, words=words)


def test_left_and_right_need_the_side_of_p1(batch: Path) -> None:
    columns = {name: theirs for name, theirs in COLUMNS.items() if name != "side"}
    with pytest.raises(DatasetError, match="row 1 is 'left', and the side on which p1 was shown is not given"):
        read_foreign_answers(batch, columns=columns, words=WORDS)
