"""How well people agree, from counts: pure functions of k votes of n for each item.

Agreement of pairs and the majority's shares, per item, are in `bapps_builder.answers.vote_arithmetic`; here is what
needs all items together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Alpha:
    """Krippendorff's alpha, or NaN and why it is undefined."""

    value: float
    why_undefined: str = ""


def krippendorff_alpha(counts: ArrayLike) -> Alpha:
    """Agreement corrected for chance, for nominal values and any number of votes an item.

    Parameters
    ----------
    counts : whole numbers of shape (N, C)
        Votes of item i for value c. Items with fewer than two votes are left out, as nothing pairs there.

    Returns
    -------
    Alpha
        1 - observed / expected disagreement: 1 is full agreement, 0 what chance gives, below 0 less than
        that. Two values suffice here: p0 and p1, or same and different.

    References
    ----------
    K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, section C.
    """
    counts = np.asarray(counts, np.float64)
    n = counts.sum(1)
    counts, n = counts[n >= 2], n[n >= 2]
    if not len(n):
        return Alpha(float("nan"), "no item has two votes")
    totals = counts.sum(0)
    expected = totals.sum() ** 2 - (totals**2).sum()
    if expected == 0:
        return Alpha(float("nan"), "all votes are equal, so chance would agree as well")
    observed = ((n**2 - (counts**2).sum(1)) / (n - 1)).sum()
    return Alpha(float(1 - (totals.sum() - 1) * observed / expected))


@dataclass(frozen=True)
class SplitHalf:
    """Correlation of two halves of each item's votes.

    Attributes
    ----------
    halves : float
        Of the fractions of two halves of n // 2 votes each (an odd vote is left out), over every way to
        split.
    all_votes : float
        Stepped up by Spearman and Brown's formula to the mean number of votes: how well the fractions of
        this study would correlate with those of another like it. NaN where halves contradict each other
        so much that the formula gives no correlation.
    """

    halves: float
    all_votes: float


def split_half(k: ArrayLike, n: ArrayLike, *, about_half: bool) -> SplitHalf:
    """Reliability of the vote fractions, exactly over all splits rather than over some random ones.

    The mean product of two different votes is the covariance of two halves, whichever they are, so no
    split has to be drawn.

    Parameters
    ----------
    k, n : whole numbers of shape (N,)
    about_half : bool
        True for 2AFC: which patch is p0 is arbitrary, so votes are taken as deviations from one half, and
        exchanging p0 and p1 anywhere changes nothing. False for JND: as deviations from the mean.

    Returns
    -------
    SplitHalf
        NaN where no item has two votes, or all halves are equal.
    """
    k, n = np.asarray(k, np.float64), np.asarray(n, np.float64)
    k, n = k[n >= 2], n[n >= 2]
    if not len(n):
        return SplitHalf(float("nan"), float("nan"))
    centre = 0.5 if about_half else float((k / n).mean())
    total = k * (1 - centre) - (n - k) * centre  # sum of the votes' deviations
    squares = k * (1 - centre) ** 2 + (n - k) * centre**2
    pairs = (total**2 - squares) / (n * (n - 1))  # mean product of two different votes
    half = n // 2
    variance = squares / n / half + (half - 1) / half * pairs
    if variance.mean() <= 0:
        return SplitHalf(float("nan"), float("nan"))
    halves = float(pairs.mean() / variance.mean())
    longer = float(n.mean() / half.mean())
    below = 1 + (longer - 1) * halves
    all_votes = longer * halves / below if below > 0 else float("nan")
    return SplitHalf(halves, all_votes if all_votes >= -1 else float("nan"))
