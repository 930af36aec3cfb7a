"""The beta-binomial: formulas against integrals, the fit against scipy's optimiser and planted truth."""

from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import beta, betabinom

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
    assert found.misfit < 0.05


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


def test_the_bootstrap_covers_and_repeats() -> None:
    n = np.full(400, 5)
    truth = float(betabinomial.ceiling(1.0))
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        drawn = betabinomial.bootstrap(betabinomial.draw_counts(1.0, n, rng), n, draws=200, rng=rng)
        low, high = np.quantile(drawn, [0.025, 0.975])
        covered += low <= truth <= high
    assert 180 <= covered <= 199
    k = betabinomial.draw_counts(1.0, n, np.random.default_rng(0))
    first, second = (betabinomial.bootstrap(k, n, draws=20, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
