"""A model of how people differ over items: each item has a probability p drawn from Beta(a, a).

k of n votes are then beta-binomial. Symmetric, because which patch is called p0 is arbitrary. From `a`
follow, without the bias of few votes, what two people agree on and what the best deterministic metric
can score.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, gammaln, xlogy
from scipy.stats import betabinom

Floats = NDArray[np.float64]

# Of log a: from all items unanimous to all items a coin flip.
_GRID = np.linspace(np.log(1e-5), np.log(1e4), 2764)  # steps of .0075; between them a parabola
_BATCH = 250
_TIE = 1e-3  # logs of likelihood ratios nearer than this are equal: what the grid gets wrong


def ceiling(a: ArrayLike) -> Floats:
    """E[max(p, 1 - p)] under Beta(a, a): the score of a metric that always makes the majority's choice."""
    a = np.asarray(a, np.float64)
    return 0.5 + np.exp(-2 * a * np.log(2) - np.log(a) - betaln(a, a))


def agreement(a: ArrayLike) -> Floats:
    """E[p² + (1 - p)²] under Beta(a, a): the agreement of two people."""
    a = np.asarray(a, np.float64)
    return (a + 1) / (2 * a + 1)


@dataclass(frozen=True)
class Fit:
    """A maximum likelihood fit.

    Attributes
    ----------
    a : float
    ceiling, agreement : float
        What follows from `a`.
    at_bound : bool
        Whether the likelihood still rises at the edge of what is searched (.00001 to 10000): all items look
        unanimous, or all like a coin flip.
    """

    a: float
    ceiling: float
    agreement: float
    at_bound: bool


@dataclass(frozen=True)
class _Cells:
    """Items by n and by the size of their smaller side, which is all the likelihood sees."""

    n: NDArray[np.int64]
    smaller: NDArray[np.int64]
    count: Floats

    @property
    def log_ways(self) -> Floats:
        """Log of how many orders of votes make each cell."""
        orders = gammaln(self.n + 1) - gammaln(self.smaller + 1) - gammaln(self.n - self.smaller + 1)
        return orders + np.where(2 * self.smaller == self.n, 0, np.log(2))

    def chances(self, a: float) -> Floats:
        """P(smaller side | n), shape (cells,)."""
        single = betabinom.pmf(self.smaller, self.n, a, a)
        return np.where(2 * self.smaller == self.n, single, 2 * single)


def fit(k: ArrayLike, n: ArrayLike) -> Fit:
    """Fit `a` to k of n votes, shape (N,); items with n < 2 say nothing about it and are left out.

    Raises
    ------
    ValueError
        If no item has two votes.
    """
    cells = _cells(k, n)
    a = float(np.exp(_peaks(_log_likelihood(cells), cells.count[None])[0][0]))
    at_bound = not np.exp(_GRID[0]) < a < np.exp(_GRID[-1])
    return Fit(a, float(ceiling(a)), float(agreement(a)), at_bound)


def goodness_of_fit(k: ArrayLike, n: ArrayLike, *, draws: int, rng: np.random.Generator) -> float:
    """The p-value of the model, over items of any numbers of votes together, by parametric bootstrap.

    Data are drawn from the fitted model and fitted anew; the p-value is the share of those that the model fits no
    better than it fits these, by the likelihood ratio against shares of majorities that are free for each n.
    """
    cells = _cells(k, n)
    a = fit(k, n).a
    simulated = np.zeros((draws, len(cells.n)))
    for size in np.unique(cells.n):
        mine = cells.n == size
        chances = cells.chances(a)[mine]
        simulated[:, mine] = rng.multinomial(int(cells.count[mine].sum()), chances / chances.sum(), size=draws)
    likelihood = _log_likelihood(cells) + cells.log_ways[:, None]
    excess = np.concatenate(
        [_excess(cells, likelihood, simulated[start : start + _BATCH]) for start in range(0, draws, _BATCH)]
    )
    own = _excess(cells, likelihood, cells.count[None])[0]
    return float((1 + np.count_nonzero(excess >= own - _TIE)) / (draws + 1))


def draw_counts(a: float, n: ArrayLike, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw k for items with n votes each."""
    n = np.asarray(n)
    return rng.binomial(n, rng.beta(a, a, n.shape))


def _cells(k: ArrayLike, n: ArrayLike) -> _Cells:
    k, n = np.asarray(k, np.int64), np.asarray(n, np.int64)
    k, n = k[n >= 2], n[n >= 2]
    if not len(n):
        raise ValueError("no item has two votes, so nothing tells people's differences from chance")
    sizes = np.unique(n)
    cells = [(size, smaller) for size in sizes for smaller in range(size // 2 + 1)]
    least = np.minimum(k, n - k)
    count = [np.count_nonzero((n == size) & (least == smaller)) for size, smaller in cells]
    size, smaller = np.array(cells).T
    return _Cells(size, smaller, np.array(count, np.float64))


def _log_likelihood(cells: _Cells) -> Floats:
    """Log of the chance of each cell at each point of the grid, shape (cells, grid)."""
    a = np.exp(_GRID)[None]
    k, n = cells.smaller[:, None], cells.n[:, None]
    return np.asarray(betaln(k + a, n - k + a) - betaln(a, a), np.float64)


def _excess(cells: _Cells, likelihood: Floats, counts: Floats) -> Floats:
    """Log of the likelihood ratio of each row of counts, free shares for each n against the best `a`, shape (rows,)."""
    of_size = cells.n[:, None] == cells.n[None]
    free = xlogy(counts, counts) - xlogy(counts, counts @ of_size)
    return free.sum(1) - _peaks(likelihood, counts)[1]


def _peaks(likelihood: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Where on the grid each row of counts is likeliest, and its log-likelihood, refined by a parabola."""
    total = counts @ likelihood  # (rows, grid)
    at = total.argmax(1)
    inner = np.clip(at, 1, len(_GRID) - 2)
    left, middle, right = (total[np.arange(len(at)), inner + d] for d in (-1, 0, 1))
    bend = left - 2 * middle + right
    slope = 0.5 * (left - right)
    shift = np.divide(slope, bend, out=np.zeros_like(bend), where=(inner == at) & (bend < 0))
    return _GRID[at] + shift * (_GRID[1] - _GRID[0]), total[np.arange(len(at)), at] - 0.5 * slope * shift
