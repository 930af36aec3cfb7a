"""Sentinels and training items: questions with a known answer, made from the originals of the study's patch sets."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bapps_builder.patch_sets.manifest import Item
from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.errors import StudyError
from collection_app.studies.study import Study
from collection_app.tasks.known_answers import GRADED, Known, Means, Pixels
from distortions.registry import distortions
from distortions.traditional import TWENTY

TRAINING = "training"
_NAME = re.compile(r"[a-z][a-z0-9-]*(?=\()")


@dataclass(frozen=True)
class CheckItem(Known):
    """A question with a known answer, as an item of a study.

    Attributes
    ----------
    role : "sentinel" or "training"
    check : str
        The sentinel's check, or "training".
    name : str
    """

    role: str
    check: str
    name: str


def check_items(study: Study, sets: list[PatchSet]) -> Iterator[CheckItem]:
    """Make all sentinels, then all training items; the same study and sets give the same ones."""
    rng = np.random.default_rng(study.seed)
    originals = _originals(sets, rng)
    checks = {check.name: check for check in study.task_module.checks}
    names = _own_distortions(sets) if GRADED in {kind for _, kind, count in _numbers(study, sets) if count} else []
    means = Means(study.sentinels.little_noise, study.sentinels.much_noise, names)
    for role, kind, count in _numbers(study, sets):
        check = TRAINING if role == TRAINING else kind
        for number in range(count):
            made = checks[kind].make(next(originals), means, rng)
            yield CheckItem(**vars(made), role=role, check=check, name=f"{kind}-{number:05d}")


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
    for kind, count in study.practice.items():
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
