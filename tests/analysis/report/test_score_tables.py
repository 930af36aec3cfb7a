"""Scores as text, CSV and JSON."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np
import pytest

from analysis.report.score_tables import as_csv, as_json, as_text
from analysis.scoring.evidence import Evidence
from analysis.scoring.score import ScoreReport
from analysis.scoring.scores import Score
from bapps_builder.datasets.load_mode import LoadChoice
from metrics.metric import Metric
from metrics.weights.store import Weights

VERIFIED = Weights("lpips-vgg-0.1", {}, "c3aa1a54" + "0" * 56, True, "cache")
UNVERIFIED = Weights("vgg16", {}, "ffffffff" + "0" * 56, False, "mine.npz")


def metric(name: str, *weights: Weights) -> Metric:
    return Metric(name=name, description=f"what {name} is", contrast=np.subtract, weights=weights)


METRICS = (metric("l2"), metric("lpips-vgg", VERIFIED, UNVERIFIED))


def report(
    scores: Sequence[Score],
    data: str = "x",
    loads: Mapping[str, LoadChoice] | None = None,
    metrics: tuple[Metric, ...] = (),
) -> ScoreReport:
    return ScoreReport(data, loads or {}, metrics, (), (), tuple(scores), {}, {}, Evidence())


def about(scores: Sequence[Score]) -> ScoreReport:
    keys = ("2afc/val/color", "2afc/val/traditional", "jnd/val/cnn")
    return report(scores, "folder/set", dict.fromkeys(keys, LoadChoice("official")), METRICS)


SCORES = [
    Score("2afc", "l2", "2afc", "val/color", 0.625, 40),
    Score("2afc", "l2", "2afc", "val/traditional", 0.5, 10),
    Score("2afc", "lpips-vgg", "2afc", "val/color", 0.64999, 40),
    Score("2afc", "lpips-vgg", "2afc", "val/traditional", 2 / 3, 10),
    Score("jnd", "l2", "ap", "val/cnn", 0.25, 7),
    Score("jnd", "l2", "ap-of-ties", "val/cnn", 0.25, 7),
    Score("jnd", "lpips-vgg", "ap", "val/cnn", math.nan, 7),
    Score("jnd", "lpips-vgg", "ap-of-ties", "val/cnn", 0.75, 7),
    Score("2afc", "l2", "2afc", "mean of all", 0.5625, 50, is_mean=True),
    Score("2afc", "lpips-vgg", "2afc", "mean of all", 0.65833, 50, is_mean=True),
]


def blocks(text: str) -> list[list[str]]:
    return [block.splitlines() for block in text.split("\n\n")]


def test_a_table_a_task_with_sets_in_the_order_of_the_paper() -> None:
    first, second, last = blocks(as_text(about(SCORES)))
    assert first[0] == "2AFC: % of people who agree with the metric's choice"
    assert second[0] == 'JND: average precision (%) of "same", nearest pairs first'
    assert first[1].split() == ["mean", "of"]
    assert first[2].split() == ["metric", "val/traditional", "val/color", "all"]
    cells = [line.split() for line in first]
    assert ["l2", "50.00", "62.50", "56.25"] in cells
    assert ["lpips-vgg", "(unverified)", "66.67", "65.00", "65.83"] in cells
    assert ["items", "10", "40", "50"] in cells
    assert last[0] == "data: folder/set; load mode: official"


def test_ties_are_shown_where_they_count_and_undefined_scores_are_said() -> None:
    cells = [line.split() for line in blocks(as_text(about(SCORES)))[1]]
    assert ["l2", "25.00"] in cells
    assert not [row for row in cells if row[0] == "l2,"]
    assert ["lpips-vgg", "(unverified)", "undefined"] in cells
    assert ["lpips-vgg", "(unverified),", "ties", "averaged", "75.00"] in cells


def test_a_metric_without_ties_but_undefined_is_shown_once() -> None:
    scores = [Score("jnd", "l2", measure, "val/cnn", math.nan, 3) for measure in ("ap", "ap-of-ties")]
    text = as_text(report(scores))
    assert text.count("undefined") == 1


def test_the_text_ends_with_what_each_metric_is_and_the_versions() -> None:
    lines = blocks(as_text(about(SCORES)))[-1]
    assert lines[1] == "l2: what l2 is"
    assert lines[2] == "lpips-vgg: what lpips-vgg is [lpips-vgg-0.1 c3aa1a54, vgg16 ffffffff UNVERIFIED]"
    assert f"numpy {version('numpy')}" in lines[3].split(", ")
    assert f"bapps {version('bapps')}" in lines[3].split(", ")


def test_a_task_without_scores_has_no_table() -> None:
    text = as_text(report(SCORES[4:6], "a.csv"))
    assert "2AFC" not in text
    assert text.splitlines()[0].startswith("JND")
    assert "data: a.csv\n" in text


def test_a_metric_that_lacks_a_set_has_an_empty_cell() -> None:
    text = as_text(about([SCORES[0], SCORES[3]]))
    cells = [line.split() for line in blocks(text)[0]]
    assert ["l2", "62.50"] in cells
    assert ["lpips-vgg", "(unverified)", "66.67"] in cells


def test_a_wide_table_is_not_cut() -> None:
    scores = [Score("2afc", "m" * 60, "2afc", f"val/{'s' * 30}{k}", k / 100, k) for k in range(20)]
    text = as_text(report(scores))
    assert "…" not in text
    row = next(line for line in text.splitlines() if line.strip().startswith("m" * 60))
    assert row.split()[1:] == [f"{k:.2f}" for k in [0, 1, *range(10, 20), *range(2, 10)]]


@pytest.mark.parametrize("name", ["[red]mine", "m:f[0]", ":smile:x"])
def test_a_name_is_printed_as_it_is(name: str) -> None:
    text = as_text(report([Score("2afc", name, "2afc", "val/[b]", 0.5, 1)]))
    assert name in text
    assert "val/[b]" in text


def test_csv_has_a_row_a_score_with_every_digit() -> None:
    found = list(csv.DictReader(io.StringIO(as_csv(about(SCORES)))))
    assert list(found[0]) == ["task", "metric", "measure", "set", "value", "items", "load", "weights"]
    assert len(found) == len(SCORES)
    for row, score in zip(found, SCORES, strict=True):
        assert (row["task"], row["metric"], row["measure"], row["set"]) == (
            score.task,
            score.metric,
            score.measure,
            score.set,
        )
        assert float(row["value"]) == score.value or math.isnan(score.value)
        assert int(row["items"]) == score.items
        assert row["load"] == "official"
        assert row["weights"] == ("unverified" if score.metric == "lpips-vgg" else "")


def test_sets_read_in_several_modes_are_told_apart() -> None:
    loads = {
        "2afc/val/color": LoadChoice("official", "its files are enlarged"),
        "2afc/val/traditional": LoadChoice("native", "its files are no enlargements"),
    }
    found = report([*SCORES[:2], SCORES[8]], loads=loads)
    assert found.load == "mixed"
    wanted = (
        "load mode: 2afc/val/color official, since its files are enlarged; "
        "2afc/val/traditional native, since its files are no enlargements"
    )
    assert wanted in as_text(found)
    rows = csv.DictReader(io.StringIO(as_csv(found)))
    assert [row["load"] for row in rows] == ["official", "native", "mixed"]
    assert json.loads(as_json(found))["loads"]["2afc/val/traditional"]["why"] == "its files are no enlargements"


def test_json_is_strict_and_complete() -> None:
    def refuse(name: str) -> object:
        raise AssertionError(f"{name} is no JSON")

    found = json.loads(as_json(about(SCORES)), parse_constant=refuse)
    assert (found["data"], found["load"]) == ("folder/set", "official")
    assert set(found["versions"]) == {"bapps", "numpy", "opencv-python-headless", "pillow", "scipy", "torch"}
    assert found["metrics"][1] == {
        "name": "lpips-vgg",
        "description": "what lpips-vgg is",
        "verified": False,
        "weights": [
            {"name": "lpips-vgg-0.1", "sha256": VERIFIED.sha256, "verified": True},
            {"name": "vgg16", "sha256": UNVERIFIED.sha256, "verified": False},
        ],
    }
    assert found["scores"][6]["value"] is None
    assert found["scores"][3] == {
        "task": "2afc",
        "metric": "lpips-vgg",
        "measure": "2afc",
        "set": "val/traditional",
        "value": 2 / 3,
        "items": 10,
        "is_mean": False,
    }
    assert [row["is_mean"] for row in found["scores"]] == [False] * 8 + [True] * 2
