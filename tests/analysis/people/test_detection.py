"""d' of same-different designs: a table's value, an independent solver, and a simulated observer."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import beta, norm

from analysis.people import detection


def solved(h: float, f: float) -> float:
    """The two equations solved one after the other, with nothing in closed form."""
    spread = np.sqrt(2)
    k: Any = brentq(lambda k: 2 * norm.sf(k / spread) - f, 0, 20)
    d: Any = brentq(lambda d: norm.sf((k - d) / spread) + norm.cdf((-k - d) / spread) - h, 0, 20)
    return d


def test_published_value() -> None:
    """Macmillan and Creelman: H = .8 and F = .2 give 3.00, where z(H) - z(F) = 1.68 understates."""
    assert detection.d_prime(0.8, 0.2) == pytest.approx(3.00, abs=0.005)


@pytest.mark.parametrize(("h", "f"), [(0.642, 0.3), (0.75, 0.3), (0.99, 0.01), (0.6, 0.05), (0.31, 0.3)])
def test_equals_an_independent_solver(h: float, f: float) -> None:
    assert detection.d_prime(h, f) == pytest.approx(solved(h, f), abs=1e-9)


@pytest.mark.parametrize(("d", "criterion"), [(1.0, 1.5), (2.5, 2.0), (3.5, 1.0)])
def test_recovers_a_simulated_observer(d: float, criterion: float) -> None:
    rng = np.random.default_rng(0)
    difference = rng.normal(0, np.sqrt(2), (2, 400_000))
    hits = np.mean(np.abs(difference[0] + d) > criterion)
    false_alarms = np.mean(np.abs(difference[1]) > criterion)
    assert detection.d_prime(hits, false_alarms) == pytest.approx(d, abs=0.03)


def test_nothing_noticed_is_zero_and_rates_are_never_extreme() -> None:
    assert detection.d_prime([0.2, 0.3], [0.2, 0.5]).tolist() == [0, 0]
    assert detection.corrected_rate([0, 10], [10, 10]).tolist() == [0.5 / 11, 10.5 / 11]
    found = detection.of_counts(10, 10, 0, 10, rng=np.random.default_rng(0))
    assert np.isfinite([found.d_prime, found.low, found.high]).all()
    assert found.low < found.d_prime


def test_one_kind_of_pair_leaves_d_prime_unknown() -> None:
    found = detection.of_counts(7, 10, 0, 0, rng=np.random.default_rng(0))
    assert found.hits == pytest.approx(7.5 / 11)
    assert np.isnan([found.false_alarms, found.d_prime, found.low]).all()
    pooled = detection.pooled([1, 2], [3, 3], [False, False], rng=np.random.default_rng(0))
    assert (pooled.different, pooled.identical) == (6, 0)
    assert np.isnan(pooled.d_prime)


def test_the_interval_of_a_person_covers() -> None:
    d, criterion = 2.0, 2.0
    h = norm.sf((criterion - d) / np.sqrt(2)) + norm.cdf((-criterion - d) / np.sqrt(2))
    f = 2 * norm.sf(criterion / np.sqrt(2))
    hits = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        found = detection.of_counts(int(rng.binomial(160, h)), 160, int(rng.binomial(32, f)), 32, rng=rng, draws=500)
        hits += found.low <= d <= found.high
    assert 0.91 <= hits / 300 <= 0.99


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_the_interval_of_a_person_is_of_rates_with_half_a_count_more(level: float) -> None:
    """With so few answers 0 or 1 instead of 1/2 would move an end by .2 and more."""
    found = detection.of_counts(9, 10, 1, 10, rng=np.random.default_rng(0), draws=100_000, level=level)
    grid = (np.arange(400) + 0.5) / 400
    drawn = detection.d_prime(*np.meshgrid(beta.ppf(grid, 9.5, 1.5), beta.ppf(grid, 1.5, 9.5)))
    expected = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.05)
    assert found.d_prime == pytest.approx(solved(9.5 / 11, 1.5 / 11))


def test_a_person_who_answers_as_asked_has_the_interval_of_half_a_count() -> None:
    found = detection.of_counts(10, 10, 0, 10, rng=np.random.default_rng(0), draws=100_000)
    grid = (np.arange(400) + 0.5) / 400
    drawn = detection.d_prime(*np.meshgrid(beta.ppf(grid, 10.5, 0.5), beta.ppf(grid, 0.5, 10.5)))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), rel=0.02)


def test_the_interval_of_all_people_draws_pairs_at_the_level() -> None:
    rng = np.random.default_rng(1)
    n, identical = np.full(60, 5), np.arange(60) >= 40
    same = rng.binomial(5, np.where(identical, 0.8, 0.3))
    plain = []
    for _ in range(4000):
        rates = []
        for kind in (~identical, identical):
            drawn = rng.choice(np.flatnonzero(kind), kind.sum())
            rates.append(((n - same)[drawn].sum() + 0.5) / (n[drawn].sum() + 1))
        plain.append(float(detection.d_prime(*rates)))
    for level in (0.95, 0.8):
        found = detection.pooled(same, n, identical, rng=np.random.default_rng(0), draws=4000, level=level)
        expected = np.quantile(plain, [0.5 - level / 2, 0.5 + level / 2])
        assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.05)


def test_pooling_pairs_counts_answers() -> None:
    same = np.array([1, 0, 3, 2, 3])
    n = np.array([3, 3, 3, 3, 3])
    identical = np.array([False, False, False, True, True])
    found = detection.pooled(same, n, identical, rng=np.random.default_rng(0))
    assert (found.hits, found.false_alarms) == pytest.approx((5.5 / 10, 1.5 / 7))
    assert found.d_prime == pytest.approx(float(detection.d_prime(5.5 / 10, 1.5 / 7)))
    assert found.low <= found.d_prime <= found.high


def test_an_interval_is_of_95_percent_and_of_so_many_draws_unless_said() -> None:
    person, all_people = (7, 10, 2, 10), ([1, 0, 3, 2, 3], [3, 3, 3, 3, 3], [False, False, False, True, True])
    one = detection.of_counts(*person, rng=np.random.default_rng(0))
    assert one == detection.of_counts(*person, rng=np.random.default_rng(0), draws=1000, level=0.95)
    together = detection.pooled(*all_people, rng=np.random.default_rng(0))
    assert together == detection.pooled(*all_people, rng=np.random.default_rng(0), draws=2000, level=0.95)
