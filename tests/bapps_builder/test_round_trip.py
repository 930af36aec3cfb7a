"""The whole way on real photographs, by the commands: generate, simulate people, export, build, verify, score."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from analysis.commands.consistency import consistency
from analysis.commands.score import score
from bapps_builder.commands.bapps_build import build
from collection_app.commands.bapps_collect import collect
from distortions.commands.bapps_distort import distort

ITEMS = {"2afc": 24, "jnd": 24}
ANSWERS = {"2afc": 5, "jnd": 3}
FOLDERS = {"2afc": ("ref", "p0", "p1", "judge"), "jnd": ("p0", "p1", "same")}
CHOSEN = {"2afc": "p1", "jnd": "same"}


def run(command: click.Command, *arguments: object) -> str:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def counted_by_hand(file: Path, task: str) -> dict[str, tuple[int, int]]:
    """Votes for p1 or same, and all votes, of each test item, straight from the text of the export."""
    votes: dict[str, list[bool]] = defaultdict(list)
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["role"] == "test" and row["use"] == "true":
                votes[row["item"]].append(row["choice"] == CHOSEN[task])
    return {item: (sum(found), len(found)) for item, found in votes.items()}


@pytest.mark.parametrize("task", ["2afc", "jnd"])
def test_fractions_and_scores_are_those_of_an_independent_count(shared_data: Path, tmp_path: Path, task: str) -> None:
    patches, study, answers = (tmp_path / name for name in ("patches", "study.toml", "answers.csv"))
    database = f"sqlite:///{tmp_path / 'people.sqlite'}"
    run(
        distort,
        *("generate", "--photos", shared_data / "kodak", "--out", patches, "--items", ITEMS[task]),
        *("--task", task, "--seed", 3, "--workers", 1),
    )
    run(collect, "init", study, "--patches", patches, "--preset", f"paper-{task}")
    run(collect, "simulate", study, "--patches", patches, "--database", database, "--mix", "careful=4,lapsing=1")
    run(collect, "export", study, answers, "--database", database)
    out = tmp_path / "dataset"
    run(build, "build", "--patches", patches, "--answers", answers, "--min-answers", ANSWERS[task], "--out", out)
    assert "nothing failed" in run(build, "verify", out)
    assert "(simulated)" in (out / "README.md").read_text().splitlines()[0]

    votes = counted_by_hand(answers, task)
    assert {n for _, n in votes.values()} == {ANSWERS[task]}
    folder = out / task / "val" / "traditional"
    listings = [sorted((folder / role).iterdir()) for role in FOLDERS[task]]
    assert {len(listing) for listing in listings} == {ITEMS[task]}
    found = {path.stem: float(np.load(path).reshape(())) for path in listings[-1]}
    assert found == {item: float(np.float32(k / n)) for item, (k, n) in votes.items()}

    result = json.loads(run(score, "--data", out, "--metric", "l2", "--json"))
    (value, *_) = [
        row["value"] for row in result["scores"] if row["metric"] == "l2" and row["set"] == "val/traditional"
    ]
    pictures = [[np.asarray(Image.open(path), np.float64) for path in listing] for listing in listings[:-1]]
    distances = [[((a - b) ** 2).mean() for a, b in zip(pictures[0], side, strict=True)] for side in pictures[1:]]
    labels = np.array(list(found.values()))
    if task == "2afc":
        d0, d1 = map(np.array, distances)
        assert value == pytest.approx(np.where(d1 < d0, labels, np.where(d0 < d1, 1 - labels, 0.5)).mean())
    else:
        order = np.argsort(distances[0], kind="stable")
        hits = np.cumsum(labels[order])
        precision, recall = hits / np.arange(1, len(hits) + 1), hits / hits[-1]
        best = np.maximum.accumulate(precision[::-1])[::-1]
        assert value == pytest.approx(np.sum(np.diff(recall, prepend=0) * best))
        check_false_alarms(out, answers)


def check_false_alarms(dataset: Path, answers: Path) -> None:
    """Identical pairs are sentinels, which are part of no set; d' of a dataset needs them all the same."""
    with answers.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if (row["role"], row["expected"]) == ("sentinel", "same")]
    choices = [row["choice"] for row in rows if row["use"] == "true"]
    sections = json.loads(run(consistency, dataset, "--draws", 100, "--json"))["sections"]
    (detection,) = [one["rows"] for one in sections if one["title"].startswith("Same or different as signal")]
    assert detection[0]["identical pairs"] == len(choices) > 0
    assert detection[0]["F"] == pytest.approx((choices.count("different") + 0.5) / (len(choices) + 1))
    assert detection[0]["d'"] > 0
