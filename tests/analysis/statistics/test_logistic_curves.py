"""Logistic curves through points: planted ones, and no better curve than that of many random starts."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares

from analysis.statistics import logistic_curves
from analysis.statistics.logistic_curves import logistic_fit

Floats = NDArray[np.float64]


def curve(parameters: Floats, x: Floats) -> Floats:
    low, high, middle, log_width = parameters
    return (low + high) / 2 + (high - low) / 2 * np.tanh((x - middle) / 2 / np.exp(np.clip(log_width, -20, 8)))


def test_the_fit_finds_a_planted_curve() -> None:
    x = np.random.default_rng(0).normal(size=500)
    for planted in ([2, 7, 0.4, np.log(0.3)], [7, 2, -1, np.log(0.8)]):
        y = curve(np.array(planted), x)
        fitted = logistic_fit(x, y)
        assert fitted.converged
        np.testing.assert_allclose(fitted.curve, y, atol=1e-6)
        np.testing.assert_allclose(fitted.parameters, planted, atol=1e-5)
        again = logistic_fit(x, y, start=fitted.parameters + 0.05)
        np.testing.assert_allclose(again.curve, y, atol=1e-6)


def test_the_fit_is_monotone_on_noise() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 200))
    steps = np.diff(logistic_fit(x, y).curve[np.argsort(x)])
    assert (steps >= -1e-12).all() or (steps <= 1e-12).all()


def test_values_that_are_all_the_same_have_a_level_curve() -> None:
    fitted = logistic_fit(np.full(6, 0.5), np.arange(6.0))
    assert fitted.converged
    assert list(fitted.curve) == [2.5] * 6
    assert list(fitted.parameters[:2]) == [2.5, 2.5]


@pytest.mark.parametrize("gap", [1.0, 1e-4])
def test_a_step_is_found_wherever_it_stands(gap: float) -> None:
    """Among more points than the grid has places, and between points that lie close together."""
    x = np.append(np.linspace(-3, 0, 400), np.linspace(gap, gap + 3, 100))
    for y in (np.where(x > 0, 3.0, 1.0), np.where(x > 0, 1.0, 3.0)):
        np.testing.assert_allclose(logistic_fit(x, y).curve, y, atol=1e-9)
        y = np.where(x == 0, 2.2, y)
        np.testing.assert_allclose(logistic_fit(x, y).curve, y, atol=1e-6)


def test_a_curve_that_bends_outside_the_points_is_found() -> None:
    """Where one end lies far away it is all but an exponential; where both do, all but a line."""
    x = np.linspace(-2, 2, 60)
    for y in (np.exp(x), -np.exp(-1.5 * x), np.exp(-3 * x)):
        assert ((logistic_fit(x, y).curve - y) ** 2).mean() < 1e-5 * y.var()
    assert ((logistic_fit(x, 3 * x).curve - 3 * x) ** 2).mean() < 1e-5 * (3 * x).var()


@pytest.mark.parametrize("at_a_time", [1, 150, 1_000_000])
def test_for_a_middle_and_a_width_the_ends_are_those_of_a_regression(
    at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logistic_curves, "_SHARES_AT_A_TIME", at_a_time)
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 30))
    middles, widths = rng.normal(size=12), rng.uniform(0.1, 2, 12)
    low, high, error = logistic_curves._projected(x, y, middles, widths)
    for k, (middle, width) in enumerate(zip(middles, widths, strict=True)):
        share = 1 / (1 + np.exp(-(x - middle) / width))
        ends, squares, *_ = np.linalg.lstsq(np.stack([1 - share, share], axis=1), y, rcond=None)
        assert (low[k], high[k], error[k]) == pytest.approx((*ends, *squares))
    [low, high, error] = logistic_curves._projected(x, y, np.array([99.0]), np.array([0.1]))
    assert (low[0], high[0], error[0]) == pytest.approx((y.mean(), y.mean(), 30 * y.var()))  # no point is beyond it


@pytest.mark.parametrize("seed", range(6))
def test_the_best_steps_are_those_of_a_loop(seed: int) -> None:
    """Steps between points and steps with a point on the way, each with the squared error of the levels' means."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 24, 40) / 2.0, rng.normal(size=40)
    points = np.unique(x)

    def error(groups: list[Floats]) -> float:
        return sum(float(((group - group.mean()) ** 2).sum()) for group in groups)

    between = [error([y[x <= point], y[x > point]]) for point in points[:-1]]
    on_the_way = []
    for point in points[1:-1]:
        groups = [y[x < point], y[x == point], y[x > point]]
        means = [group.mean() for group in groups]
        if means in (sorted(means), sorted(means)[::-1]):
            on_the_way.append(error(groups))
    middles, widths = logistic_curves._steps(x, y)
    found = logistic_curves._projected(x, y, middles, widths)[2]
    best = [*sorted(between)[: logistic_curves._BEST_STEPS], *sorted(on_the_way)[: logistic_curves._BEST_STEPS]]
    np.testing.assert_allclose(found, best, rtol=1e-6)


