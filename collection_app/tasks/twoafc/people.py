"""How simulated people and programs answer 2AFC.

P(p1) = lapse / 2 + (1 - lapse) Phi((D0 - D1) / (sigma (D0 + D1) / 2)), moved by a bias for one side.
"""

from collections.abc import Sequence
from statistics import NormalDist

from collection_app.tasks.known_answers import Pixels
from collection_app.tasks.observers import Observer
from collection_app.tasks.plain_pixels import PLAIN_LEVELS, PLAIN_TIMES, apart

_PHI = NormalDist().cdf


def p_left(person: Observer, left: float, right: float) -> float:
    """Probability of choosing the left patch, given the distances of both to the reference."""
    if person.kind == "one-sided":
        return 0.98
    mean = (left + right) / 2
    evidence = (right - left) / (person.sigma * mean) if mean > 0 else 0.0
    return person.lapse / 2 + (1 - person.lapse) * _PHI(evidence + person.side_bias)


def by_pixels(pictures: Sequence[Pixels], *, sure: bool) -> int | None:
    """The side, 0 or 1, that pixels say is closer; None where they are not plain, unless one is `sure`."""
    reference, *others = pictures
    left, right = (apart(reference, other) for other in others)
    plain = max(left, right) >= max(PLAIN_LEVELS, PLAIN_TIMES * min(left, right))
    return int(right < left) if plain or sure else None


def by_names(left: str, right: str) -> int:
    """A side by nothing but the names of the two pictures."""
    return int(left > right)
