"""Scoring from end to end: metrics, or distances that were computed elsewhere, against what people said.

`score` reads a dataset and gives a `ScoreReport`; showing it is for `analysis.report`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis.scoring import score_evidence
from analysis.scoring.distances import SetDistances, read_distances
from analysis.scoring.evidence import Evidence
from analysis.scoring.item_facts import answers_of_sets, facts_of_set, folders_about, read_facts
from analysis.scoring.judged_sets import JudgedSet, counts_of, judged_sets
from analysis.scoring.score_evidence import Key, Settings
from analysis.scoring.scores import Score, scores
from analysis.statistics.intervals import Estimate
from analysis.statistics.multiple_comparisons import Comparison
from bapps_builder.answers.answer_table import read_answers
from bapps_builder.datasets.load_mode import LoadChoice, LoadMode
from bapps_builder.datasets.reader import ItemSet
from bapps_builder.errors import DatasetError
from bapps_builder.files.cores import cores
from bapps_builder.layout import TASKS, SetFolder, Task, find_sets
from metrics.metric import Metric

Progress = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class ScoreReport:
    """Scores, the evidence that was asked for, and what they rest on.

    Attributes
    ----------
    data : str
        The dataset, and files of distances.
    loads : mapping of a set's key `task/split/name` to LoadChoice
        How the images of each set were read; empty if none were.
    metrics : tuple of Metric
        Those that were run; distances from files name theirs.
    results : tuple of SetDistances
    sets : tuple of JudgedSet
        The distances of each set joined with what is known of its items and people.
    scores : tuple of Score
    intervals : mapping of Key to Estimate
        Of every score, where intervals or comparisons were asked for.
    comparisons : mapping of (task, set or mean) to comparisons of every two metrics
        Where they were asked for.
    evidence : Evidence
    """

    data: str
    loads: Mapping[str, LoadChoice]
    metrics: tuple[Metric, ...]
    results: tuple[SetDistances, ...]
    sets: tuple[JudgedSet, ...]
    scores: tuple[Score, ...]
    intervals: Mapping[Key, Estimate]
    comparisons: Mapping[tuple[Task, str], Sequence[Comparison]]
    evidence: Evidence
    values: Mapping[Key, float] = field(init=False)

    def __post_init__(self) -> None:
        values = {Key(row.task, row.metric, row.measure, row.set): row.value for row in self.scores}
        object.__setattr__(self, "values", values)

    @property
    def load(self) -> str:
        """The load mode of the images, "mixed" if sets were read in several, "" if none were read."""
        modes = sorted({choice.mode for choice in self.loads.values()})
        return "mixed" if len(modes) > 1 else "".join(modes)


@contextmanager
def silence(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Show no progress."""
    yield lambda steps: None


def score(
    metrics: Sequence[Metric] = (),
    data: Path | None = None,
    *,
    files: Sequence[Path] = (),
    sets: Sequence[str] = (),
    tasks: Sequence[Task] = TASKS,
    load: LoadMode = "auto",
    batch_size: int = 100,
    evidence: Evidence | None = None,
    progress: Progress = silence,
) -> ScoreReport:
    """Score metrics against human judgments, in one pass over the images of each set.

    Parameters
    ----------
    metrics : sequence of Metric
    data : Path, optional
        The folder that holds `2afc/` and `jnd/`; needed for metrics, and for what evidence is about items.
    files : sequence of Path
        Tables of distances that were computed elsewhere.
    sets : sequence of "split/name"
        The sets to score. Empty: every validation set.
    tasks : sequence of "2afc", "jnd"
    load : "auto", "official", "exact" or "native"
        See bapps_builder.datasets.load_mode.
    batch_size : int
        Items at a time.
    evidence : Evidence, optional
        What is asked for beyond the scores.
    progress : callable
        Of the number of items of a set and its name; gives a context that gives a function which is called with
        the items done.

    Raises
    ------
    BappsError
        If there is nothing to score, a file or an item cannot be read, or a metric fails.
    """
    how = evidence or Evidence()
    if metrics and data is None:
        raise DatasetError("metrics need the images of a dataset: give the folder that holds 2afc/ or jnd/")
    from_files = [one for file in files for one in read_distances(file) if one.task in tasks]
    folders = find_sets(data, tasks, sets) if data is not None else []
    item_sets = [ItemSet(folder) for folder in folders] if metrics else []  # all are checked before the first is read
    results = _distances(metrics, item_sets, load, batch_size, progress)
    results += [one for one in from_files if not sets or one.label in sets]
    sources = ", ".join(map(str, [*([data] if metrics else []), *files]))
    if not results:
        raise DatasetError(f"{sources}: nothing for the task {'both' if len(tasks) > 1 else tasks[0]}")
    joined = _sets(results, folders, how)
    if how.ci == "auto":
        how = replace(how, ci="people" if any(map(_knows_people, joined)) else "items")
    settings = settings_of(how)
    return ScoreReport(
        data=sources,
        loads={items.folder.key: items.load_choice(load) for items in item_sets},
        metrics=tuple(metrics),
        results=tuple(results),
        sets=tuple(joined),
        scores=tuple(scores(results, counts_of(joined))),
        intervals=score_evidence.intervals(joined, settings) if how.ci or how.compare else {},
        comparisons=score_evidence.comparisons(joined, settings) if how.compare else {},
        evidence=how,
    )


def settings_of(evidence: Evidence) -> Settings:
    """How intervals are computed; over items if nothing else was asked for or found."""
    unit = "people" if evidence.ci == "people" else "items"
    return Settings(drawn=unit, draws=evidence.draws, seed=evidence.seed, level=evidence.level)


def _distances(
    metrics: Sequence[Metric], item_sets: Sequence[ItemSet], load: LoadMode, batch_size: int, progress: Progress
) -> list[SetDistances]:
    if not item_sets:
        return []
    # Imported late: it loads torch, which tables of distances do without.
    from analysis.scoring.evaluate import evaluate

    results = []
    for items in item_sets:
        with progress(len(items), f"{items.task} {items.folder.label}") as advance:
            results.append(evaluate(metrics, items, load=load, batch_size=batch_size, threads=cores(), advance=advance))
    return results


def _knows_people(one: JudgedSet) -> bool:
    return one.answers is not None and one.answers["participant"].nunique() > 1


def _sets(results: Sequence[SetDistances], folders: Sequence[SetFolder], evidence: Evidence) -> list[JudgedSet]:
    """Join distances with what files beside the sets, or files that were named, say about items and people."""
    folders = folders_about({(one.task, one.label) for one in results}, folders)
    facts = [read_facts(evidence.items)] if evidence.items else []
    facts += [table for folder in folders if (table := facts_of_set(folder)) is not None]
    answers = read_answers(evidence.answers) if evidence.answers else None
    if answers is None and evidence.ci in ("people", "auto"):
        answers = answers_of_sets(folders)
    return judged_sets(results, facts=facts, answers=answers, votes=evidence.votes)
