"""Which metric is really better: every two compared on the same items, and who is tied with whom.

Sources: Holm, Scandinavian Journal of Statistics 1979; the letters are Piepho's, JCGS 2004.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.intervals import Estimate

Floats = NDArray[np.float64]

ALPHA = 0.05  # at which two metrics are told apart, after Holm's correction


@dataclass(frozen=True)
class Comparison:
    """Two metrics on the same items.

    Attributes
    ----------
    first, second : str
    difference : Estimate
        Score of the first less score of the second; p is uncorrected.
    p_holm : float
        Corrected for all pairs that were compared beside this one.
    """

    first: str
    second: str
    difference: Estimate
    p_holm: float


def differences(rows: ArrayLike) -> Floats:
    """Every row less every later one, shape (M (M - 1) / 2, N), in the order of `pairs`."""
    rows = np.atleast_2d(np.asarray(rows, np.float64))
    first, second = np.triu_indices(len(rows), 1)
    return rows[first] - rows[second]


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Every two names, in the order of `differences`."""
    return list(combinations(names, 2))


def compared(names: Sequence[str], estimates: Sequence[Estimate]) -> list[Comparison]:
    """Put together the estimates of `differences`, corrected by Holm over all of them."""
    corrected = holm([estimate.p for estimate in estimates])
    return [
        Comparison(first, second, estimate, float(p))
        for (first, second), estimate, p in zip(pairs(names), estimates, corrected, strict=True)
    ]


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down correction; NaN stays NaN and does not count."""
    p = np.asarray(p, np.float64)
    finite = np.flatnonzero(~np.isnan(p))
    order = finite[np.argsort(p[finite], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected = np.full(len(p), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def letters(order: Sequence[str], comparisons: Sequence[Comparison], *, alpha: float = ALPHA) -> dict[str, str]:
    """Letters such that two metrics share one exactly if they are not told apart at `alpha` after Holm.

    Parameters
    ----------
    order : names, best first
        The best gets "a".
    """
    apart = {frozenset((c.first, c.second)) for c in comparisons if c.p_holm <= alpha}
    groups: list[set[str]] = [set(order)]
    for pair in apart:  # insert: a group that holds both becomes one without each
        split = [group - {name} for group in groups if pair <= group for name in pair]
        groups = _absorbed([*(group for group in groups if not pair <= group), *split])
    groups.sort(key=lambda group: sorted(map(order.index, group)))
    return {name: "".join(_letter(k) for k, group in enumerate(groups) if name in group) for name in order}


def _absorbed(groups: Sequence[set[str]]) -> list[set[str]]:
    """Drop groups that another holds."""
    unique = list(map(set, dict.fromkeys(map(frozenset, groups))))
    return [group for group in unique if not any(group < other for other in unique)]


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"({number + 1})"
