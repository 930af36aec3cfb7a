"""Where sentinels stand in a session: against all arrangements written out, and in many draws."""

from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare
from sqlalchemy import Connection, Engine, select

from collection_app.database.connections import write
from collection_app.database.models import Item
from collection_app.sessions.arrangement import LONGEST_GAP, longest_gap, sentinel_positions
from collection_app.sessions.trials import draw_trials
from collection_app.studies.presets import preset


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


@pytest.mark.parametrize(
    ("tests", "sentinels", "training"),
    [(85, 15, 5), (160, 40, 10), (160, 72, 5), (160, 84, 10), (60, 7, 0), (60, 7, 10), (60, 7, 8)],
)
def test_positions_are_even_gaps_short_and_the_first_twenty_trials_hold_one(
    tests: int, sentinels: int, training: int
) -> None:
    rng = np.random.default_rng(2)
    draws = [sentinel_positions(tests, sentinels, rng, gap=longest_gap(training)) for _ in range(1500)]
    for positions in draws:
        assert len(set(positions)) == sentinels
        assert max(np.diff([-1, *positions, tests + sentinels])) - 1 <= LONGEST_GAP
        assert training + positions[0] < 20
    # No position tells: each holds a sentinel as often as any other.
    count = np.bincount(np.concatenate(draws), minlength=tests + sentinels)
    share = sentinels / (tests + sentinels)
    assert np.abs(count / 1500 - share).max() < 4.5 * np.sqrt(share * (1 - share) / 1500)


def test_a_session_counts_its_training_among_the_first_twenty_trials(
    engine: Engine, place: Any, make_set: Any, tmp_path: Path
) -> None:
    """After ten trials of training the first sentinel could be trial 25."""
    study = preset(
        "paper-jnd",
        items_per_session=30,
        answers_per_item={"jnd": 100},
        sentinels={"rules": [{"check": "identical", "count": 4, "at_least": 2}]},
        training={"same": 4, "different": 1, "distorted": 5},
    )
    here = place(engine, study, make_set(tmp_path / "set", task="jnd", count=30))
    rng = np.random.default_rng(4)

    def roles(connection: Connection) -> list[str]:
        trials = draw_trials(connection, study, here.installed.study_id, participant_id=0, first=True, rng=rng)
        ids = [place.item_id for place, _ in trials]
        of = {row.id: row.role for row in connection.execute(select(Item.id, Item.role))}
        return [of[item] for item in ids]

    for _ in range(40):
        drawn = write(engine, roles)
        assert drawn[:10] == ["training"] * 10
        assert "sentinel" in drawn[:20]


def test_much_training_does_not_make_sentinels_regular() -> None:
    rng = np.random.default_rng(5)
    gaps = [sentinel_positions(85, 15, rng, gap=longest_gap(30)) for _ in range(200)]
    assert {longest_gap(training) for training in range(11, 40)} == {9}
    assert len({tuple(np.diff(positions)) for positions in gaps}) > 190


def test_too_few_sentinels_are_as_close_as_they_can_be_and_none_are_none() -> None:
    rng = np.random.default_rng(3)
    assert sentinel_positions(30, 0, rng) == []
    for _ in range(50):
        first, second = sentinel_positions(60, 2, rng)
        assert max(second - first - 1, 62 - second + first - 1) == 30
