"""What may be asked for beside scores. It is a file of its own that imports nothing, since options are made of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from analysis.scoring.breakdown import By
    from analysis.scoring.score_evidence import Drawn


@dataclass(frozen=True)
class Evidence:
    """What is asked for beyond the scores.

    Attributes
    ----------
    ci : "auto", "items", "people" or None
        An interval for each score: over items, those of one photo together, or over items and people; auto takes
        people where the answers know people. A report says which it was.
    compare : bool
        Compare every two metrics on the same items.
    by : tuple of "recipe", "family", "severity", "photo", "margin"
        Score groups of items too.
    details : bool
        Also, beside each score, its share of what any metric can reach, its log-likelihood and calibration, and
        how 2AFC and JND agree.
    items, answers : Path or None
        Tables about items and of answers, in place of those beside each set.
    votes : int or None
        Votes behind each fraction, where the table of items does not say it.
    draws, seed, level
        Of the bootstrap and its intervals.
    """

    ci: "Drawn | Literal['auto'] | None" = None
    compare: bool = False
    by: "tuple[By, ...]" = ()
    details: bool = False
    items: Path | None = None
    answers: Path | None = None
    votes: int | None = None
    draws: int = 10_000
    seed: int = 0
    level: float = 0.95

    @property
    def anything(self) -> bool:
        """Whether anything beyond the scores is asked for."""
        return bool(self.ci or self.compare or self.by or self.details)
