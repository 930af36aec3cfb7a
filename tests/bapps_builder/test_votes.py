"""The arithmetic of votes, against loops over single people."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from bapps_builder.votes import Floats, agreement_paper, majority_share, twoafc_payoff

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
