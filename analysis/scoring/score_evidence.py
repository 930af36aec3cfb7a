"""How sure a score is, and whether two metrics really differ: intervals and comparisons.

Everything here is about sets that are joined with what is known of items and people (`JudgedSet`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.scoring import jnd, twoafc
from analysis.scoring.item_facts import sample_of
from analysis.scoring.judged_sets import JudgedSet
from analysis.scoring.scores import set_order
from analysis.statistics import multiple_comparisons
from analysis.statistics.intervals import (
    Estimate,
    Resampling,
    Sample,
    means_over_items,
    means_over_items_and_people,
    of_statistic,
)
from analysis.statistics.permutation_tests import compared_means, compared_statistic
from analysis.statistics.shares import of_share, within
from bapps_builder.layout import TASKS, Task

Floats = NDArray[np.float64]
Drawn = Literal["items", "people"]

# Each takes a sort and sums over all pairs; percentiles need no more.
DRAWS_OF_PRECISION = 2000
# Fewer differing items cannot show a difference at .05, not even if all speak for one metric.
FEWEST_DIFFERING = 6


class Key(NamedTuple):
    """Which number: as the fields of `Score`."""

    task: Task
    metric: str
    measure: str
    set: str


@dataclass(frozen=True)
class Settings(Resampling):
    """How to compute intervals, over items (photos) alone, or over items and people."""

    drawn: Drawn = "items"


def intervals(all_sets: Sequence[JudgedSet], settings: Settings) -> dict[Key, Estimate]:
    """Give every score its interval: of each set, and of the paper's means over sets."""
    of_keys: dict[Key, Estimate] = {}
    for task, column, sets in columns(all_sets):
        names = shared_metrics(sets)
        for measure in ("2afc",) if task == "2afc" else ("ap", "ap-of-ties"):
            estimates = _estimates(sets, names, measure, settings)
            estimates = [of_share(one, "all items pay the same") for one in estimates]
            of_keys |= {Key(task, name, measure, column): one for name, one in zip(names, estimates, strict=True)}
    return of_keys


def comparisons(
    all_sets: Sequence[JudgedSet], settings: Settings
) -> dict[tuple[Task, str], list[multiple_comparisons.Comparison]]:
    """Compare every two metrics, on each set and each mean; Holm's correction is over the pairs of one of them."""
    pairs_by_column = {}
    for task, column, sets in columns(all_sets):
        names = shared_metrics(sets)
        if len(names) > 1:
            # Scores lie in [0, 1]: a bound may be further out than differences can be.
            estimates = [within(one, -1, 1) for one in _differences(task, sets, names, settings)]
            pairs_by_column[task, column] = multiple_comparisons.compared(names, estimates)
    return pairs_by_column


def columns(sets: Sequence[JudgedSet]) -> list[tuple[Task, str, list[JudgedSet]]]:
    """The columns of the result tables: each set, then each mean with its sets."""
    groups: list[tuple[Task, str, list[JudgedSet]]] = []
    for task in TASKS:
        mine = {one.label: one for one in sets if one.task == task}
        labels = sorted(mine, key=set_order)
        groups.extend((task, label, [mine[label]]) for label in labels)
        for name, members in twoafc.groups_of_sets(labels).items():
            if task == "2afc" or name == "mean of all":
                groups.append((task, name, [mine[label] for label in members]))
    return groups


def shared_metrics(sets: Sequence[JudgedSet]) -> tuple[str, ...]:
    """Give the metrics that every one of these sets has."""
    return tuple(name for name in sets[0].metrics if all(name in one.metrics for one in sets))


def _estimates(sets: Sequence[JudgedSet], names: Sequence[str], measure: str, settings: Settings) -> list[Estimate]:
    """Estimates of the scores of some metrics on some sets."""
    if not names:
        return []
    sample = _sample(sets)
    if measure != "2afc":
        fewer = replace(settings, draws=min(settings.draws, DRAWS_OF_PRECISION))
        return of_statistic(lambda weights: _precisions(sets, names, measure, weights).T, sample, fewer)
    if _of_people(sets, settings):
        return means_over_items_and_people(
            _rows_of_answers(sets, names), *_answer_codes(sets, sample), level=settings.level
        )
    return means_over_items(_rows_of_items(sets, names), sample, settings)


