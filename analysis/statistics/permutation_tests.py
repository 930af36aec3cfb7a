"""Whether two metrics really differ: tests that exchange the two, cluster by cluster.

Were two metrics equally good, either could have said what the other said of a photo, and the sign of their
difference there would be that of a coin. Clusters on which they do not differ say nothing, so p depends on the
others alone, however many there are. Sources: Fisher, The Design of Experiments, 1935, chapter 3; for the
interval Hartigan, Using subsample values as typical values, JASA 1969.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from analysis.statistics.intervals import Estimate, Resampling, Sample
from bapps_builder.files.cores import cores

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]

# With no more differing clusters all exchanges are tried; with more, they are drawn.
MOST_TRIED = 16
_COINS_AT_A_TIME = 600_000  # of eight bytes each, so that they stay in the cache
# Of the sum of all sizes: fractions come as float32, so that .4 and 1 - .6 differ, and sums of them do.
_ROUNDING = 1e-6


def compared_means(rows: ArrayLike, sample: Sample, how: Resampling) -> list[Estimate]:
    """Differences of the means of every two of M rows, in the order of `compare.pairs`.

    Each exchange divides the clusters into two halves. Signs flipped in one half, the sum of differences less
    some value is as extreme as the observed one exactly if that value lies between the mean differences of the
    two halves. So the share of exchanges whose two means lie on both sides of a value is the p of that value: at
    0 it is the p of no difference, and the values whose p is more than 1 - level are the interval. It leaves out
    0 exactly if p <= 1 - level.

    Parameters
    ----------
    rows : array of shape (M, N)
        What each of N items pays each metric.

    Returns
    -------
    list of Estimate
        With an end at infinity where there are too few clusters for a bound.
    """
    rows = np.atleast_2d(np.asarray(rows, np.float64))
    weights = sample.weights
    sums = np.stack([np.bincount(sample.clusters, weights=row * weights) for row in rows])  # (M, G)
    sizes = np.bincount(sample.clusters, weights=weights)  # (G,)
    both = list(combinations(range(len(rows)), 2))
    differences = [sums[first] - sums[second] for first, second in both]
    differing = [np.abs(one) > _ROUNDING * np.abs(one).max() for one in differences]
    halves = np.empty((0, 0))
    if any(mask.sum() > MOST_TRIED for mask in differing):
        halves = _half_sums(np.stack([*sums, sizes], axis=1), how)
    estimates = []
    for (first, second), one, mask in zip(both, differences, differing, strict=True):
        if in_full := mask.sum() <= MOST_TRIED:
            half, size = _every_half(one[mask], sizes[mask], sizes[~mask], how)
        else:
            half, size = halves[:, first] - halves[:, second], halves[:, -1]
        low, high, p = _by_halves(half, size, one, how)
        method = _method(sample, int(mask.sum()), in_full, how, "sign flip")
        estimates.append(Estimate(float(one.sum()), low, high, p, method))
    return estimates


def compared_statistic(
    statistic: Callable[[Truths], Floats], differing: Truths, sample: Sample, how: Resampling
) -> Estimate:
    """The difference of a statistic of two metrics that is no mean, such as average precision.

    Parameters
    ----------
    statistic : callable
        Which items to exchange, shape (B, N), to B differences. Exchanging the other items turns its sign.
    differing : array of shape (N,)
        Items about which the metrics say different things.

    Notes
    -----
    The interval is the difference +- the size that 1 - level of exchanges exceed, so that it leaves out 0 exactly
    if p <= 1 - level.
    """
    clusters = np.unique(sample.clusters[differing])
    if in_full := len(clusters) <= MOST_TRIED:
        exchanges = _every_exchange(len(clusters))
    else:
        none = np.zeros((1, len(clusters)), np.uint8)
        exchanges = np.concatenate([none, _coins(how.rng(), how.draws, len(clusters))])
    place = np.full(int(sample.clusters.max()) + 1, len(clusters))  # the last column: never exchanged
    place[clusters] = np.arange(len(clusters))
    of_items = place[sample.clusters]
    exchanges = np.pad(exchanges, ((0, 0), (0, 1))) > 0
    at_a_time = max(1, _COINS_AT_A_TIME // len(of_items))
    blocks = [exchanges[start : start + at_a_time] for start in range(0, len(exchanges), at_a_time)]
    with ThreadPoolExecutor(cores()) as pool:
        statistics = np.concatenate(list(pool.map(lambda block: statistic(block[:, of_items]), blocks)))
    value, sizes = float(statistics[0]), np.abs(statistics)
    as_far = sizes >= sizes[0] * (1 - _ROUNDING)
    sizes = np.where(as_far, np.maximum(sizes, sizes[0]), sizes)
    half = float(np.sort(sizes)[::-1][_beyond(len(sizes), how)])
    p = float(as_far.mean()) if np.isfinite(value) else float("nan")
    method = _method(sample, len(clusters), in_full, how, "exchange")
    return Estimate(value, value - half, value + half, p, method)


def _by_halves(half: Floats, size: Floats, differences: Floats, how: Resampling) -> tuple[float, float, float]:
    """Interval and p from the sums of differences in one half of the clusters, and what these weigh, shape (B,)."""
    total, rounding = differences.sum(), _ROUNDING * np.abs(differences).sum()
    sums = np.stack([half, total - half])
    sums[np.abs(sums) <= rounding] = 0
    sizes = np.stack([size, 1 - size])
    bare = (sizes < 1e-9).any(0)  # all clusters in one half: as extreme as can be, whatever the value
    means = sums / np.where(bare, 1, sizes)
    low, high = np.where(bare, -np.inf, means.min(0)), np.where(bare, np.inf, means.max(0))
    p = 1.0 if abs(total) <= rounding else float(np.mean((low <= 0) & (high >= 0)))
    at = _beyond(len(low), how)
    return float(np.partition(low, at)[at]), float(-np.partition(-high, at)[at]), p


def _beyond(exchanges: int, how: Resampling) -> int:
    """How many exchanges may be as extreme as a value that the interval leaves out."""
    return int(np.floor((1 - how.level) * exchanges + 1e-6))


def _half_sums(columns: Floats, how: Resampling) -> Floats:
    """Sums over halves drawn from G clusters, each a coin's, shape (draws + 1, K); the first half is none of them.

    Parameters
    ----------
    columns : array of shape (G, K)

    Notes
    -----
    In blocks with a random stream of their own, so that results do not depend on the number of cores.
    """
    size = max(1, min(how.draws, _COINS_AT_A_TIME // len(columns)))
    blocks = [min(size, how.draws - start) for start in range(0, how.draws, size)]

    def block(number: int, stream: np.random.Generator) -> Floats:
        return _coins(stream, number, len(columns)).astype(np.float64) @ columns

    # A thread a core draws and multiplies; were BLAS to start threads too, they would fight for the cores.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
        statistics = list(pool.map(block, blocks, how.rng().spawn(len(blocks))))
    return np.concatenate([np.zeros((1, columns.shape[1])), *statistics])


def _every_half(sums: Floats, sizes: Floats, others: Floats, how: Resampling) -> tuple[Floats, Floats]:
    """Every division of the clusters that differ, equally often, and what one half then sums to and weighs.

    The others are divided by chance: they sum to nothing, and only have weights.
    """
    exchanges = _every_exchange(len(sums))
    times = -(-how.draws // len(exchanges))
    half, size = (np.tile(exchanges @ values, times) for values in (sums, sizes))
    rng = how.rng()
    for weight, count in zip(*np.unique(others, return_counts=True), strict=True):
        size += weight * rng.binomial(count, 0.5, len(size))
    return half, size


def _every_exchange(clusters: int) -> NDArray[np.uint8]:
    """All ways to exchange some clusters, or else all the others, which is the same; the first is none of them."""
    numbers = np.arange(2 ** max(clusters - 1, 0))
    return (numbers[:, None] >> np.arange(clusters) & 1).astype(np.uint8)


def _coins(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.uint8]:
    """Zeros and ones, shape (rows, columns)."""
    size = rows * columns
    return np.unpackbits(np.frombuffer(rng.bytes(-(-size // 8)), np.uint8), count=size).reshape(rows, columns)


def _method(sample: Sample, differing: int, in_full: bool, how: Resampling, what: str) -> str:
    count, (unit, _, doubt) = len(np.unique(sample.clusters)), sample.unit.partition(",")
    times = f"every {what}" if in_full else f"{how.draws} {what}s"
    return f"{times}, {differing} of {count} {unit} differ{'s' if differing == 1 else ''}" + (doubt and f",{doubt}")
