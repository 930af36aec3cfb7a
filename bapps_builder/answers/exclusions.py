"""Whose answers count: rules about a person's conduct, and the flow of exclusions they cause.

A rule is text that prints and parses back, such as `sentinels>=0.8`: who breaks it is out. Rules belong
to the plan of a study; chosen after looking at the answers, they are post hoc and must be called so.
Answers are never thrown away, and disagreeing with others is no reason to exclude: it is what a study
measures.

    answers      answers to test items
    sentinels    share of sentinels answered as expected
    fast         share of answers under 200 ms, faster than anyone judges
    streak       longest run of the same side (2AFC) or choice (JND)
    side         share of answers on the person's preferred side (2AFC) or choice (JND)
    away         share of answers during which the page was not in front
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bapps_builder.errors import DatasetError
from bapps_builder.tasks import JUDGED

Floats = NDArray[np.float64]

FAST_MS = 200.0
QUANTITIES = ("answers", "sentinels", "fast", "streak", "side", "away")
_RULE = re.compile(r"\s*(?P<quantity>[a-z]+)\s*(?P<sign>>=|<=)\s*(?P<bound>[0-9]+(?:\.[0-9]+)?)\s*")


@dataclass(frozen=True)
class Rule:
    """What a person must keep to: `quantity` at least (">=") or at most ("<=") `bound`."""

    quantity: str
    sign: str
    bound: float

    def __str__(self) -> str:
        return f"{self.quantity}{self.sign}{self.bound:g}"

    def broken(self, values: Floats) -> NDArray[np.bool_]:
        """Tell which values break the rule; unknown ones (NaN) do not."""
        return values < self.bound if self.sign == ">=" else values > self.bound


# Ours: careful people keep them, and someone who clicks blindly breaks the first.
DEFAULT_RULES = (Rule("sentinels", ">=", 0.8), Rule("fast", "<=", 0.2))


def parse_rule(text: str) -> Rule:
    """Read a rule.

    Raises
    ------
    DatasetError
        If it is none, or about a quantity nobody measures.
    """
    match = _RULE.fullmatch(text)
    if not match or match["quantity"] not in QUANTITIES:
        raise DatasetError(
            f"no exclusion rule: {text!r}; a rule is like sentinels>=0.8, about one of {', '.join(QUANTITIES)}"
        )
    return Rule(match["quantity"], match["sign"], float(match["bound"]))


@dataclass(frozen=True)
class Conduct:
    """How P people behaved; NaN where it cannot be known.

    Attributes
    ----------
    people : array of P names
    answers : array of shape (P,)
        To test items, whether they count or not.
    sentinels, passed : arrays of shape (P,)
        Sentinels answered, and how many of them as expected.
    timed, fast : arrays of shape (P,)
        Answers with a reaction time, and how many of them were under 200 ms.
    streak : array of shape (P,)
        Longest run of the same side or choice, in the order of `trial`, else of the rows.
    sided, right : arrays of shape (P,)
        Answers with a known side, and those on the right (2AFC); all, and those of "same" (JND).
    watched, away : arrays of shape (P,)
        Answers of which it is known whether the page stayed in front, and those of which it did not.
    """

    people: NDArray[np.object_]
    answers: Floats
    sentinels: Floats
    passed: Floats
    timed: Floats
    fast: Floats
    streak: Floats
    sided: Floats
    right: Floats
    watched: Floats
    away: Floats

    def quantity(self, name: str) -> Floats:
        """Give the quantity a rule is about, shape (P,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            if name == "sentinels":
                return self.passed / self.sentinels
            if name == "fast":
                return self.fast / self.timed
            if name == "away":
                return self.away / self.watched
            if name == "side":
                share = self.right / self.sided
                return np.maximum(share, 1 - share)
            return {"answers": self.answers, "streak": self.streak}[name]


def conduct(table: pd.DataFrame) -> Conduct:
    """Measure how each person behaved in the answers of a checked table (see `answer_table.check_answers`)."""
    codes, people = pd.factorize(table["participant"])
    size = len(people)

    def count(which: NDArray[np.bool_]) -> Floats:
        return np.bincount(codes[which], minlength=size).astype(np.float64)

    test = (table["role"] == "test").to_numpy()
    expected = table["expected"] if "expected" in table else pd.Series("", table.index)
    checked = ((table["role"] == "sentinel") & (expected != "")).to_numpy()
    reaction = table["reaction_ms"].to_numpy() if "reaction_ms" in table else np.full(len(table), np.nan)
    right = right_side(table)
    judgeable = test & ~np.isnan(right)
    lost = np.full(len(table), np.nan)
    if "focus_lost" in table:
        lost = pd.to_numeric(table["focus_lost"].astype(object), errors="coerce").to_numpy(np.float64)
    return Conduct(
        people=np.asarray(people, object),
        answers=count(test),
        sentinels=count(checked),
        passed=count(checked & (table["choice"] == expected).to_numpy()),
        timed=count(test & ~np.isnan(reaction)),
        fast=count(test & (reaction < FAST_MS)),
        streak=_streaks(table.filter(["trial", "session"])[judgeable], codes[judgeable], right[judgeable], size),
        sided=count(judgeable),
        right=count(judgeable & (right == 1)),
        watched=count(test & ~np.isnan(lost)),
        away=count(test & (lost == 1)),
    )


def right_side(table: pd.DataFrame) -> Floats:
    """1 where the right side (2AFC) or "same" (JND) was chosen, 0 where the other, NaN where unknown."""
    choice, side = table["choice"], table["side"] if "side" in table else pd.Series("", table.index)
    of_pair = np.where(side == "", np.nan, ((choice == "p1") == (side == "right")).to_numpy(np.float64))
    by_choice = {task: judging.choices[1] for task, judging in JUDGED.items() if not judging.sided}
    task = table["task"]
    return np.where(task.isin(list(by_choice)), (choice == task.map(by_choice)).to_numpy(np.float64), of_pair)


def _streaks(table: pd.DataFrame, codes: NDArray[np.intp], values: Floats, size: int) -> Floats:
    """The longest run of equal values of each person, NaN for who has none."""
    longest = np.full(size, np.nan)
    if not len(values):
        return longest
    trial = table["trial"].to_numpy() if "trial" in table else np.zeros(len(values))
    session = pd.factorize(table["session"])[0] if "session" in table else np.zeros(len(values))
    order = np.lexsort((trial, session, codes))  # stable: without trials, the order of the rows
    codes, values, session = codes[order], values[order], np.asarray(session)[order]
    starts = np.flatnonzero(
        np.r_[True, (codes[1:] != codes[:-1]) | (values[1:] != values[:-1]) | (session[1:] != session[:-1])]
    )
    lengths = np.diff(np.r_[starts, len(values)])
    np.fmax.at(longest, codes[starts], lengths)
    return longest


@dataclass(frozen=True)
class FlowStep:
    """One step of the flow of exclusions: what it took away, and what was left."""

    what: str
    people_out: int
    answers_out: int
    people_left: int
    answers_left: int


def exclude(table: pd.DataFrame, rules: Sequence[Rule]) -> tuple[pd.DataFrame, tuple[FlowStep, ...]]:
    """Apply rules in their order to the answers to test items that are given.

    Conduct is measured once, on the whole table, so that sentinels and answers the study itself marked
    unused speak for or against a person too.

    Returns
    -------
    DataFrame
        The test answers left that count.
    tuple of FlowStep
        First what there was, then each reason the study recorded, then each rule.
    """
    left, steps = exclusions(table, rules)
    return table[left], steps


def exclusions(table: pd.DataFrame, rules: Sequence[Rule]) -> tuple[NDArray[np.bool_], tuple[FlowStep, ...]]:
    """Tell which answers of a table `exclude` leaves, without a copy of them."""
    behaved = conduct(table)
    people = table["participant"]
    left = (table["role"] == "test").to_numpy()
    steps = [FlowStep("answers to test items", 0, 0, people[left].nunique(), int(left.sum()))]

    def step(what: str, keep: NDArray[np.bool_]) -> None:
        nonlocal left
        left, before = left & keep, steps[-1]
        still, answers = people[left].nunique(), int(left.sum())
        steps.append(FlowStep(what, before.people_left - still, before.answers_left - answers, still, answers))

    use = table["use"].to_numpy()
    if not use[left].all():
        reason = table["reason"] if "reason" in table else pd.Series("", table.index)
        for name in reason[left & ~use].unique():
            step(f"recorded as unused: {name or 'no reason given'}", use | (reason != name).to_numpy())
    for rule in rules:
        out = behaved.people[rule.broken(behaved.quantity(rule.quantity))]
        measurable = np.isfinite(behaved.quantity(rule.quantity)).any()
        step(
            f"rule {rule}" + ("" if measurable else " (not known in these answers)"),
            ~people.isin(out).to_numpy(),
        )
    return left, tuple(steps)
