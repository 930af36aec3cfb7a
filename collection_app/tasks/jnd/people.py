"""How simulated people and programs answer JND.

The differencing model: two noisy looks differ by delta + noise of variance 2, and "different" is said where that
exceeds the criterion k in size: P(same) = Phi((k - delta) / sqrt 2) - Phi((-k - delta) / sqrt 2).
(Macmillan and Creelman, Detection Theory, 2005, chapter 9.)
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

from collection_app.tasks.known_answers import Pixels
from collection_app.tasks.observers import Observer
from collection_app.tasks.plain_pixels import PLAIN_LEVELS, apart

# Latent distance that a typical person's two looks differ by one standard deviation of noise.
JND_UNIT = 0.12
_PHI = NormalDist().cdf


def p_same(person: Observer, first: float, second: float) -> float:
    """Probability of calling a pair the same, given how far each is from the one they are compared with."""
    if person.kind == "one-sided":
        return 0.98
    delta, k = (second - first) / JND_UNIT, person.criterion
    p_seen = _PHI((k - delta) / math.sqrt(2)) - _PHI((-k - delta) / math.sqrt(2))
    return person.lapse / 2 + (1 - person.lapse) * p_seen


def by_pixels(pictures: Sequence[Pixels], *, sure: bool) -> int | None:
    """0 for same or 1 for different by pixels; None where they differ, but not plainly, unless one is `sure`."""
    difference = apart(*pictures)
    if difference == 0:
        return 0
    return 1 if difference >= PLAIN_LEVELS or sure else None


def by_names(left: str, right: str) -> int:
    """Same or different by nothing but the names of the two pictures."""
    return int(left != right)
