"""Sets as they are judged: the distances of all metrics joined with what is known about items and people."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.scoring.distances import SetDistances, check_same_items
from analysis.scoring.item_facts import of_task
from bapps_builder.answers.answer_table import counted
from bapps_builder.answers.item_ids import check_found, respelled
from bapps_builder.answers.vote_arithmetic import twoafc_payoff, votes_of_fractions
from bapps_builder.errors import DatasetError
from bapps_builder.layout import Task

Floats = NDArray[np.float64]

# What messages call the tables that meet here.
_FACTS, _ANSWERS = "the table of items", "the answers"


@dataclass(frozen=True)
class JudgedSet:
    """What M metrics and people said about the N items of one set.

    Attributes
    ----------
    task : "2afc" or "jnd"
    label : str
        "split/name".
    metrics : tuple of M names
    distances : array of shape (M, K, N)
        K = 2 for 2AFC (p0, p1), 1 for JND.
    items : DataFrame of N rows
        set, item, p (the fraction for p1 or same), k and n if the number of votes is known, and any of
        `judgments.FACTS`.
    answers : DataFrame or None
        Answers that count, to these items, with the column `row` (of `items`).
    """

    task: Task
    label: str
    metrics: tuple[str, ...]
    distances: Floats
    items: pd.DataFrame
    answers: pd.DataFrame | None

    @property
    def p(self) -> Floats:
        """What people said, shape (N,)."""
        return self.items["p"].to_numpy()

    def payoffs(self) -> Floats:
        """What each item pays each metric (2AFC), shape (M, N)."""
        return np.stack([twoafc_payoff(d0, d1, self.p) for d0, d1 in self.distances])

    def payoffs_of_answers(self) -> Floats:
        """What each answer pays each metric (2AFC), shape (M, A): 1 if the choice is the metric's, 0.5 on a tie."""
        assert self.answers is not None
        rows = self.answers["row"].to_numpy()
        for_p1 = (self.answers["choice"] == "p1").to_numpy(np.float64)
        return np.stack([twoafc_payoff(d0[rows], d1[rows], for_p1) for d0, d1 in self.distances])

    def only(self, rows: NDArray[np.bool_]) -> "JudgedSet":
        """Some of the items, without answers."""
        items = self.items[rows].reset_index(drop=True)
        return JudgedSet(self.task, self.label, self.metrics, self.distances[:, :, rows], items, None)


def counts_of(sets: Iterable[JudgedSet]) -> dict[str, pd.DataFrame]:
    """The items of the 2AFC sets whose number of votes is known, by label, with k and n."""
    return {one.label: one.items for one in sets if one.task == "2afc" and "n" in one.items}


def judged_sets(
    results: Sequence[SetDistances],
    *,
    facts: Iterable[pd.DataFrame] = (),
    answers: pd.DataFrame | None = None,
    votes: int | None = None,
) -> list[JudgedSet]:
    """Join results about one set, whatever the order of their items, and add what is known.

    Parameters
    ----------
    results : sequence of SetDistances
        Those of a set must be about the same items and people; see `check_same_items`.
    facts : tables with item, and task and set where there are several
        Earlier ones win.
    answers : DataFrame or None
        A checked table of answers.
    votes : int or None
        Votes behind each fraction, where the facts do not say n.

    Raises
    ------
    DatasetError
        If results contradict each other, a table knows none of the items, fractions are none of so many votes, or
        answers do not add up to the fractions. Ids that lost their zeros are padded; see `item_ids`.
    """
    tables = list(facts)
    spelled = {task: _in_one_spelling(task, results, tables, answers) for task in {one.task: None for one in results}}
    check_same_items(one for alike in spelled.values() for one in alike.results)
    _check_known(list(spelled.values()), len(tables))
    groups: dict[tuple[Task, str], list[SetDistances]] = {}
    for task, label in dict.fromkeys((one.task, one.label) for one in results):
        groups[task, label] = [one for one in spelled[task].results if one.label == label]
    return [_joined(group, spelled[task].facts, spelled[task].answers, votes) for (task, _), group in groups.items()]


@dataclass(frozen=True)
class _Alike:
    """Everything known about the items of one task, with ids spelled alike."""

    results: list[SetDistances]
    facts: list[pd.DataFrame]
    answers: pd.DataFrame | None

    @property
    def items(self) -> pd.DataFrame:
        parts = [pd.DataFrame({"set": one.label, "item": list(one.ids)}) for one in self.results]
        return pd.concat(parts, ignore_index=True).drop_duplicates()


