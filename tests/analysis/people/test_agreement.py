"""Agreement from counts, against the package krippendorff and against every split, one by one."""

from itertools import combinations

import krippendorff
import numpy as np
import pytest

from analysis.people.agreement import krippendorff_alpha, split_half


@pytest.mark.parametrize("seed", range(20))
def test_alpha_equals_the_package_on_sparse_answers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people, items, values = rng.integers(2, 12), rng.integers(3, 60), rng.integers(2, 5)
    answers = rng.integers(0, values, (people, items)).astype(float)
    answers[rng.random(answers.shape) < 0.5] = np.nan
    answers[:2, 0] = [0, 1]  # something pairs, and not all is equal
    counts = np.stack([(answers == value).sum(0) for value in range(values)], axis=1)
    expected = krippendorff.alpha(reliability_data=answers, level_of_measurement="nominal")
    assert krippendorff_alpha(counts).value == pytest.approx(expected, abs=1e-12)


def test_alpha_by_hand() -> None:
    assert krippendorff_alpha([[2, 0], [0, 2]]).value == 1
    # Two items that both split: observed disagreement is all there is, 1 - 3 * 4 / 8.
    assert krippendorff_alpha([[1, 1], [1, 1]]).value == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("counts", "why"),
    [([[1, 0], [0, 1]], "no item has two votes"), ([[3, 0], [2, 0]], "all votes are equal"), ([[1, 0]], "no item")],
)  # fmt: skip
def test_alpha_says_why_it_is_undefined(counts: list[list[int]], why: str) -> None:
    found = krippendorff_alpha(counts)
    assert np.isnan(found.value)
    assert why in found.why_undefined


def test_alpha_does_not_know_which_is_p0() -> None:
    counts = np.random.default_rng(1).integers(0, 5, (40, 2))
    assert krippendorff_alpha(counts).value == pytest.approx(krippendorff_alpha(counts[:, ::-1]).value, abs=1e-12)


def every_split(votes: list[int], centre: float) -> tuple[list[float], list[float]]:
    """Deviations of two halves of n // 2 votes, over every way to choose them."""
    half = len(votes) // 2
    first, second = [], []
    for one in combinations(range(len(votes)), half):
        rest = [k for k in range(len(votes)) if k not in one]
        for other in combinations(rest, half):
            first.append(sum(votes[k] for k in one) / half - centre)
            second.append(sum(votes[k] for k in other) / half - centre)
    return first, second


@pytest.mark.parametrize("about_half", [True, False])
def test_split_half_equals_all_splits_one_by_one(about_half: bool) -> None:
    k, n = [0, 4, 3, 1, 2, 5, 5, 0], [4, 5, 4, 4, 5, 5, 5, 4]
    centre = 0.5 if about_half else float(np.mean(np.array(k) / n))
    products, squares = [], []
    for votes, count in zip(k, n, strict=True):
        first, second = every_split([1] * votes + [0] * (count - votes), centre)
        products.append(np.mean(np.multiply(first, second)))
        squares.append(np.mean(np.square(first)))
    found = split_half(k, n, about_half=about_half)
    assert found.halves == pytest.approx(np.mean(products) / np.mean(squares), abs=1e-12)


def test_reliability_of_all_votes_is_what_two_studies_show() -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(0.6, 0.6, 50_000)
    one, two = rng.binomial(6, p), rng.binomial(6, p)
    found = split_half(one, np.full(len(p), 6), about_half=True)
    assert found.all_votes == pytest.approx(np.corrcoef(one, two)[0, 1], abs=0.01)


def test_split_half_is_undefined_without_pairs_and_full_without_doubt() -> None:
    assert np.isnan(split_half([1, 0], [1, 1], about_half=True).halves)
    assert split_half([5, 0, 5], [5, 5, 5], about_half=True).halves == pytest.approx(1)
    assert np.isnan(split_half([5, 5], [5, 5], about_half=False).halves)


@pytest.mark.parametrize(("split", "unanimous"), [(9, 0), (19, 2), (9, 2), (9, 3), (1, 9)])
def test_what_all_votes_would_correlate_by_is_a_correlation_or_nothing(split: int, unanimous: int) -> None:
    """Items of three votes, whose halves have one: stepped up threefold, halves below -1/5 would go beyond -1."""
    k, n = [1] * split + [3] * unanimous, [3] * (split + unanimous)
    found = split_half(k, n, about_half=True)
    assert found.halves == pytest.approx((unanimous - split / 3) / (split + unanimous))
    stepped_up = 3 * found.halves / (1 + 2 * found.halves)
    assert found.all_votes == pytest.approx(stepped_up if stepped_up >= -1 else np.nan, nan_ok=True)
    assert np.isnan(found.all_votes) == (found.halves < -1 / 5)
