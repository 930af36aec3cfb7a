"""What chance decides for one item: where its patch lies, and what is done to it.

All of it comes from one Generator, whose seed depends on the seed of the run and the item's number alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bapps_builder.errors import DistortionError, PatchSetError
from bapps_builder.layout import Task
from bapps_builder.patch_sets.manifest import MAX_ITEMS, Split
from distortions.cnn.variants import is_variant
from distortions.crops import contrast, cut, scaled_size, smallest_photo_side, without_margin
from distortions.distortion import Patch
from distortions.recipes import Recipe, apply_all, draw, with_compositions
from distortions.sizes import SIZE_64, PatchSize
from distortions.traditional import TWENTY

if TYPE_CHECKING:
    from distortions.cnn.zoo import Zoo

Family = Literal["traditional", "cnn", "mix"]
Known = Sequence[Sequence[tuple[str, ...]]]  # families of recipes of names
FAMILIES: tuple[Family, ...] = ("traditional", "cnn", "mix")
SeverityLaw = Literal["uniform", "threshold"]
# A number even over [0, 1) to a severity. "threshold" puts half of all below .25, where differences are small.
SEVERITY_LAWS: dict[SeverityLaw, Callable[[float], float]] = {"uniform": lambda u: u, "threshold": lambda u: u * u}
TASK_LAWS: dict[Task, SeverityLaw] = {"2afc": "uniform", "jnd": "threshold"}
# Places that are tried in a photo for the least contrast, before the item goes to another photo.
_TRIES = 100
_SEVERITY_DIGITS = 6


@dataclass(frozen=True)
class Settings:
    """What the items of a patch set depend on, besides the photos.

    Attributes
    ----------
    items : int
    task : "2afc" or "jnd"
    family : "traditional", "cnn" or "mix"
        2AFC with mix has one patch of each of the others, on either side as often; JND one of either.
    split : "train" or "val"
    seed : int
        From 0 up.
    severity_law : "uniform" or "threshold", optional
        See SEVERITY_LAWS; by default the one that the task has in TASK_LAWS.
    rescale : (low, high) or None
        Photos are first scaled by a number drawn evenly from this range, as far as a patch fits.
    min_contrast : float
        Patches with less are not taken; see `crops.contrast`.
    distortions : tuple of str
        Names to draw from instead of all that the family has: of networks, and of any distortions, which are drawn
        alone and composed as the paper's twenty are. Empty for all.
    set : str
        Name of the set; empty for `set_name`'s choice.
    size : PatchSize
        Of the patches, and what a strength means at that size.
    """

    items: int
    task: Task
    family: Family
    split: Split
    seed: int
    severity_law: SeverityLaw | None = None
    rescale: tuple[float, float] | None = None
    min_contrast: float = 0.0
    distortions: tuple[str, ...] = ()
    set: str = ""
    size: PatchSize = SIZE_64

    @property
    def set_name(self) -> str:
        """The name that was given, or the family's; "custom" if distortions were chosen."""
        return self.set or ("custom" if self.distortions else self.family)

    @property
    def smallest_photo(self) -> tuple[int, int]:
        """Width and height that a photo must have for a patch to fit into it, scaled by at most `rescale`."""
        largest = self.rescale[1] if self.rescale else 1.0
        return smallest_photo_side(largest, self.size.width), smallest_photo_side(largest, self.size.height)

    def draw_severity(self, rng: np.random.Generator) -> float:
        """Draw the severity of one step by the law."""
        law = SEVERITY_LAWS[self.severity_law or TASK_LAWS[self.task]]
        return round(law(rng.random()), _SEVERITY_DIGITS)


def check_numbers(*, items: int, seed: int, rescale: tuple[float, float] | None) -> None:
    """Raise PatchSetError for a number that no patch set can be drawn with."""
    if not 1 <= items <= MAX_ITEMS:
        raise PatchSetError(f"items must be in [1, {MAX_ITEMS}], got {items}")
    if seed < 0:
        raise PatchSetError(f"seed must not be negative, got {seed}")
    if rescale and not 0 < rescale[0] <= rescale[1]:
        raise PatchSetError(f"rescale must be two numbers 0 < low <= high, got {rescale}")


@dataclass(frozen=True)
class Place:
    """Left and top of a patch in a photo scaled by `scale`."""

    left: int
    top: int
    scale: float


@dataclass(frozen=True)
class Treatment:
    """What is done to a patch: a recipe, the severity of each of its steps, and the seed it is applied with."""

    recipe: Recipe
    severity: tuple[float, ...]
    seed: int

    def apply(self, crop: Patch, *, margin: int, zoo: "Zoo | None" = None) -> Patch:
        """Distort a crop with its margin, and cut the margin off. Networks come from the zoo."""
        rng = np.random.default_rng(self.seed)
        return without_margin(self.recipe.apply(crop, rng, margin=margin, zoo=zoo), margin)


def apply_treatments(
    treatments: Sequence[Treatment], crops: Sequence[Patch], *, margin: int, zoo: "Zoo | None"
) -> list[Patch]:
    """Apply each treatment to its crop, as `Treatment.apply` does, with those of one network together."""
    outputs = apply_all(
        [treatment.recipe for treatment in treatments],
        crops,
        [np.random.default_rng(treatment.seed) for treatment in treatments],
        margin=margin,
        zoo=zoo,
    )
    return [without_margin(crop, margin) for crop in outputs]


