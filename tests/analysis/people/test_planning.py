"""Planning: simulated studies against the variance that follows from the model."""

import numpy as np
import pytest

from analysis.people.planning import Crowd, plan, simulated_error
from analysis.statistics import betabinomial


@pytest.mark.parametrize("votes", [1, 4])
def test_without_person_effects_the_error_is_that_of_the_model(votes: int) -> None:
    """A metric that always follows the majority: Var(max) between items, max (1 - max) / n within."""
    crowd = Crowd(a=1.0, score=0.75, person_sd=0.0, per_person=50)
    assert betabinomial.ceiling(1.0) == pytest.approx(0.75)
    majority = np.maximum(p := np.random.default_rng(0).random(400_000), 1 - p)
    variance = majority.var() + np.mean(majority * (1 - majority)) / votes
    found = simulated_error(crowd, items=300, votes=votes, rng=np.random.default_rng(1), studies=3000)
    assert found == pytest.approx(np.sqrt(variance / 300), rel=0.05)


def test_people_who_differ_widen_it() -> None:
    errors = [
        simulated_error(Crowd(1.0, 0.7, sd, 100), items=300, votes=5, rng=np.random.default_rng(0), studies=1000)
        for sd in (0.0, 0.1)
    ]
    assert errors[1] == pytest.approx(np.sqrt(errors[0] ** 2 + 0.1**2 / 15), rel=0.1)


def test_a_plan_reaches_the_width_and_more_votes_need_fewer_items() -> None:
    found = plan(Crowd(1.0, 0.7, 0.03, 85), 0.03, rng=np.random.default_rng(0), votes=(2, 5))
    assert [one.votes for one in found] == [2, 5]
    for one in found:
        assert one.half_width == pytest.approx(0.03, rel=0.2)
        assert one.answers == one.items * one.votes
        assert one.people == -(-one.answers // 85)
    assert found[1].items < found[0].items
    assert found == plan(Crowd(1.0, 0.7, 0.03, 85), 0.03, rng=np.random.default_rng(0), votes=(2, 5))


def test_items_alone_promise_too_narrow_an_interval_where_people_differ() -> None:
    """Var = V / items + sd^2 / people; the first term, of p and of votes, is what items alone show."""
    [found] = plan(Crowd(1.0, 0.7, 0.05, 85), 0.015, rng=np.random.default_rng(0), votes=(5,))
    assert found.over_items < 0.95 * found.half_width
    people = 1.96 * 0.05 / np.sqrt(found.people)
    assert found.over_items**2 + people**2 == pytest.approx(found.half_width**2, rel=0.2)
    [alike] = plan(Crowd(1.0, 0.7, 0.0, 85), 0.015, rng=np.random.default_rng(0), votes=(5,))
    assert alike.over_items == pytest.approx(alike.half_width, rel=0.1)
