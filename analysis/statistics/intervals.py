"""How uncertain a mean over items is: which items, which photos and which people were drawn.

A statistic here is a mean over sets (mostly one) of means over the items of a set. Items of one photo
are alike, so photos are what is drawn. Sources: Cameron, Gelbach and Miller, Robust Inference with
Multiway Clustering, JBES 2011; Bell and McCaffrey, Survey Methodology 2002, and Pustejovsky and Tipton,
JBES 2018, for the t interval; the Poisson bootstrap is Hanley and MacGibbon, 2006.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import poisson, t
from threadpoolctl import threadpool_limits

from bapps_builder.files.cores import cores

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Unit = Literal["photos", "items", "items, photos unknown", "photos and people", "items and people"]

# With fewer, or as many of unequal sizes, a bootstrap over photos covers too little (.91 with 12, .82 with 4).
FEWEST_FOR_BOOTSTRAP = 40
_WEIGHTS_AT_A_TIME = 600_000  # of two bytes each, so that they stay in the cache


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, and how that came about.

    Attributes
    ----------
    value, low, high : float
    p : float
        Two-sided, of the hypothesis that the true value is 0; NaN if nobody asked.
    method : str
        Such as "bootstrap over photos" or "t over 12 photos".
    """

    value: float
    low: float
    high: float
    p: float
    method: str


