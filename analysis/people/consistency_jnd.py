"""Same or different as signal detection, as sections: pooled, and for each person."""

import numpy as np
import pandas as pd

from analysis.people import detection
from analysis.people.consistency_people import COLUMNS_OF_SHARE, NOTE_ON_SHARES, cells_of_share
from analysis.people.consistency_settings import Settings, titled
from analysis.people.judgments import Judgments
from analysis.report.tables import Column, Section
from analysis.statistics.shares import share_of_people, wilson
from bapps_builder.answers.answer_table import votes


def jnd(judgments: Judgments, settings: Settings) -> list[Section]:
    """JND as signal detection: pooled, and for each person."""
    sections = [_called_same(judgments, settings)]
    columns = (
        Column("who"),
        Column("different pairs", "count"),
        Column("identical pairs", "count"),
        Column("H", "number"),
        Column("F", "number"),
        Column("d'", "number"),
        Column("interval", "number range"),
    )
    k, n, identical = _pairs(judgments)
    pooled = detection.pooled(k, n, identical, rng=settings.rng(), level=settings.level)
    rows = [("all, pooled", *_detection_cells(pooled))]
    notes = [
        'H: "different" said of different test pairs, F: of identical ones, both as (count + .5) / (answers + 1)',
        "d' by the differencing model; the pooled interval draws pairs, a person's comes from Beta posteriors",
    ]
    if not identical.any():
        notes.append("no identical pairs are known: F and d' need some; --identical PATTERN names them")
    elif judgments.answers is not None:
        notes.append("pooled d' is below people's own where their criteria differ")
        rows += _detection_of_people(judgments, settings)
    return [
        *sections,
        Section(titled("Same or different as signal detection", judgments), columns, tuple(rows), tuple(notes)),
    ]


def _pairs(judgments: Judgments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Votes for "same", votes, and whether identical, of the pairs that H and F are about."""
    if judgments.answers is None:
        items = judgments.items
        return items["k"].to_numpy(), items["n"].to_numpy(), items["identical"].to_numpy()
    answers = _judged_pairs(judgments.answers)
    table = votes(answers)
    keys = [key for key in ("set", "item") if key in table]
    identical = pd.MultiIndex.from_frame(answers.loc[answers["expected"] == "same", keys])
    same = pd.MultiIndex.from_frame(table[keys]).isin(identical)
    return table["k"].to_numpy(), table["n"].to_numpy(), same


def _answers_that_count(answers: pd.DataFrame) -> pd.DataFrame:
    """Answers to test pairs and sentinels that count."""
    counting = answers[(answers["role"] != "training") & answers["use"]]
    return counting if "expected" in counting else counting.assign(expected="")


def _judged_pairs(answers: pd.DataFrame) -> pd.DataFrame:
    """Answers to test pairs and to identical ones: sentinels made to look different would only flatter H."""
    counting = _answers_that_count(answers)
    return counting[(counting["role"] == "test") | (counting["expected"] == "same")]


def _detection_of_people(judgments: Judgments, settings: Settings) -> list[tuple]:
    assert judgments.answers is not None
    answers = _judged_pairs(judgments.answers)
    different = (answers["choice"] == "different").to_numpy()
    identical = (answers["expected"] == "same").to_numpy()
    person, names = pd.factorize(answers["participant"])
    size, rng = len(names), settings.rng()
    counts = [
        np.bincount(person[mask], minlength=size).astype(int)
        for mask in (different & ~identical, ~identical, different & identical, identical)
    ]
    rows = []
    for p in np.argsort(names):
        of_person = detection.of_counts(*(int(count[p]) for count in counts), rng=rng, level=settings.level)
        rows.append((str(names[p]), *_detection_cells(of_person)))
    return rows


def _detection_cells(result: detection.Detection) -> tuple:
    rates = (result.hits, result.false_alarms, result.d_prime)
    return (result.different, result.identical, *rates, (result.low, result.high))


def _called_same(judgments: Judgments, settings: Settings) -> Section:
    """The share of pairs called the same, by what they were shown for."""
    title = titled("Pairs called the same", judgments)
    columns = (Column("pairs"), Column("answers", "count"), Column("called same", "percent"))
    rows = []
    if judgments.answers is not None:
        answers = _answers_that_count(judgments.answers)
        kinds = {
            "all": np.ones(len(answers), bool),
            "test pairs": (answers["role"] == "test").to_numpy(),
            "sentinels": (answers["role"] == "sentinel").to_numpy(),
            "identical pairs": (answers["expected"] == "same").to_numpy(),
        }
        (person, names), same = pd.factorize(answers["participant"]), (answers["choice"] == "same").to_numpy()
        for name, mask in kinds.items():
            if total := int(mask.sum()):
                count, trials = (np.bincount(person[part], minlength=len(names)) for part in (mask & same, mask))
                rows.append((name, total, *cells_of_share(share_of_people(count, trials, level=settings.level))))
        return Section(title, (*columns, *COLUMNS_OF_SHARE), tuple(rows), (NOTE_ON_SHARES,))
    items = judgments.items
    kinds = {"all": np.ones(len(items), bool), "identical pairs": items["identical"].to_numpy()}
    kinds["different pairs"] = ~kinds["identical pairs"]
    for name, mask in kinds.items():
        count, total = int(items["k"][mask].sum()), int(items["n"][mask].sum())
        if total:
            low, high = wilson(count, total, level=settings.level)
            rows.append((name, total, count / total, (float(low), float(high))))
    note = (
        "interval: Wilson, over answers; people are unknown, and it is too narrow where one person's answers are alike"
    )
    return Section(title, (*columns, Column("interval", "range")), tuple(rows), (note,))