def test_middles_are_points_and_halves_and_spread_evenly_where_there_are_many() -> None:
    np.testing.assert_array_equal(logistic_curves._middles(np.array([3.0, 1, 1, 2])), [1, 1.5, 2, 2.5, 3])
    many = logistic_curves._middles(np.append(np.arange(1000.0), 1e9))
    assert len(many) == logistic_curves._MOST_MIDDLES
    assert (many[0], many[-1]) == (0, 1e9)
    assert np.diff(many[:-1]).max() <= 1000 / 256 + 0.5
    assert set(many[:-1] % 0.5) == {0}


def noisy(seed: int) -> tuple[Floats, Floats]:
    """Scores about a planted curve: few and many, even and skewed values, either direction, little and much noise."""
    rng = np.random.default_rng(seed)
    count = int(rng.choice([8, 12, 20, 40, 80, 200]))
    x = [rng.normal(size=count), rng.uniform(-1, 1, count), rng.lognormal(sigma=1.5, size=count)][seed % 3]
    x = (x - np.median(x)) / np.subtract(*np.quantile(x, [0.75, 0.25])) * 1.35
    planted = np.array([50, 50 + rng.choice([-20, 20]), rng.choice(x), rng.uniform(-2.5, 1)])
    return x, curve(planted, x) + rng.choice([1, 5, 20, 60]) * rng.normal(size=count)


def slopes(parameters: Floats, x: Floats) -> Floats:
    low, high, middle, log_width = parameters
    width = np.exp(np.clip(log_width, -20, 8))
    bent = np.tanh((x - middle) / 2 / width)
    steep = (high - low) / 4 * (1 - bent**2) / width
    return np.stack([(1 - bent) / 2, (1 + bent) / 2, -steep, -steep * (x - middle)], axis=1)


def least_error(x: Floats, y: Floats, starts: int, seed: int) -> float:
    """Of least squares from random starts: two scores, near a value, some width."""
    rng = np.random.default_rng((seed, 1))
    errors = []
    for _ in range(starts):
        start = [*rng.choice(y, 2), rng.choice(x) + 0.1 * rng.normal(), rng.uniform(-4, 1.5)]
        fit = least_squares(lambda at: curve(at, x) - y, start, lambda at: slopes(at, x), method="lm")
        errors.append(2 * fit.cost)
    return min(errors)


@pytest.mark.parametrize(
    ("sets", "starts"), [(range(0, 300, 30), 10), pytest.param(range(300), 50, marks=pytest.mark.slow)]
)
def test_no_random_start_finds_a_better_curve(sets: range, starts: int) -> None:
    """Seven starts by hand missed a better curve in 37 of 300 such sets."""
    missed = []
    for seed in sets:
        x, y = noisy(seed)
        error = float(((logistic_fit(x, y).curve - y) ** 2).sum())
        if error > least_error(x, y, starts, seed) + 1e-6 * len(y) * y.var():
            missed.append(seed)
    assert missed == []
