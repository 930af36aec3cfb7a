"""`bapps-score` with intervals, comparisons and breakdowns, from tables of distances and a dataset's folder."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from analysis.commands.score import score


def run(*arguments: object) -> Result:
    return CliRunner().invoke(score, [str(argument) for argument in arguments])


@pytest.fixture
def distances(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    lead = rng.normal(size=200)
    judge = rng.binomial(5, 1 / (1 + np.exp(-2 * lead))) / 5
    frames = [
        pd.DataFrame({"metric": name, "set": "val/cnn", "id": [f"{k:06d}" for k in range(200)], "d0": 3.0,
                      "d1": 3 - lead - noise * rng.normal(size=200), "judge": judge})
        for name, noise in (("good", 0.1), ("bad", 3.0))
    ]  # fmt: skip
    pd.concat(frames).to_csv(tmp_path / "d.csv", index=False)
    return tmp_path / "d.csv"


def test_everything_at_once_as_json(distances: Path) -> None:
    arguments = ("--distances", distances, "--ci", "items", "--compare", "--by", "margin", "--details", "--votes", 5)
    result = run(*arguments, "--draws", 300, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    titles = [section["title"] for section in found["sections"]]
    assert titles == [
        "Scores with intervals",
        "Metrics compared",
        "Who is tied (2AFC)",
        "2AFC score by margin",
        "Beside the 2AFC score",
    ]
    rows = {row["metric"]: row for row in found["scores"]}
    low, high = rows["good"]["interval"]
    assert low < rows["good"]["value"] < high
    assert rows["good"]["drawn"] == "bootstrap over items, photos unknown"
    assert "interval" not in rows["human, two people"]
    assert run(*arguments, "--draws", 300, "--json").stdout == result.stdout


def test_as_csv_intervals_are_columns(distances: Path) -> None:
    result = run("--distances", distances, "--ci", "items", "--draws", 300, "--csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(rows[0])[-3:] == ["low", "high", "drawn"]
    assert float(rows[0]["low"]) < float(rows[0]["value"]) < float(rows[0]["high"])
    assert rows[-1]["low"] == ""  # people


def test_photos_and_people_from_tables(distances: Path, tmp_path: Path) -> None:
    table = pd.read_csv(distances, dtype={"id": str}).drop_duplicates("id")
    pd.DataFrame({"id": table["id"], "photo": np.arange(200) // 10}).to_csv(tmp_path / "items.csv", index=False)
    choices = [c for p in table["judge"] for c in ["p1"] * round(5 * p) + ["p0"] * round(5 - 5 * p)]
    people = np.concatenate([(np.arange(5) * 7 + k) % 40 for k in range(200)])
    answers = pd.DataFrame({"item": np.repeat(table["id"], 5), "participant": people, "choice": choices})
    answers.to_csv(tmp_path / "answers.csv", index=False)
    arguments = ("--distances", distances, "--items", tmp_path / "items.csv")
    assert "t over 20 photos" in run(*arguments, "--ci", "items").stdout
    text = run(*arguments, "--ci", "people", "--answers", tmp_path / "answers.csv").stdout
    assert "two-way t over photos and 40 people" in text
    assert "no answers with people are known" in run(*arguments, "--ci", "people").stdout
    with_people = (*arguments, "--answers", tmp_path / "answers.csv")
    assert run(*with_people, "--ci").stdout == run(*with_people, "--ci", "people").stdout == text
    assert "items alone (--ci items) would ignore that other people might have been asked" in text
    alone = run(*arguments, "--ci").stdout
    assert alone == run(*arguments, "--ci", "items").stdout
    assert "over items alone, which ignores that other people might have been asked" in alone
    assert "a t interval on photos, as the bootstrap would cover too little" in run(*arguments, "--ci", "items").stdout


def test_what_is_not_known_is_one_line(distances: Path) -> None:
    for arguments, part in (
        (("--by", "recipe"), "the items' recipe is not known"),
        (("--votes", "3"), "set val/cnn: "),
        (("--ci", "items", "--items", "none.csv"), "none.csv: no such file"),
    ):
        result = run("--distances", distances, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.count("\n") == 1
        assert part in result.stderr


def test_distances_that_lost_their_zeros_keep_their_interval(distances: Path, tmp_path: Path) -> None:
    table = pd.read_csv(distances, dtype={"id": str})
    items = pd.DataFrame({"id": table["id"].unique(), "photo": np.arange(200) // 10})
    items.to_csv(tmp_path / "items.csv", index=False)
    table.assign(id=table["id"].astype(int)).to_csv(tmp_path / "lost.csv", index=False)
    wanted = run("--distances", distances, "--items", tmp_path / "items.csv", "--ci", "items")
    found = run("--distances", tmp_path / "lost.csv", "--items", tmp_path / "items.csv", "--ci", "items")
    assert "t over 20 photos" in wanted.stdout
    assert found.stdout == wanted.stdout.replace(str(distances), str(tmp_path / "lost.csv"))
    assert wanted.stderr == ""
    assert found.stderr.splitlines()[0] == (
        "distances of good on val/cnn: 200 ids had lost their zeros and were padded, as '0' to '000000'"
    )


def test_a_table_about_other_items_is_one_line(distances: Path, tmp_path: Path) -> None:
    pd.DataFrame({"id": ["x", "y"], "photo": "p"}).to_csv(tmp_path / "items.csv", index=False)
    result = run("--distances", distances, "--items", tmp_path / "items.csv", "--ci", "items")
    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        "none of the 200 ids of the distances is in it; it has ids like 'x', and the distances are like '000000'"
        in (result.stderr)
    )
    (tmp_path / "data/2afc/val/other").mkdir(parents=True)
    result = run("--distances", distances, "--data", tmp_path / "data", "--ci", "items")
    assert result.exit_code == 2
    assert "has the sets val/other, and the distances are of val/cnn" in result.stderr
