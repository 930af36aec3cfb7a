"""A proper score of the votes beside the 2AFC score: does the size of d0 - d1 say how sure people are?

The 2AFC score sees only which distance is smaller. Here a metric bets on each vote:
P(p1) = 1 / (1 + exp(-beta (d0 - d1))), with the one beta that makes the votes likeliest. No intercept,
since exchanging p0 and p1 must change nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

Floats = NDArray[np.float64]

BINS = 10
CHANCE = -float(np.log(2))


@dataclass(frozen=True)
class Calibration:
    """How well a metric bets on votes.

    Attributes
    ----------
    log_likelihood : float
        Mean of a vote, in nats, with beta fitted to these votes: -0.693 is chance, and bigger is better.
    beta : float
        In units of 1 / distance; negative for a metric that prefers what people do not.
    error : float
        Mean distance of the bets from what came, over ten bins of the bet and weighted by votes.
    bets, came : arrays of shape (bins in use,)
        Mean bet of the favoured side in each bin, and the share of votes it got.
    """

    log_likelihood: float
    beta: float
    error: float
    bets: Floats
    came: Floats


def calibrate(d0: ArrayLike, d1: ArrayLike, k: ArrayLike, n: ArrayLike) -> Calibration:
    """Fit beta and measure the bets.

    Parameters
    ----------
    d0, d1 : arrays of shape (N,)
        Infinite distances (PSNR of equal images) count as the largest finite difference.
    k, n : whole numbers of shape (N,)
        Votes for p1, and all votes.
    """
    lead = _lead(np.asarray(d0, np.float64), np.asarray(d1, np.float64))
    k, n = np.asarray(k, np.float64), np.asarray(n, np.float64)
    scale = float(np.abs(lead).mean()) or 1.0
    lead = lead / scale

    def loss(beta: float) -> float:
        z = beta * lead
        return float((k * np.logaddexp(0, -z) + (n - k) * np.logaddexp(0, z)).sum() / n.sum())

    # Convex in beta; 1e4 times the mean difference is as good as certain.
    best: Any = minimize_scalar(loss, bracket=(0.0, 0.5), tol=1e-12)
    beta = float(np.clip(best.x, -1e4, 1e4))
    p = 1 / (1 + np.exp(-np.clip(beta * lead, -700, 700)))
    favoured = np.maximum(p, 1 - p)
    favourable = np.where(p >= 0.5, k, n - k)
    bins = np.minimum(((favoured - 0.5) * 2 * BINS).astype(int), BINS - 1)
    votes = np.bincount(bins, weights=n, minlength=BINS)
    used = votes > 0
    bets = np.bincount(bins, weights=favoured * n, minlength=BINS)[used] / votes[used]
    came = np.bincount(bins, weights=favourable, minlength=BINS)[used] / votes[used]
    error = float((votes[used] * np.abs(bets - came)).sum() / votes.sum())
    return Calibration(-loss(beta), beta / scale, error, bets, came)


def _lead(d0: Floats, d1: Floats) -> Floats:
    """d0 - d1, equal infinities giving 0 and other infinite differences the largest finite one."""
    with np.errstate(invalid="ignore"):
        lead = np.where(d0 == d1, 0.0, d0 - d1)
    finite = np.isfinite(lead)
    largest = float(np.abs(lead[finite]).max(initial=0.0)) or 1.0
    return np.where(finite, lead, np.sign(lead) * largest)
