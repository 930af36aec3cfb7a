"""Items about which two metrics contradict each other most: where looking teaches more than a mean.

The paper shows such items in its Figures 6 and 11.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from analysis.scoring.judged_sets import JudgedSet

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Contradiction:
    """One item and two metrics.

    Attributes
    ----------
    first, second : str
        2AFC: `first` finds p0 closer, `second` p1. JND: `first` finds the pair closer than `second` does.
    row : int
        Of the item in its set.
    strength : float
        In [0, 1]. 2AFC: of both metrics, the smaller share of items on which it is less sure than here.
        JND: the difference of the shares of pairs that each finds closer than this one.
    """

    first: str
    second: str
    row: int
    strength: float


def contradictions(one: JudgedSet, *, each: int) -> list[Contradiction]:
    """Give, for every two metrics of a set, the `each` items on which they contradict each other most."""
    sureness = _shares(np.abs(_leads(one))) if one.task == "2afc" else _shares(one.distances[:, 0])
    clashes = []
    for a, b in combinations(range(len(one.metrics)), 2):
        strength = _opposed(one, a, b, sureness) if one.task == "2afc" else np.abs(sureness[a] - sureness[b])
        for row in np.argsort(-strength, kind="stable")[:each]:
            if strength[row] > 0:
                first, second = (a, b) if _is_first(one, a, b, int(row), sureness) else (b, a)
                clashes.append(Contradiction(one.metrics[first], one.metrics[second], int(row), float(strength[row])))
    return clashes


def _leads(one: JudgedSet) -> Floats:
    """d0 - d1 of every metric, shape (M, N); 0 where both are equal, infinite or not."""
    d0, d1 = one.distances[:, 0], one.distances[:, 1]
    with np.errstate(invalid="ignore"):
        return np.where(d0 == d1, 0.0, d0 - d1)


def _shares(values: Floats) -> Floats:
    """For each value, the share of the others in its row that are smaller, shape (M, N)."""
    return (np.stack([rankdata(row, method="min") for row in values]) - 1) / max(values.shape[1] - 1, 1)


def _opposed(one: JudgedSet, a: int, b: int, sureness: Floats) -> Floats:
    sides = np.sign(_leads(one))
    return np.where(sides[a] * sides[b] < 0, np.minimum(sureness[a], sureness[b]), 0.0)


def _is_first(one: JudgedSet, a: int, b: int, row: int, sureness: Floats) -> bool:
    if one.task == "2afc":
        return bool(_leads(one)[a, row] < 0)
    return bool(sureness[a, row] < sureness[b, row])
