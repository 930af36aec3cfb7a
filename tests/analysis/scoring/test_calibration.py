"""Bets on votes: the fit against scipy, and planted links."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from analysis.scoring.calibration import BINS, CHANCE, calibrate


def planted(beta: float, *, count: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    d0, d1 = rng.gamma(2, size=(2, count))
    n = rng.integers(1, 8, count)
    return d0, d1, rng.binomial(n, 1 / (1 + np.exp(-beta * (d0 - d1)))), n


def test_recovers_a_planted_link_and_finds_it_calibrated() -> None:
    found = calibrate(*planted(0.7))
    assert found.beta == pytest.approx(0.7, abs=0.04)
    assert found.error < 0.015
    assert np.all(np.diff(found.bets) > 0)


def test_the_likelihood_is_the_largest_there_is() -> None:
    d0, d1, k, n = planted(0.7)

    def loss(beta: float) -> float:
        """Of all votes, without the ways to order them."""
        p = 1 / (1 + np.exp(-beta * (d0 - d1)))
        ways = binom.logpmf(k, n, 0.5) - n * np.log(0.5)
        return -float((binom.logpmf(k, n, p) - ways).sum() / n.sum())

    best: Any = minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-10})
    assert calibrate(d0, d1, k, n).log_likelihood == pytest.approx(-best.fun, abs=1e-9)


def test_exchanging_and_rescaling_change_nothing() -> None:
    d0, d1, k, n = planted(0.7)
    found, swapped = calibrate(d0, d1, k, n), calibrate(d1, d0, n - k, n)
    assert swapped.log_likelihood == pytest.approx(found.log_likelihood, abs=1e-12)
    assert swapped.error == pytest.approx(found.error, abs=1e-9)
    larger = calibrate(1000 * d0, 1000 * d1, k, n)
    assert larger.log_likelihood == pytest.approx(found.log_likelihood, abs=1e-9)
    assert larger.beta == pytest.approx(found.beta / 1000)


def test_a_metric_that_says_nothing_bets_even() -> None:
    found = calibrate(np.ones(50), np.ones(50), np.arange(50) % 4, np.full(50, 3))
    assert found.log_likelihood == pytest.approx(CHANCE)
    assert round(CHANCE, 6) == -0.693147


def test_a_metric_against_people_bets_against_itself() -> None:
    d0, d1, k, n = planted(0.7)
    found = calibrate(d1, d0, k, n)
    assert found.beta < 0
    assert found.log_likelihood > CHANCE


def test_infinite_distances_are_as_sure_as_the_surest_finite_one() -> None:
    """PSNR of equal images is infinite, negated as a distance."""
    d0, d1 = np.array([-30.0, -np.inf, -20.0, -np.inf]), np.array([-20.0, -30.0, -30.0, -np.inf])
    k, n = np.array([1, 0, 4, 2]), np.full(4, 5)
    finite = calibrate(np.array([-30.0, -30.0, -20.0, -7.0]), np.array([-20.0, -20.0, -30.0, -7.0]), k, n)
    found = calibrate(d0, d1, k, n)
    assert np.isfinite([found.log_likelihood, found.error]).all()
    assert found.log_likelihood == pytest.approx(finite.log_likelihood, abs=1e-9)


def test_bets_are_gathered_in_tenths_from_even_to_certain() -> None:
    d0, d1, k, n = planted(0.7)
    found = calibrate(d0, d1, k, n)
    gathered: list[list[tuple[float, float, float]]] = [[] for _ in range(BINS)]
    for lead, votes, of in zip(d0 - d1, k, n, strict=True):
        p = 1 / (1 + np.exp(-found.beta * lead))
        sure, came = (p, votes) if p >= 0.5 else (1 - p, of - votes)
        number = next(b for b in range(BINS) if sure <= 0.5 + 0.5 * (b + 1) / BINS)
        gathered[number].append((sure * of, came, of))
    totals = [np.sum(some, axis=0) for some in gathered if some]
    np.testing.assert_allclose(found.bets, [bets / of for bets, _, of in totals])
    np.testing.assert_allclose(found.came, [came / of for _, came, of in totals])
    off = sum(abs(bets - came) for bets, came, _ in totals)
    assert found.error == pytest.approx(off / n.sum())
