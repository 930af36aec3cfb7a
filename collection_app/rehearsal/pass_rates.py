"""How likely a careful person passes the rules of a study: simulated people on the sentinels really made."""

import math
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from bapps_builder.answers.exclusions import FAST_MS, Rule, parse_rule
from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.rehearsal.latent_distance import latent_distance
from collection_app.studies.sentinels import CheckItem
from collection_app.studies.study import SentinelRule, Study
from collection_app.tasks.observers import REACTION_SPREAD, Observer, observer

_PEOPLE = 200
# How different patches look takes a millisecond each: of many sentinels and items, so many stand for all.
_MOST = 400
# Of a sentinel or test item: the expected answer, and how far its patches are from the reference.
_Distances = tuple[str, float, float]


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
    distances = _of_sentinels(study, items)
    rng = np.random.default_rng(study.seed)
    rates = []
    for rule in study.sentinels.rules:
        right = [_right(study, p, _drawn(distances[rule.check], rule.count, rng)) for p in _people(study)]
        rates.append((rule, float(np.mean([tail(each, rule.at_least) for each in right]))))
    return rates


def conduct_rates(study: Study, items: Iterable[CheckItem], sets: Sequence[PatchSet]) -> list[tuple[Rule, float]]:
    """Of each rule of conduct, about use or pay, how likely a careful person keeps it; NaN where nobody can say."""
    rules = [parse_rule(text) for text in dict.fromkeys((*study.rules.use, *study.rules.pay))]
    if not rules:
        return []
    sentinels, tests = _of_sentinels(study, items), _of_tests(sets)
    rng = np.random.default_rng(study.seed)
    people = _people(study)
    return [(rule, float(np.mean([_keeps(p, rule, study, sentinels, tests, rng) for p in people]))) for rule in rules]


def _keeps(
    person: Observer,
    rule: Rule,
    study: Study,
    sentinels: dict[str, list[_Distances]],
    tests: list[_Distances],
    rng: np.random.Generator,
) -> float:
    count = study.items_per_session
    if rule.quantity == "sentinels" and rule.sign == ">=":
        right = [
            p
            for one in study.sentinels.rules
            for p in _right(study, person, _drawn(sentinels[one.check], one.count, rng))
        ]
        return tail(right, math.ceil(rule.bound * len(right) - 1e-9)) if right else 0.0
    if rule.quantity == "fast" and rule.sign == "<=":
        # A time to react is lognormal about the person's median.
        z = math.log(FAST_MS / 1000 / person.seconds) / REACTION_SPREAD
        fast = 0.5 * math.erfc(-z / math.sqrt(2))
        return 1 - tail([fast] * count, math.floor(rule.bound * count + 1e-9) + 1)
    if rule.quantity == "side" and rule.sign == "<=":
        # p1 is as often on either side, so that who looks chooses both as often, but for a bias.
        shown = _drawn(tests, count, rng)
        task = study.task_module
        turned = rng.random(len(shown)) < 0.5 if task.sided else np.zeros(len(shown), bool)
        pairs = [(d1, d0) if other else (d0, d1) for (_, d0, d1), other in zip(shown, turned, strict=True)]
        first = [task.p_first(person, *pair) for pair in pairs]
        most = math.floor(rule.bound * len(first) + 1e-9)
        return 1 - tail(first, most + 1) - tail([1 - p for p in first], most + 1)
    return math.nan


def _people(study: Study) -> list[Observer]:
    return [observer(study.seed, number, "careful") for number in range(_PEOPLE)]


def _of_sentinels(study: Study, items: Iterable[CheckItem]) -> dict[str, list[_Distances]]:
    sets_of_distances: dict[str, list[_Distances]] = {rule.check: [] for rule in study.sentinels.rules}
    for item in items:
        if item.role == "sentinel" and len(sets_of_distances[item.check]) < _MOST:
            original = item.p0 if item.ref is None else item.ref
            sets_of_distances[item.check].append(
                (item.expected, latent_distance(original, item.p0), latent_distance(original, item.p1))
            )
    return sets_of_distances


def _of_tests(sets: Sequence[PatchSet]) -> list[_Distances]:
    sets_of_distances = []
    share = max(1, _MOST // max(len(sets), 1))
    for each in sets:
        step = max(1, len(each) // share)
        for item in islice((each[i] for i in range(0, len(each), step)), share):
            original, *others = (each.read(item, role) for role in each.roles)
            pair = others if len(others) == 2 else [original, *others]
            sets_of_distances.append(("", *(latent_distance(original, other) for other in pair)))
    return sets_of_distances


def _drawn(distances: list[_Distances], count: int, rng: np.random.Generator) -> list[_Distances]:
    """So many of them at random; from the start again where there are fewer."""
    order = rng.permutation(len(distances))
    return [distances[order[i % len(order)]] for i in range(count)] if len(order) else []


def _right(study: Study, person: Observer, shown: Sequence[_Distances]) -> list[float]:
    """How likely a person answers each as expected."""
    task, right = study.task_module, []
    for expected, d0, d1 in shown:
        first = task.p_first(person, d0, d1)  # as if p0 were on the left
        right.append(first if expected == task.stored(task.choices[0], "right") else 1 - first)
    return right
