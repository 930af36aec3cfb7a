"""Before spending: how many answers an item and how many items give an interval as narrow as wanted.

Studies are simulated: items from the fitted Beta(a, a), a metric that picks the majority's side often
enough to reach the expected score, and people who agree with it more or less than others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from analysis.statistics import betabinomial

Floats = NDArray[np.float64]

VOTES = (1, 2, 3, 5, 8)
_STUDIES = 300
_PILOT = 425  # items; five people's worth, if each gives 85 answers
_ANSWERS = 2_000_000  # simulated at a time
_MOST_ITEMS = 100_000


@dataclass(frozen=True)
class Crowd:
    """What a simulated study is like.

    Attributes
    ----------
    a : float
        Of the beta-binomial of the items (see `betabinomial`).
    score : float
        The 2AFC score of the metric, between 1/2 and the ceiling.
    person_sd : float
        Standard deviation, over people, of their agreement with the metric.
    per_person : int
        Answers one person gives.
    """

    a: float
    score: float
    person_sd: float
    per_person: int


@dataclass(frozen=True)
class Plan:
    """A study that is wide enough.

    Attributes
    ----------
    votes, items, answers, people : int
    half_width : float
        Half the interval of the score in simulated studies of this very size, over items and people.
    over_items : float
        Half the interval that the same studies would give over items alone.
    """

    votes: int
    items: int
    answers: int
    people: int
    half_width: float
    over_items: float


def plan(
    crowd: Crowd,
    half_width: float,
    *,
    rng: np.random.Generator,
    votes: Sequence[int] = VOTES,
    level: float = 0.95,
) -> list[Plan]:
    """Give, for each number of votes an item, the smallest study with the wanted half-width."""
    plans = []
    z = float(norm.ppf(0.5 + level / 2))
    for number in votes:
        # The variance is proportional to 1 / items, so one small study, simulated often, tells the size.
        pilot = z * simulated_error(crowd, items=_PILOT, votes=number, rng=rng, studies=10 * _STUDIES)
        items = int(np.clip(np.ceil(_PILOT * (pilot / half_width) ** 2), 2, _MOST_ITEMS))
        scores, errors = simulated(crowd, items=items, votes=number, rng=rng)
        answers, width, over_items = items * number, z * float(scores.std(ddof=1)), z * float(errors.mean())
        plans.append(Plan(number, items, answers, -(-answers // crowd.per_person), width, over_items))
    return plans


def simulated_error(
    crowd: Crowd, *, items: int, votes: int, rng: np.random.Generator, studies: int = _STUDIES
) -> float:
    """Standard deviation of a metric's score over simulated studies."""
    return float(simulated(crowd, items=items, votes=votes, rng=rng, studies=studies)[0].std(ddof=1))


def simulated(
    crowd: Crowd, *, items: int, votes: int, rng: np.random.Generator, studies: int = _STUDIES
) -> tuple[Floats, Floats]:
    """A metric's score in simulated studies, and the standard error that each study would find over items alone."""
    ceiling = float(betabinomial.ceiling(crowd.a))
    # The metric picks the majority's side with this chance, so that its score comes out as wanted.
    follows = np.clip((crowd.score + ceiling - 1) / (2 * ceiling - 1), 0, 1) if ceiling > 0.5 else 0.5
    answers = items * votes
    people = -(-answers // crowd.per_person)
    scores, errors = [], []
    at_a_time = max(1, _ANSWERS // answers)
    for start in range(0, studies, at_a_time):
        shape = (min(at_a_time, studies - start), items)
        p = rng.beta(crowd.a, crowd.a, shape)
        majority = np.maximum(p, 1 - p)
        pays = np.where(rng.random(shape) < follows, majority, 1 - majority)
        taste = rng.normal(0, crowd.person_sd, (shape[0], people)) if crowd.person_sd else np.zeros((shape[0], people))
        # Who answers: people in turn through the answers, so that an item's votes come from different people.
        who = (np.arange(answers) % people).reshape(votes, items)
        agreement = rng.random((shape[0], votes, items)) < np.clip(pays[:, None] + taste[:, who], 0, 1)
        of_items = agreement.mean(1)
        scores.append(of_items.mean(1))
        errors.append(of_items.std(1, ddof=1) / np.sqrt(items))
    return np.concatenate(scores), np.concatenate(errors)
