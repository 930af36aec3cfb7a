"""Simulated people: who they are, and how they answer. Pure functions of seeds; nothing here knows of HTTP.

2AFC: P(p1) = lapse / 2 + (1 - lapse) Phi((D0 - D1) / (sigma (D0 + D1) / 2)), moved by a bias for one side.
JND: the differencing model. Two noisy looks differ by delta + noise of variance 2, and "different" is said where
that exceeds the criterion k in size: P(same) = Phi((k - delta) / sqrt 2) - Phi((-k - delta) / sqrt 2).
(Macmillan and Creelman, Detection Theory, 2005, chapter 9.)

What somebody answers depends only on the seed, the person, the item with the sides it is shown on, and the
attempt.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

Kind = Literal["careful", "random", "lapsing", "one-sided"]
KINDS: tuple[Kind, ...] = ("careful", "random", "lapsing", "one-sided")

# Weber fraction of a typical person; with it two careful people agree on 75-85% of a traditional set's items.
SIGMA = 0.45
# Latent distance that a typical person's two looks differ by one standard deviation of noise.
JND_UNIT = 0.12
# Identical pairs are then called same in 88% of cases, as in the paper.
CRITERION = 2.2
# Spread of the logarithm of a person's time to answer, from one answer to the next.
REACTION_SPREAD = 0.4
# Spread of the logarithm of a person's weight for a distortion.
_WEIGHT_SPREAD = 0.2
_PHI = NormalDist().cdf
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

    def p_left(self, left: float, right: float) -> float:
        """Probability of choosing the left patch, given the distances of both to the reference."""
        if self.kind == "one-sided":
            return 0.98
        mean = (left + right) / 2
        evidence = (right - left) / (self.sigma * mean) if mean > 0 else 0.0
        return self.lapse / 2 + (1 - self.lapse) * _PHI(evidence + self.side_bias)

    def p_same(self, distance: float) -> float:
        """Probability of calling a pair at this distance the same."""
        if self.kind == "one-sided":
            return 0.98
        delta, k = distance / JND_UNIT, self.criterion
        seen = _PHI((k - delta) / math.sqrt(2)) - _PHI((-k - delta) / math.sqrt(2))
        return self.lapse / 2 + (1 - self.lapse) * seen

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
