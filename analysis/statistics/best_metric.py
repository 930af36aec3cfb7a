"""What the best deterministic metric would score, E max(p, 1 - p), without a model of how p varies over items.

The votes tell how often k of n people are in the minority, and many distributions of p come to the same. The
smallest and the largest E max(p, 1 - p) among them are its sharp bounds: linear programs over distributions on a
grid. With many votes a distribution is all but known, and its maximum likelihood estimate (NPMLE) gives a number.

Sources: Kiefer and Wolfowitz, Annals of Mathematical Statistics 1956; Wang, On fast computation of the non-parametric
maximum likelihood estimate of a mixing distribution, JRSS B 2007; for bounds by linear programs of what a mixture
leaves open, Honoré and Tamer, Econometrica 2006.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog, nnls
from scipy.stats import binom

from analysis.statistics.intervals import Resampling, Sample, means_over_items

Floats = NDArray[np.float64]

# Of max(p, 1 - p): whatever is p0 and p1 is arbitrary.
_GRID = 0.5 + 0.5 * np.linspace(0, 1, 201)
# More votes than this, and the bounds are so near each other that one number is worth giving.
FEW_VOTES = 10
# How far, in standard errors, shares may lie from the fitted ones in the programs that give prices. Without, prices
# run away where many votes leave only one distribution that fits; with few votes nothing depends on it.
_SLACK = 1.0
_STEPS = 100  # of the search for the NPMLE, which takes ten
_NO_WEIGHT = 1e-4  # of a point that only the search still holds
_NO_CHANCE = 1e-12  # of a cell that no point gives
_SUM = 1e3  # weight of the condition that probabilities sum to 1


@dataclass(frozen=True)
class BestMetric:
    """What N items of at least two votes tell of E max(p, 1 - p).

    Attributes
    ----------
    low, high : float
        The sharp bounds, of the distributions that fit the votes best.
    npmle : float
        Under the maximum likelihood distribution; NaN where half of the items have ten votes or fewer.
    influence : array of shape (2, N)
        What each item contributes to the two bounds, but for a constant; how uncertain the bounds are is how
        uncertain the means of these are.
    """

    low: float
    high: float
    npmle: float
    influence: Floats


def best_metric(k: ArrayLike, n: ArrayLike) -> BestMetric:
    """Bounds of E max(p, 1 - p) from k of n votes, shape (N,); how many votes an item has must not depend on p.

    Raises
    ------
    ValueError
        If an item has fewer than two votes.
    """
    k, n = np.asarray(k, np.int64), np.asarray(n, np.int64)
    if not len(n) or n.min() < 2:
        raise ValueError("bounds need items of at least two votes each")
    cells, cell = np.unique(np.stack([n, np.minimum(k, n - k)]), axis=1, return_inverse=True)
    cells, cell = _with_unseen(cells, cell)
    sizes, smaller = cells[:, :, None]
    chances = binom.pmf(smaller, sizes, _GRID) + np.where(2 * smaller == sizes, 0, binom.pmf(smaller, sizes, 1 - _GRID))
    counts = np.bincount(cell, minlength=cells.shape[1]).astype(np.float64)
    weights = _npmle(chances, counts)
    fitted = chances @ weights
    of_size = np.array([counts[cells[0] == size].sum() for size in cells[0]])
    spread = np.sqrt(fitted * (1 - fitted) / of_size)
    prices = np.stack([_prices(sign * _GRID, chances, fitted, _SLACK * spread) * sign for sign in (1, -1)])
    low, high = prices[:, :-1] @ fitted + prices[:, -1]
    # What an item says: the price of its cell, times how rare items of so many votes are.
    of_cells = _as_far_as_mixtures_go(prices[:, :-1] * len(n) / of_size, chances, weights, of_size / len(n))
    point = float(weights @ _GRID) if np.median(n) > FEW_VOTES else float("nan")
    return BestMetric(float(np.clip(low, 0.5, 1)), float(np.clip(high, 0.5, 1)), point, of_cells[:, cell])


def interval(best: BestMetric, sample: Sample, how: Resampling) -> tuple[float, float]:
    """The bounds, widened by the sampling error of each; NaN where all items say the same, which shows no spread.

    Parameters
    ----------
    best : BestMetric
    sample : Sample
        Of the same N items, which are taken as one set.
    """
    low, high = means_over_items(best.influence, Sample(np.zeros_like(sample.sets), sample.clusters, sample.unit), how)
    if np.isnan(low.low) or (low.low == low.high and high.low == high.high):
        return float("nan"), float("nan")
    ends = best.low - (low.value - low.low), best.high + (high.high - high.value)
    return float(max(ends[0], 0.5)), float(min(ends[1], 1))


def _with_unseen(cells: NDArray[np.int64], cell: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Add the minorities that no item has: that they are not seen says as much."""
    every = np.array([(size, smaller) for size in np.unique(cells[0]) for smaller in range(size // 2 + 1)]).T
    number = {pair: row for row, pair in enumerate(map(tuple, every.T.tolist()))}
    return every, np.array([number[pair] for pair in map(tuple, cells.T.tolist())])[cell.ravel()]


def _npmle(chances: Floats, counts: Floats) -> Floats:
    """Maximum likelihood weights on the grid, by Newton steps with weights held above 0 (Wang's CNM)."""
    occurring = counts > 0
    of_seen, shares = chances[occurring], counts[occurring] / counts.sum()
    weights = np.full(len(_GRID), 1 / len(_GRID))
    for _ in range(_STEPS):
        mixed = of_seen @ weights
        slopes = (shares / mixed) @ of_seen
        if slopes.max() < 1 + 1e-8:  # a point more likely than all others together would be worth weight
            break
        newton = np.vstack([np.sqrt(shares)[:, None] * of_seen / mixed[:, None], np.full(len(_GRID), _SUM)])
        aim = nnls(newton, np.append(2 * np.sqrt(shares), _SUM), maxiter=30 * len(_GRID))[0]
        step = aim / aim.sum() - weights
        size, rise = 1.0, slopes @ step
        with np.errstate(divide="ignore"):  # a whole step may leave no chance to what was seen
            while shares @ np.log(of_seen @ (weights + size * step) / mixed) < 1e-4 * size * rise and size > 1e-9:
                size /= 2
        weights = weights + size * step
    return weights


def _as_far_as_mixtures_go(prices: Floats, chances: Floats, weights: Floats, of_size: Floats) -> Floats:
    """Project prices of cells, shape (2, cells), on what changes of the fitted distribution change.

    Shares that no distribution explains, with thirty votes most of the noise, do not move the fit, and so do not make
    it uncertain. What moves it are the weights of its points and their places. `of_size` is the share of items with
    as many votes as those of each cell.
    """
    fitted = chances @ weights
    points = np.flatnonzero(weights > _NO_WEIGHT)
    places = np.gradient(chances, _GRID, axis=1)
    moves = np.hstack([chances[:, points], places[:, points]]) / np.maximum(fitted, _NO_CHANCE)[:, None]
    root = np.sqrt(of_size * fitted)
    size = np.linalg.norm(root[:, None] * moves, axis=0)
    moves = moves[:, size > 0] / size[size > 0]
    solved = np.linalg.lstsq(root[:, None] * moves, (root * prices).T, rcond=1e-10)[0]
    return (moves @ solved).T


def _prices(values: Floats, chances: Floats, fitted: Floats, slack: Floats) -> Floats:
    """Prices of the cells, and the constant, in the program for the smallest mean value with shares near the fitted.

    They are a function of the votes whose mean lies below the mean value under every distribution on the grid.
    """
    solved = linprog(
        values,
        A_ub=np.vstack([chances, -chances]),
        b_ub=np.concatenate([fitted + slack, slack - fitted]),
        A_eq=np.ones((1, len(values))),
        b_eq=[1],
        method="highs",
    )
    above, below = np.split(solved.ineqlin.marginals, 2)
    return np.append(above - below, solved.eqlin.marginals)
