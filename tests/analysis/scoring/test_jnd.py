"""The JND score against a slow computation from the definition, and real votes."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.scoring import jnd


def slow_average_precision(distance: list[float], same: list[float]) -> float:
    """VOC 2010's area, point by point: at each step of recall, the best precision from there on."""
    order = sorted(range(len(distance)), key=lambda k: distance[k])  # Python's sort is stable
    points = []
    hits = misses = 0.0
    for k in order:
        hits += same[k]
        misses += 1 - same[k]
        points.append((hits / sum(same), hits / (hits + misses)))
    area, reached = 0.0, 0.0
    for k, (recall, _) in enumerate(points):
        area += (recall - reached) * max(precision for _, precision in points[k:])
        reached = recall
    return area


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_slow_area(seed: int) -> None:
    rng = np.random.default_rng(seed)
    distance = rng.integers(0, 30, 80) / 7  # many ties
    same = rng.integers(0, 4, 80) / 3
    assert jnd.average_precision(distance, same) == pytest.approx(slow_average_precision(list(distance), list(same)))


def test_real_votes(shared_data: Path) -> None:
    folder = shared_data / "jnd-shift-study"
    distance = np.load(folder / "pim1_user_jnd_ds.npy").ravel()
    same = np.load(folder / "pim1_user_jnd_sames.npy").ravel()
    votes = json.loads((folder / "user_jnd.json").read_text())
    assert len(distance) == len(same) == len(votes) == 301
    assert sorted(np.round(same, 6)) == sorted(round(float(np.mean(v)), 6) for v in votes.values())
    found = jnd.average_precision(distance, same)
    assert found == pytest.approx(0.77089, abs=5e-6)
    assert found == pytest.approx(slow_average_precision(list(distance), list(same)), abs=1e-12)


def test_perfect_and_worst_order() -> None:
    assert jnd.average_precision([1, 2, 3, 4], [1, 1, 0, 0]) == 1
    assert jnd.average_precision([4, 3, 2, 1], [1, 1, 0, 0]) == pytest.approx(0.5)  # envelope: 2 of 4 at the end
    assert np.isnan(jnd.average_precision([1, 2], [0, 0]))


def test_ties_do_not_depend_on_order() -> None:
    rng = np.random.default_rng(1)
    distance = rng.integers(0, 5, 60)
    same = rng.integers(0, 4, 60) / 3
    shuffled = rng.permutation(60)
    assert jnd.average_precision_of_ties(distance, same) == pytest.approx(
        jnd.average_precision_of_ties(distance[shuffled], same[shuffled])
    )
    assert jnd.average_precision(distance, same) != jnd.average_precision(distance[shuffled], same[shuffled])


def test_ties_by_hand() -> None:
    """All at one distance: every position holds the mean, so precision is the base rate throughout."""
    assert jnd.average_precision_of_ties([1, 1, 1, 1], [1, 0, 0, 0]) == pytest.approx(0.25)
    assert jnd.average_precision([1, 1, 1, 1], [1, 0, 0, 0]) == 1


def test_without_ties_both_are_equal() -> None:
    rng = np.random.default_rng(2)
    distance, same = rng.permutation(50), rng.integers(0, 4, 50) / 3
    assert jnd.average_precision_of_ties(distance, same) == pytest.approx(jnd.average_precision(distance, same))


def slow_weighted(distance: list[float], same: list[float], weights: list[int]) -> float:
    """The area point by point, a pair of weight w being one step of w answers."""
    order = sorted(range(len(distance)), key=lambda k: distance[k])
    points, hits, seen = [], 0.0, 0.0
    for k in order:
        hits += weights[k] * same[k]
        seen += weights[k]
        points.append((hits, hits / seen if seen else 0.0))
    area, reached = 0.0, 0.0
    for k, (found, _) in enumerate(points):
        area += (found - reached) / hits * max(precision for _, precision in points[k:])
        reached = found
    return area


@pytest.mark.parametrize("ties_averaged", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_resample_counts_pairs_by_weight(seed: int, ties_averaged: bool) -> None:
    rng = np.random.default_rng(seed)
    distance = rng.integers(0, 12, 50) / 7
    same = rng.integers(0, 4, 50) / 3
    weights = rng.integers(0, 4, (6, 50))
    weights[0] = 1
    found = jnd.resampled_average_precision(distance, same, weights, ties_averaged=ties_averaged)
    score = jnd.average_precision_of_ties if ties_averaged else jnd.average_precision
    assert found[0] == pytest.approx(score(distance, same), abs=1e-12)
    for value, times in zip(found, weights, strict=True):
        rows = np.repeat(np.arange(50), times)
        assert value == pytest.approx(score(distance[rows], same[rows]), abs=0.02)  # its own steps are finer
        totals = [max(1, times[distance == d].sum()) for d in distance]
        means = [(same * times)[distance == d].sum() / n for d, n in zip(distance, totals, strict=True)]
        paid = means if ties_averaged else same
        assert value == pytest.approx(slow_weighted(list(distance), list(paid), list(times)), abs=1e-12)


def test_a_resample_without_anything_the_same_is_undefined() -> None:
    assert np.isnan(jnd.resampled_average_precision([1, 2], [0, 1], [[1, 0]])).all()


def test_ties_stand_in_the_order_of_the_pairs_unless_they_are_to_be_averaged() -> None:
    """Of two pairs at one distance the first was called the same: precision 1, or half of the pairs."""
    assert jnd.resampled_average_precision([1, 1], [1, 0], np.ones((1, 2))).tolist() == [1]
    assert jnd.resampled_average_precision([1, 1], [1, 0], np.ones((1, 2)), ties_averaged=True).tolist() == [0.5]


@pytest.mark.parametrize("seed", range(4))
def test_metrics_that_exchange_ranks_against_a_loop(seed: int) -> None:
    """Each ranking is built anew, pair by pair; of two pairs at one rank the first metric's comes first."""
    rng = np.random.default_rng(seed)
    first, second, same = rng.integers(0, 12, 40) / 7, rng.random(40), rng.integers(0, 4, 40) / 3
    exchanged = rng.random((5, 40)) < 0.5
    exchanged[0] = False
    found = jnd.difference_of_exchanged(first, second, same, exchanged)
    assert found[0] == pytest.approx(jnd.average_precision(first, same) - jnd.average_precision(second, same))
    seats = [[sorted(range(40), key=lambda k: one[k]).index(pair) for pair in range(40)] for one in (first, second)]
    for value, swap in zip(found, exchanged, strict=True):
        rankings = [
            [seats[metric][pair] + metric / 2 for pair, metric in enumerate(whose)] for whose in (1 * swap, 1 - swap)
        ]
        one, other = (slow_average_precision(ranking, list(same)) for ranking in rankings)
        assert value == pytest.approx(one - other, abs=1e-12)
    np.testing.assert_allclose(jnd.difference_of_exchanged(first, second, same, ~exchanged), -found, atol=1e-12)


def test_ranks_of_ties_keep_their_order() -> None:
    assert jnd.ranks([0.3, 0.1, 0.3, 0.2]).tolist() == [2, 0, 3, 1]
