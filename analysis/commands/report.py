"""The command `bapps-report`."""

import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bapps_builder.commands.console import Command, note, progress
from bapps_builder.files.atomic import check_writable, replaced_whole

if TYPE_CHECKING:
    import pandas as pd

    from analysis.report.material import Material
    from analysis.report.tables import Section
    from analysis.scoring.breakdown import By
    from analysis.scoring.distances import SetDistances
    from analysis.scoring.judged_sets import JudgedSet
    from analysis.statistics.intervals import Resampling

_EXAMPLES = """
\b
Examples:
  bapps-score --metric lpips-vgg --metric ssim --save-distances mine.csv
  bapps-report --distances mine.csv --data dataset --out report.html
  bapps-report --distances mine.csv --votes 5 --out report.html --figures figures --latex table.tex
"""
_DISTRIBUTIONS = ("bapps", "numpy", "scipy", "pandas", "matplotlib")


@click.command(cls=Command, epilog=_EXAMPLES)
@click.option(
    "--distances",
    "files",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Table of distances, as bapps-score saves and takes them. May be repeated.",
)
@click.option("--data", type=click.Path(path_type=Path), help="The dataset: for pictures, photos and people's answers.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The page to write, report.html.")
@click.option(
    "--figures", "folder", type=click.Path(path_type=Path), help="Also write each figure as SVG and PDF here."
)
@click.option("--latex", type=click.Path(path_type=Path), help="Also write the tables of scores in LaTeX.")
@click.option("--title", default="Metrics against people", show_default=True, help="Of the page.")
@click.option(
    "--items", type=click.Path(path_type=Path), help="Table about items. [default: items.parquet of the sets]"
)
@click.option("--answers", type=click.Path(path_type=Path), help="Answers. [default: answers.parquet of the sets]")
@click.option("--votes", type=click.IntRange(1), help="Votes behind each fraction. [default: n of items.parquet]")
@click.option("--weights", type=click.Path(path_type=Path), help="Folder with weight files, for the figure of them.")
@click.option("--contradictions", type=click.IntRange(0), default=4, show_default=True, help="Items for two metrics.")
@click.option("--draws", type=click.IntRange(100), default=10_000, show_default=True, help="Of the bootstrap.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything left to chance.")
@click.option("--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="Of the intervals.")
def report(
    files: tuple[Path, ...],
    data: Path | None,
    out: Path,
    folder: Path | None,
    latex: Path | None,
    title: str,
    items: Path | None,
    answers: Path | None,
    votes: int | None,
    weights: Path | None,
    contradictions: int,
    draws: int,
    seed: int,
    level: float,
) -> None:
    """Write a report: one page with tables, figures, comparisons, and what people said.

    The page holds everything and opens without a network. Distances come from `bapps-score
    --save-distances`, or from any other program.
    """
    for target in filter(None, (out, latex)):
        check_writable(target)
    from analysis.report.figures import written
    from analysis.report.latex import as_latex
    from analysis.report.page import figures_of, page

    with progress(4, "report") as advance:
        results, sets, said, sources = _joined(files, data, items, answers, votes)
        advance(1)
        settings = (draws, seed, level)
        material = _material(results, sets, said, sources, title, settings, data, weights, contradictions)
        advance(1)
        drawn = figures_of(material)
        text = page(material, drawn)
        advance(1)
        _write(out, text.encode())
        if latex:
            _write(latex, as_latex(material.scores).encode())
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            for name, figure in drawn.items():
                _write(folder / f"{name}.svg", written(figure, "svg"))
                _write(folder / f"{name}.pdf", written(figure, "pdf"))
        advance(1)
    note(f"{out}: {len(text.encode()) / 1e6:.1f} MB")


def _joined(
    files: Sequence[Path], data: Path | None, items: Path | None, answers: Path | None, votes: int | None
) -> "tuple[list[SetDistances], list[JudgedSet], pd.DataFrame | None, list[Path]]":
    """Distances, the sets with all that is known about them, the answers if there are any, and the files read."""

    from analysis.scoring.distances import read_distances
    from analysis.scoring.item_facts import (
        answers_of_sets,
        facts_of_set,
        folders_about,
        identity_of_set,
        read_facts,
    )
    from analysis.scoring.judged_sets import judged_sets
    from bapps_builder.answers.answer_table import read_answers
    from bapps_builder.layout import ANSWERS, ITEMS, TASKS, find_sets

    results = [found for file in files for found in read_distances(file)]
    labels = {(result.task, result.label) for result in results}
    folders = [] if data is None else folders_about(labels, find_sets(data, TASKS))
    facts = [read_facts(items)] if items else []
    facts += [found for folder in folders if (found := facts_of_set(folder)) is not None]
    facts += [identity_of_set(one) for one in folders if one.task == "jnd" and not (one.path / ITEMS).is_file()]
    said = read_answers(answers) if answers else None
    if said is None:
        said = answers_of_sets(folders)
    named = [*files, *filter(None, (items, answers))]
    beside_sets = [path for folder in folders for name in (ITEMS, ANSWERS) if (path := folder.path / name).is_file()]
    sets = judged_sets(results, facts=facts, answers=said, votes=votes)
    return results, sets, said, [*named, *beside_sets]


def _material(
    results: "list[SetDistances]",
    sets: "list[JudgedSet]",
    said: "pd.DataFrame | None",
    sources: list[Path],
    title: str,
    settings: tuple[int, int, float],
    data: Path | None,
    weights: Path | None,
    each: int,
) -> "Material":
    from analysis.report import evidence_tables
    from analysis.report.learned_weights import learned_weights
    from analysis.report.material import Material
    from analysis.report.page import table_of
    from analysis.report.shown_items import contradicting
    from analysis.scoring import score_evidence
    from analysis.scoring.judged_sets import counts_of
    from analysis.scoring.scores import scores
    from bapps_builder.files.download import sha256_of

    drawn: score_evidence.Drawn = "people" if any(one.answers is not None for one in sets) else "items"
    how = score_evidence.Settings(*settings, drawn=drawn)
    intervals = score_evidence.intervals(sets, how)
    scored = scores(results, counts_of(sets))
    correlation = evidence_tables.correlation_section({key: one.value for key, one in intervals.items()})
    comparisons = score_evidence.comparisons(sets, how)
    pairs, *tied = evidence_tables.comparison_sections(comparisons, intervals, how)
    compared = [*tied, pairs] if pairs.rows else []
    heads, missing = learned_weights([name for one in sets for name in one.metrics], weights)
    for name in missing:
        note(f"{name}: its weights are not on this machine, so their figure is left out; see bapps-weights fetch")
    count = sum(len(one.items) for one in sets)
    metrics = len(dict.fromkeys(name for one in sets for name in one.metrics))
    return Material(
        title=title,
        lead=f"{_counted(metrics, 'metric')} on {_counted(count, 'item')} in {_counted(len(sets), 'set')}. "
        f"Intervals are of {100 * how.level:g}%; seed {how.seed}.",
        judged=sets,
        scores=scored,
        intervals=intervals,
        comparisons=comparisons,
        compared=compared,
        beside=[*evidence_tables.beside_sections(sets), *filter(None, [correlation])],
        groups=_groups(sets),
        people=_people(sets, said, how),
        heads=heads,
        contradictions=contradicting(sets, data, each=each),
        command=shlex.join(["bapps-report", *sys.argv[1:]]),
        files=table_of("Files", ("file", "SHA-256"), {str(path): sha256_of(path) for path in sources}),
        versions=table_of("Versions", ("package", "version"), {name: version(name) for name in _DISTRIBUTIONS}),
        simulated=said is not None and "simulated" in said and bool(said["simulated"].any()),
    )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _groups(sets: "Sequence[JudgedSet]") -> "list[Section]":
    """Breakdowns by whatever is known of the items."""
    from analysis.report.evidence_tables import breakdown_section
    from analysis.scoring.breakdown import CHOICES

    known = {name for one in sets for name in one.items}
    possible: list[By] = [
        by for by in CHOICES if by != "photo" and (by == "margin" or {f"p0_{by}", f"p1_{by}"} & known)
    ]
    return [section for by in possible for section in breakdown_section(sets, by)]


def _people(sets: "Sequence[JudgedSet]", said: "pd.DataFrame | None", how: "Resampling") -> "list[Section]":
    """The sections of `bapps-consistency` about these very items."""
    import pandas as pd

    from analysis.people.consistency_settings import Settings
    from analysis.people.judgments import judged
    from analysis.people.sections_of_people import consistency
    from bapps_builder.answers.item_ids import respelled
    from bapps_builder.layout import TASKS

    settings = Settings(draws=how.draws, seed=how.seed, level=how.level)
    sections = []
    for task in TASKS:
        counted = [one.items for one in sets if one.task == task and "n" in one.items]
        if counted:
            items = pd.concat(counted, ignore_index=True).drop(columns="p")
            mine = None if said is None else respelled(("items", items), ("answers", said[said["task"] == task]))[1]
            if mine is not None and "set" not in mine:
                mine = mine.merge(items[["item", "set"]].drop_duplicates("item"), on="item", how="left")
                mine["set"] = mine["set"].fillna("not scored")
            sections += consistency(judged(task, items, mine), settings)
    return sections


def _write(path: Path, data: bytes) -> None:
    with replaced_whole(path) as temporary:
        temporary.write_bytes(data)
