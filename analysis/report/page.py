"""A report as one page that opens offline: what metrics score, how sure that is, and what people say.

`figures_of` makes the pictures of what is known (`material.Material`), and `page` the page. Jinja2 escapes every
name. The same material gives the same bytes.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from analysis.report import figures
from analysis.report.crops import SIDE
from analysis.report.evidence_tables import correlation_section, paired_tasks
from analysis.report.material import Material, Shown, WholePicture, columns_of
from analysis.report.summary import summary
from analysis.report.tables import Column, Section, formatted, is_number
from analysis.report.whole_pictures import whole_pictures
from analysis.scoring.score_evidence import Key, columns
from analysis.scoring.twoafc import AT_LEAST, AT_MOST
from bapps_builder.layout import TASKS, Task

TITLE = {"2afc": "2AFC: % of people who agree with the metric's choice", "jnd": 'JND: average precision (%) of "same"'}
_WIDE = 6  # inches from which a figure on a phone is scrolled, since shrunk it could not be read
_ENLARGED = 64  # pixels up to which pictures are enlarged to fill the page; larger ones are shown as they are
_ROLES = {"ref": "reference"}
# Rows of people to the names of the lines in the bars.
LINES = {
    "human p²+(1-p)²": "people, the paper's form",
    "human, two people": "two people, unbiased",
    AT_LEAST: "best possible metric, at least",
    AT_MOST: "best possible metric, at most",
}


def figures_of(material: Material) -> dict[str, Figure]:
    """Every figure of the report, by the stem of its file."""
    by_stem = {}
    for task in TASKS:
        if panels := _panels(material, task):
            axis = "2AFC score (%), from chance" if task == "2afc" else "average precision (%)"
            by_stem[f"scores-{task}"] = figures.bars(panels, chance=0.5 if task == "2afc" else None, axis=axis)
    if correlation := correlation_section(material.values):
        linear = correlation.rows[0][1]
        by_stem["2afc-and-jnd"] = figures.tasks(paired_tasks(material.values), correlation=float(str(linear)))
    for number, (name, layers) in enumerate(material.heads.items()):
        by_stem[f"weights-{number}"] = figures.weights(layers, title=name)
    return by_stem


def page(material: Material, plots: Mapping[str, Figure], *, folder: str | None = None) -> str:
    """The report as HTML: nothing in it is loaded from anywhere.

    Whole pictures of which it shows a part are in the page too, or links lead to them in the `folder` beside it.
    """
    environment = Environment(
        loader=PackageLoader("analysis"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    captions = _captions(material)
    wholes = whole_pictures(material)
    pictures = {name: _picture(figure, captions[name]) for name, figure in plots.items()}
    return environment.get_template("report.html").render(
        title=material.title,
        lead=material.lead,
        summary=summary(material),
        simulated=material.simulated,
        results=[_result(material, task, pictures) for task in TASKS if columns_of(material, task)],
        tasks=pictures.get("2afc-and-jnd"),
        weights=[picture for name, picture in pictures.items() if name.startswith("weights-")],
        compared=material.compared,
        beside=material.beside,
        groups=material.groups,
        people=material.people,
        contradictions=[
            {"title": title, "items": [_entry(item, wholes) for item in items]}
            for title, items in material.contradictions.items()
        ],
        side=SIDE,
        folder=folder,
        address=None if folder is None else quote(folder),
        wholes=_wholes(wholes, embedded=folder is None),
        loads=[f"{key}: {choice.in_words}" for key, choice in material.loads.items()],
        command=material.command,
        files=material.files,
        versions=material.versions,
        formatted=formatted,
        is_number=is_number,
    )


def _panels(material: Material, task: Task) -> list[figures.Panel]:
    measure = "2afc" if task == "2afc" else "ap"
    nan = float("nan")
    panels = []
    for of, column, sets in columns(material.sets):
        if of != task:
            continue
        bars = []
        for metric in sets[0].metrics:
            key = Key(task, metric, measure, column)
            if key in material.values:
                estimate = material.intervals.get(key)
                ends = (estimate.low, estimate.high) if estimate else (nan, nan)
                bars.append(figures.Bar(metric, material.values[key], *ends))
        lines = {
            line: material.values[key]
            for row, line in LINES.items()
            if (key := Key(task, row, measure, column)) in material.values
        }
        panels.append(figures.Panel(_heading(column), bars, lines))
    return panels


def _result(material: Material, task: Task, pictures: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    measure = "2afc" if task == "2afc" else "ap"
    names = list(dict.fromkeys(s.metric for s in material.scores if s.measure == measure))
    heads = columns_of(material, task)
    rows, first = [], True
    for name in names:
        people = name.startswith("human")
        cells = [_cell(material, Key(task, name, measure, column), names) for column in heads]
        rows.append({"name": name, "people": people, "first": people and first, "cells": cells})
        first = first and not people
    items = {s.set: s.items for s in material.scores if s.task == task}
    notes = [
        f"Items: {', '.join(f'{_heading(column)} {items[column]:,}' for column in heads)}. Best of a column in bold."
    ]
    methods = {one.method for key, one in material.intervals.items() if key.task == task}
    notes += [f"Intervals: {'; '.join(sorted(methods))}."] if methods else []
    figure = pictures.get(f"scores-{task}")
    shown = [_heading(column) for column in heads]
    return {"title": TITLE[task], "columns": shown, "rows": rows, "notes": notes, "figure": figure}


def _heading(column: str) -> str:
    """A set's name without the split, if that is the one everybody reports."""
    return column.removeprefix("val/")


