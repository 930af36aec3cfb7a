"""The logistic curve that goes through points as nearly as one can, found from many starts.

For a given middle and width the best low and high end follow from a linear regression, so that only those two have to
be searched: first on a grid as dense as the points are, then by least squares from the best places of the grid.
"""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import expit, logit

Floats = NDArray[np.float64]

# Four parameters go through any four points.
FEWEST_FOR_FIT = 5
_STEEPEST = 700  # of (x - middle) / width: beyond, the curve is flat to the last bit
# In units where the middle half of x is about 1 wide: from a step to what is nearly a line.
_WIDTHS = np.exp(np.linspace(-5, 2, 15))
_MOST_MIDDLES = 256
# Middles outside the points, in widths from the nearest: there the curve is nearly exponential.
_OUTSIDE = np.array([1.0, 3.0, 6.0])
_STARTS_OF_A_WIDTH = 2
_BEST_STEPS = 4
_STEEP = 40  # widths in a gap: at its ends the curve is flat but for rounding
_SHARES_AT_A_TIME = 1_000_000


@dataclass(frozen=True)
class LogisticFit:
    """A logistic curve fitted to N points.

    Attributes
    ----------
    curve : array of shape (N,)
        At the points' x.
    parameters : array of (low, high, middle, log of the width)
    converged : bool
        Whether the search ended because nothing got better, rather than because it took too long.
    """

    curve: Floats
    parameters: Floats
    converged: bool


def logistic_fit(x: Floats, y: Floats, *, start: Floats | None = None) -> LogisticFit:
    """Fit low + (high - low) / (1 + exp(-(x - middle) / width)) by least squares.

    The width is held positive, so that the curve is monotone; high may lie below low.

    Parameters
    ----------
    x, y : arrays of shape (N,), N >= FEWEST_FOR_FIT
        x in units where its middle half is about 1 wide.
    start : array of (low, high, middle, log of the width), or None
        Where to begin; None tries many and takes the best end.
    """
    if np.ptp(x) == 0:
        return LogisticFit(np.full(len(y), y.mean()), np.array([y.mean(), y.mean(), 0.0, 0.0]), converged=True)
    fits = [
        least_squares(lambda at: _curve(at, x) - y, first, jac=cast(Any, lambda at: _slopes(at, x)), method="lm")
        for first in ([start] if start is not None else _starts(x, y))
    ]
    best = min(fits, key=lambda fit: fit.cost)
    return LogisticFit(_curve(best.x, x), best.x, converged=best.status > 0)


def _starts(x: Floats, y: Floats) -> list[Floats]:
    """The best steps, and for each width the best places of the grid, no two of them next to each other."""
    middles = _middles(x)
    starts = _best(x, y, *_steps(x, y))
    for width in _WIDTHS:
        wider = np.concatenate([x.min() - width * _OUTSIDE[::-1], middles, x.max() + width * _OUTSIDE])
        cost = _projected(x, y, wider, np.full(len(wider), width))[2]
        around = np.concatenate([[np.inf], cost, [np.inf]])
        valleys = np.flatnonzero((cost <= around[:-2]) & (cost < around[2:]))
        chosen = wider[valleys[np.argsort(cost[valleys], kind="stable")][:_STARTS_OF_A_WIDTH]]
        starts += _best(x, y, chosen, np.full(len(chosen), width))
    return starts


def _best(x: Floats, y: Floats, middles: Floats, widths: Floats) -> list[Floats]:
    low, high, _ = _projected(x, y, middles, widths)
    return list(np.stack([low, high, middles, np.log(widths)], axis=1))


def _steps(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Middles and widths: from low to high between two points, or with one point on the way, which the curve meets.

    All are tried, since between points that lie close together a step is narrower than the widths of the grid.
    """
    points, codes = np.unique(x, return_inverse=True)
    counts, sums = np.bincount(codes), np.bincount(codes, y - y.mean())
    gaps = np.diff(points)
    below, total = np.cumsum(counts), np.cumsum(sums)
    # What two levels explain; the sums of both sides differ in sign alone.
    explained = total[:-1] ** 2 * (1 / below[:-1] + 1 / (below[-1] - below[:-1]))
    left = np.argsort(-explained, kind="stable")[:_BEST_STEPS]
    middles, widths = [points[left] + gaps[left] / 2], [gaps[left] / _STEEP]

    # With a level of its own for one point, that lies between the others.
    own = slice(1, -1)
    low, high = total[:-2] / below[:-2], -total[own] / (below[-1] - below[own])
    share = (sums[own] / counts[own] - low) / np.where(low == high, np.inf, high - low)
    explained = low**2 * below[:-2] + sums[own] ** 2 / counts[own] + high**2 * (below[-1] - below[own])
    between = np.flatnonzero((share > 0) & (share < 1))
    at = between[np.argsort(-explained[between], kind="stable")][:_BEST_STEPS]
    width = np.minimum(gaps[:-1], gaps[1:])[at] / _STEEP
    return (
        np.concatenate([*middles, points[own][at] - width * logit(share[at])]),
        np.concatenate([*widths, width]),
    )


def _middles(x: Floats) -> Floats:
    """Places at and halfway between the points, at most so many, so that outliers take no room from the others."""
    points = np.unique(x)
    places = np.sort(np.concatenate([points, (points[1:] + points[:-1]) / 2]))
    chosen = np.linspace(0, len(places) - 1, min(len(places), _MOST_MIDDLES)).round().astype(int)
    return places[chosen]


def _projected(x: Floats, y: Floats, middles: Floats, widths: Floats) -> tuple[Floats, Floats, Floats]:
    """For each middle and width, the ends of the best curve, and its squared error."""
    low, high, cost = np.empty((3, len(middles)))
    spread = y - y.mean()
    for rows in np.array_split(np.arange(len(middles)), 1 + len(middles) * len(x) // _SHARES_AT_A_TIME):
        shares = expit((x - middles[rows, None]) / widths[rows, None])
        means = shares.mean(axis=1)
        shares -= means[:, None]
        squares, products = (shares * shares).sum(axis=1), shares @ spread
        rise = np.divide(products, squares, out=np.zeros_like(squares), where=squares > 1e-20 * len(x))
        low[rows] = y.mean() - rise * means
        high[rows] = low[rows] + rise
        cost[rows] = spread @ spread - rise * products
    return low, high, cost


def _curve(at: Floats, x: Floats) -> Floats:
    low, high, middle, log_width = at
    return low + (high - low) * expit((x - middle) / np.exp(np.clip(log_width, -20, 8)))


def _slopes(at: Floats, x: Floats) -> Floats:
    """Derivatives of the curve by its parameters, shape (N, 4)."""
    low, high, middle, log_width = at
    width = np.exp(np.clip(log_width, -20, 8))
    z = np.clip((x - middle) / width, -_STEEPEST, _STEEPEST)
    share = expit(z)
    steep = (high - low) * share * (1 - share)
    return np.stack([1 - share, share, -steep / width, -steep * z], axis=1)
