"""Comparisons of metrics: Holm's correction, letters, and paired differences."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.intervals import Estimate, Resampling, Sample
from analysis.statistics.multiple_comparisons import Comparison, compared, differences, holm, letters, pairs
from analysis.statistics.permutation_tests import compared_means


def comparison(first: str, second: str, p: float) -> Comparison:
    return Comparison(first, second, Estimate(0, 0, 0, p, ""), p)


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, np.nan, 0.6]), [1, np.nan, 1])
    np.testing.assert_allclose(holm([0.02]), [0.02])


def slow_holm(p: list[float]) -> list[float]:
    order = sorted(range(len(p)), key=lambda k: p[k])
    found, so_far = [0.0] * len(p), 0.0
    for step, k in enumerate(order):
        so_far = max(so_far, min(1, (len(p) - step) * p[k]))
        found[k] = so_far
    return found


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_against_a_loop(p: list[float]) -> None:
    np.testing.assert_allclose(holm(p), slow_holm(p))


@given(st.integers(2, 6).flatmap(lambda m: st.tuples(st.just(m), st.lists(st.booleans(), min_size=m * (m - 1) // 2,
                                                                         max_size=m * (m - 1) // 2))))  # fmt: skip
def test_two_metrics_share_a_letter_exactly_if_they_are_not_told_apart(drawn: tuple[int, list[bool]]) -> None:
    count, apart = drawn
    names = [f"m{k}" for k in range(count)]
    all_pairs = list(combinations(names, 2))
    found = letters(
        names, [comparison(a, b, 0.01 if far else 0.5) for (a, b), far in zip(all_pairs, apart, strict=True)]
    )
    assert found["m0"].startswith("a")
    for (a, b), far in zip(all_pairs, apart, strict=True):
        assert bool(set(found[a]) & set(found[b])) != far


def test_letters_of_the_usual_cases() -> None:
    names = ["x", "y", "z"]
    chain = [comparison("x", "y", 0.5), comparison("x", "z", 0.01), comparison("y", "z", 0.5)]
    assert letters(names, chain) == {"x": "a", "y": "ab", "z": "b"}
    assert letters(names, [comparison(a, b, 0.01) for a, b in combinations(names, 2)]) == {"x": "a", "y": "b", "z": "c"}
    assert letters(names, [comparison(a, b, np.nan) for a, b in combinations(names, 2)]) == dict.fromkeys(names, "a")


def test_differences_are_in_the_order_of_pairs() -> None:
    rows = np.array([[1.0, 2], [10, 20], [100, 200]])
    assert differences(rows)[:, 0].tolist() == [-9, -99, -90]
    assert pairs("abc") == [("a", "b"), ("a", "c"), ("b", "c")]


def test_a_planted_difference_is_found_and_a_twin_is_not() -> None:
    rng = np.random.default_rng(0)
    payoff = rng.random(3000)
    rows = np.stack([payoff, payoff + 0.001 * rng.normal(size=3000), payoff - 0.05 + 0.2 * rng.normal(size=3000)])
    sample = Sample(np.zeros(3000, int), np.arange(3000), "items")
    found = compared("abc", compared_means(rows, sample, Resampling(2000)))
    assert [one.p_holm < 0.05 for one in found] == [False, True, True]
    assert found[1].difference.low <= 0.05 <= found[1].difference.high
    assert found[0].difference.high - found[0].difference.low < 0.001
    assert letters("abc", found) == {"a": "a", "b": "a", "c": "b"}


def test_the_p_value_of_no_difference_is_uniform() -> None:
    sample = Sample(np.zeros(200, int), np.arange(200), "items")
    p = [
        compared_means(np.random.default_rng(seed).normal(size=(2, 200)), sample, Resampling(1000, seed))[0].p
        for seed in range(400)
    ]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.08)
