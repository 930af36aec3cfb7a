"""The options of `bapps-score` that ask for more than a score: intervals, comparisons, breakdowns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from analysis.report.tables import Section
    from analysis.scoring.breakdown import By
    from analysis.scoring.distances import SetDistances
    from analysis.scoring.judged_sets import JudgedSet
    from analysis.scoring.score_evidence import Drawn, Key
    from analysis.statistics.intervals import Estimate
    from bapps_builder.layout import SetFolder


@dataclass(frozen=True)
class Asked:
    """What these options ask for; see their help."""

    ci: "Drawn | None"
    compare: bool
    by: "tuple[By, ...]"
    details: bool
    items: Path | None
    answers: Path | None
    votes: int | None
    draws: int
    seed: int
    level: float

    @property
    def anything(self) -> bool:
        """Whether anything beyond the scores is asked for."""
        return bool(self.ci or self.compare or self.by or self.details)


def evidence_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets them as one argument `asked`."""

    @wraps(command)
    def with_asked(**given: Any) -> Any:
        asked = Asked(**{field.name: given.pop(field.name) for field in fields(Asked)})
        return command(asked=asked, **given)

    for option in reversed(_OPTIONS):
        with_asked = option(with_asked)
    return with_asked


_OPTIONS = (
    click.option(
        "--ci",
        type=click.Choice(["items", "people"]),
        help="Give each score an interval: over items, those of one photo together, or over items and people.",
    ),
    click.option(
        "--compare", is_flag=True, help="Compare every two metrics on the same items, and say which are tied."
    ),
    click.option(
        "--by",
        type=click.Choice(["recipe", "family", "severity", "photo", "margin"]),
        multiple=True,
        help="Also score groups of items; margin is how sure people were. May be repeated.",
    ),
    click.option(
        "--details",
        is_flag=True,
        help="Beside each score: share of the reachable, log-likelihood and calibration; 2AFC against JND.",
    ),
    click.option(
        "--items",
        type=click.Path(path_type=Path),
        help="Table about items: id, and set, photo, p0_recipe, ... [default: items.parquet beside each set]",
    ),
    click.option(
        "--answers",
        type=click.Path(path_type=Path),
        help="Answers with people, for --ci people. [default: answers.parquet beside each set]",
    ),
    click.option(
        "--votes", type=click.IntRange(1), help="Votes behind each fraction. [default: n of items.parquet, if there]"
    ),
    click.option("--draws", type=click.IntRange(100), default=10_000, show_default=True, help="Of the bootstrap."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the bootstrap."),
    click.option(
        "--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="Of the intervals."
    ),
)


def judged(results: "Sequence[SetDistances]", folders: "Sequence[SetFolder]", asked: Asked) -> "list[JudgedSet]":
    """Join distances with what files beside the sets, or files that were named, say about items and people."""
    from analysis.scoring.item_facts import answers_of_sets, facts_of_set, read_facts
    from analysis.scoring.judged_sets import judged_sets
    from bapps_builder.answers.answer_table import read_answers

    facts = [read_facts(asked.items)] if asked.items else []
    facts += [found for folder in folders if (found := facts_of_set(folder)) is not None]
    answers = read_answers(asked.answers) if asked.answers else None
    if answers is None and asked.ci == "people":
        answers = answers_of_sets(folders)
    return judged_sets(results, facts=facts, answers=answers, votes=asked.votes)


def evidence(
    sets: "Sequence[JudgedSet]", scored: "dict[Key, float]", asked: Asked
) -> "tuple[dict[Key, Estimate], list[Section]]":
    """Compute what was asked for: the interval of each score, and sections to show under the scores."""
    from analysis.report import evidence_tables as tables
    from analysis.scoring.score_evidence import Settings, comparisons, intervals

    settings = Settings(drawn=asked.ci or "items", draws=asked.draws, seed=asked.seed, level=asked.level)
    found: dict[Key, Estimate] = {}
    sections = []
    if asked.ci or asked.compare:
        found = intervals(sets, settings)
    if asked.ci:
        sections.append(tables.interval_section(found, settings))
    if asked.compare:
        sections += tables.comparison_sections(comparisons(sets, settings), found, settings)
    for by in asked.by:
        sections += tables.breakdown_section(sets, by)
    if asked.details:
        sections += tables.beside_sections(sets)
        if correlation := tables.correlation_section(scored):
            sections.append(correlation)
    return found if asked.ci else {}, sections
