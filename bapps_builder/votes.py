"""The arithmetic of votes that every floor needs: pure functions of arrays.

Item i has n votes, and p is the fraction of them for p1. Source: Zhang et al., The Unreasonable
Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018, arXiv 1801.03924.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def twoafc_payoff(d0: ArrayLike, d1: ArrayLike, p: ArrayLike) -> Floats:
    """What each item pays a metric: the share of people who made the metric's choice.

    Parameters
    ----------
    d0, d1 : array of shape (N,)
        Distances of p0 and p1 to the reference; smaller is chosen.
    p : array of shape (N,)
        Fraction of people who chose p1, in [0, 1].

    Returns
    -------
    array of shape (N,)
        p where d1 < d0, 1 - p where d0 < d1, and 0.5 where they are exactly equal (as the paper's
        code pays; identical p0 and p1 do occur in BAPPS).
    """
    d0, d1, p = (np.asarray(values, np.float64) for values in (d0, d1, p))
    return np.where(d1 < d0, p, np.where(d0 < d1, 1 - p, 0.5))


def agreement_paper(p: ArrayLike) -> Floats:
    """Agreement of two people in the paper's form, p² + (1 - p)², per item.

    With n votes an item it is biased upward by 2 p (1 - p) / n, since a person is also compared with
    themselves. The paper's "Human" row is its mean.
    """
    p = np.asarray(p, np.float64)
    return p**2 + (1 - p) ** 2


def majority_share(p: ArrayLike) -> Floats:
    """The share of the larger side, max(p, 1 - p), per item.

    Its mean is what a metric would score that always made the choice of the majority of these very
    votes. Few votes an item bias it upward.
    """
    p = np.asarray(p, np.float64)
    return np.maximum(p, 1 - p)
