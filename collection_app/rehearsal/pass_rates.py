"""How likely a careful person passes the rules of a study: simulated people on the sentinels really made."""

from collections.abc import Iterable, Sequence

import numpy as np

from collection_app.rehearsal.latent_distance import latent_distance
from collection_app.rehearsal.observers import Observer, observer
from collection_app.studies.sentinels import CheckItem
from collection_app.studies.study import SentinelRule, Study

_PEOPLE = 200


def tail(probabilities: Sequence[float], at_least: int) -> float:
    """Probability that at least so many of some independent events happen (Poisson binomial)."""
    count = np.zeros(len(probabilities) + 1)
    count[0] = 1
    for p in probabilities:
        count[1:] = count[1:] * (1 - p) + count[:-1] * p
        count[0] *= 1 - p
    return float(count[at_least:].sum())


def pass_rates(study: Study, items: Iterable[CheckItem]) -> list[tuple[SentinelRule, float]]:
    """Of each sentinel rule, how likely a careful person passes it.

    `items` are the study's; each simulated person meets a session's count of them, drawn at random.
    """
    distances: dict[str, list[tuple[CheckItem, float, float]]] = {rule.check: [] for rule in study.sentinels.rules}
    for item in items:
        if item.role == "sentinel":
            original = item.p0 if item.ref is None else item.ref
            pair = (latent_distance(original, item.p0), latent_distance(original, item.p1))
            distances[item.check].append((item, *pair))
    rng = np.random.default_rng(study.seed)
    people = [observer(study.seed, number, "careful") for number in range(_PEOPLE)]
    return [
        (rule, float(np.mean([_passes(p, rule, distances, rng) for p in people]))) for rule in study.sentinels.rules
    ]


def _passes(
    person: Observer,
    rule: SentinelRule,
    distances: dict[str, list[tuple[CheckItem, float, float]]],
    rng: np.random.Generator,
) -> float:
    shown = rng.permutation(len(distances[rule.check]))[: rule.count]
    right = []
    for item, d0, d1 in (distances[rule.check][i] for i in shown):
        if item.ref is None:
            same = person.p_same(d1)
            right.append(same if item.expected == "same" else 1 - same)
        else:
            first = person.p_left(d0, d1)  # as if p0 were on the left
            right.append(first if item.expected == "p0" else 1 - first)
    return tail(right, rule.at_least)
