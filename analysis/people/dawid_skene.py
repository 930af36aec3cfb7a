"""One-coin Dawid-Skene: how reliable each person is, if every item had one right choice.

For flags only. Here items often have no right choice, and a person whose taste differs from the
majority's looks unreliable; fractions of votes are never replaced by the model's labels.

Sources: Dawid and Skene, Applied Statistics 1979; the one-coin form is in Zhang, Chen, Zhou and Jordan,
Spectral Methods Meet EM, JMLR 2016.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

_EPSILON = 1e-10


@dataclass(frozen=True)
class DawidSkene:
    """A fit.

    Attributes
    ----------
    skill : array of shape (P,)
        The chance that a person gives the item's label.
    label : array of shape (N,)
        The chance that an item's label is 1.
    prior : float
        The share of items with label 1.
    """

    skill: Floats
    label: Floats
    prior: float


def one_coin(
    items: Codes,
    people: Codes,
    votes: NDArray[np.bool_],
    *,
    symmetric: bool,
    rounds: int = 200,
    tolerance: float = 1e-9,
) -> DawidSkene:
    """Fit by expectation and maximisation, from the fractions of votes.

    Parameters
    ----------
    items, people : arrays of shape (A,)
        The item, 0..N-1, and person, 0..P-1, of each answer.
    votes : array of shape (A,)
        Whether the answer was 1 (p1, or same).
    symmetric : bool
        Hold the share of items with label 1 at one half: for 2AFC, where p0 and p1 are arbitrary, so that
        exchanging them changes nothing.
    rounds : int
        At most.
    tolerance : float
        Ends when no skill changes by more.
    """
    votes = np.asarray(votes, bool)
    size, answers = np.bincount(items), np.bincount(people)
    label = np.bincount(items, weights=votes) / size
    prior, skill = _maximise(label, items, people, votes, answers, symmetric)
    for _ in range(rounds):
        safe = np.clip(skill, _EPSILON, 1 - _EPSILON)
        evidence = np.where(votes, 1, -1) * np.log(safe / (1 - safe))[people]
        odds = np.log(max(prior, _EPSILON) / max(1 - prior, _EPSILON)) + np.bincount(items, weights=evidence)
        label = 1 / (1 + np.exp(-np.clip(odds, -700, 700)))
        last_skill = skill
        prior, skill = _maximise(label, items, people, votes, answers, symmetric)
        if np.abs(skill - last_skill).max() <= tolerance:
            break
    return DawidSkene(skill, label, prior)


def _maximise(
    label: Floats, items: Codes, people: Codes, votes: NDArray[np.bool_], answers: NDArray[np.intp], symmetric: bool
) -> tuple[float, Floats]:
    right = np.where(votes, label[items], 1 - label[items])
    return 0.5 if symmetric else float(label.mean()), np.bincount(people, weights=right) / answers