def _differences(task: Task, sets: Sequence[JudgedSet], names: Sequence[str], settings: Settings) -> list[Estimate]:
    """Estimates of the differences of every two metrics, in the order of `compare.pairs`."""
    sample = _sample(sets)
    if task == "jnd":
        fewer = replace(settings, draws=min(settings.draws, DRAWS_OF_PRECISION))
        return [_difference_of_precision(sets, pair, sample, fewer) for pair in multiple_comparisons.pairs(names)]
    if _of_people(sets, settings):
        rows = multiple_comparisons.differences(_rows_of_answers(sets, names))
        of_answers, items, people = _answer_codes(sets, sample)
        means = means_over_items_and_people(rows, of_answers, items, people, level=settings.level)
        return [_if_enough_differ(one, row, of_answers) for one, row in zip(means, rows, strict=True)]
    return compared_means(_rows_of_items(sets, names), sample, settings)


def _if_enough_differ(one: Estimate, row: Floats, sample: Sample) -> Estimate:
    """An estimate over items and people without its interval and p where too few items differ for any."""
    differing = len(np.unique(sample.clusters[row != 0]))
    if differing >= FEWEST_DIFFERING:
        return one
    unit, nan = sample.unit.partition(",")[0], float("nan")
    what = f"{unit.removesuffix('s')} differs" if differing == 1 else f"{unit} differ"
    return replace(one, low=nan, high=nan, p=nan, method=f"not tested: only {differing} {what}")


def _difference_of_precision(
    sets: Sequence[JudgedSet], pair: tuple[str, str], sample: Sample, settings: Settings
) -> Estimate:
    """The difference of the average precision of two metrics, the mean over sets."""
    rows = [[one.distances[row, 0] for row in rows_of(one, pair)] for one in sets]
    ends = np.cumsum([len(one.items) for one in sets])

    def statistic(exchanged: NDArray[np.bool_]) -> Floats:
        of_sets = [
            jnd.difference_of_exchanged(first, second, one.p, exchanged[:, end - len(one.items) : end])
            for (first, second), one, end in zip(rows, sets, ends, strict=True)
        ]
        return np.mean(of_sets, axis=0)

    differing = np.concatenate([jnd.ranks(first) != jnd.ranks(second) for first, second in rows])
    return compared_statistic(statistic, differing, sample, settings)


def _sample(sets: Sequence[JudgedSet]) -> Sample:
    return sample_of(pd.concat([one.items for one in sets], ignore_index=True))


def _of_people(sets: Sequence[JudgedSet], settings: Settings) -> bool:
    return settings.drawn == "people" and all(one.answers is not None for one in sets)


def _rows_of_items(sets: Sequence[JudgedSet], names: Sequence[str]) -> Floats:
    return np.concatenate([one.payoffs()[rows_of(one, names)] for one in sets], axis=1)


def _rows_of_answers(sets: Sequence[JudgedSet], names: Sequence[str]) -> Floats:
    return np.concatenate([one.payoffs_of_answers()[rows_of(one, names)] for one in sets], axis=1)


def rows_of(one: JudgedSet, names: Sequence[str]) -> list[int]:
    """Give the rows of some metrics in the distances of a set."""
    return [one.metrics.index(name) for name in names]


def _precisions(sets: Sequence[JudgedSet], names: Sequence[str], measure: str, weights: Floats) -> Floats:
    """Average precision of each metric in each resample, the mean over sets, shape (M, B)."""
    ends = np.cumsum([len(one.items) for one in sets])
    of_sets = [
        [
            jnd.resampled_average_precision(
                one.distances[row, 0], one.p, weights[:, end - len(one.items) : end], ties_averaged=measure != "ap"
            )
            for row in rows_of(one, names)
        ]
        for one, end in zip(sets, ends, strict=True)
    ]
    return np.mean(of_sets, axis=0)


def _answer_codes(sets: Sequence[JudgedSet], sample: Sample) -> tuple[Sample, NDArray[np.intp], NDArray[np.intp]]:
    """Set and photo, item, and person of each answer of several sets."""
    starts = np.cumsum([0, *(len(one.items) for one in sets)])
    answers = [one.answers for one in sets if one.answers is not None]
    items = np.concatenate([table["row"].to_numpy() + start for table, start in zip(answers, starts, strict=False)])
    people = pd.factorize(pd.concat([table["participant"] for table in answers]))[0]
    return Sample(sample.sets[items], sample.clusters[items], sample.unit), items, people
