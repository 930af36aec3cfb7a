"""From answers to votes: match answers to items, decide which count, count them.

Tables of answers are those of `answer_table.check_answers`; here they also have the column `at`, the row of
the item in a table of items, -1 for sentinels, training items and items that are not in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bapps_builder.answers.columns import COLUMNS
from bapps_builder.answers.exclusions import FlowStep, Rule, conduct, exclusions
from bapps_builder.answers.item_ids import respelled
from bapps_builder.errors import DatasetError

BY_RULE = "rule "  # how the reason of an exclusion begins that was decided here, not by the study
# What makes two rows the same answer, given in two exports of one study.
_IDENTITY = ("study", "participant", "session", "trial", "attempt", "role", "choice", "submitted_at")


def match(answers: pd.DataFrame, items: pd.DataFrame, *, name: str) -> pd.DataFrame:
    """Add the column `at` to answers, naming items as their study did.

    Parameters
    ----------
    answers : DataFrame
    items : DataFrame of N rows
        Columns source_set, source_id and task.
    name : str
        What an error calls the answers.

    Raises
    ------
    DatasetError
        If answers to test items are to none of the items, to one of two sets without saying which, or to
        an item of the other task.
    """
    test = (answers["role"] == "test").to_numpy()
    by_set = "set" in answers and bool((answers["set"][test] != "").any())
    names = ["source_set", "source_id"] if by_set else ["source_id"]
    if (same := items.duplicated(["task", *names])).any():
        raise DatasetError(
            f"{name}: the answers do not say the set, and {int(same.sum())} names of items are in several sets, "
            f"the first {items['source_id'][same].iloc[0]!r}; build one set at a time, or add a column set"
        )
    keys = answers.loc[test, ["task", "set", "item"] if by_set else ["task", "item"]]
    items, keys = _alike(items, keys, name)
    at = np.full(len(answers), -1)
    at[test] = _rows(items[["task", *names]], keys)
    if (unknown := test & (at < 0)).any():
        of_other_task = unknown.copy()
        of_other_task[test] &= _rows(items[names].drop_duplicates(), keys.drop(columns="task")) >= 0
        _refuse_task(answers, of_other_task, name)
        row = int(unknown.argmax())
        where = f" of the set {answers['set'].iloc[row]!r}" if by_set else ""
        raise DatasetError(
            f"{name}: {int(unknown.sum())} of {len(answers)} answers are to items that are not among the "
            f"{len(items)} given, the first in row {row + 1}: {answers['item'].iloc[row]!r}{where}, where items are "
            f"like {items['source_id'].iloc[0]!r}; are these the answers of another study, or is a patch set missing?"
        )
    return answers.assign(at=at)


def _alike(items: pd.DataFrame, keys: pd.DataFrame, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Spell the ids of items and of answers alike, should some have lost their zeros."""
    names = {"source_id": "item"} | ({"source_set": "set"} if "set" in keys else {})
    ours = items.rename(columns=names)[["task", *names.values()]]
    spelled, keys = respelled((f"items of {name}", ours), (name, keys))
    return items.assign(source_id=spelled["item"]), keys


def _refuse_task(answers: pd.DataFrame, wrong: NDArray[np.bool_], name: str) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        raise DatasetError(
            f"{name}: {int(wrong.sum())} answers are of another task than their item, the first in row {row + 1}: "
            f"{answers['choice'].iloc[row]!r} to item {answers['item'].iloc[row]!r}; these are the answers of another "
            "study"
        )


def _rows(items: pd.DataFrame, keys: pd.DataFrame) -> NDArray[np.intp]:
    """The row of `items` that equals each row of `keys`, or -1; both have the same columns, in order."""
    return _index(items).get_indexer(_index(keys))


def _index(table: pd.DataFrame) -> pd.Index:
    columns = [table[column] for column in table]
    return pd.Index(columns[0]) if len(columns) == 1 else pd.MultiIndex.from_arrays(columns)


