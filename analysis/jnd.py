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


def has_ties(distance: ArrayLike) -> bool:
    """Whether two pairs have exactly the same distance."""
    distance = np.asarray(distance)
    return len(np.unique(distance)) < len(distance)


def _area(same: Floats) -> float:
    found = same.sum()
    if found == 0:
        return float("nan")
    hits = np.cumsum(same)
    precision = hits / np.arange(1, len(same) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((same / found) @ envelope)
