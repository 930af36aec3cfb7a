"""Recipes: what was done to a patch, as text that prints and parses back exactly.

    gaussian-blur(sigma=1.35)
    gaussian-blur(sigma=1.35)+jpeg(quality=23)      left to right
    identity                                        nothing, for identical pairs

Numbers print in their shortest form. What a recipe leaves to chance (a field of noise) comes from the
seed that stands beside it.

A traditional recipe is one of the 20 distortions or one of 308 ordered compositions of two. The paper
does not print its rule for the 308; of the 380 ordered pairs of distinct distortions, leaving out noise
after noise (30) and spatial after spatial (42) leaves exactly 308, so that is the rule here.
"""

import re
from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np

from bapps_builder.errors import DistortionError
from distortions.registry import Distortion, Patch, distortions, find

IDENTITY = "identity"
# Families of which no two follow each other in a composition.
_ONCE = ("noise", "spatial")
_STEP = re.compile(r"(?P<name>[\w-]+)(?:\((?P<values>[^()]*)\))?")


@dataclass(frozen=True)
class Step:
    """One distortion with its values, in the order of its parameters."""

    name: str
    values: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.values)})"


@dataclass(frozen=True)
class Recipe:
    """Steps from the first to the last; none for `identity`."""

    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return "+".join(map(str, self.steps)) or IDENTITY

    def apply(self, patch: Patch, rng: np.random.Generator) -> Patch:
        """Distort a patch, uint8 (H, W, 3), by every step in turn; the input is left as it is."""
        for step in self.steps:
            patch = find(step.name).apply(patch, rng, dict(step.values))
        return patch.copy() if not self.steps else patch


def parse(text: str) -> Recipe:
    """Read a recipe.

    Raises
    ------
    DistortionError
        If the text is no recipe, names an unknown distortion, or a value is missing or out of range.
    """
    if text.strip() == IDENTITY:
        return Recipe()
    return Recipe(tuple(_parse_step(part.strip(), text) for part in _split(text)))


def _split(text: str) -> list[str]:
    """Split at the plus signs outside of parentheses: `1e+20` is a number."""
    return re.split(r"\+(?![^()]*\))", text)


def _parse_step(part: str, text: str) -> Step:
    match = _STEP.fullmatch(part)
    if not match:
        raise DistortionError(
            f"no recipe: {text!r} at {part!r}; a recipe is like gaussian-blur(sigma=1.35)+jpeg(quality=23)"
        )
    found = find(match["name"])
    values: dict[str, float] = {}
    for pair in filter(None, (pair.strip() for pair in (match["values"] or "").split(","))):
        name, equals, number = (word.strip() for word in pair.partition("="))
        try:
            value = float(number)
        except ValueError:
            equals, value = "", 0.0
        if not equals or name in values:
            raise DistortionError(f"{found.name}: values are written name=number, each once, got {pair!r}")
        values[name] = value
    return Step(found.name, tuple(found.checked(values).items()))


@cache
def compositions() -> tuple[tuple[str, str], ...]:
    """Give the 308 ordered pairs of names that may follow each other."""
    known = distortions()

    def allowed(first: Distortion, second: Distortion) -> bool:
        return not (first.family == second.family and first.family in _ONCE)

    return tuple((a.name, b.name) for a, b in permutations(known.values(), 2) if allowed(a, b))


@cache
def traditional() -> tuple[tuple[str, ...], ...]:
    """Give the names of every traditional recipe's steps: the 20 distortions, then the 308 compositions."""
    return (*((name,) for name in distortions()), *compositions())


def draw(names: tuple[str, ...], severities: tuple[float, ...], rng: np.random.Generator) -> Recipe:
    """Draw the values of a recipe.

    Parameters
    ----------
    names : one name for each step
    severities : one in [0, 1] for each step
    rng : numpy Generator
    """
    return Recipe(
        tuple(
            Step(name, tuple(find(name).at(severity, rng).items()))
            for name, severity in zip(names, severities, strict=True)
        )
    )
