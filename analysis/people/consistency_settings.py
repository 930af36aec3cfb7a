"""What every section about people is made with."""

from dataclasses import dataclass

from analysis.people.judgments import Judgments
from analysis.statistics.intervals import Resampling
from bapps_builder.answers.exclusions import DEFAULT_RULES, Rule


@dataclass(frozen=True)
class Settings(Resampling):
    """How to compute, and whom to exclude (see `bapps_builder.answers.exclusions`)."""

    rules: tuple[Rule, ...] = DEFAULT_RULES


def titled(text: str, judgments: Judgments) -> str:
    """A section's title, with the task."""
    return f"{text} ({judgments.task.upper()})"