def _cell(material: Material, key: Key, names: Sequence[str]) -> dict[str, Any]:
    value = material.values.get(key)
    if value is None or math.isnan(value):
        return {"text": "" if value is None else "undefined", "range": "", "best": False}
    others = [material.values.get(key._replace(metric=name), -1.0) for name in names if not name.startswith("human")]
    best = not key.metric.startswith("human") and value >= max(others)
    ends, estimate = "", material.intervals.get(key)
    if estimate is not None and not math.isnan(estimate.low):
        ends = f"{100 * estimate.low:.1f} – {100 * estimate.high:.1f}"
    return {"text": formatted(value, "percent"), "range": ends, "best": best}


def _captions(material: Material) -> dict[str, str]:
    captions = {
        "scores-2afc": "Bars begin at chance; the black ends are intervals, the lines people.",
        "scores-jnd": "Average precision with which a metric's ranking finds the pairs people called the same.",
        "2afc-and-jnd": "Each point is a metric, scored on the sets that both tasks have.",
    }
    for number, name in enumerate(material.heads):
        captions[f"weights-{number}"] = f"{name}: the weight of each channel, from the heaviest to the lightest."
    return captions


def _picture(figure: Figure, caption: str) -> dict[str, Any]:
    return {
        "wide": figure.get_figwidth() > _WIDE,
        "svg": base64.b64encode(figures.figure_bytes(figure, "svg")).decode(),
        "alt": caption,
        "caption": caption,
    }


def _entry(item: Shown, wholes: Mapping[WholePicture, str]) -> dict[str, Any]:
    """An item for the page: each picture with those who took it for the closer one, people last."""
    takers = list(zip(item.verdicts, item.choices, strict=True)) if item.choices else []
    patches = [
        {
            "name": _ROLES.get(one.role, one.role),
            "png": base64.b64encode(one.png).decode(),
            "whole": wholes[one.whole] if one.whole else None,
            "takers": [
                {"who": who, "what": what.removesuffix(f" {choice}")}
                for (who, what), choice in takers
                if choice == one.role
            ],
        }
        for one in item.patches
    ]
    return {
        "id": item.item,
        "where": item.where,
        "patches": patches,
        "verdicts": item.verdicts,
        "marked": bool(takers),
        "as_is": any(max(one.size) > _ENLARGED for one in item.patches),
        "window": item.window,
    }


def _wholes(names: Mapping[WholePicture, str], *, embedded: bool) -> list[dict[str, str]]:
    """Whole pictures for the page, with their pixels where they are to be in it."""
    return [
        {
            "name": name,
            "words": whole.words,
            "png": base64.b64encode(whole.png()).decode() if embedded else "",
        }
        for whole, name in names.items()
    ]


def table_of(title: str, head: tuple[str, str], rows: Mapping[str, str]) -> Section:
    """A section of names and texts."""
    return Section(title, (Column(head[0]), Column(head[1])), tuple(rows.items()))
