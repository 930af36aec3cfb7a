"""Sentinels and training items: questions with a known answer, made from the originals of the study's patch sets.

Those of the check `graded` look as test items do: one of the distortions of the study's own recipes, at strengths that
differ from one to the next, and so far apart that who looks sees which is closer.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bapps_builder.patch_sets.manifest import Item
from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.errors import StudyError
from collection_app.studies.study import Study
from distortions.recipes import draw, parse
from distortions.registry import distortions
from distortions.traditional import TWENTY

Pixels = NDArray[np.uint8]
TRAINING = "training"
# Severities of a graded check: of the better patch, and of the worse one.
_LITTLE, _MUCH = (0.05, 0.3), (0.75, 1.0)
# How far the worse one must be from the original in levels, and how many times as far as the better one, for an
# answer to be known: a distortion may do next to nothing to a plain patch. So many are tried.
_PLAIN_LEVELS, _PLAIN_TIMES, _TRIES = 6.0, 2.5, 20
_NAME = re.compile(r"[a-z][a-z0-9-]*(?=\()")


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
    made = _makers(study, sets)
    for role, kind, count in _numbers(study, sets):
        check = TRAINING if role == TRAINING else kind
        for number in range(count):
            yield made[kind](next(originals), rng, role, check, f"{kind}-{number:05d}")


def count_checks(study: Study, sets: list[PatchSet]) -> int:
    """How many sentinels and training items there are to be made."""
    return sum(count for _, _, count in _numbers(study, sets))


def _numbers(study: Study, sets: list[PatchSet]) -> list[tuple[str, str, int]]:
    """How many to make of what: sentinels by their check, then training items by theirs."""
    least, pool = _least(study, sets), study.sentinels.pool
    found = [
        ("sentinel", str(rule.check), max(rule.count * pool, least, _as_often(study, sets, rule.count)))
        for rule in study.sentinels.rules
    ]
    for kind, count in study.training.by_check().items():
        found.append((TRAINING, kind, max(count * pool, least) if study.sentinels.apart and count else count))
    return found


def _least(study: Study, sets: list[PatchSet]) -> int:
    """How many there must be of each check, for every session to find some whose references it does not see else."""
    if not study.sentinels.apart:
        return 0
    there = len({_reference(found[i]) for found in sets for i in range(len(found))})
    needed = study.items_per_session + study.checks
    if there < needed:
        raise StudyError(
            f"{study.name}: a session of {study.items_per_session} test items and {study.checks} sentinels and "
            f"training items needs {needed} patches with references of their own, and the sets have "
            f"{there}; add patches, lower items_per_session, or set sentinels.apart to false"
        )
    # Where nearly all references are needed, one check of each; else some always are left.
    return there if there < 2 * needed else 0


def _as_often(study: Study, sets: list[PatchSet], count: int) -> int:
    """How many there must be of a check for none to be shown more often than a test item."""
    return -(-sum(map(len, sets)) * count // study.items_per_session) if study.sentinels.as_often else 0


def _reference(item: Item) -> str:
    """The hash of the patch that the others are compared with: in JND the first one."""
    return item.ref_sha256 or item.p0.sha256


def _originals(sets: list[PatchSet], rng: np.random.Generator) -> Iterator[Pixels]:
    """Originals in random order, each once before any comes again."""
    starts = np.cumsum([0, *map(len, sets)])
    while True:
        for place in rng.permutation(starts[-1]).tolist():
            of = int(np.searchsorted(starts, place, side="right")) - 1
            yield sets[of].read(sets[of][place - int(starts[of])], sets[of].roles[0])


def _makers(
    study: Study, sets: list[PatchSet]
) -> dict[str, Callable[[Pixels, np.random.Generator, str, str, str], CheckItem]]:
    little, much = study.sentinels.little_noise, study.sentinels.much_noise

    def noisy(patch: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
        return parse(f"gaussian-white-noise(sigma={sigma!r})").apply(patch, rng)

    names = _own_distortions(sets) if _uses_graded(study) else []

    def graded(patch: Pixels, rng: np.random.Generator, role: str, check: str, name: str) -> CheckItem:
        better, worse = _graded(patch, names, rng)
        if study.task == "jnd":
            return CheckItem(role, check, name, "different", None, patch, worse)
        if rng.random() < 0.5:
            return CheckItem(role, check, name, "p0", patch, better, worse)
        return CheckItem(role, check, name, "p1", patch, worse, better)

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

    return {"obvious": obvious, "identical": identical, "noise": noise, "distorted": distorted, "graded": graded}


def _uses_graded(study: Study) -> bool:
    return study.training.graded > 0 or any(rule.check == "graded" for rule in study.sentinels.rules)


def _own_distortions(sets: list[PatchSet]) -> list[str]:
    """The distortions that the recipes of the sets name; the paper's, where they name none (as for networks)."""
    named = {
        name
        for found in sets
        for i in range(len(found))
        for side in (found[i].p0, found[i].p1)
        for name in _NAME.findall(side.recipe)
    }
    return sorted(named & set(distortions())) or sorted(TWENTY)


def _graded(patch: Pixels, names: list[str], rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """One distortion at little and at much strength; of those tried that are not plain enough, the plainest."""
    plainest: tuple[float, Pixels, Pixels] = (-1.0, patch, patch)
    for _ in range(_TRIES):
        name, seed = names[rng.integers(len(names))], int(rng.integers(2**62))
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
