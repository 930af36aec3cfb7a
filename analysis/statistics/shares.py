"""How uncertain a share is, which lies between 0 and 1.

Sources: Wilson, JASA 1927; with the effective number of answers as Korn and Graubard, Survey Methodology 1998, have it.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, t

from analysis.statistics.intervals import Estimate, degrees_of_shares

Floats = NDArray[np.float64]

_NO_SPREAD = 1e-9  # beyond what rounding makes of values that are all the same


def wilson(successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Interval of a proportion of independent trials; (0, 1) where there was no trial."""
    return _wilson(successes, trials, float(norm.ppf(0.5 + level / 2)))


@dataclass(frozen=True)
class ShareOfPeople:
    """A share of answers by people whose own answers are alike.

    Attributes
    ----------
    value, low, high : float
        With an interval over people; NaN with fewer than two of them.
    effective : float
        The number of answers that would be as sure if each were of another person.
    """

    value: float
    low: float
    high: float
    effective: float


def share_of_people(successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95) -> ShareOfPeople:
    """Wilson's interval with the effective number of answers: their number by the design effect over people.

    The design effect is the variance of the share over people (CR2) by that of independent answers, and not less
    than 1; t with Satterthwaite's degrees of freedom takes the place of z. If all answers are the same it cannot be
    seen, and each person counts as one answer.

    Parameters
    ----------
    successes, trials : arrays of shape (P,)
        Of each person.
    """
    k, n = (np.asarray(values, np.float64)[np.asarray(trials) > 0] for values in (successes, trials))
    total = n.sum()
    value = float(k.sum() / total) if total else float("nan")
    if len(n) < 2:
        return ShareOfPeople(value, float("nan"), float("nan"), float("nan"))
    of_one = value * (1 - value) / (total - 1)
    over_people = float(((k - value * n) ** 2 / (1 - n / total)).sum()) / total**2
    effective = total / max(1.0, over_people / of_one) if of_one > 0 else float(len(n))
    low, high = _wilson(value * effective, effective, float(t.ppf(0.5 + level / 2, degrees_of_shares(n / total))))
    return ShareOfPeople(value, float(low), float(high), effective)


def _wilson(successes: ArrayLike, trials: ArrayLike, z: float) -> tuple[Floats, Floats]:
    k, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    safe = np.where(n > 0, n, 1)
    centre = (k + z**2 / 2) / (safe + z**2)
    half = z / (safe + z**2) * np.sqrt(np.maximum(k * (safe - k), 0) / safe + z**2 / 4)
    return np.where(n > 0, centre - half, 0.0).clip(0, 1), np.where(n > 0, centre + half, 1.0).clip(0, 1)


def within(one: Estimate, low: float = 0.0, high: float = 1.0) -> Estimate:
    """An estimate with its interval cut to what is possible, beyond which a t interval of few photos may reach."""
    return replace(one, low=float(np.clip(one.low, low, high)), high=float(np.clip(one.high, low, high)))


def of_share(one: Estimate, alike: str = "all items are alike") -> Estimate:
    """The estimate of a share, cut to [0, 1].

    Items that are all alike show no spread, which is not the same as certainty: then there is no interval, and the
    method says "no interval where" they are so, in the words of `alike`.
    """
    if one.high - one.low <= _NO_SPREAD:
        nan = float("nan")
        return replace(one, low=nan, high=nan, method=f"no interval where {alike}: {one.method}")
    return within(one)
