"""What the best metric could score: bounds against algebra, planted distributions, and thirty real votes an item."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import betabinom, binom

from analysis.statistics import betabinomial
from analysis.statistics.best_metric import _GRID, BestMetric, _npmle, _prices, best_metric, interval
from analysis.statistics.intervals import Resampling, Sample
from bapps_builder.answers.vote_arithmetic import majority_left_out

Ints = NDArray[np.int64]


def of_beta(a: float, n: int, items: int = 10**5) -> tuple[Ints, Ints]:
    """Items whose shares of k of n are those of Beta(a, a), to a hundred-thousandth."""
    counts = np.rint(items * betabinom.pmf(np.arange(n + 1), n, a, a)).astype(int)
    k = np.repeat(np.arange(n + 1), counts)
    return k, np.full(len(k), n)


def as_items(count: int) -> Sample:
    return Sample(np.zeros(count, int), np.arange(count), "items")


@pytest.mark.parametrize("votes", [2, 3])
@pytest.mark.parametrize("a", [0.3, 1.0, 3.0])
def test_two_and_three_votes_tell_the_second_moment_alone(a: float, votes: int) -> None:
    """Of x = 2 max(p, 1 - p) - 1 they tell E x^2 = m; so E x lies between m (x is 0 or 1) and sqrt(m) (x is one)."""
    moment = 2 * float(betabinomial.agreement(a)) - 1
    found = best_metric(*of_beta(a, votes))
    assert found.low == pytest.approx(0.5 + moment / 2, abs=2e-4)
    assert found.high == pytest.approx(0.5 + np.sqrt(moment) / 2, abs=2e-4)
    assert np.isnan(found.npmle)


@pytest.mark.parametrize(("votes", "least", "most"), [(2, 0.10, 0.125), (3, 0.10, 0.125), (5, 0.04, 0.06)])
@pytest.mark.parametrize("a", [0.5, 1.0, 2.0])
def test_bounds_hold_the_truth_and_are_as_wide_as_votes_leave_open(
    a: float, votes: int, least: float, most: float
) -> None:
    found, truth = best_metric(*of_beta(a, votes)), float(betabinomial.ceiling(a))
    assert found.low - 1e-4 <= truth <= found.high + 1e-4
    assert least <= found.high - found.low <= most


@pytest.mark.parametrize("a", [0.5, 1.0, 2.0])
def test_thirty_votes_of_endless_items_leave_little_open(a: float) -> None:
    rows = np.arange(16)[:, None]
    chances = binom.pmf(rows, 30, _GRID) + np.where(rows == 15, 0, binom.pmf(30 - rows, 30, _GRID))
    shares = chances @ _npmle(chances, betabinom.pmf(rows[:, 0], 30, a, a) * np.where(rows[:, 0] == 15, 1, 2))
    low, high = (sign * _prices(sign * _GRID, chances, shares, np.zeros(16)) @ np.append(shares, 1) for sign in (1, -1))
    assert low <= float(betabinomial.ceiling(a)) <= high
    assert 0.0015 <= high - low <= 0.0042


def test_the_likeliest_distribution_is_the_optimum_of_another_optimiser() -> None:
    rng = np.random.default_rng(0)
    k = rng.binomial(12, rng.choice([0.5, 0.8, 0.95], 500))
    least = np.minimum(k, 12 - k)
    counts = np.bincount(least, minlength=7).astype(float)
    rows = np.arange(7)[:, None]
    chances = binom.pmf(rows, 12, _GRID) + np.where(rows == 6, 0, binom.pmf(12 - rows, 12, _GRID))
    weights = _npmle(chances, counts)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    mine = counts @ np.log(chances @ weights)

    def loss(at: NDArray[np.float64]) -> float:
        shares = np.exp(at - at.max())
        return -float(counts @ np.log(chances[:, ::10] @ (shares / shares.sum())))

    other = minimize(loss, np.zeros(21), method="BFGS")
    assert mine >= -other.fun - 1e-6
    assert mine == pytest.approx(-other.fun, abs=0.1)  # its grid is coarser


def test_neither_sides_nor_the_order_of_items_matter() -> None:
    rng = np.random.default_rng(1)
    n = rng.integers(2, 9, 300)
    k = betabinomial.draw_counts(0.8, n, rng)
    order = rng.permutation(300)
    first, second = best_metric(k, n), best_metric((n - k)[order], n[order])
    assert (first.low, first.high) == pytest.approx((second.low, second.high), abs=1e-9)
    np.testing.assert_allclose(first.influence[:, order], second.influence, atol=1e-6)
    with pytest.raises(ValueError, match="at least two votes"):
        best_metric([1, 1], [2, 1])


def test_unanimous_items_leave_nothing_open_and_show_no_spread() -> None:
    found = best_metric([5, 0, 5], [5, 5, 5])
    assert (found.low, found.high) == pytest.approx((1, 1), abs=1e-6)
    assert np.isnan(interval(found, as_items(3), Resampling(draws=200))).all()


def covered(a: float, votes: tuple[int, int], repeats: int) -> tuple[float, float]:
    """How often the interval holds the truth, and its width over that of the bounds with two standard errors."""
    truth, hits, found, widths = float(betabinomial.ceiling(a)), 0, [], []
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        n = rng.integers(votes[0], votes[1] + 1, 400)
        one = best_metric(betabinomial.draw_counts(a, n, rng), n)
        low, high = interval(one, as_items(400), Resampling(draws=400, seed=seed))
        hits += low <= truth <= high
        found.append((one.low, one.high))
        widths.append(high - low)
    (low, high), errors = np.mean(found, 0), np.std(found, 0)
    return hits / repeats, float(np.mean(widths) / (high - low + 2 * errors.sum()))


@pytest.mark.parametrize("repeats", [12, pytest.param(150, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("a", "votes"), [(0.5, (2, 2)), (2.0, (5, 5)), (0.5, (30, 30)), (1.0, (4, 6))])
def test_intervals_hold_the_truth(a: float, votes: tuple[int, int], repeats: int) -> None:
    share, width = covered(a, votes, repeats)
    assert share >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / repeats)
    assert width < 1.35 if repeats > 100 else width < 2


@pytest.fixture(scope="module")
def shapes(shared_data: Path) -> tuple[Ints, Ints]:
    """800 trials of thirty people each."""
    table = pd.read_csv(shared_data / "shape-votes" / "raw_data.csv")
    k = table["$Resp"].eq("Right").astype(int).groupby(table["$Image"]).sum().to_numpy()
    return np.asarray(k, np.int64), np.full(len(k), 30)


def test_thirty_real_votes_are_not_below_others_majority(shapes: tuple[Ints, Ints]) -> None:
    k, n = shapes
    found = best_metric(k, n)
    others = majority_left_out(k, n).mean()
    assert others == pytest.approx(0.8077, abs=5e-5)
    assert betabinomial.fit(k, n).ceiling == pytest.approx(0.7886, abs=5e-5)  # a symmetric beta is the wrong family
    assert others <= found.low <= found.npmle <= found.high
    assert 0.002 <= found.high - found.low <= 0.0045
    low, high = interval(found, as_items(len(k)), Resampling(draws=2000))
    assert low < found.low
    assert found.high < high


@pytest.mark.parametrize("votes", [2, 3, 5])
def test_votes_thinned_give_an_interval_that_holds_the_value_of_all(shapes: tuple[Ints, Ints], votes: int) -> None:
    k, n = shapes
    whole = best_metric(k, n).npmle
    for seed in range(20):
        thinned = np.random.default_rng(seed).hypergeometric(k, n - k, votes)
        found = best_metric(thinned, np.full(len(k), votes))
        low, high = interval(found, as_items(len(k)), Resampling(draws=500))
        assert low <= whole <= high
        assert isinstance(found, BestMetric)
