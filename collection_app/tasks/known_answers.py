"""Questions with a known answer: what a task's sentinels and training items are made with.

Those of the check `graded` look as test items do: one of the distortions of the study's own recipes, at strengths that
differ from one to the next, and so far apart that who looks sees which is closer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distortions.recipes import draw, parse

Pixels = NDArray[np.uint8]
GRADED = "graded"
# Severities of a graded check: of the better patch, and of the worse one.
_LITTLE, _MUCH = (0.05, 0.3), (0.75, 1.0)
# How far the worse one must be from the original in levels, and how many times as far as the better one, for an
# answer to be known: a distortion may do next to nothing to a plain patch. So many are tried.
_PLAIN_LEVELS, _PLAIN_TIMES, _TRIES = 6.0, 2.5, 20


@dataclass(frozen=True)
class Means:
    """What a study gives to make questions with.

    Attributes
    ----------
    little_noise, much_noise : float
        Standard deviations of Gaussian noise, in levels.
    distortions : sequence of str
        Those of the study's own recipes; only for `graded`.
    """

    little_noise: float
    much_noise: float
    distortions: Sequence[str]


@dataclass(frozen=True)
class Known:
    """The images of a question, uint8 (64, 64, 3), and the answer to it as it is stored; no `ref` in pairs."""

    expected: str
    ref: Pixels | None
    p0: Pixels
    p1: Pixels


@dataclass(frozen=True)
class Check:
    """A kind of question with a known answer.

    Attributes
    ----------
    name : str
        As study files have it among sentinels.
    make : callable of (original, Means, numpy.random.Generator)
    sentinel : str
        What it is as a sentinel, for who writes a study file; empty if it cannot be one.
    training : str
        The setting in `[training]` that says how many of it there are; empty if it is never trained.
    trained : str
        What that setting means.
    """

    name: str
    make: Callable[[Pixels, Means, np.random.Generator], Known]
    sentinel: str = ""
    training: str = ""
    trained: str = ""


def noisy(patch: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """A patch with white Gaussian noise."""
    return parse(f"gaussian-white-noise(sigma={sigma!r})").apply(patch, rng)


def closer(patch: Pixels, better: Pixels, worse: Pixels, rng: np.random.Generator) -> Known:
    """Which of two is closer to a patch, the better one being p0 or p1 by chance."""
    if rng.random() < 0.5:
        return Known("p0", patch, better, worse)
    return Known("p1", patch, worse, better)


def graded(patch: Pixels, names: Sequence[str], rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """One distortion at little and at much strength; of those tried that are not plain enough, the plainest."""
    plainest: tuple[float, Pixels, Pixels] = (-1.0, patch, patch)
    for _ in range(_TRIES):
        name, seed = names[int(rng.integers(len(names)))], int(rng.integers(2**62))
        little, much = (
            # The same directions and the same field of noise at both strengths.
            draw((name,), (strength,), np.random.default_rng(seed)).apply(patch, np.random.default_rng(seed + 1))
            for strength in (rng.uniform(*_LITTLE), rng.uniform(*_MUCH))
        )
        near, far = (float(np.abs(other.astype(float) - patch).mean()) for other in (little, much))
        if far >= max(_PLAIN_LEVELS, _PLAIN_TIMES * near):
            return little, much
        if far - _PLAIN_TIMES * near > plainest[0]:
            plainest = (far - _PLAIN_TIMES * near, little, much)
    return plainest[1:]
