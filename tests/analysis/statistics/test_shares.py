"""Shares: Wilson's interval against scipy, and no interval beyond 0 and 1."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.intervals import Estimate, Resampling, Sample, means_over_items
from analysis.statistics.shares import of_share, share_of_people, wilson, within


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (250, 1000)])
def test_wilson_equals_scipy(k: int, n: int) -> None:
    low, high = wilson(k, n)
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert tuple(map(float, wilson(0, 0))) == (0, 1)


def test_an_interval_of_a_share_ends_at_0_and_1() -> None:
    assert within(Estimate(0.97, 0.89, 1.04, 0.5, "t")) == Estimate(0.97, 0.89, 1, 0.5, "t")
    assert within(Estimate(0.02, -0.1, 0.1, 0.5, "t"), -1, 1) == Estimate(0.02, -0.1, 0.1, 0.5, "t")
    assert np.isnan(within(Estimate(0.5, np.nan, np.nan, np.nan, "")).low)


@pytest.mark.parametrize("value", [0.2, 0.6, 0.8, 1.0])
@pytest.mark.parametrize("count", [12, 50])
def test_items_that_are_all_alike_give_no_interval_of_no_width(value: float, count: int) -> None:
    """Not even where rounding parts the ends, as it does for twelve items of .8."""
    items = Sample(np.zeros(count, int), np.arange(count), "items")
    found = of_share(means_over_items(np.full(count, value), items, Resampling(100))[0])
    assert np.isnan([found.low, found.high]).all()
    assert found.method.startswith("no interval where all items are alike: ")


def test_a_share_of_people_by_hand() -> None:
    """Three people of ten answers each, 9, 6 and 3 of them right: 18 of 30, whose variance is that of three means."""
    found = share_of_people([9, 6, 3], [10, 10, 10])
    effective = 30 / ((0.3**2 + 0.3**2) / 2 / 3 / (0.6 * 0.4 / 29))
    assert (found.value, found.effective) == (pytest.approx(0.6), pytest.approx(effective))
    z = stats.t.ppf(0.975, 2)
    middle = (0.6 + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = z / (1 + z**2 / effective) * np.sqrt(0.6 * 0.4 / effective + z**2 / (4 * effective**2))
    assert (found.low, found.high) == (pytest.approx(middle - half), pytest.approx(middle + half))
    other_side = share_of_people([1, 4, 7], [10, 10, 10])
    assert (1 - other_side.high, 1 - other_side.low) == (pytest.approx(found.low), pytest.approx(found.high))


def test_an_answer_a_person_is_wilson_with_t() -> None:
    found = share_of_people(np.arange(400) < 100, np.ones(400))
    assert found.effective == pytest.approx(400)
    low, high = wilson(100, 400)
    assert (found.low, found.high) == (pytest.approx(float(low), abs=3e-4), pytest.approx(float(high), abs=3e-4))
    assert found.low < low < high < found.high


def test_people_without_a_trial_change_nothing_and_one_alone_has_no_interval() -> None:
    assert share_of_people([9, 6, 3, 0], [10, 10, 10, 0]) == share_of_people([9, 6, 3], [10, 10, 10])
    alone = share_of_people([9, 0], [10, 0])
    assert alone.value == 0.9
    assert np.isnan([alone.low, alone.high, alone.effective]).all()


def test_where_all_answers_are_the_same_a_person_counts_as_one_answer() -> None:
    found = share_of_people([10] * 20, [10] * 20)
    assert (found.value, found.effective, found.high) == (1, 20, 1)
    assert found.low == pytest.approx(20 / (20 + stats.t.ppf(0.975, 19) ** 2))


def coverage_of_people(
    people: int, share: float, effect: float, studies: int, *, each: int = 40
) -> tuple[float, float]:
    """How often the interval holds the share, and how often Wilson over answers would, people differing by Beta."""
    alike = (effect - 1) / (each - 1)
    held = np.zeros(2)
    for seed in range(studies):
        rng = np.random.default_rng((seed, people))
        n = rng.integers(each // 2, 3 * each // 2, people)
        k = rng.binomial(n, rng.beta(share * (1 / alike - 1), (1 - share) * (1 / alike - 1), people))
        found, (low, high) = share_of_people(k, n), wilson(k.sum(), n.sum())
        held += (found.low <= share <= found.high, bool(low <= share <= high))
    return float(held[0] / studies), float(held[1] / studies)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "effect", "people", "least"),
    [
        *(
            (share, effect, people, 0.94)
            for share, effect in ((0.5, 2.2), (0.5, 10.2), (0.95, 2.2))
            for people in (12, 30, 100)
        ),
        # Of twelve people none may be the one who fails all, and what was not seen has no variance.
        (0.95, 10.2, 12, 0.85),
        (0.95, 10.2, 30, 0.89),
        (0.95, 10.2, 100, 0.92),
    ],
)
def test_intervals_over_people_hold_the_share(share: float, effect: float, people: int, least: float) -> None:
    held, over_answers = coverage_of_people(people, share, effect, 4000)
    print(f"{people} people, share {share}, design effect {effect}: {held:.3f}, over answers {over_answers:.3f}")
    assert held >= least
    assert over_answers < 0.85


def test_intervals_over_people_hold_the_share_in_a_shorter_run() -> None:
    held, over_answers = coverage_of_people(30, 0.5, 10.2, 300)
    assert held >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300)
    assert over_answers < 0.6
