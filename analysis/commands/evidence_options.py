"""The options of `bapps-score` that ask for more than a score: intervals, comparisons, breakdowns."""

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from analysis.scoring.evidence import Evidence


def evidence_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets them as one argument `asked`."""

    @wraps(command)
    def with_asked(**options: Any) -> Any:
        evidence = Evidence(**{field.name: options.pop(field.name) for field in fields(Evidence)})
        return command(asked=evidence, **options)

    for option in reversed(_OPTIONS):
        with_asked = option(with_asked)
    return with_asked


_OPTIONS = (
    click.option(
        "--ci",
        is_flag=False,
        flag_value="auto",
        type=click.Choice(["auto", "items", "people"]),
        help="Give each score an interval: over items, those of one photo together, or over items and people. Without "
        "a word, or auto: people where the answers know people, else items.",
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
        help="Also print, beside each score, its share of what any metric can reach, its log-likelihood and "
        "calibration, and how 2AFC and JND agree.",
    ),
    click.option(
        "--items",
        type=click.Path(path_type=Path),
        help="Table about items: id, and set, photo, p0_recipe, ... [default: items.parquet beside each set]",
    ),
    click.option(
        "--answers",
        type=click.Path(path_type=Path),
        help="Answers with people, for --ci. [default: answers.parquet beside each set]",
    ),
    click.option(
        "--votes", type=click.IntRange(1), help="Votes behind each fraction. [default: n of items.parquet, if there]"
    ),
    click.option(
        "--draws",
        type=click.IntRange(100),
        default=10_000,
        show_default=True,
        help="How often the bootstrap resamples, for average precision at most 2,000 times.",
    ),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the bootstrap."),
    click.option(
        "--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="Level of the intervals."
    ),
)
