"""Recipes: what was done to a patch, as text that prints and parses back exactly.

    gaussian-blur(sigma=1.35)
    gaussian-blur(sigma=1.35)+jpeg(quality=23)      left to right
    my_module:posterise(levels=40.0)                a distortion of one's own; see `distortions.registry`
    cnn-017                                         through a trained network, which has no values
    identity                                        nothing, for identical pairs

Numbers print in their shortest form. What a recipe leaves to chance (a field of noise) comes from the
seed that stands beside it.

A traditional recipe is one of the paper's 20 distortions or one of 308 ordered compositions of two. The paper
does not print its rule for the 308; of the 380 ordered pairs of distinct distortions, leaving out noise
after noise (30) and spatial after spatial (42) leaves exactly 308, so that is the rule here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from bapps_builder.errors import DistortionError
from distortions.cnn.variants import find_variant, is_variant
from distortions.distortion import Distortion, Patch
from distortions.registry import find
from distortions.traditional import TWENTY

if TYPE_CHECKING:
    from distortions.cnn.zoo import Zoo

IDENTITY = "identity"
# Families of which no two follow each other in a composition.
_ONCE = ("noise", "spatial")
_STEP = re.compile(r"(?P<name>[\w.]+:[\w.]+|[\w-]+)(?:\((?P<values>[^()]*)\))?")


@dataclass(frozen=True)
class Step:
    """One distortion with its values, in the order of its parameters, or one network, which has none."""

    name: str
    values: tuple[tuple[str, float], ...]

    @property
    def is_network(self) -> bool:
        """Whether it is one of the 96 networks."""
        return is_variant(self.name)

    @property
    def family(self) -> str:
        """Of the distortion; "cnn" for networks."""
        return "cnn" if self.is_network else find(self.name).family

    def __str__(self) -> str:
        if self.is_network:
            return self.name
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.values)})"


@dataclass(frozen=True)
class Recipe:
    """Steps from the first to the last; none for `identity`."""

    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return "+".join(map(str, self.steps)) or IDENTITY

    @property
    def has_network(self) -> bool:
        """Whether a step is one of the 96 networks."""
        return any(step.is_network for step in self.steps)

    @property
    def family(self) -> str:
        """The families of the steps, each once, such as "noise+blur"; "" for `identity`."""
        return "+".join(dict.fromkeys(step.family for step in self.steps))

    def apply(self, patch: Patch, rng: np.random.Generator, *, margin: int = 0, zoo: "Zoo | None" = None) -> Patch:
        """Distort a patch by every step in turn; the input is left as it is.

        Parameters
        ----------
        patch : uint8 array of shape (H, W, 3)
        rng : numpy Generator
        margin : int
            Pixels at each side that were added to the patch and will be cut off; a network does not see them.
        zoo : Zoo, optional
            Where networks come from; by default the starter zoo.
        """
        for step in self.steps:
            if step.is_network:
                patch = _through_networks(step.name, [patch], [rng], margin, zoo)[0]
            else:
                patch = find(step.name).apply(patch, rng, dict(step.values))
        return patch.copy() if not self.steps else patch


def apply_all(
    recipes: Sequence[Recipe],
    patches: Sequence[Patch],
    rngs: Sequence[np.random.Generator],
    *,
    margin: int = 0,
    zoo: "Zoo | None" = None,
) -> list[Patch]:
    """Distort each patch by its recipe, as `Recipe.apply` does, with those of one network together."""
    results = list(patches)
    for number in range(max((len(recipe.steps) for recipe in recipes), default=0)):
        of_network: dict[str, list[int]] = {}
        for k, recipe in enumerate(recipes):
            if number >= len(recipe.steps):
                continue
            step = recipe.steps[number]
            if step.is_network:
                of_network.setdefault(step.name, []).append(k)
            else:
                results[k] = find(step.name).apply(results[k], rngs[k], dict(step.values))
        for name, some in of_network.items():
            outputs = _through_networks(name, [results[k] for k in some], [rngs[k] for k in some], margin, zoo)
            for k, patch in zip(some, outputs, strict=True):
                results[k] = patch
    return results


def _through_networks(
    name: str, patches: Sequence[Patch], rngs: Sequence[np.random.Generator], margin: int, zoo: "Zoo | None"
) -> list[Patch]:
    from distortions.cnn.apply import through_network  # with torch, which nobody loads for other distortions
    from distortions.cnn.zoo import open_zoo

    return through_network(name, patches, rngs, zoo=zoo or open_zoo(), margin=margin)


def parse(text: str) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    text : str
        As a recipe prints.

    Raises
    ------
    DistortionError
        If the text is no recipe, names an unknown distortion, or a value is missing or out of range.

    Examples
    --------
    >>> import bapps
    >>> recipe = bapps.parse_recipe("gaussian-blur(sigma=1.35)+jpeg(quality=23)")
    >>> [step.name for step in recipe.steps]
    ['gaussian-blur', 'jpeg']
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
    if is_variant(match["name"]):
        if match["values"] is not None:
            raise DistortionError(f"{match['name']} is a network and takes no values, got {part!r}")
        return Step(find_variant(match["name"]).name, ())
    entry = find(match["name"])
    values: dict[str, float] = {}
    for pair in filter(None, (pair.strip() for pair in (match["values"] or "").split(","))):
        name, equals, number = (word.strip() for word in pair.partition("="))
        try:
            value = float(number)
        except ValueError:
            equals, value = "", 0.0
        if not equals or name in values:
            raise DistortionError(f"{entry.name}: values are written name=number, each once, got {pair!r}")
        values[name] = value
    return Step(entry.name, tuple(entry.checked(values).items()))


@cache
def with_compositions(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Give the names of the steps of every recipe of some distortions: each alone, then all compositions of two."""
    entries = [find(name) for name in names]

    def allowed(first: Distortion, second: Distortion) -> bool:
        return not (first.family == second.family and first.family in _ONCE)

    return (*((a.name,) for a in entries), *((a.name, b.name) for a, b in permutations(entries, 2) if allowed(a, b)))


def traditional() -> tuple[tuple[str, ...], ...]:
    """Give the names of every traditional recipe's steps: the paper's 20 distortions, then their 308 compositions."""
    return with_compositions(TWENTY)


def compositions() -> tuple[tuple[str, ...], ...]:
    """Give the 308 ordered pairs of the paper's names that may follow each other."""
    return traditional()[len(TWENTY) :]


def draw(
    names: tuple[str, ...],
    severities: tuple[float, ...],
    rng: np.random.Generator,
    *,
    factors: Mapping[str, float] = MappingProxyType({}),
) -> Recipe:
    """Draw the values of a recipe.

    Parameters
    ----------
    names : one name for each step
    severities : one in [0, 1] for each step that is no network
    rng : numpy Generator
    factors : mapping of unit to float
        See `Distortion.at`.
    """
    gradual = [name for name in names if not is_variant(name)]
    values = [find(name).at(severity, rng, factors=factors) for name, severity in zip(gradual, severities, strict=True)]
    drawn = iter([tuple(one.items()) for one in values])
    return Recipe(tuple(Step(name, () if is_variant(name) else next(drawn)) for name in names))
