"""What a dataset knows of each task: one entry a task, from which layout, answers, votes and cards follow.

How people are asked is the business of whoever collects the answers.
"""

from dataclasses import dataclass
from typing import Literal

Task = Literal["2afc", "jnd"]


@dataclass(frozen=True)
class Judging:
    """What the items and judgments of a task are.

    Attributes
    ----------
    images : tuple of str
        The folders of images.
    label : str
        The folder of judgments.
    choices : two str
        What can be chosen, as answers have it; a judgment is the share of the second.
    sided : bool
        Whether the side on which p1 was shown says which way somebody leans; else the choice itself does.
    about : str
        For the card of a dataset.
    """

    images: tuple[str, ...]
    label: str
    choices: tuple[str, str]
    sided: bool
    about: str


JUDGED: dict[Task, Judging] = {
    "2afc": Judging(
        images=("ref", "p0", "p1"),
        label="judge",
        choices=("p0", "p1"),
        sided=True,
        about="Which of two distorted patches, p0 or p1, is closer to the reference? `judge` is the share of p1.",
    ),
    "jnd": Judging(
        images=("p0", "p1"),
        label="same",
        choices=("different", "same"),
        sided=False,
        about="Are two patches, p0 and p1, the same or different? `same` is the share of people who said same.",
    ),
}
