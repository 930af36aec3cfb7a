"""From distances to scores: one row a metric, measure and set, then the paper's means, then people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.scoring import jnd, twoafc
from analysis.scoring.distances import SetDistances
from bapps_builder.layout import Task, paper_order


@dataclass(frozen=True)
class Score:
    """One number of a result table.

    Attributes
    ----------
    task : "2afc" or "jnd"
    metric : str
        A metric's name, or a row that describes people.
    measure : str
        "2afc", "ap", or "ap-of-ties" (JND with tied distances averaged).
    set : str
        "split/name", or the name of an unweighted mean over sets.
    value : float
        In [0, 1].
    items : int
        On which it rests; for a mean over sets, of all of them together.
    is_mean : bool
        Whether `set` names a mean.
    """

    task: Task
    metric: str
    measure: str
    set: str
    value: float
    items: int
    is_mean: bool = False


def scores(results: Sequence[SetDistances], counts: Mapping[str, pd.DataFrame] | None = None) -> list[Score]:
    """Score every metric of every result, with means over sets; for 2AFC with the rows of people too.

    `counts` has k and n of the 2AFC sets whose number of votes is known, by label; they have more such rows.
    """
    first_of_set = {(result.task, result.label): result for result in reversed(results)}
    rows = [row for result in results for row in _of_metrics(result)]
    rows += [row for result in reversed(first_of_set.values()) for row in _of_people(result, counts or {})]
    return [*rows, *_means(rows)]


def set_order(label: str) -> tuple[bool, int, str, str]:
    """Sort key of sets: validation before training, then the paper's order, then names."""
    split, _, name = label.rpartition("/")
    return (split == "train", *paper_order(name), split)


def _of_metrics(result: SetDistances) -> list[Score]:
    rows = []
    for metric, distances in zip(result.metrics, result.distances, strict=True):
        if result.task == "2afc":
            rows.append(_row(result, metric, "2afc", twoafc.score(distances[0], distances[1], result.labels)))
        else:
            ap = jnd.average_precision(distances[0], result.labels)
            of_ties = jnd.average_precision_of_ties(distances[0], result.labels)
            rows += [_row(result, metric, "ap", ap), _row(result, metric, "ap-of-ties", of_ties)]
    return rows


def _of_people(result: SetDistances, counts: Mapping[str, pd.DataFrame]) -> list[Score]:
    if result.task != "2afc":
        return []
    rows = twoafc.human(result.labels)
    if (counted := counts.get(result.label)) is not None:
        rows |= twoafc.human_of_counts(counted["k"], counted["n"])
    return [_row(result, name, "2afc", value) for name, value in rows.items()]


def _row(result: SetDistances, metric: str, measure: str, value: float) -> Score:
    return Score(result.task, metric, measure, result.label, value, len(result.ids))


def _means(rows: Sequence[Score]) -> list[Score]:
    means = []
    by_metric: dict[tuple[Task, str, str], dict[str, Score]] = {}
    for row in rows:
        by_metric.setdefault((row.task, row.metric, row.measure), {})[row.set] = row
    for (task, metric, measure), mine in by_metric.items():
        for name, members in twoafc.groups_of_sets(sorted(mine, key=set_order)).items():
            if task == "2afc" or name == "mean of all":
                value = float(np.mean([mine[label].value for label in members]))
                items = sum(mine[label].items for label in members)
                means.append(Score(task, metric, measure, name, value, items, is_mean=True))
    return means