def _in_one_spelling(
    task: Task, results: Sequence[SetDistances], facts: list[pd.DataFrame], answers: pd.DataFrame | None
) -> _Alike:
    mine = [one for one in results if one.task == task]
    tables = [
        (
            f"distances of {', '.join(one.metrics)} on {one.label}",
            pd.DataFrame({"set": one.label, "item": list(one.ids)}),
        )
        for one in mine
    ]
    tables += [(_FACTS, of_task(table, task)) for table in facts]
    if answers is not None:
        tables.append((_ANSWERS, counted(answers[answers["task"] == task])))
    spelled = respelled(*tables)
    renamed = [replace(one, ids=tuple(table["item"])) for one, table in zip(mine, spelled, strict=False)]
    rest = spelled[len(mine) :]
    return _Alike(renamed, rest[: len(facts)], rest[-1] if answers is not None else None)


def _check_known(of_tasks: Sequence[_Alike], facts: int) -> None:
    """Refuse tables that know none of the items, of whatever task they are."""
    tables = [(f"{_FACTS} {k + 1}" if facts > 1 else _FACTS, [one.facts[k] for one in of_tasks]) for k in range(facts)]
    tables.append((_ANSWERS, [one.answers for one in of_tasks if one.answers is not None]))
    for name, mine in tables:
        errors, met = [], False
        for one, table in zip(of_tasks, mine, strict=False):
            if len(table):
                try:
                    check_found(one.items, table, of="the distances", name=name)
                    met = True
                except DatasetError as error:
                    errors.append(error)
        if errors and not met:
            raise errors[0]


def _joined(
    group: list[SetDistances], facts: list[pd.DataFrame], answers: pd.DataFrame | None, votes: int | None
) -> JudgedSet:
    first = group[0]
    row = {item: k for k, item in enumerate(first.ids)}
    distances = []
    for result in group:
        order = np.argsort([row[item] for item in result.ids])
        distances.append(result.distances[:, :, order])
    items = pd.DataFrame({"set": first.label, "item": list(first.ids), "p": first.labels})
    for table in facts:
        items = _with_columns(items, table)
    items = _with_votes(items, votes, first.label)
    return JudgedSet(
        task=first.task,
        label=first.label,
        metrics=tuple(name for result in group for name in result.metrics),
        distances=np.concatenate(distances),
        items=items,
        answers=_answers_to(items, answers, first) if answers is not None else None,
    )


def _with_columns(items: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add the columns of a table that the items do not have yet."""
    keys = [key for key in ("set", "item") if key in table]
    new = table[[*keys, *(name for name in table if name not in items)]]
    if "set" in new and not (new["set"] == items["set"].iloc[0]).any():
        return items
    return items.merge(new, on=keys, how="left")


def _with_votes(items: pd.DataFrame, votes: int | None, label: str) -> pd.DataFrame:
    if "n" not in items and votes is not None:
        try:
            return items.assign(k=votes_of_fractions(items["p"], votes), n=votes)
        except DatasetError as error:
            raise DatasetError(f"set {label}: {error}") from error
    if "n" in items and items["n"].notna().all():
        n = items["n"].astype(int)
        return items.assign(k=np.rint(items["p"] * n).astype(int), n=n)
    return items.drop(columns=["k", "n"], errors="ignore")


def _answers_to(items: pd.DataFrame, answers: pd.DataFrame, result: SetDistances) -> pd.DataFrame | None:
    mine = answers[answers["set"] == result.label] if "set" in answers else answers
    row = mine["item"].map({item: k for k, item in enumerate(items["item"])})
    if not len(mine) or row.isna().all():
        return None
    mine = mine[row.notna()].assign(row=row[row.notna()].astype(int))
    n = np.bincount(mine["row"], minlength=len(items))
    k = np.bincount(mine["row"], weights=mine["choice"].isin(["p1", "same"]), minlength=len(items))
    wrong = (n == 0) | (np.abs(k / np.maximum(n, 1) - items["p"]) > 1e-4)
    if wrong.any():
        item = items["item"][wrong].iloc[0]
        raise DatasetError(
            f"set {result.label}: for {wrong.sum()} items (the first is {item}) the answers are missing, or give "
            "another fraction than the dataset's judgment; pass with --answers the answers that this dataset was "
            "built from"
        )
    return mine
