"""What a report is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.report.tables import Section
from analysis.scoring.judged_sets import JudgedSet
from analysis.scoring.score_evidence import Key
from analysis.scoring.scores import Score, set_order
from analysis.statistics.intervals import Estimate
from analysis.statistics.multiple_comparisons import Comparison
from bapps_builder.datasets.load_mode import LoadChoice
from bapps_builder.layout import Task


@dataclass(frozen=True)
class Shown:
    """One item that two metrics contradict each other about.

    Attributes
    ----------
    item, where : str
    patches : tuple of (role, PNG)
        Empty where there are no pictures.
    verdicts : tuple of (who, what)
        What each metric and, last, people said.
    choices : tuple of roles
        2AFC: the patch that each of those in `verdicts` took for the closer one; empty for JND.
    """

    item: str
    where: str
    patches: tuple[tuple[str, bytes], ...]
    verdicts: tuple[tuple[str, str], ...]
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Material:
    """Everything a report is made from.

    Attributes
    ----------
    title, lead : str
    sets : sequence of JudgedSet
    scores : sequence of Score
    intervals : mapping of Key to Estimate
    comparisons : mapping of (task, set or mean) to the comparisons of every two metrics
    compared, beside, groups, people : sequences of Section
    heads : mapping of metric to its learned weights, one array a layer
    contradictions : mapping of heading to items
    loads : mapping of a set's key `task/split/name` to LoadChoice
        How its pictures were read; empty without pictures.
    command : str
        Which makes this report again.
    files : Section
        What went in, with hashes.
    versions : Section
    simulated : bool
        Whether programs answered.
    """

    title: str
    lead: str
    sets: Sequence[JudgedSet]
    scores: Sequence[Score]
    intervals: Mapping[Key, Estimate]
    comparisons: Mapping[tuple[Task, str], Sequence[Comparison]]
    compared: Sequence[Section]
    beside: Sequence[Section]
    groups: Sequence[Section]
    people: Sequence[Section]
    heads: Mapping[str, Sequence[NDArray[np.floating]]]
    contradictions: Mapping[str, Sequence[Shown]]
    loads: Mapping[str, LoadChoice]
    command: str
    files: Section
    versions: Section
    simulated: bool = False
    values: dict[Key, float] = field(init=False)

    def __post_init__(self) -> None:
        values = {Key(s.task, s.metric, s.measure, s.set): s.value for s in self.scores}
        object.__setattr__(self, "values", values)


def columns_of(material: Material, task: Task) -> list[str]:
    """The sets of a task in the order of the paper, then the means."""
    mine = [score for score in material.scores if score.task == task]
    sets = sorted({score.set for score in mine if not score.is_mean}, key=set_order)
    return [*sets, *dict.fromkeys(score.set for score in mine if score.is_mean)]
