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
from scipy.stats import kendalltau, rankdata, t

from analysis.statistics.intervals import FEWEST_FOR_BOOTSTRAP, Estimate, Resampling
from analysis.statistics.logistic_curves import FEWEST_FOR_FIT, logistic_fit

Floats = NDArray[np.float64]
Correlation = Callable[[Floats, Floats], float]

# A bootstrap repeats a sort or a fit; percentiles need no more.
DRAWS = 1000
_PERFECT = 1 - 1e-9  # a correlation of 1, but for rounding


@dataclass(frozen=True)
class Association:
    """How one metric goes with opinion scores; every correlation by its size.

    Attributes
    ----------
    spearman, kendall, pearson : Estimate
        Kendall's is tau-b; Pearson's is after the logistic fit.
    rises : bool or None
        Whether the score rises with the metric's value; None where one of them is constant.
    doubt : str
        Why there is no correlation, or what is wrong with the logistic fit, or "".
    """

    spearman: Estimate
    kendall: Estimate
    pearson: Estimate
    rises: bool | None
    doubt: str = ""


def associate(
    values: ArrayLike, scores: ArrayLike, references: NDArray[np.intp] | None, how: Resampling
) -> Association:
    """Correlate a metric with opinion scores, with intervals over reference images.

    Parameters
    ----------
    values, scores : arrays of shape (N,)
    references : codes 0..G-1 of shape (N,), or None if they are not known
    """
    values, scores = (_without_rounding(np.asarray(column, np.float64)) for column in (values, scores))
    trend = spearman(values, scores)
    values = -values if trend < 0 else values
    unit = "items, references unknown" if references is None else "references"
    groups = np.arange(len(values)) if references is None else references
    level = [what for what, column in (("values", values), ("scores", scores)) if np.ptp(column) == 0]
    scaled, scores = _scaled(values), _scaled(scores)
    ranks, tau = (interval_of(measure, scaled, scores, groups, unit, how) for measure in (spearman, kendall))
    rises = None if np.isnan(trend) else trend >= 0
    if len(values) < FEWEST_FOR_FIT:
        nan, doubt = float("nan"), f"too few items for a logistic fit: {len(values)}, and it takes {FEWEST_FOR_FIT}"
        return Association(ranks, tau, Estimate(nan, nan, nan, nan, doubt), rises, doubt)
    if level:
        nan, doubt = float("nan"), f"no correlation: all {' and all '.join(level)} are the same"
        return Association(ranks, tau, Estimate(nan, nan, nan, nan, doubt), rises, doubt)
    first = logistic_fit(scaled, scores)

    def fitted_pearson(x: Floats, y: Floats) -> float:
        if len(x) < FEWEST_FOR_FIT:
            return float("nan")
        return _pearson(logistic_fit(x, y, start=first.parameters).curve, y)

    linear = interval_of(fitted_pearson, scaled, scores, groups, unit, how)
    doubt = "" if first.converged else "the logistic fit did not converge: Pearson is of where it stopped"
    if np.isnan(linear.value):
        doubt = "no correlation after the logistic fit: the curve that fits best is flat"
    return Association(ranks, tau, linear, rises, doubt)


def _without_rounding(values: Floats) -> Floats:
    """Values that differ by rounding alone, as 0.1 + 0.2 does from 0.3, are the same: their ranks mean nothing."""
    return np.full_like(values, values[0]) if np.ptp(values / 4) <= 1e-14 * np.abs(values).max() else values


def _scaled(values: Floats) -> Floats:
    """Values with a middle half of about the width it has in a normal distribution, whatever the outliers are."""
    values = values / 4  # so that no difference of two is beyond the largest number
    for outside in (0.25, 0.1, 0.02, 0):
        if width := float(np.subtract(*np.quantile(values, [1 - outside, outside]))):
            return (values - np.median(values)) / width * 1.35
    return values - np.median(values)


def spearman(x: Floats, y: Floats) -> float:
    """Spearman's rank correlation, ties averaged; NaN if either is constant."""
    return _pearson(rankdata(x), rankdata(y))


def kendall(x: Floats, y: Floats) -> float:
    """Kendall's tau-b; NaN if either is constant."""
    if len(x) < 2:  # about which scipy warns
        return float("nan")
    return float(cast(Any, kendalltau(x, y)).statistic)


def _pearson(x: Floats, y: Floats) -> float:
    if any(np.ptp(values) <= 1e-12 * np.abs(values).max() for values in (x, y)):
        return float("nan")  # constant, or so near it that a correlation would be one of rounding errors
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
        draws = np.empty(min(how.draws, DRAWS))
        for draw in range(len(draws)):
            rows = np.concatenate([members[code] for code in rng.integers(0, count, count)])
            draws[draw] = measure(x[rows], y[rows])
        low, high = np.nanquantile(draws, [0.5 - how.level / 2, 0.5 + how.level / 2])
        return Estimate(value, float(low), float(high), nan, f"bootstrap over {unit}")
    replicates = np.array([measure(x[keep], y[keep]) for keep in (groups != g for g in range(count))])
    if np.abs(np.append(replicates, value)).max() > _PERFECT:  # Fisher's z is infinite there
        return Estimate(value, nan, nan, nan, f"no interval: perfect, or perfect without one of {count} {unit}")
    left_out = np.arctanh(replicates)
    error = np.sqrt(((left_out - left_out.mean()) ** 2).sum() * (count - 1) / count)
    half = float(t.ppf(0.5 + how.level / 2, count - 1) * error)
    z = float(np.arctanh(value))
    return Estimate(value, float(np.tanh(z - half)), float(np.tanh(z + half)), nan, f"jackknife t over {count} {unit}")
