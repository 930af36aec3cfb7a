"""The beta-binomial: formulas against integrals, the fit against scipy's optimiser and planted truth."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import beta, betabinom, kstest

from analysis.statistics import betabinomial


@pytest.mark.parametrize("a", [0.3, 1.0, 2.5, 40.0])
def test_what_follows_from_a_equals_the_integrals(a: float) -> None:
    upper = quad(lambda p: 2 * p * beta.pdf(p, a, a), 0.5, 1)[0]
    assert betabinomial.ceiling(a) == pytest.approx(upper, abs=1e-6)
    pairs = quad(lambda p: (p**2 + (1 - p) ** 2) * 2 * beta.pdf(p, a, a), 0.5, 1)[0]
    assert betabinomial.agreement(a) == pytest.approx(pairs, abs=1e-6)


@pytest.mark.parametrize("a", [0.4, 1.0, 3.0])
def test_the_fit_is_the_optimum_and_near_the_truth(a: float) -> None:
    rng = np.random.default_rng(7)
    n = rng.integers(2, 8, 4000)
    k = betabinomial.draw_counts(a, n, rng)
    found = betabinomial.fit(k, n)
    best: Any = minimize_scalar(
        lambda x: -np.sum(betabinom.logpmf(k, n, np.exp(x), np.exp(x))), bounds=(-3, 3), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    assert np.log(found.a) == pytest.approx(best.x, abs=1e-5)
    assert found.ceiling == pytest.approx(float(betabinomial.ceiling(a)), abs=0.015)
    assert not found.at_bound


def test_the_fit_does_not_know_which_is_p0_and_leaves_single_votes_out() -> None:
    rng = np.random.default_rng(1)
    n = np.full(500, 5)
    k = betabinomial.draw_counts(0.8, n, rng)
    swapped = np.where(rng.random(500) < 0.5, n - k, k)
    assert betabinomial.fit(swapped, n) == betabinomial.fit(k, n)
    assert betabinomial.fit(np.r_[k, 1, 0], np.r_[n, 1, 1]) == betabinomial.fit(k, n)


def test_the_bounds_are_said() -> None:
    unanimous = betabinomial.fit([5, 0, 5], [5, 5, 5])
    assert unanimous.at_bound
    assert unanimous.ceiling == pytest.approx(1, abs=1e-4)
    assert betabinomial.fit([1] * 9, [2] * 9).at_bound  # always split: less spread than a coin
    with pytest.raises(ValueError, match="no item has two votes"):
        betabinomial.fit([1, 0], [1, 1])


def p_of_model(a: float, votes: tuple[int, int], seed: int) -> float:
    """The p-value of data from the model itself, items having from `votes[0]` to `votes[1]` votes."""
    rng = np.random.default_rng(seed)
    n = rng.integers(votes[0], votes[1] + 1, 300)
    return betabinomial.goodness_of_fit(betabinomial.draw_counts(a, n, rng), n, draws=199, rng=rng)


@pytest.mark.parametrize("draws", [60, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("a", "votes"), [(0.6, (2, 7)), (1.5, (5, 5))])
def test_the_p_value_of_the_model_is_uniform_whatever_the_numbers_of_votes(
    a: float, votes: tuple[int, int], draws: int
) -> None:
    found = [p_of_model(a, votes, seed) for seed in range(1000, 1000 + draws)]
    assert kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)


def test_what_is_not_of_the_model_is_found() -> None:
    """Half of the items are coin flips, half all but unanimous."""
    rng = np.random.default_rng(0)
    n = rng.integers(6, 10, 800)
    k = rng.binomial(n, np.where(rng.random(800) < 0.5, 0.5, 0.97))
    assert betabinomial.goodness_of_fit(k, n, draws=199, rng=rng) == pytest.approx(1 / 200)


def test_the_p_value_repeats_and_knows_the_ratio_of_likelihoods() -> None:
    """With two votes an item the model fits any shares up to half split exactly, so none fits better."""
    rng = np.random.default_rng(0)
    n = np.full(200, 2)
    k = np.where(np.arange(200) < 60, 1, 2)
    assert betabinomial.goodness_of_fit(k, n, draws=99, rng=rng) > 0.5
    n = np.full(400, 5)
    k = betabinomial.draw_counts(1.0, n, rng)
    first, second = (betabinomial.goodness_of_fit(k, n, draws=99, rng=np.random.default_rng(5)) for _ in range(2))
    assert first == second


def test_the_chances_of_all_cells_of_one_size_sum_to_1() -> None:
    """By two ways of computing them; a cell in the middle has half as many orders as it has sides."""
    n = np.repeat(np.arange(2, 13), np.arange(2, 13) + 1)
    cells = betabinomial._cells(np.concatenate([np.arange(size + 1) for size in range(2, 13)]), n)
    logs = betabinomial._log_likelihood(cells) + cells.log_ways[:, None]
    for size in range(2, 13):
        mine = cells.n == size
        np.testing.assert_allclose(np.exp(logs[mine]).sum(0), 1, rtol=1e-6)
        assert cells.chances(0.7)[mine].sum() == pytest.approx(1)


def test_unequal_votes_from_the_model_fit_it(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "cases" / "consistency-unequal-votes.csv")
    assert table["n"].nunique() > 1
    assert betabinomial.goodness_of_fit(table["k"], table["n"], draws=999, rng=np.random.default_rng(0)) > 0.05


def test_where_the_likelihood_rises_up_to_an_edge_the_fit_is_that_edge() -> None:
    """There is no parabola through an edge and one neighbour."""
    assert betabinomial.fit([5, 0, 5, 3], [5, 5, 5, 3]).a == pytest.approx(1e-5, rel=1e-9)
    assert betabinomial.fit([1] * 9, [2] * 9).a == pytest.approx(1e4, rel=1e-9)
