"""What each item of an imported set shows: which reference, and the outputs of which algorithms beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from bapps_builder.errors import PatchSetError
from bapps_builder.layout import Task
from distortions.patch_sets.sampling import evenly

Pairs = Literal["even", "all"]


@dataclass(frozen=True)
class Shown:
    """What one item shows.

    Attributes
    ----------
    reference : int
        Its number.
    place : int
        Items of one number show the same place of their reference.
    sides : tuple of str
        The algorithms of p0 and p1; for JND that of p1.
    """

    reference: int
    place: int
    sides: tuple[str, ...]


def choices(task: Task, algorithms: Sequence[str]) -> list[tuple[str, ...]]:
    """What can stand beside a reference: two algorithms, or for JND one."""
    return list(combinations(algorithms, 2 if task == "2afc" else 1))


def item_count(items: int | None, *, pairs: Pairs, whole: bool, references: int, choices: int) -> int:
    """How many items to make, which whole images decide where nobody else does.

    Raises
    ------
    PatchSetError
        If the number that was asked for cannot be.
    """
    if items is None:
        if not whole:
            raise PatchSetError("how many crops to make is not said; only whole images have a number of their own")
        return references * choices
    if whole and items > references * choices:
        raise PatchSetError(
            f"{references} references with {choices} choices of algorithms give at most {references * choices} items "
            f"of whole images, got {items}"
        )
    if pairs == "all" and items % choices:
        raise PatchSetError(
            f"each place is shown with all {choices} choices of algorithms, so items must be a multiple of {choices}, "
            f"such as {max(1, items // choices) * choices}; got {items}"
        )
    return items


def shown_in_items(
    items: int, *, task: Task, pairs: Pairs, whole: bool, references: int, algorithms: Sequence[str], seed: int
) -> list[Shown]:
    """Give each item a reference and algorithms, both evenly, and the algorithms sides at random.

    Parameters
    ----------
    items : int
        As `item_count` gives it.
    pairs : "even" or "all"
        Whether every item has a place of its own, or every place all choices of algorithms.
    whole : bool
        Whether images are shown whole, so that no two items may have the same reference and the same algorithms.
    """
    of_references, of_choices, of_sides = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed, spawn_key=(1,)).spawn(3)
    )
    options = choices(task, algorithms)
    each = len(options) if pairs == "all" else 1
    chosen = evenly(items // each, references, of_references).repeat(each).tolist()
    if pairs == "all":
        numbers = np.arange(items) % each
    elif whole:  # a round shows each reference once, the next one with the next choice
        numbers = of_choices.permutation(len(options))[(chosen + np.arange(items) // references) % len(options)]
    else:
        numbers = evenly(items, len(options), of_choices)
    as_listed = of_sides.random(items) < 0.5
    return [
        Shown(reference, index // each, options[number] if first else options[number][::-1])
        for index, (reference, number, first) in enumerate(zip(chosen, numbers.tolist(), as_listed, strict=True))
    ]