@dataclass(frozen=True)
class Resampling:
    """How to compute intervals: draws of a bootstrap, seed of everything left to chance, level of intervals."""

    draws: int = 10_000
    seed: int = 0
    level: float = 0.95

    def rng(self) -> np.random.Generator:
        """Give the same stream of chance to every number, so that none depends on which others are made."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True)
class Sample:
    """N items of S sets: what a mean over sets of means over items is taken over.

    Attributes
    ----------
    sets : array of shape (N,), codes 0..S-1
    clusters : array of shape (N,), codes 0..G-1
        The photo of each item; items of different sets may share one.
    unit : str
        What the clusters are.
    """

    sets: Codes
    clusters: Codes
    unit: Unit = "photos"

    @property
    def shares(self) -> list[Floats]:
        """The shares of its items that each cluster of a set holds, for each of the S sets."""
        count = int(self.clusters.max()) + 1
        cells, sizes = np.unique(self.sets * count + self.clusters, return_counts=True)
        of_sets = [sizes[cells // count == code] for code in np.unique(self.sets)]
        return [of_set / of_set.sum() for of_set in of_sets]

    @property
    def smallest(self) -> int:
        """The number of clusters in the set that has fewest."""
        return min(map(len, self.shares))

    @property
    def alike(self) -> float:
        """How many clusters of equal sizes would be as unsure as those of the set that has fewest so counted.

        That is if the items of a cluster are all the same (Kish's effective number).
        """
        return round(min(float(1 / (share**2).sum()) for share in self.shares), 6)  # 40 alike are 40

    @property
    def degrees(self) -> float:
        """Satterthwaite's degrees of freedom of a set's mean, the fewest of all sets; see `degrees_of_shares`."""
        return min(map(degrees_of_shares, self.shares))

    @property
    def weights(self) -> Floats:
        """What each item weighs in the mean over sets; they sum to 1."""
        sizes = np.bincount(self.sets)
        return 1 / (len(sizes) * sizes[self.sets].astype(np.float64))

    def residuals(self, values: ArrayLike) -> Floats:
        """Values less the mean of their set, shape (M, N)."""
        values = np.atleast_2d(np.asarray(values, np.float64))
        sizes = np.bincount(self.sets)
        means = np.stack([np.bincount(self.sets, weights=row) / sizes for row in values])
        return values - means[:, self.sets]


def degrees_of_shares(a: Floats) -> float:
    """Satterthwaite's degrees of freedom of the CR2 variance of a mean over clusters that hold these shares of it.

    G - 1 where G clusters have equal shares. The variance is the sum of a² / (1 - a) times the squared deviations of
    the clusters' means, and these its degrees if items are alike.
    """
    if len(a) == 1:
        return 0.0
    return max(1.0, float(1 / ((a**2 * (1 - 2 * a) / (1 - a) ** 2).sum() + (a**2 / (1 - a)).sum() ** 2)))


def means_over_items(values: ArrayLike, sample: Sample, how: Resampling) -> list[Estimate]:
    """Mean over items of each of M rows, with an interval over the photos that might have been drawn.

    A percentile bootstrap over photos; with fewer than 40 of them in a set, or as many whose sizes make them count
    as fewer, a t interval on photos instead.

    Parameters
    ----------
    values : array of shape (M, N)

    Notes
    -----
    For differences of metrics see `exchange`: a test of no difference needs no draws of photos.
    """
    values = np.atleast_2d(np.asarray(values, np.float64))
    means = values @ sample.weights
    if sample.alike < FEWEST_FOR_BOOTSTRAP:
        return _by_t(means, clustered_variance(values, sample), sample, how.level)
    resampled_means = bootstrap_means(values, sample, draws=how.draws, rng=how.rng())
    return [
        from_draws(mean, row, level=how.level, method=f"bootstrap over {sample.unit}")
        for mean, row in zip(means, resampled_means.T, strict=True)
    ]


def from_draws(value: float, draws: Floats, *, level: float, method: str) -> Estimate:
    """Percentile interval of bootstrap draws, without a p: few differing items make one from draws too small."""
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(float(value), float(low), float(high), float("nan"), method)


def bootstrap_means(values: ArrayLike, sample: Sample, *, draws: int, rng: np.random.Generator) -> Floats:
    """Draw photos again and again: the M means over sets in each draw, shape (draws, M).

    Each photo enters a draw a Poisson(1) number of times, independently of the others, and means are
    divided by the weight that came together. Against drawing exactly G photos this changes nothing that
    40 photos could show, and needs no scattered counting. Work is a product of matrices, photos by
    metrics, in blocks with a random stream of their own, so results do not depend on the number of cores.
    """
    values = np.atleast_2d(np.asarray(values, np.float64))
    count, photos = len(np.bincount(sample.sets)), int(sample.clusters.max()) + 1
    size = max(1, min(draws, _WEIGHTS_AT_A_TIME // photos))
    blocks = [min(size, draws - start) for start in range(0, draws, size)]
    # Sums of each photo in each set: deviations from the set's mean, which float32 holds well, and sizes.
    totals = []
    for code in range(count):
        mine = sample.sets == code
        deviations = values[:, mine] - values[:, mine].mean(1, keepdims=True)
        rows, clusters = np.unique(sample.clusters[mine], return_inverse=True)
        sums = [np.bincount(clusters, weights=row) for row in deviations]
        totals.append((_as_slice(rows), np.stack([*sums, np.bincount(clusters)], axis=1).astype(np.float32)))

    def block(number: int, stream: np.random.Generator) -> Floats:
        weights = _poisson_weights(stream, number, photos)
        deviation = np.zeros((number, len(values)))
        for rows, sums in totals:
            product = (weights[:, rows] @ sums).astype(np.float64)
            deviation += product[:, :-1] / product[:, -1:]
        return deviation / count

    # A thread a core draws and multiplies; were BLAS to start threads too, they would fight for the cores.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
        deviations = np.concatenate(list(pool.map(block, blocks, rng.spawn(len(blocks)))))
    return deviations + values @ sample.weights


def of_statistic(statistic: Callable[[Floats], Floats], sample: Sample, how: Resampling) -> list[Estimate]:
    """Intervals of M statistics that are no means, such as average precision.

    Parameters
    ----------
    statistic : callable
        Weights of items, shape (B, N), to M statistics of each resample, shape (B, M).

    Notes
    -----
    A percentile bootstrap over photos; with fewer than 40 in a set, or as many whose sizes make them count as
    fewer, a t interval whose variance is the jackknife's, leaving out one photo at a time.
    """
    photos = int(sample.clusters.max()) + 1
    size = max(1, _WEIGHTS_AT_A_TIME // len(sample.clusters))
    values = statistic(np.ones((1, len(sample.clusters))))[0]
    if sample.alike >= FEWEST_FOR_BOOTSTRAP:
        blocks = [min(size, how.draws - start) for start in range(0, how.draws, size)]
        parts = [
            statistic(_poisson_weights(stream, number, photos)[:, sample.clusters].astype(np.float64))
            for number, stream in zip(blocks, how.rng().spawn(len(blocks)), strict=True)
        ]
        method = f"bootstrap over {sample.unit}"
        means = np.concatenate(parts).T
        return [
            from_draws(value, row, level=how.level, method=method) for value, row in zip(values, means, strict=True)
        ]
    left_out = np.concatenate(
        [
            statistic((sample.clusters != np.arange(start, min(start + size, photos))[:, None]).astype(np.float64))
            for start in range(0, photos, size)
        ]
    )
    variance = ((left_out - left_out.mean(0)) ** 2).sum(0) * (photos - 1) / photos
    return [replace(one, method=f"jackknife {one.method}") for one in _by_t(values, variance, sample, how.level)]


def clustered_variance(values: ArrayLike, sample: Sample) -> Floats:
    """Variance of each of M means when clusters are what is drawn, shape (M,): CR2, unbiased if items are alike."""
    cell = np.unique(sample.sets * (sample.clusters.max() + 1) + sample.clusters, return_inverse=True)[1]
    share = np.bincount(cell)[cell] / np.bincount(sample.sets)[sample.sets]  # of its set that an item's photo holds
    scale = sample.weights / np.sqrt(np.where(share < 1, 1 - share, np.nan))
    sums = np.stack([np.bincount(sample.clusters, weights=row) for row in sample.residuals(values) * scale])
    return (sums**2).sum(1)


def means_over_items_and_people(
    values: ArrayLike, sample: Sample, items: Codes, people: Codes, *, level: float = 0.95
) -> list[Estimate]:
    """Mean of each of M rows over items, with an interval over items (or photos) and people drawn.

    The variance is V_items + V_people - V_answers, never below the larger of the first two; t has
    min(items, people) - 1 degrees of freedom. Resampling both at once with independent weights would
    count the noise of single votes three times.

    Parameters
    ----------
    values : array of shape (M, A)
        One value an answer; an item's value is the mean of its answers, and items count alike.
    sample : Sample
        The set and photo of each answer.
    items, people : arrays of shape (A,)
        The item (coded over all sets) and the person of each answer.
    """
    values = np.atleast_2d(np.asarray(values, np.float64))
    per_item = np.bincount(items)
    of_items = np.unique(np.stack([sample.sets, items]), axis=1)[0]
    weights = 1 / (np.bincount(of_items)[sample.sets] * per_item[items]) / len(np.bincount(of_items))
    means = values @ weights
    set_weight = np.bincount(sample.sets, weights=weights)
    set_means = np.stack([np.bincount(sample.sets, weights=row * weights) / set_weight for row in values])
    contributions = (values - set_means[:, sample.sets]) * weights
    by_item = _variance(contributions, sample.clusters)
    by_person = _variance(contributions, people)
    both = _variance(contributions, np.unique(sample.clusters * (people.max() + 1) + people, return_inverse=True)[1])
    variance = np.maximum(by_item + by_person - both, np.maximum(by_item, by_person))
    degrees = min(sample.smallest, len(np.unique(people))) - 1
    what = "photos" if sample.unit == "photos" else "items"
    method = f"two-way t over {what} and {len(np.unique(people))} people"
    return [_t(mean, var, degrees, level, method) for mean, var in zip(means, variance, strict=True)]


def _by_t(means: Floats, variances: Floats, sample: Sample, level: float) -> list[Estimate]:
    unit, _, doubt = sample.unit.partition(",")
    degrees = sample.degrees
    method = f"t over {sample.smallest} {unit}"
    if (rests_on := round(degrees + 1)) < sample.smallest:
        method += f" of unequal sizes, resting on {rests_on}"
    method += f",{doubt}" if doubt else ""
    return [_t(mean, var, degrees, level, method) for mean, var in zip(means, variances, strict=True)]


def _t(mean: float, variance: float, degrees: float, level: float, method: str) -> Estimate:
    if degrees < 1:
        nan = float("nan")
        return Estimate(float(mean), nan, nan, nan, f"no interval: {method} has no degrees of freedom")
    error = float(np.sqrt(variance))
    half = float(t.ppf(0.5 + level / 2, degrees)) * error
    p = float(2 * t.sf(abs(mean) / error, degrees)) if error > 0 else float(mean == 0)
    return Estimate(float(mean), float(mean - half), float(mean + half), p, method)


def _variance(contributions: Floats, clusters: Codes) -> Floats:
    """Sum over clusters of squared sums, times G / (G - 1), shape (M,)."""
    sums = np.stack([np.bincount(clusters, weights=row) for row in contributions])
    groups = np.count_nonzero(np.bincount(clusters))
    return (sums**2).sum(1) * groups / max(groups - 1, 1)


# Poisson(1) from a number of 16 bits: as many as the thresholds it reaches. Comparing is faster than looking up
# a table, and several times faster than the library's sampler.
_THRESHOLDS = tuple(
    np.searchsorted((np.arange(65536) + 0.5) / 65536, poisson.cdf(np.arange(9), 1)).astype(np.uint16)[:8].tolist()
)


def _poisson_weights(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.float32]:
    size = rows * columns
    words = rng.integers(0, 2**64, -(-size // 4), dtype=np.uint64, endpoint=False).view(np.uint16)[:size]
    weights = (words >= _THRESHOLDS[0]).view(np.uint8)
    for threshold in _THRESHOLDS[1:]:
        np.add(weights, (words >= threshold).view(np.uint8), out=weights)
    return weights.astype(np.float32).reshape(rows, columns)


def _as_slice(rows: Codes) -> Codes | slice:
    """Consecutive numbers as a slice, which copies nothing."""
    return slice(int(rows[0]), int(rows[-1]) + 1) if rows[-1] - rows[0] + 1 == len(rows) else rows
