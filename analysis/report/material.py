"""What a report is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.report.crops import Window
from analysis.report.tables import Section
from analysis.scoring.judged_sets import JudgedSet
from analysis.scoring.score_evidence import Key
from analysis.scoring.scores import Score, set_order
from analysis.statistics.intervals import Estimate
from analysis.statistics.multiple_comparisons import Comparison
from bapps_builder.datasets.load_mode import LoadChoice, load_image
from bapps_builder.images.image_files import encode_png
from bapps_builder.layout import Task


@dataclass(frozen=True)
class WholePicture:
    """A picture of which the page shows a part; it is read when it is written.

    Attributes
    ----------
    path : Path
    choice : LoadChoice
        How it is read.
    words : str
        What it is.
    """

    path: Path
    choice: LoadChoice
    words: str

    def png(self) -> bytes:
        """Read it, as PNG."""
        return encode_png(load_image(self.path, self.choice))


@dataclass(frozen=True)
class Picture:
    """What the page shows of a picture.

    Attributes
    ----------
    role : str
    png : bytes
    size : tuple of (width, height)
        Of `png`.
    whole : WholePicture, optional
        Where `png` is a part of it.
    """

    role: str
    png: bytes
    size: tuple[int, int]
    whole: WholePicture | None = None


@dataclass(frozen=True)
class Shown:
    """One item that two metrics contradict each other about.

    Attributes
    ----------
    item, where : str
    patches : tuple of Picture
        Empty where there are no pictures.
    verdicts : tuple of (who, what)
        What each metric and, last, people said.
    choices : tuple of roles
        2AFC: the patch that each of those in `verdicts` took for the closer one; empty for JND.
    window : Window, optional
        Where the parts that are shown lie in the pictures, where they are parts.
    """

    item: str
    where: str
    patches: tuple[Picture, ...]
    verdicts: tuple[tuple[str, str], ...]
    choices: tuple[str, ...] = ()
    window: Window | None = None


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
