"""JND as signal detection: how well people tell different from identical, whatever their readiness to say so.

A study shows many different pairs (it is "roving"), which calls for the differencing model: someone says
"different" when two noisy impressions are further apart than a criterion. Source: Macmillan and Creelman,
Detection Theory: A User's Guide, chapter on same-different designs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

_LARGEST = 30.0  # of d'; corrected rates stay far below it


@dataclass(frozen=True)
class Detection:
    """Hit rate H = P("different" | different), false alarms F = P("different" | identical), and d'.

    Attributes
    ----------
    hits, false_alarms : float
        Corrected rates, (count + .5) / (n + 1).
    d_prime, low, high : float
        Of the differencing model, with an interval; NaN if one kind of pair was never shown.
    different, identical : int
        Answers to pairs of each kind.
    """

    hits: float
    false_alarms: float
    d_prime: float
    low: float
    high: float
    different: int
    identical: int


def corrected_rate(count: ArrayLike, trials: ArrayLike) -> Floats:
    """(count + .5) / (n + 1), which is never 0 or 1."""
    return (np.asarray(count, np.float64) + 0.5) / (np.asarray(trials, np.float64) + 1)


def d_prime(hits: ArrayLike, false_alarms: ArrayLike) -> Floats:
    """d' of the differencing model, element by element, from rates in (0, 1).

    The criterion k is -√2 z(F / 2); d' solves H = Φ((d' - k) / √2) + Φ((-d' - k) / √2). It is 0 where
    H <= F: no difference was noticed.
    """
    h, f = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(false_alarms, np.float64))
    criterion = -np.sqrt(2) * ndtri(f / 2)
    low, high = np.zeros(h.shape), np.full(h.shape, _LARGEST)
    for _ in range(55):  # bisection, to 1e-15
        middle = (low + high) / 2
        rate = ndtr((middle - criterion) / np.sqrt(2)) + ndtr((-middle - criterion) / np.sqrt(2))
        below = rate < h
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.where(h <= f, 0.0, (low + high) / 2)


def of_counts(
    hits: int,
    different: int,
    false_alarms: int,
    identical: int,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    level: float = 0.95,
) -> Detection:
    """One person's d'; its interval comes from rates drawn from their Beta(count + .5, rest + .5)."""
    h, f = float(corrected_rate(hits, different)), float(corrected_rate(false_alarms, identical))
    if not different or not identical:
        nan = float("nan")
        return Detection(h if different else nan, f if identical else nan, nan, nan, nan, different, identical)
    samples = d_prime(
        rng.beta(hits + 0.5, different - hits + 0.5, draws),
        rng.beta(false_alarms + 0.5, identical - false_alarms + 0.5, draws),
    )
    low, high = np.quantile(samples, [0.5 - level / 2, 0.5 + level / 2])
    return Detection(h, f, float(d_prime(h, f)), float(low), float(high), different, identical)


def pooled(
    same: ArrayLike,
    n: ArrayLike,
    identical: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    level: float = 0.95,
) -> Detection:
    """d' of all people together, from "same" votes of n for each pair; its interval draws pairs.

    Pooling people with different criteria makes d' smaller than theirs.

    Parameters
    ----------
    same, n : whole numbers of shape (N,)
    identical : truths of shape (N,)
        Which pairs are identical.
    """
    same_votes, votes, same_pair = (np.asarray(values) for values in (same, n, identical))
    different_votes = votes - same_votes
    if not same_pair.any() or same_pair.all():
        return of_counts(
            int(different_votes[~same_pair].sum()),
            int(votes[~same_pair].sum()),
            int(different_votes[same_pair].sum()),
            int(votes[same_pair].sum()),
            rng=rng,
        )
    rates, samples = [], []
    for kind in (~same_pair, same_pair):
        counts, totals = different_votes[kind], votes[kind]
        rates.append(float(corrected_rate(counts.sum(), totals.sum())))
        times = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=draws)
        samples.append(corrected_rate(times @ counts, times @ totals))
    low, high = np.quantile(d_prime(samples[0], samples[1]), [0.5 - level / 2, 0.5 + level / 2])
    value = float(d_prime(rates[0], rates[1]))
    return Detection(
        rates[0], rates[1], value, float(low), float(high), int(votes[~same_pair].sum()), int(votes[same_pair].sum())
    )
