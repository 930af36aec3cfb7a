"""Single people and what was excluded, as sections."""

import numpy as np
import pandas as pd

from analysis.people import reliability
from analysis.people.consistency_settings import Settings, titled
from analysis.people.judgments import Judgments
from analysis.report.tables import Column, Section
from analysis.statistics.shares import ShareOfPeople, share_of_people
from bapps_builder.answers.exclusions import conduct, exclude

PEOPLE_SHOWN = 20
# After the share itself, where it is one of answers by known people.
COLUMNS_OF_SHARE = (Column("interval", "range"), Column("effective", "count"))
NOTE_ON_SHARES = (
    "interval: Wilson, over people: one person's answers are alike, so as many answers of different people as "
    '"effective" says would be as sure (a person counts as one where all answers are the same)'
)


def flow(judgments: Judgments, settings: Settings) -> Section:
    """Who and what was excluded, step by step."""
    assert judgments.answers is not None
    _, steps = exclude(judgments.answers, settings.rules)
    rows = tuple((s.what, s.people_out, s.answers_out, s.people_left, s.answers_left) for s in steps)
    names = ("people out", "answers out", "people left", "answers left")
    columns = (Column("step"), *(Column(name, "count") for name in names))
    note = (
        "rules belong to the plan of a study; chosen after looking at answers they are post hoc, and must be called so"
    )
    return Section(titled("Flow of exclusions", judgments), columns, rows, (note,))


def side_and_speed(judgments: Judgments, settings: Settings) -> Section:
    """Side bias of the whole study, fast answers and sentinels, each with an interval."""
    assert judgments.answers is not None
    behaviour = conduct(judgments.answers)
    right, left = ('"same"', '"different"') if judgments.task == "jnd" else ("the right side", "the left side")
    rows = []
    for what, count, total in (
        (f"answers that chose {right}", behaviour.right, behaviour.sided),
        (f"answers that chose {left}", behaviour.sided - behaviour.right, behaviour.sided),
        ("answers under 200 ms", behaviour.fast, behaviour.timed),
        ("sentinels answered as expected", behaviour.passed, behaviour.sentinels),
    ):
        if total.any():
            share = share_of_people(count, total, level=settings.level)
            rows.append((what, int(count.sum()), int(total.sum()), *cells_of_share(share)))
    columns = (Column("what"), Column("count", "count"), Column("of", "count"), Column("share", "percent"))
    title = titled("Sides, speed and sentinels", judgments)
    return Section(title, (*columns, *COLUMNS_OF_SHARE), tuple(rows), (NOTE_ON_SHARES,) if rows else ())


def cells_of_share(share: ShareOfPeople) -> tuple:
    """The share, its interval, and the number of answers that would be as sure."""
    return (share.value, (share.low, share.high), share.effective)


def persons(judgments: Judgments, settings: Settings) -> Section:
    """One row a person, the least reliable first."""
    assert judgments.answers is not None
    behaviour = conduct(judgments.answers)
    test = judgments.answers[(judgments.answers["role"] == "test")]
    answers = reliability.coded(test)
    with_others = _aligned(
        reliability.mean_by_person(reliability.agreement_with_others(answers), answers), answers, behaviour.people
    )
    skill = _aligned(reliability.reliability(answers, symmetric=judgments.task == "2afc"), answers, behaviour.people)
    low, high = reliability.pass_rate(np.nan_to_num(behaviour.passed), np.nan_to_num(behaviour.sentinels))
    broken = [
        [str(rule) for rule in settings.rules if rule.broken(behaviour.quantity(rule.quantity))[p]]
        for p in range(len(skill))
    ]
    order = np.argsort(skill, kind="stable")
    rows = tuple(
        (
            str(behaviour.people[p]),
            int(behaviour.answers[p]),
            _number(with_others, p),
            _number(skill, p),
            _number(behaviour.quantity("side"), p),
            _number(behaviour.streak, p),
            _number(behaviour.quantity("fast"), p),
            f"{behaviour.passed[p]:.0f} of {behaviour.sentinels[p]:.0f}" if behaviour.sentinels[p] else None,
            (float(low[p]), float(high[p])) if behaviour.sentinels[p] else None,
            ", ".join(broken[p]),
        )
        for p in order
    )
    columns = (
        Column("person"),
        Column("answers", "count"),
        Column("with others", "percent"),
        Column("reliability", "percent"),
        Column("one side" if judgments.task == "2afc" else "one choice", "percent"),
        Column("streak", "count"),
        Column("fast", "percent"),
        Column("sentinels"),
        Column("pass rate", "range"),
        Column("breaks"),
    )
    notes = [
        "with others: share of the others' answers to the same items that are equal",
        "reliability: one-coin Dawid-Skene, as if every item had one right choice; a flag, not a verdict: "
        "people may rightly disagree",
        "pass rate: 95% interval of Beta(1 + passed, 1 + failed)",
    ]
    if "trial" not in judgments.answers:
        notes.append("streaks are in the order of the rows, as no column says in which order people answered")
    return Section(titled("People", judgments), columns, rows, tuple(notes), shown=PEOPLE_SHOWN)


def _aligned(values: np.ndarray, answers: reliability.Coded, names: np.ndarray) -> np.ndarray:
    """Values of the coded people in the order of `names`, NaN for who gave no test answer."""
    return pd.Series(values, index=answers.names).reindex(names).to_numpy()


def _number(values: np.ndarray, at: int) -> float | None:
    return None if np.isnan(values[at]) else float(values[at])
