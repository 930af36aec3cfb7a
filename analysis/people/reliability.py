"""What the answers say about single people: for flags and for a table, never to replace votes.

Inputs are checked tables of answers (see `bapps_builder.answers.answer_table`) and the conduct measured from them
(`bapps_builder.answers.exclusions`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from analysis.people.dawid_skene import one_coin

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Coded:
    """Answers as codes, and the votes of their items.

    Attributes
    ----------
    items, people : arrays of shape (A,)
        Codes of the item and the person of each answer.
    names : array of P people
    votes : truths of shape (A,)
        Whether an answer was for p1, or "same".
    k, n : arrays of shape (N,)
        Votes for p1 or "same" of each item, and all votes.
    """

    items: NDArray[np.intp]
    people: NDArray[np.intp]
    names: NDArray[np.object_]
    votes: NDArray[np.bool_]
    k: Floats
    n: Floats


def coded(table: pd.DataFrame) -> Coded:
    """Code the answers of a table; items are told apart by set too."""
    keys = [key for key in ("set", "item") if key in table]
    items = table.groupby(keys, sort=False).ngroup().to_numpy().astype(np.intp)
    people, names = pd.factorize(table["participant"])
    for_one = table["choice"].isin(["p1", "same"]).to_numpy()
    k = np.bincount(items, weights=for_one.astype(np.float64))
    n = np.bincount(items).astype(np.float64)
    return Coded(items, people, np.asarray(names, object), for_one, k.astype(np.float64), n)


def agreement_with_others(answers: Coded) -> Floats:
    """For each answer, the share of the other answers to its item that are equal; NaN where there is none."""
    n = answers.n[answers.items]
    equal = np.where(answers.votes, answers.k[answers.items], n - answers.k[answers.items]) - 1
    return equal / np.where(n >= 2, n - 1, np.nan)


def mean_by_person(values: Floats, answers: Coded) -> Floats:
    """Mean over each person's answers, those that are NaN apart, shape (P,)."""
    finite = ~np.isnan(values)
    size = len(answers.names)
    total = np.bincount(answers.people[finite], weights=values[finite], minlength=size)
    count = np.bincount(answers.people[finite], minlength=size)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def reliability(answers: Coded, *, symmetric: bool) -> Floats:
    """One-coin Dawid-Skene skill of each person, shape (P,); see `dawid_skene.one_coin`.

    NaN for somebody who shares no item with others. Items with one answer are left out: every answer agrees with
    itself, and many of them would hold a skill where it begins.
    """
    shared = answers.n[answers.items] >= 2
    skill = np.full(len(answers.names), np.nan)
    if shared.any():
        items = np.unique(answers.items[shared], return_inverse=True)[1]
        people, codes = np.unique(answers.people[shared], return_inverse=True)
        skill[people] = one_coin(items, codes, answers.votes[shared], symmetric=symmetric).skill
    return skill


def person_sd(values: Floats, answers: Coded) -> float:
    """Standard deviation of people's true means, by the method of moments; 0 if chance explains it all.

    The spread of people's observed means is larger by the noise of each person's few answers, which is
    estimated from the spread within people and taken off.
    """
    finite = ~np.isnan(values)
    people = answers.people[finite]
    count = np.bincount(people, minlength=len(answers.names)).astype(np.float64)
    enough = count >= 2
    if enough.sum() < 2:
        return float("nan")
    means = mean_by_person(values, answers)
    within = np.bincount(people, weights=(values[finite] - means[people]) ** 2, minlength=len(count))
    noise = within[enough] / (count[enough] - 1) / count[enough]
    return float(np.sqrt(max(means[enough].var(ddof=1) - noise.mean(), 0.0)))


def pass_rate(passed: ArrayLike, sentinels: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Interval of a person's chance to pass a sentinel: Beta(1 + passed, 1 + failed)."""
    passed, sentinels = np.asarray(passed, np.float64), np.asarray(sentinels, np.float64)
    posterior = beta(1 + passed, 1 + sentinels - passed)
    low, high = (np.asarray(posterior.ppf(0.5 + half), np.float64) for half in (-level / 2, level / 2))
    return low, high
