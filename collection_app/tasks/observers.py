"""Simulated people: who they are. How they answer is a task's own; pure functions of seeds, nothing knows of HTTP.

What somebody answers depends only on the seed, the person, the item with the sides it is shown on, and the
attempt.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["careful", "random", "lapsing", "one-sided"]
KINDS: tuple[Kind, ...] = ("careful", "random", "lapsing", "one-sided")

# Weber fraction of a typical person; with it two careful people agree on 75-85% of a traditional set's items.
SIGMA = 0.45
# Identical pairs are then called same in 88% of cases, as in the paper.
CRITERION = 2.2
# Spread of the logarithm of a person's time to answer, from one answer to the next.
REACTION_SPREAD = 0.4
# Spread of the logarithm of a person's weight for a distortion.
_WEIGHT_SPREAD = 0.2
_NAME = re.compile(r"[a-z][a-z0-9-]*(?=\()")


@dataclass(frozen=True)
class Observer:
    """A simulated person.

    Attributes
    ----------
    seed, number : int
        Of the population, and of the person in it.
    kind : str
    sigma : float
        Noise of a judgment, as a share of the mean of the two distances.
    lapse : float
        Share of answers given without looking.
    side_bias : float
        Added to the left, in units of the judgment's noise.
    criterion : float
        Of the differencing model.
    seconds : float
        Median time to answer.
    """

    seed: int
    number: int
    kind: Kind
    sigma: float
    lapse: float
    side_bias: float
    criterion: float
    seconds: float

    def weight(self, recipe: str) -> float:
        """How much the distortions of a recipe weigh for this person; 1 is usual, and for an unknown recipe."""
        names = _NAME.findall(recipe)
        logs = [_generator(self.seed, self.number, name).normal(0, _WEIGHT_SPREAD) for name in names]
        return math.exp(sum(logs) / len(logs)) if logs else 1.0

    def draw(self, item: Sequence[str], attempt: int) -> np.random.Generator:
        """The chance of this person's answer to an item, named by its images as they are shown."""
        return _generator(self.seed, self.number, *item, str(attempt))


def observer(seed: int, number: int, kind: Kind) -> Observer:
    """Draw a person."""
    rng = _generator(seed, number, "person")
    sigma = SIGMA * math.exp(rng.normal(0, 0.2))
    lapse = {"careful": 0.02 * rng.random(), "random": 1.0, "lapsing": rng.uniform(0.15, 0.5), "one-sided": 0.0}[kind]
    return Observer(
        seed=seed,
        number=number,
        kind=kind,
        sigma=sigma,
        lapse=lapse,
        side_bias=rng.normal(0, 0.05),
        criterion=CRITERION * math.exp(rng.normal(0, 0.1)),
        seconds=3 * math.exp(rng.normal(0, 0.2)),
    )


def _generator(seed: int, number: int, *words: str) -> np.random.Generator:
    text = "\0".join((str(seed), str(number), *words))
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest()))
