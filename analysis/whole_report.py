"""A whole report: all that tables of distances, a dataset and its people allow to be said, put together."""

import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from analysis.people.consistency_settings import Settings as PeopleSettings
from analysis.people.judgments import judgments_of
from analysis.people.sections_of_people import consistency
from analysis.report import evidence_tables
from analysis.report.evidence_tables import breakdown_section
from analysis.report.learned_weights import learned_weights
from analysis.report.material import Material
from analysis.report.page import table_of
from analysis.report.shown_items import contradicting, load_choices
from analysis.report.tables import Section
from analysis.scoring import score_evidence
from analysis.scoring.breakdown import CHOICES, has_facts
from analysis.scoring.distances import SetDistances, read_distances
from analysis.scoring.item_facts import (
    answers_of_sets,
    facts_of_set,
    folders_about,
    identity_of_set,
    read_facts,
)
from analysis.scoring.judged_sets import JudgedSet, counts_of, judged_sets
from analysis.scoring.scores import scores
from analysis.statistics.intervals import Resampling
from bapps_builder.answers.answer_table import read_answers
from bapps_builder.answers.item_ids import respelled
from bapps_builder.datasets.load_mode import LoadMode
from bapps_builder.errors import Notice
from bapps_builder.files.download import sha256_of
from bapps_builder.layout import ANSWERS, ITEMS, TASKS, find_sets

_DISTRIBUTIONS = ("bapps", "numpy", "scipy", "pandas", "matplotlib")


def whole_report(
    files: Sequence[Path],
    data: Path | None = None,
    *,
    items: Path | None = None,
    answers: Path | None = None,
    votes: int | None = None,
    weights: Path | None = None,
    load: LoadMode = "auto",
    contradictions: int = 4,
    how: Resampling | None = None,
    title: str = "Metrics against people",
    command: str = "",
) -> Material:
    """Put a report together; `analysis.report.page` and `analysis.report.latex` show it.

    Parameters
    ----------
    files : sequence of Path
        Tables of distances.
    data : Path, optional
        The dataset: for pictures, photos and people's answers.
    items, answers : Path, optional
        Tables about items and of answers, in place of those beside the sets.
    votes : int, optional
        Votes behind each fraction, where the table of items does not say it.
    weights : Path, optional
        Folder with weight files, for the figure of learned weights.
    load : "auto", "official", "exact" or "native"
        How pictures are read; see bapps_builder.datasets.load_mode.
    contradictions : int
        Items to show for every two metrics.
    how : Resampling, optional
        Of intervals.
    title, command : str
        Of the page, and which makes it again.

    Raises
    ------
    BappsError
        If a file cannot be read, or files are not about the same items.
    """
    results, sets, people, sources = _joined(files, data, items, answers, votes)
    how = how or Resampling()
    unit: score_evidence.Drawn = "people" if any(one.answers is not None for one in sets) else "items"
    settings = score_evidence.Settings(how.draws, how.seed, how.level, drawn=unit)
    intervals = score_evidence.intervals(sets, settings)
    score_rows = scores(results, counts_of(sets))
    correlation = evidence_tables.correlation_section({key: one.value for key, one in intervals.items()})
    comparisons = score_evidence.comparisons(sets, settings)
    pairs, *tied = evidence_tables.comparison_sections(comparisons, intervals, settings)
    comparison_tables = [*tied, pairs] if pairs.rows else []
    heads, absent = learned_weights([name for one in sets for name in one.metrics], weights)
    for name in absent:
        text = f"{name}: its weights are not on this machine, so their figure is left out; see bapps-weights fetch"
        warnings.warn(text, Notice, stacklevel=2)
    loads = load_choices(sets, data, load) if data and contradictions else {}
    count = sum(len(one.items) for one in sets)
    metrics = len(dict.fromkeys(name for one in sets for name in one.metrics))
    return Material(
        title=title,
        lead=f"{_count(metrics, 'metric')} on {_count(count, 'item')} in {_count(len(sets), 'set')}. "
        f"Intervals are of {100 * how.level:g}%; seed {how.seed}.",
        sets=sets,
        scores=score_rows,
        intervals=intervals,
        comparisons=comparisons,
        compared=comparison_tables,
        beside=[*evidence_tables.beside_sections(sets), *filter(None, [correlation])],
        groups=_groups(sets),
        people=_people(sets, people, how),
        heads=heads,
        contradictions=contradicting(sets, data, loads, each=contradictions),
        loads=loads,
        command=command,
        files=table_of("Files", ("file", "SHA-256"), {str(path): sha256_of(path) for path in sources}),
        versions=table_of("Versions", ("package", "version"), {name: version(name) for name in _DISTRIBUTIONS}),
        simulated=people is not None and "simulated" in people and bool(people["simulated"].any()),
    )


def _joined(
    files: Sequence[Path], data: Path | None, items: Path | None, answers: Path | None, votes: int | None
) -> tuple[list[SetDistances], list[JudgedSet], pd.DataFrame | None, list[Path]]:
    """Distances, the sets with all that is known about them, the answers if there are any, and the files read."""
    results = [result for file in files for result in read_distances(file)]
    labels = {(result.task, result.label) for result in results}
    folders = [] if data is None else folders_about(labels, find_sets(data, TASKS))
    facts = [read_facts(items)] if items else []
    facts += [table for folder in folders if (table := facts_of_set(folder)) is not None]
    facts += [identity_of_set(one) for one in folders if one.task == "jnd" and not (one.path / ITEMS).is_file()]
    people = read_answers(answers) if answers else None
    if people is None:
        people = answers_of_sets(folders)
    paths = [*files, *filter(None, (items, answers))]
    beside_sets = [path for folder in folders for name in (ITEMS, ANSWERS) if (path := folder.path / name).is_file()]
    sets = judged_sets(results, facts=facts, answers=people, votes=votes)
    return results, sets, people, [*paths, *beside_sets]


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _groups(sets: Sequence[JudgedSet]) -> list[Section]:
    """Breakdowns by whatever is known of the items, and what is left out because nothing is."""
    sections, absent = [], []
    for by in CHOICES:
        for task in TASKS if by != "photo" else ():
            mine = [one for one in sets if one.task == task]
            if mine and has_facts(pd.concat([one.items for one in mine], ignore_index=True), by):
                sections += breakdown_section(mine, by)
            elif mine:
                absent.append(f"{task.upper()} by {by}")
    if absent:
        text = f"nothing is known of the items by which to break down: {', '.join(absent)}"
        warnings.warn(f"{text}; these breakdowns are left out", Notice, stacklevel=3)
        sections.append(Section("Breakdowns left out", (), (), (text,)))
    return sections


def _people(sets: Sequence[JudgedSet], answers: pd.DataFrame | None, how: Resampling) -> list[Section]:
    """The sections of `bapps-consistency` about these very items."""
    settings = PeopleSettings(draws=how.draws, seed=how.seed, level=how.level)
    sections = []
    for task in TASKS:
        item_tables = [one.items for one in sets if one.task == task and "n" in one.items]
        if item_tables:
            items = pd.concat(item_tables, ignore_index=True).drop(columns="p")
            mine = None
            if answers is not None:
                mine = respelled(("items", items), ("answers", answers[answers["task"] == task]))[1]
            if mine is not None and "set" not in mine:
                mine = mine.merge(items[["item", "set"]].drop_duplicates("item"), on="item", how="left")
                mine["set"] = mine["set"].fillna("not scored")
            sections += consistency(judgments_of(task, items, mine), settings)
    return sections
