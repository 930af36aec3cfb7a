"""The arithmetic of votes, against loops over single people."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from bapps_builder.answers.vote_arithmetic import (
    Floats,
    agreement_paper,
    agreement_unbiased,
    majority_left_out,
    majority_share,
    twoafc_payoff,
    votes_of_fractions,
)
from bapps_builder.errors import DatasetError

# Few values, so that ties are common; -inf is the PSNR distance of equal images.
distances = st.sampled_from([-np.inf, -1.5, 0.0, 0.25, 0.5, 2.0])
votes = st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("d0", "d1", "p", "pays"),
    [
        (2.0, 1.0, 0.8, 0.8),
        (1.0, 2.0, 0.8, 0.2),
        (1.0, 1.0, 0.8, 0.5),
        (-np.inf, -np.inf, 1.0, 0.5),
        (-30.0, -np.inf, 1.0, 1.0),
        (1.0, np.nextafter(1.0, 0.0), 1.0, 1.0),
    ],
)
def test_payoff_of_one_item(d0: float, d1: float, p: float, pays: float) -> None:
    assert twoafc_payoff([d0], [d1], [p])[0] == pytest.approx(pays, abs=1e-15)


@given(st.lists(st.tuples(distances, distances, votes), min_size=1, max_size=20))
def test_payoff_is_the_share_of_people_who_chose_as_the_metric(
    items: list[tuple[float, float, tuple[int, int]]],
) -> None:
    found = twoafc_payoff([d0 for d0, _, _ in items], [d1 for _, d1, _ in items], [k / n for _, _, (k, n) in items])
    for pays, (d0, d1, (k, n)) in zip(found, items, strict=True):
        people = [1] * k + [0] * (n - k)
        if d0 == d1:
            assert pays == 0.5
        else:
            agreeing = sum(choice == (1 if d1 < d0 else 0) for choice in people)
            assert pays == pytest.approx(agreeing / n, abs=1e-12)


@given(votes)
def test_paper_agreement_is_that_of_two_draws_with_replacement(counts: tuple[int, int]) -> None:
    k, n = counts
    people = [1] * k + [0] * (n - k)
    agreeing = sum(a == b for a in people for b in people)
    assert agreement_paper([k / n])[0] == pytest.approx(agreeing / n**2, abs=1e-12)


@given(votes)
def test_majority_share_is_the_larger_count(counts: tuple[int, int]) -> None:
    k, n = counts
    assert majority_share([k / n])[0] == pytest.approx(max(k, n - k) / n, abs=1e-12)


several = st.integers(2, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(several)
def test_unbiased_agreement_is_that_of_two_different_people(counts: tuple[int, int]) -> None:
    k, n = counts
    people = [1] * k + [0] * (n - k)
    pairs = [a == b for i, a in enumerate(people) for j, b in enumerate(people) if i != j]
    assert agreement_unbiased([k], [n])[0] == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


@given(several)
def test_a_vote_is_paid_by_the_majority_of_the_others(counts: tuple[int, int]) -> None:
    k, n = counts
    people = [1] * k + [0] * (n - k)
    paid = []
    for i, vote in enumerate(people):
        rest = sum(people[:i] + people[i + 1 :])
        paid.append(0.5 if 2 * rest == n - 1 else float((2 * rest > n - 1) == bool(vote)))
    assert majority_left_out([k], [n])[0] == pytest.approx(sum(paid) / n, abs=1e-12)


@given(several)
def test_exchanging_p0_and_p1_changes_nothing(counts: tuple[int, int]) -> None:
    k, n = counts
    for function in (agreement_unbiased, majority_left_out):
        assert function([k], [n])[0] == pytest.approx(function([n - k], [n])[0], abs=1e-12)


def test_known_agreements() -> None:
    assert agreement_unbiased([5, 0], [5, 7]).tolist() == [1, 1]
    assert agreement_unbiased([1], [2])[0] == 0
    assert np.isnan(agreement_unbiased([1, 0], [1, 1])).all()
    assert np.isnan(majority_left_out([1], [1])[0])


def test_the_paper_form_is_biased_as_the_book_says_and_the_other_is_not() -> None:
    k = np.random.default_rng(3).binomial(5, 0.5, 200_000)
    assert agreement_paper(k / 5).mean() == pytest.approx(0.60, abs=0.002)
    assert majority_share(k / 5).mean() == pytest.approx(0.6875, abs=0.002)
    assert agreement_unbiased(k, np.full(len(k), 5)).mean() == pytest.approx(0.50, abs=0.003)


def test_fractions_become_votes_or_an_error_that_says_how_many_fit() -> None:
    assert votes_of_fractions(np.array([0, 0.6, 1], np.float32), 5).tolist() == [0, 3, 5]
    assert votes_of_fractions([0.3333, 0.6667], 3).tolist() == [1, 2]
    with pytest.raises(DatasetError, match=r"1 of 2 fractions cannot come from 3 votes, the first 0\.2; 5 votes fit"):
        votes_of_fractions([1.0, 0.2], 3)
    with pytest.raises(DatasetError, match="no number of votes up to 100"):
        votes_of_fractions([1 / np.pi], 3)


@pytest.mark.parametrize("function", [agreement_paper, majority_share])
def test_results_are_float64_of_the_input_shape(function: Callable[[ArrayLike], Floats]) -> None:
    found = function(np.array([0.0, 0.5, 1.0], np.float32))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [1.0, 0.5, 1.0])


@pytest.mark.parametrize(
    ("name", "twoafc", "people"),
    [("traditional", 0.7748, 0.80844), ("superres", 0.7119, 0.73601), ("color", 0.6523, 0.68827)],
)
def test_published_scores_of_real_answers(shared_data: Path, name: str, twoafc: float, people: float) -> None:
    table = pd.read_csv(shared_data / "bapps-judgments" / f"{name}.csv.gz")
    d0, d1, p = (table[column].to_numpy() for column in ("d0", "d1", "judge"))
    assert twoafc_payoff(d0, d1, p).mean() == pytest.approx(twoafc, abs=5e-5)
    assert agreement_paper(p).mean() == pytest.approx(people, abs=5e-6)


@pytest.mark.parametrize(
    ("name", "unbiased", "plug_in"),
    [("traditional", 76.06, 85.78), ("superres", 67.00, 80.12), ("color", 61.03, 76.41)],
)
def test_agreement_and_ceiling_of_real_answers(shared_data: Path, name: str, unbiased: float, plug_in: float) -> None:
    p = pd.read_csv(shared_data / "bapps-judgments" / f"{name}.csv.gz")["judge"].to_numpy()
    k = votes_of_fractions(p, 5)
    assert 100 * agreement_unbiased(k, np.full(len(k), 5)).mean() == pytest.approx(unbiased, abs=0.01)
    assert 100 * majority_share(p).mean() == pytest.approx(plug_in, abs=0.01)
