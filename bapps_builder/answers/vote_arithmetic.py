"""The arithmetic of votes that every floor needs: pure functions of arrays.

Item i has n votes, k of them for p1, and p = k / n. Source: Zhang et al., The Unreasonable
Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018, arXiv 1801.03924.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bapps_builder.errors import DatasetError

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


def agreement_unbiased(k: ArrayLike, n: ArrayLike) -> Floats:
    """Agreement of two different people, per item: the share of pairs of votes that are equal.

    Parameters
    ----------
    k, n : whole numbers of shape (N,)
        Votes for p1 (2AFC) or "same" (JND), and all votes.

    Returns
    -------
    array of shape (N,)
        (k (k - 1) + (n - k) (n - k - 1)) / (n (n - 1)), the per-item term of Fleiss' kappa; NaN where
        n < 2, since one vote agrees with nothing.
    """
    k, n = np.asarray(k, np.float64), np.asarray(n, np.float64)
    pairs = np.where(n >= 2, n * (n - 1), np.nan)
    return (k * (k - 1) + (n - k) * (n - k - 1)) / pairs


def majority_left_out(k: ArrayLike, n: ArrayLike) -> Floats:
    """How often a vote is that of the majority of the other votes of its item; a tie pays 0.5.

    The votes that choose are not those that pay, so unlike `majority_share` it is not biased upward: it
    is what a majority of n - 1 people scores, which is below the best possible metric.

    Returns
    -------
    array of shape (N,)
        NaN where n < 2.
    """
    k, n = np.asarray(k, np.float64), np.asarray(n, np.float64)
    for_p1 = 0.5 + 0.5 * np.sign((k - 1) - (n - k))  # what each of the k voters for p1 is paid
    for_p0 = 0.5 + 0.5 * np.sign((n - k - 1) - k)
    return (k * for_p1 + (n - k) * for_p0) / np.where(n >= 2, n, np.nan)


def votes_of_fractions(p: ArrayLike, n: int) -> NDArray[np.int64]:
    """Give k of n for fractions that n votes can produce.

    Raises
    ------
    DatasetError
        If some fraction is not k/n within 1e-4 (files hold float32 or few decimals), naming the first and
        the smallest number of votes that fits them all.
    """
    p = np.asarray(p, np.float64)
    if (wrong := _off_lattice(p, n)).any():
        first = float(p[np.flatnonzero(wrong)[0]])
        fits = next((m for m in range(1, 101) if not _off_lattice(p, m).any()), None)
        raise DatasetError(
            f"{int(wrong.sum())} of {len(p)} fractions cannot come from {n} votes, the first {first:g}; "
            + (f"{fits} votes fit all of them" if fits else "no number of votes up to 100 fits all of them")
        )
    return np.rint(p * n).astype(np.int64)


def _off_lattice(p: Floats, n: int) -> NDArray[np.bool_]:
    return ~(np.abs(p - np.rint(p * n) / n) <= 1e-4)