def match_kept(answers: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Find the items of test answers that had none in the dataset, among items that may be new.

    Unlike `match`, what is not found stays without: its patch set need not be given again.
    """
    aside = ((answers["at"] < 0) & (answers["role"] == "test")).to_numpy()
    if not aside.any() or "set" not in answers:
        return answers
    at = answers["at"].to_numpy(copy=True)
    items, keys = _alike(items, answers.loc[aside, ["task", "set", "item"]], "answers of earlier rounds")
    at[aside] = _rows(items[["task", "source_set", "source_id"]], keys)
    return answers.assign(at=at)


def merged(older: pd.DataFrame, newer: pd.DataFrame, *, name: str) -> pd.DataFrame:
    """Put two rounds of answers together. An answer that both have is taken from the newer.

    Studies export everything they have, so a later round may hold the earlier one too.

    Raises
    ------
    DatasetError
        If a person answered an item in both rounds, differently.
    """
    columns = [column for column in _IDENTITY if column in older and column in newer]
    again = pd.MultiIndex.from_frame(_identity(older, columns)).isin(
        pd.MultiIndex.from_frame(_identity(newer, columns))
    )
    table = pd.concat([_like(older[~again], newer), _like(newer, older)], ignore_index=True)
    counting = table[(table["at"] >= 0) & table["use"]]
    keys = [column for column in ("study", "at", "participant") if column in counting]
    if (twice := counting.duplicated(keys)).any():
        first = counting[twice].iloc[0]
        raise DatasetError(
            f"{name}: {int(twice.sum())} answers are from people who answered the same item in an earlier round (the "
            f"first is {first['participant']}, item {first['item']}); set use = false for one answer of each pair"
        )
    return table


@dataclass(frozen=True)
class VoteCounts:
    """What N items got.

    Attributes
    ----------
    answers : DataFrame
        All answers, with `use` and `reason` as decided.
    k, n : arrays of shape (N,)
        Votes for p1 or "same", and all votes that count.
    flow : tuple of FlowStep
        Of the exclusions that stand in the study's plan.
    post_hoc_flow : tuple of FlowStep
        The same with rules chosen afterwards; empty if there are none.
    """

    answers: pd.DataFrame
    k: NDArray[np.int64]
    n: NDArray[np.int64]
    flow: tuple[FlowStep, ...]
    post_hoc_flow: tuple[FlowStep, ...]


def count_votes(answers: pd.DataFrame, *, items: int, rules: Sequence[Rule], post_hoc: bool) -> VoteCounts:
    """Decide which answers count, and count the votes of each item.

    Parameters
    ----------
    answers : DataFrame with `at`
        Decisions of an earlier count are taken back first; what the study itself recorded stays.
    items : int
        N.
    rules : sequence of Rule
        Besides what the study recorded as unused.
    post_hoc : bool
        Whether the rules were chosen after the answers were seen.
    """
    reason = answers["reason"] if "reason" in answers else pd.Series("", answers.index)
    ours = reason.str.startswith(BY_RULE)
    recorded = answers.assign(use=answers["use"] | ours, reason=reason.mask(ours, ""))
    flow = exclusions(recorded, () if post_hoc else rules)[1]
    post_hoc_flow = exclusions(recorded, rules)[1] if post_hoc and rules else ()
    decided = _decide(recorded, rules)
    counting = decided.loc[(decided["at"] >= 0) & decided["use"], ["at", "choice"]]
    at = counting["at"].to_numpy()
    positive = counting["choice"].isin(["p1", "same"]).to_numpy()
    return VoteCounts(
        answers=decided,
        k=np.bincount(at[positive], minlength=items),
        n=np.bincount(at, minlength=items),
        flow=flow,
        post_hoc_flow=post_hoc_flow,
    )


def _decide(answers: pd.DataFrame, rules: Sequence[Rule]) -> pd.DataFrame:
    """Mark the test answers of people who break a rule, with the first they break."""
    use, reason = answers["use"].to_numpy(copy=True), answers["reason"].to_numpy(object, copy=True)
    if not rules:
        return answers
    behaved = conduct(answers)
    for rule in rules:
        out = behaved.people[rule.broken(behaved.quantity(rule.quantity))]
        hit = use & (answers["role"] == "test").to_numpy() & answers["participant"].isin(out).to_numpy()
        use[hit], reason[hit] = False, f"{BY_RULE}{rule}"
    return answers.assign(use=use, reason=reason)


def _identity(answers: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    item = answers["at"].astype(str).where(answers["at"] >= 0, answers["item"])
    return pd.DataFrame({column: answers[column].fillna("").astype(str) for column in columns} | {"item": item})


def _like(answers: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Add the columns that only `other` has, as not given."""
    empty = {"text": "", "number": np.nan, "truth": False}
    return answers.assign(
        **{column.name: empty[column.kind] for column in COLUMNS if column.name in other and column.name not in answers}
    )
