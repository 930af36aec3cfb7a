"""Scores as a table for people, as CSV, and as JSON, each with what is needed to make them again."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from importlib.metadata import version
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from analysis.report.tables import Section, formatted
from analysis.report.tables import as_text as sections_as_text
from analysis.scoring.score import ScoreReport
from analysis.scoring.score_evidence import Key
from analysis.scoring.scores import Score, set_order
from analysis.statistics.intervals import Estimate
from bapps_builder.layout import TASKS, Task

DISTRIBUTIONS = ("bapps", "numpy", "opencv-python-headless", "pillow", "scipy", "torch")
_TITLE: dict[Task, str] = {
    "2afc": "2AFC: % of people who agree with the metric's choice",
    "jnd": 'JND: average precision (%) of "same", nearest pairs first',
}


def as_json(report: ScoreReport, sections: Sequence[Section] = ()) -> str:
    """One JSON object; values in [0, 1], null where a score is undefined.

    Scores that have an interval say so, and `sections` stand under their own name if there are any.
    """
    rows, intervals = [], _intervals(report)
    for score in report.scores:
        row = asdict(score) | {"value": None if math.isnan(score.value) else score.value}
        if (estimate := intervals.get(_key(score))) is not None:
            ends = [None if math.isnan(end) else end for end in (estimate.low, estimate.high)]
            row |= {"interval": ends, "drawn": estimate.method}
        rows.append(row)
    more = {"sections": [section.as_record() for section in sections]} if sections else {}
    return json.dumps({**_circumstances(report), "scores": rows, **more}, indent=2)


def as_csv(report: ScoreReport, sections: Sequence[Section] = ()) -> str:
    """One row a score, values in [0, 1], with the load mode and whether the metric's weights are verified.

    With intervals there are the columns low, high and drawn. A CSV is one table, so sections are not in it.
    """
    unverified, intervals = _unverified(report), _intervals(report)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header = ("task", "metric", "measure", "set", "value", "items", "load", "weights")
    writer.writerow((*header, "low", "high", "drawn") if intervals else header)
    for s in report.scores:
        state = "unverified" if s.metric in unverified else ""
        load = report.loads[key].mode if (key := f"{s.task}/{s.set}") in report.loads else report.load
        row = (s.task, s.metric, s.measure, s.set, repr(s.value), s.items, load, state)
        estimate = intervals.get(_key(s))
        ends = (repr(estimate.low), repr(estimate.high), estimate.method) if estimate else ("", "", "")
        writer.writerow((*row, *ends) if intervals else row)
    return out.getvalue().rstrip("\n")


def as_text(report: ScoreReport, sections: Sequence[Section] = ()) -> str:
    """A table a task, then the sections, then a line a metric that says what it is.

    Intervals are among the sections.
    """
    parts = [_table(report, task) for task in TASKS]
    parts += [f"{sections_as_text([section])}\n" for section in sections]
    lines = [f"data: {report.data}" + (f"; load mode: {_loads(report)}" if report.loads else "")]
    for metric in report.metrics:
        weights = ", ".join(f"{w.name} {w.sha256[:8]}{'' if w.verified else ' UNVERIFIED'}" for w in metric.weights)
        lines.append(f"{metric.name}: {metric.description}" + (f" [{weights}]" if weights else ""))
    lines.append(", ".join(f"{name} {number}" for name, number in _circumstances(report)["versions"].items()))
    return "\n".join([*filter(None, parts), *lines])


def _loads(report: ScoreReport) -> str:
    """The load mode, and why it was chosen; of each set, where these differ."""
    words = {key: choice.in_words for key, choice in report.loads.items()}
    if len(set(words.values())) > 1:
        return "; ".join(f"{key} {text}" for key, text in words.items())
    return next(iter(words.values()))


def _circumstances(report: ScoreReport) -> dict[str, Any]:
    """How the scores came about as plain values, with versions and the hash of each weight file."""
    return {
        "data": report.data,
        "load": report.load,
        "loads": {key: asdict(choice) for key, choice in report.loads.items()},
        "versions": {name: version(name) for name in DISTRIBUTIONS},
        "metrics": [
            {
                "name": metric.name,
                "description": metric.description,
                "verified": metric.verified,
                "weights": [{"name": w.name, "sha256": w.sha256, "verified": w.verified} for w in metric.weights],
            }
            for metric in report.metrics
        ],
    }


def _intervals(report: ScoreReport) -> Mapping[Key, Estimate]:
    """Those to show beside the scores: comparisons have some too, which nobody asked for."""
    return report.intervals if report.evidence.ci else {}


def _unverified(report: ScoreReport) -> set[str]:
    return {metric.name for metric in report.metrics if not metric.verified}


def _key(score: Score) -> Key:
    return Key(score.task, score.metric, score.measure, score.set)


def as_html(report: ScoreReport, sections: Sequence[Section] = ()) -> str:
    """The tables of `as_text` for a notebook: a caption and a table each, without what each metric is."""
    of_tasks = [(task, *_cells(report, task)) for task in TASKS]
    tables = [_html(_TITLE[task], columns, rows) for task, columns, rows in of_tasks if rows]
    return "\n".join([*tables, *map(section_as_html, sections)])


def section_as_html(section: Section) -> str:
    """A section as a table with a caption, its notes below."""
    rows = [
        [formatted(cell, column.kind) for cell, column in zip(row, section.columns, strict=True)]
        for row in section.rows[: section.shown]
    ]
    table = _html(section.title, [column.name for column in section.columns], rows)
    return table + "".join(f"<p>{escape(note)}</p>" for note in section.notes)


def _html(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    caption, head = f"<caption>{escape(title)}</caption>", f"<thead>{line(columns, 'th')}</thead>"
    return f"<table>{caption}\n{head}\n<tbody>{body}</tbody></table>"


def _table(report: ScoreReport, task: Task) -> str:
    (first, *columns), rows = _cells(report, task)
    if not rows:
        return ""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column.replace(" of ", " of\n", 1), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    out = io.StringIO()
    Console(file=out, width=10_000, color_system=None, markup=False, emoji=False).print(table)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "\n".join([_TITLE[task], *filter(None, lines), ""])


def _cells(report: ScoreReport, task: Task) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of a task's table: a row a metric, then the numbers of items; no rows without scores."""
    scores = [score for score in report.scores if score.task == task]
    sets = sorted({score.set for score in scores if not score.is_mean}, key=set_order)
    columns = [*sets, *dict.fromkeys(score.set for score in scores if score.is_mean)]
    unverified, cells = _unverified(report), {(score.metric, score.measure, score.set): score for score in scores}
    rows = []
    for metric, measure in dict.fromkeys((score.metric, score.measure) for score in scores):
        mine = [cells.get((metric, measure, column)) for column in columns]
        if measure == "ap-of-ties" and all(
            score is None or repr(score.value) == repr(cells[metric, "ap", score.set].value) for score in mine
        ):
            continue  # no ties: the row would repeat the one above it
        name = metric + (" (unverified)" if metric in unverified else "")
        name += ", ties averaged" if measure == "ap-of-ties" else ""
        rows.append([name, *map(_percent, mine)])
    if rows:
        rows.append(["items", *(str(next(s.items for s in scores if s.set == column)) for column in columns)])
    return ["metric", *columns], rows


def _percent(score: Score | None) -> str:
    if score is None:
        return ""
    return "undefined" if math.isnan(score.value) else f"{100 * score.value:.2f}"
