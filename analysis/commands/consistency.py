"""The command `bapps-consistency`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bapps_builder.commands.console import Command
from bapps_builder.errors import DatasetError

if TYPE_CHECKING:
    from bapps_builder.layout import Task

_EXAMPLES = """
\b
Examples:
  bapps-consistency dataset
  bapps-consistency answers.parquet --rule "sentinels>=0.8" --rule "fast<=0.2" --json
  bapps-consistency fractions.csv --votes 5 --plan 0.01
  bapps-consistency votes.json --task jnd --identical "*_n-0.png"
  bapps-consistency raw.csv --columns item=Image,participant=Subject,choice=Response --choices Left=p0,Right=p1
"""


def _pairs(context: click.Context, parameter: click.Parameter, text: str) -> dict[str, str]:
    parts = [part.partition("=") for part in text.split(",") if part]
    if wrong := [part for part in parts if not (part[0] and part[2])]:
        raise click.BadParameter(f"expected OURS=THEIRS,... got {wrong[0][0]!r}")
    return {left.strip(): right.strip() for left, _, right in parts}


@click.command(cls=Command, epilog=_EXAMPLES)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--task", type=click.Choice(["2afc", "jnd"]), help="Judgments to take. [default: all there are]")
@click.option("--votes", type=click.IntRange(1), help="Votes behind each fraction, where only fractions exist.")
@click.option("--study", help="The study to take, where answers of several are mixed.")
@click.option(
    "--items",
    "facts",
    type=click.Path(path_type=Path),
    help="Table of facts about items: id, and any of photo, p0_recipe, ...",
)
@click.option(
    "--columns",
    callback=_pairs,
    default="",
    metavar="OURS=THEIRS,...",
    help="What the table calls a column that we call otherwise.",
)
@click.option(
    "--choices",
    callback=_pairs,
    default="",
    metavar="THEIRS=OURS,...",
    help="What we call a choice that the table calls otherwise.",
)
@click.option("--p1-side", type=click.Choice(["left", "right"]), help="Side p1 was always on, if no column says.")
@click.option("--identical", default="", metavar="PATTERN", help='JND items that are identical pairs, as "*_n-0.png".')
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="RULE",
    help="Exclude people who break it; may be repeated. On answers, sentinels, fast, streak, side, away. "
    "[default: sentinels>=0.8 and fast<=0.2]",
)
@click.option("--no-rules", is_flag=True, help="Only the exclusions that the study itself recorded.")
@click.option(
    "--plan", type=click.FloatRange(0.001, 0.2), help="Plan studies with this half-width, as .01 for a point."
)
@click.option(
    "--plan-score", type=click.FloatRange(0.5, 1), default=0.7, show_default=True, help="Expected 2AFC score."
)
@click.option(
    "--plan-per-person",
    type=click.IntRange(1),
    default=85,
    show_default=True,
    help="Answers that --plan assumes one person gives; the default is a session of the preset 2afc.",
)
@click.option(
    "--draws", type=click.IntRange(100), default=10_000, show_default=True, help="How often the bootstrap resamples."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything that is left to chance."
)
@click.option("--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="Level of intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def consistency(
    source: Path,
    task: "Task | None",
    votes: int | None,
    study: str | None,
    facts: Path | None,
    columns: dict[str, str],
    choices: dict[str, str],
    p1_side: str | None,
    identical: str,
    rules: tuple[str, ...],
    no_rules: bool,
    plan: float | None,
    plan_score: float,
    plan_per_person: int,
    draws: int,
    seed: int,
    level: float,
    as_json: bool,
) -> None:
    """Say how well people agree among themselves, and what the best metric could score.

    SOURCE is a table of answers (one row an answer, with people), a table of counts or fractions, a JSON
    file of lists of votes, or a dataset's folder. Where there are only counts, it says what cannot be
    known without people.
    """
    if no_rules and rules:
        raise click.UsageError("--no-rules and --rule exclude each other")

    # Imported late: scipy and pandas take a second, which --help and a usage error should not wait for.
    from analysis.people.consistency_settings import Settings
    from analysis.people.judgments import Reading, read_judgments
    from analysis.people.sections_of_people import consistency as sections_of
    from analysis.people.sections_of_people import planned
    from analysis.report.tables import as_text
    from analysis.scoring.item_facts import read_facts
    from bapps_builder.answers.exclusions import DEFAULT_RULES, parse_rule

    limits = () if no_rules else tuple(map(parse_rule, rules)) or DEFAULT_RULES
    settings = Settings(rules=limits, draws=draws, seed=seed, level=level)
    reading = Reading(
        renamed=columns,
        words=choices,
        votes=votes,
        task=task,
        study=study,
        identical=identical,
        p1_side=p1_side or "",
        facts=read_facts(facts) if facts else None,
    )
    parts = read_judgments(source, reading)
    sections = [section for judgments in parts for section in sections_of(judgments, settings)]
    if plan is not None:
        planable = [judgments for judgments in parts if judgments.task == "2afc" and (judgments.items["n"] >= 2).any()]
        if not planable:
            raise DatasetError(f"{source}: --plan fits 2AFC items with at least two votes, and there are none")
        sections += [
            planned(judgments, plan, settings, score=plan_score, per_person=plan_per_person) for judgments in planable
        ]
    about = {"data": str(source), "rules": list(map(str, limits)), "draws": draws, "seed": seed, "level": level}
    if as_json:
        click.echo(json.dumps({**about, "sections": [section.as_record() for section in sections]}, indent=2))
    else:
        click.echo(as_text(sections))
        rule_names = ", ".join(about["rules"]) or "none"
        click.echo(f"\ndata: {source}; rules: {rule_names}; {draws} draws, seed {seed}, {100 * level:g}% intervals")
