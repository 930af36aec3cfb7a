"""Sentinels and training items: questions with a known answer, made from the originals of the study's patch sets."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.studies.study import Study
from distortions.recipes import draw, parse
from distortions.traditional import TWENTY

Pixels = NDArray[np.uint8]
TRAINING = "training"


@dataclass(frozen=True)
class CheckItem:
    """A question with a known answer.

    Attributes
    ----------
    role : "sentinel" or "training"
    check : str
        The sentinel's check, or "training".
    name : str
    expected : str
        p0 or p1, same or different.
    ref : uint8 array (64, 64, 3) or None
        None in JND.
    p0, p1 : uint8 arrays (64, 64, 3)
    """

    role: str
    check: str
    name: str
    expected: str
    ref: Pixels | None
    p0: Pixels
    p1: Pixels


def check_items(study: Study, sets: list[PatchSet]) -> Iterator[CheckItem]:
    """Make all sentinels, then all training items; the same study and sets give the same ones."""
    rng = np.random.default_rng(study.seed)
    originals = _originals(sets, rng)
    made = _makers(study)
    for rule in study.sentinels.rules:
        for number in range(rule.count * study.sentinels.pool):
            yield made[rule.check](next(originals), rng, "sentinel", rule.check, f"{rule.check}-{number:05d}")
    training = study.training
    for check, count in (
        ("obvious", training.obvious),
        ("identical", training.same),
        ("noise", training.different),
        ("distorted", training.distorted),
    ):
        for number in range(count):
            yield made[check](next(originals), rng, TRAINING, TRAINING, f"{check}-{number:05d}")


def _originals(sets: list[PatchSet], rng: np.random.Generator) -> Iterator[Pixels]:
    """Originals in random order, each once before any comes again."""
    starts = np.cumsum([0, *map(len, sets)])
    while True:
        for place in rng.permutation(starts[-1]).tolist():
            of = int(np.searchsorted(starts, place, side="right")) - 1
            yield sets[of].read(sets[of][place - int(starts[of])], sets[of].roles[0])


def _makers(study: Study) -> dict[str, Callable[[Pixels, np.random.Generator, str, str, str], CheckItem]]:
    little, much = study.sentinels.little_noise, study.sentinels.much_noise

    def noisy(patch: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
        return parse(f"gaussian-white-noise(sigma={sigma!r})").apply(patch, rng)

    def obvious(patch: Pixels, rng: np.random.Generator, role: str, check: str, name: str) -> CheckItem:
        better, worse = noisy(patch, little, rng), noisy(patch, much, rng)
        if rng.random() < 0.5:
            return CheckItem(role, check, name, "p0", patch, better, worse)
        return CheckItem(role, check, name, "p1", patch, worse, better)

    def identical(patch: Pixels, rng: np.random.Generator, role: str, check: str, name: str) -> CheckItem:
        return CheckItem(role, check, name, "same", None, patch, patch)

    def noise(patch: Pixels, rng: np.random.Generator, role: str, check: str, name: str) -> CheckItem:
        return CheckItem(role, check, name, "different", None, patch, noisy(patch, much, rng))

    def distorted(patch: Pixels, rng: np.random.Generator, role: str, check: str, name: str) -> CheckItem:
        recipe = draw((TWENTY[rng.integers(len(TWENTY))],), (1.0,), rng)
        return CheckItem(role, check, name, "different", None, patch, recipe.apply(patch, rng))

    return {"obvious": obvious, "identical": identical, "noise": noise, "distorted": distorted}
