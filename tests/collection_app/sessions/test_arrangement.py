"""Where sentinels stand in a session: against all arrangements written out, and in many draws."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chisquare

from collection_app.sessions.arrangement import LONGEST_GAP, sentinel_positions


def longest_on_a_circle(chosen: tuple[int, ...], size: int) -> int:
    gaps = [(b - a - 1) % size for a, b in zip(chosen, (*chosen[1:], chosen[0]), strict=True)]
    return max(gaps) if len(chosen) > 1 else size - 1


@pytest.mark.parametrize(
    ("tests", "sentinels", "gap"), [(6, 3, 3), (5, 2, 4), (4, 4, 1), (7, 2, 1), (0, 3, 2), (5, 1, 2)]
)
def test_every_arrangement_that_may_be_is_as_likely_as_any_other(tests: int, sentinels: int, gap: int) -> None:
    size, rng = tests + sentinels, np.random.default_rng(1)
    allowed = max(gap, -(-tests // sentinels))
    wanted = {c for c in combinations(range(size), sentinels) if longest_on_a_circle(c, size) <= allowed}
    draws = 150 * len(wanted)
    seen = Counter(tuple(sentinel_positions(tests, sentinels, rng, gap=gap)) for _ in range(draws))
    assert set(seen) == wanted
    if len(wanted) > 1:
        assert chisquare(list(seen.values())).pvalue > 1e-4


@pytest.mark.parametrize(("tests", "sentinels"), [(85, 15), (160, 40), (160, 72), (60, 7)])
def test_positions_are_even_gaps_short_and_every_twenty_trials_hold_one(tests: int, sentinels: int) -> None:
    rng = np.random.default_rng(2)
    draws = [sentinel_positions(tests, sentinels, rng) for _ in range(1500)]
    for positions in draws:
        assert len(set(positions)) == sentinels
        assert max(np.diff([-1, *positions, tests + sentinels])) - 1 <= LONGEST_GAP
        assert positions[0] < 20
    # No position tells: each holds a sentinel as often as any other.
    count = np.bincount(np.concatenate(draws), minlength=tests + sentinels)
    share = sentinels / (tests + sentinels)
    assert np.abs(count / 1500 - share).max() < 4.5 * np.sqrt(share * (1 - share) / 1500)


def test_too_few_sentinels_are_as_close_as_they_can_be_and_none_are_none() -> None:
    rng = np.random.default_rng(3)
    assert sentinel_positions(30, 0, rng) == []
    for _ in range(50):
        first, second = sentinel_positions(60, 2, rng)
        assert max(second - first - 1, 62 - second + first - 1) == 30