def item_seed(seed: int, index: int, attempt: int) -> int:
    """The seed of an item, 63 bits: a child of the run's seed. Attempts count the photos tried before."""
    child = np.random.SeedSequence(seed, spawn_key=(0, index, attempt))
    return int(child.generate_state(1, np.uint64)[0] >> np.uint64(1))


def evenly(count: int, choices: int, rng: np.random.Generator) -> np.ndarray:
    """Choose `count` times from range(choices), each as often as the others or once more, in random order."""
    rounds = -(-count // choices)
    return np.concatenate([rng.permutation(choices) for _ in range(rounds)])[:count]


def draw_place(
    photo: Patch, rng: np.random.Generator, *, size: tuple[int, int], rescale: tuple[float, float] | None
) -> Place:
    """Draw where a patch of (width, height) lies, evenly over all places of the photo at a drawn scale."""
    scale = 1.0
    if rescale:
        low, high = rescale
        fitting = max((size[0] + 1) / photo.shape[1], (size[1] + 1) / photo.shape[0])
        scale = float(rng.uniform(max(low, min(fitting, high)), high))
    width, height = scaled_size(photo, scale)
    return Place(int(rng.integers(width - size[0] + 1)), int(rng.integers(height - size[1] + 1)), scale)


def draw_place_with_contrast(photo: Patch, rng: np.random.Generator, settings: Settings) -> Place | None:
    """Draw places until one has the contrast needed; None if none of a hundred has it."""
    size = settings.size.sides
    for _ in range(_TRIES):
        place = draw_place(photo, rng, size=size, rescale=settings.rescale)
        if not settings.min_contrast:
            return place
        patch, _ = cut(photo, left=place.left, top=place.top, size=size, scale=place.scale, margin=0)
        if contrast(patch) >= settings.min_contrast:
            return place
    return None


def draw_treatments(settings: Settings, rng: np.random.Generator, *, zoo: "Zoo | None" = None) -> tuple[Treatment, ...]:
    """Draw two different recipes for 2AFC, p0 then p1, or one for JND."""
    return tuple(_treatment(names, rng, settings) for names in _draw_names(settings, rng, recipe_names(settings, zoo)))


def with_other_strengths(
    treatments: Sequence[Treatment], rng: np.random.Generator, settings: Settings
) -> tuple[Treatment, ...]:
    """Draw the severities, values and seeds of treatments again; the names of their steps stay."""
    return tuple(_treatment(tuple(step.name for step in one.recipe.steps), rng, settings) for one in treatments)


def _treatment(names: tuple[str, ...], rng: np.random.Generator, settings: Settings) -> Treatment:
    severity = tuple(settings.draw_severity(rng) for name in names if not is_variant(name))
    recipe = draw(names, severity, rng, factors=settings.size.factors)
    return Treatment(recipe, severity, int(rng.integers(1 << 63)))


def recipe_names(settings: Settings, zoo: "Zoo | None" = None) -> Known:
    """Every recipe that can be drawn, as the names of its steps; for mix those of either family on their own.

    Raises
    ------
    DistortionError
        If there are too few, or one is not of the family.
    """
    families = ("traditional", "cnn") if settings.family == "mix" else (settings.family,)
    networks = tuple(name for name in settings.distortions if is_variant(name))
    gradual = tuple(name for name in settings.distortions if not is_variant(name))
    for family, other in (("traditional", networks), ("cnn", gradual)):
        if families == (family,) and other:
            raise DistortionError(
                f"{other[0]} is not of the family {family}; networks are of cnn, all others of traditional, and mix "
                "sets one of either against the other"
            )
    names = tuple(
        with_compositions(gradual or TWENTY) if family == "traditional" else _of_zoo(zoo, networks)
        for family in families
    )
    if len(families) == 1 and settings.task == "2afc" and len(names[0]) < 2:
        raise DistortionError(
            f"two patches need two different distortions, and the only one to draw from is {names[0][0][0]}"
        )
    return names


def _of_zoo(zoo: "Zoo | None", networks: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    if zoo is None:
        raise DistortionError("the families cnn and mix need a zoo of trained variants")
    return tuple((zoo[name].variant.name,) for name in networks or zoo.entries)


def _draw_names(settings: Settings, rng: np.random.Generator, choices: Known) -> list[tuple[str, ...]]:
    if len(choices) > 1:
        order = [0, 1] if rng.random() < 0.5 else [1, 0]
        return [_one(choices[family], rng) for family in (order if settings.task == "2afc" else order[:1])]
    first = int(rng.integers(len(choices[0])))
    if settings.task == "jnd":
        return [choices[0][first]]
    second = int(rng.integers(len(choices[0]) - 1))
    return [choices[0][first], choices[0][second + (second >= first)]]


def _one(choices: Sequence[tuple[str, ...]], rng: np.random.Generator) -> tuple[str, ...]:
    return choices[int(rng.integers(len(choices)))]
