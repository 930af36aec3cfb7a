"""Metrics against opinion scores (MOS, DMOS), as the paper's Figure 12 does with TID2013.

Rank correlations, and Pearson's after a monotone logistic fit, since scales differ. Whether a bigger
score is better differs between collections, and whether a bigger value is further between metrics;
correlations are given by their size, and their direction beside them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.special import expit
from scipy.stats import kendalltau, rankdata, t

from analysis.statistics.intervals import FEWEST_FOR_BOOTSTRAP, Estimate, Resampling

Floats = NDArray[np.float64]
Correlation = Callable[[Floats, Floats], float]

# A bootstrap repeats a sort or a fit; percentiles need no more.
DRAWS = 1000


@dataclass(frozen=True)
class Association:
    """How one metric goes with opinion scores; every correlation by its size.

    Attributes
    ----------
    spearman, kendall, pearson : Estimate
        Kendall's is tau-b; Pearson's is after the logistic fit.
    rises : bool
        Whether the score rises with the metric's value.
    """

    spearman: Estimate
    kendall: Estimate
    pearson: Estimate
    rises: bool


def associate(
    values: ArrayLike, scores: ArrayLike, references: NDArray[np.intp] | None, how: Resampling
) -> Association:
    """Correlate a metric with opinion scores, with intervals over reference images.

    Parameters
    ----------
    values, scores : arrays of shape (N,)
    references : codes 0..G-1 of shape (N,), or None if they are not known
    """
    values, scores = np.asarray(values, np.float64), np.asarray(scores, np.float64)
    rises = spearman(values, scores) >= 0
    values = values if rises else -values
    unit = "items, references unknown" if references is None else "references"
    groups = np.arange(len(values)) if references is None else references
    scaled = (values - values.mean()) / (values.std() or 1.0)
    _, start = logistic_fit(scaled, scores)

    def fitted_pearson(x: Floats, y: Floats) -> float:
        return _pearson(logistic_fit(x, y, start=start)[0], y)

    ranks, tau, linear = (
        interval_of(measure, scaled, scores, groups, unit, how) for measure in (spearman, kendall, fitted_pearson)
    )
    return Association(ranks, tau, linear, rises=rises)


def spearman(x: Floats, y: Floats) -> float:
    """Spearman's rank correlation, ties averaged; NaN if either is constant."""
    return _pearson(rankdata(x), rankdata(y))


def kendall(x: Floats, y: Floats) -> float:
    """Kendall's tau-b; NaN if either is constant."""
    return float(cast(Any, kendalltau(x, y)).statistic)


def logistic_fit(x: Floats, y: Floats, *, start: Floats | None = None) -> tuple[Floats, Floats]:
    """Fit low + (high - low) / (1 + exp(-(x - middle) / width)) by least squares.

    The width is held positive, so that the curve is monotone; high may lie below low.

    Parameters
    ----------
    x, y : arrays of shape (N,)
        x in units where its spread is about 1.
    start : array of (low, high, middle, log of the width), or None
        Where to begin; None tries several and takes the best end.

    Returns
    -------
    fitted : array of shape (N,)
        The curve at x.
    parameters : array of shape (4,)
    """
    if np.ptp(x) == 0:
        return np.full(len(y), y.mean()), np.array([y.mean(), y.mean(), 0.0, 0.0])
    low, high = np.quantile(y, [0.02, 0.98])
    if spearman(x, y) < 0:
        low, high = high, low
    starts = [np.array([low, high, np.quantile(x, place), width]) for place in (0.25, 0.5, 0.75) for width in (-1, 0.5)]
    fits = [
        least_squares(lambda at: _curve(at, x) - y, first, jac=cast(Any, lambda at: _slopes(at, x)), method="lm")
        for first in ([start] if start is not None else starts)
    ]
    best = min(fits, key=lambda found: found.cost).x
    return _curve(best, x), best


def _curve(at: Floats, x: Floats) -> Floats:
    low, high, middle, log_width = at
    return low + (high - low) * expit((x - middle) / np.exp(np.clip(log_width, -8, 8)))


def _slopes(at: Floats, x: Floats) -> Floats:
    """Derivatives of the curve by its parameters, shape (N, 4)."""
    low, high, middle, log_width = at
    width = np.exp(np.clip(log_width, -8, 8))
    z = (x - middle) / width
    share = expit(z)
    steep = (high - low) * share * (1 - share)
    return np.stack([1 - share, share, -steep / width, -steep * z], axis=1)


def _pearson(x: Floats, y: Floats) -> float:
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else float("nan")


def interval_of(
    measure: Correlation, x: Floats, y: Floats, groups: NDArray[np.intp], unit: str, how: Resampling
) -> Estimate:
    """A percentile bootstrap over groups; with fewer than 40, a jackknife t interval of Fisher's z."""
    value, nan = measure(x, y), float("nan")
    members = [np.flatnonzero(groups == code) for code in range(int(groups.max()) + 1)]
    count = len(members)
    if count < 3 or np.isnan(value):
        return Estimate(value, nan, nan, nan, f"no interval: {count} {unit}")
    if count >= FEWEST_FOR_BOOTSTRAP:
        rng = how.rng()
        found = np.empty(min(how.draws, DRAWS))
        for draw in range(len(found)):
            rows = np.concatenate([members[code] for code in rng.integers(0, count, count)])
            found[draw] = measure(x[rows], y[rows])
        low, high = np.nanquantile(found, [0.5 - how.level / 2, 0.5 + how.level / 2])
        return Estimate(value, float(low), float(high), nan, f"bootstrap over {unit}")
    left_out = np.arctanh([min(measure(x[keep], y[keep]), 1 - 1e-12) for keep in (groups != g for g in range(count))])
    error = np.sqrt(((left_out - left_out.mean()) ** 2).sum() * (count - 1) / count)
    half = float(t.ppf(0.5 + how.level / 2, count - 1) * error)
    z = float(np.arctanh(min(value, 1 - 1e-12)))
    return Estimate(value, float(np.tanh(z - half)), float(np.tanh(z + half)), nan, f"jackknife t over {count} {unit}")
