"""How uncertain a share is, which lies between 0 and 1.

Source: Wilson, JASA 1927.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from analysis.statistics.intervals import Estimate

Floats = NDArray[np.float64]

_NO_SPREAD = 1e-9  # beyond what rounding makes of values that are all the same


def wilson(successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Interval of a proportion; (0, 1) where there was no trial."""
    k, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    z = norm.ppf(0.5 + level / 2)
    safe = np.maximum(n, 1)
    centre = (k + z**2 / 2) / (safe + z**2)
    half = z / (safe + z**2) * np.sqrt(k * (safe - k) / safe + z**2 / 4)
    return np.where(n > 0, centre - half, 0.0).clip(0, 1), np.where(n > 0, centre + half, 1.0).clip(0, 1)


def within(one: Estimate, low: float = 0.0, high: float = 1.0) -> Estimate:
    """An estimate with its interval cut to what is possible, beyond which a t interval of few photos may reach."""
    return replace(one, low=float(np.clip(one.low, low, high)), high=float(np.clip(one.high, low, high)))


def of_share(one: Estimate) -> Estimate:
    """The estimate of a share, cut to [0, 1].

    Items that are all alike show no spread, which is not the same as certainty: then there is no interval.
    """
    if one.high - one.low <= _NO_SPREAD:
        nan = float("nan")
        return replace(one, low=nan, high=nan, method=f"no interval where all items are alike: {one.method}")
    return within(one)
