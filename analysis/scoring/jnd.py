"""The JND score: average precision of "people called these two the same", ranked by distance.

Inputs are arrays over the pairs of one set: a distance, and the fraction of people who said "same".
Source: Zhang et al., CVPR 2018, section 4; the area is that of PASCAL VOC 2010. The official release
describes this score but cannot run it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def average_precision(distance: ArrayLike, same: ArrayLike) -> float:
    """Area under the precision-recall curve of "same", nearest pairs first.

    Each pair counts `same` as hit and 1 - `same` as miss. Precision is replaced by its monotone envelope,
    and the area taken at every step of recall. Pairs at equal distance keep their order (a stable sort),
    so with ties the value depends on that order: see `average_precision_of_ties`.

    Parameters
    ----------
    distance : array of shape (N,)
    same : array of shape (N,), in [0, 1]

    Returns
    -------
    float
        In [0, 1]; NaN if nobody called any pair the same, since there is then nothing to find.
    """
    same = np.asarray(same, np.float64)[np.argsort(np.asarray(distance), kind="stable")]
    return _area(same)


def average_precision_of_ties(distance: ArrayLike, same: ArrayLike) -> float:
    """The same area with every pair at a distance counted as the mean of all pairs at that distance.

    It does not depend on the order of the pairs, and equals `average_precision` where no two distances
    are equal.
    """
    same = np.asarray(same, np.float64)
    values, group = np.unique(np.asarray(distance), return_inverse=True)
    means = np.bincount(group, weights=same, minlength=len(values)) / np.bincount(group, minlength=len(values))
    return _area(means[np.sort(group)])


def resampled_average_precision(
    distance: ArrayLike, same: ArrayLike, weights: ArrayLike, *, ties_averaged: bool = False
) -> Floats:
    """Average precision of B resamples at once: pair i is one step of `weights[b, i]` answers.

    With weights of 1 it is `average_precision`, or `average_precision_of_ties`.

    Parameters
    ----------
    distance, same : arrays of shape (N,)
    weights : array of shape (B, N), not negative
    ties_averaged : bool

    Returns
    -------
    array of shape (B,)
        NaN where no pair with a weight was called the same.
    """
    distance = np.asarray(distance)
    order = np.argsort(distance, kind="stable")
    same = np.asarray(same, np.float64)[order]
    weights = np.asarray(weights, np.float64)[:, order]
    hits = weights * same
    if ties_averaged:
        starts = np.flatnonzero(np.r_[True, np.diff(distance[order]) != 0])
        lengths = np.diff(np.r_[starts, len(same)])
        total = np.add.reduceat(weights, starts, axis=1)
        mean = np.add.reduceat(hits, starts, axis=1) / np.where(total > 0, total, 1)
        hits = weights * np.repeat(mean, lengths, axis=1)
    so_far = np.cumsum(weights, axis=1)
    precision = np.cumsum(hits, axis=1) / np.where(so_far > 0, so_far, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    hits_in_all = hits.sum(1)
    return (hits * envelope).sum(1) / np.where(hits_in_all > 0, hits_in_all, np.nan)


def ranks(distance: ArrayLike) -> NDArray[np.intp]:
    """The place of each pair when the nearest come first; pairs at equal distance keep their order."""
    order = np.argsort(np.asarray(distance), kind="stable")
    places = np.empty(len(order), np.intp)
    places[order] = np.arange(len(order))
    return places


def difference_of_exchanged(first: ArrayLike, second: ArrayLike, same: ArrayLike, exchanged: ArrayLike) -> Floats:
    """Average precision of a metric less that of another, each with the other's ranks for some pairs.

    Parameters
    ----------
    first, second : arrays of shape (N,)
        Distances of the two metrics, of which only the ranks count.
    same : array of shape (N,)
    exchanged : truths of shape (B, N)
        The pairs whose ranks the metrics exchange.

    Returns
    -------
    array of shape (B,)
        Without an exchange it is the difference of `average_precision`; exchanging the other pairs turns its sign.
    """
    same, exchanged = np.asarray(same, np.float64), np.asarray(exchanged, bool)
    # Every rank has two seats, one for the pair that each metric puts there; each metric's ranking takes half.
    pairs = np.stack([np.argsort(np.asarray(one), kind="stable") for one in (first, second)], axis=1)  # (N, 2)
    seats = exchanged[:, pairs]  # (B, N, 2)
    seats[..., 0] = ~seats[..., 0]
    seats = seats.reshape(len(seats), -1)
    places, labels = np.arange(seats.shape[1]), same[pairs].ravel()
    return resampled_average_precision(places, labels, seats) - resampled_average_precision(places, labels, ~seats)


def _area(same: Floats) -> float:
    same_votes = same.sum()
    if same_votes == 0:
        return float("nan")
    hits = np.cumsum(same)
    precision = hits / np.arange(1, len(same) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((same / same_votes) @ envelope)
