"""What is about datasets: scores, people's consistency, and building, reading and checking them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from analysis.people.consistency_settings import Settings as ConsistencySettings
from analysis.people.judgments import Reading, read_judgments
from analysis.people.sections_of_people import consistency as sections_of_people
from analysis.report.results import Scores, Sections
from analysis.scoring.breakdown import By
from analysis.scoring.evidence import Evidence
from analysis.scoring.item_facts import read_facts
from analysis.scoring.score import score as score_report
from analysis.scoring.score_evidence import Drawn
from bapps.images import MetricLike, PathLike, _path, _paths, _setup
from bapps_builder.answers.exclusions import DEFAULT_RULES, parse_rule
from bapps_builder.building.answer_files import read_answer_file
from bapps_builder.building.build import build as build_dataset
from bapps_builder.building.item_files import Writing
from bapps_builder.building.item_sources import read_source
from bapps_builder.checking.findings import Report
from bapps_builder.checking.set_files import list_files
from bapps_builder.checking.verify import verify as verify_files
from bapps_builder.datasets.dataset_record import DatasetRecord
from bapps_builder.datasets.dataset_record import Settings as DatasetSettings
from bapps_builder.datasets.reader import ItemSet, LoadMode
from bapps_builder.datasets.splits import SplitBy
from bapps_builder.errors import Notice
from bapps_builder.layout import TASKS, Task, find_sets
from metrics.metric import Metric, Precision
from metrics.registry import as_metric


def score(
    metrics: MetricLike | Sequence[MetricLike],
    dataset: PathLike | None = None,
    *,
    sets: Sequence[str] = (),
    task: Task | None = None,
    load: LoadMode = "auto",
    distances: Sequence[PathLike] = (),
    ci: Drawn | Literal["auto"] | None = None,
    compare: bool = False,
    by: Sequence[By] = (),
    details: bool = False,
    items: PathLike | None = None,
    answers: PathLike | None = None,
    votes: int | None = None,
    draws: int = Evidence.draws,
    seed: int = Evidence.seed,
    level: float = Evidence.level,
    device: str = "cpu",
    precision: Precision = "fp32",
    weights: PathLike | None = None,
    batch_size: int = 100,
) -> Scores:
    """Score metrics against human judgments, as `bapps-score` does.

    Parameters
    ----------
    metrics : str, Metric, callable, or a sequence of them
        Names as `load_metric` takes them, or functions of two uint8 batches (N, H, W, 3) to N distances.
    dataset : path, optional
        Folder that holds 2afc/ and jnd/. Needed for metrics, not for `distances`.
    sets : sequence of "split/name"
        The sets to score, such as "val/cnn". Empty: every validation set.
    task : "2afc" or "jnd", optional
        By default both, as far as the dataset has them.
    load : "auto", "official", "exact" or "native"
        auto: official where files are BAPPS's enlarged patches, native elsewhere. official: shrink files to 64x64, as
        all published scores did. exact: undo BAPPS's enlargement. native: files as they are.
    distances : sequence of paths
        Tables of distances computed elsewhere, which are scored too.
    ci : "auto", "items" or "people", optional
        Give each score an interval: over items, those of one photo together, or over items and people; auto takes
        people where the answers know people.
    compare : bool
        Compare every two metrics on the same items, and say which are tied.
    by : sequence of "recipe", "family", "severity", "photo", "margin"
        Also score groups of items.
    details : bool
        Also, beside each score, its share of what any metric can reach, its log-likelihood and calibration, and
        how 2AFC and JND agree.
    items, answers : paths, optional
        Tables about items and of answers, in place of items.parquet and answers.parquet beside each set.
    votes : int, optional
        Votes behind each fraction, where items.parquet does not say it.
    draws, seed, level
        Of the bootstrap and its intervals.
    device, precision, weights
        As for `load_metric`.
    batch_size : int
        Items at a time.

    Returns
    -------
    Scores
        `to_frame()` is a data frame with the columns task, set, metric, measure, score, low, high; `items` has the
        distances of every item. It prints as the command does, and shows as tables in a notebook.

    Raises
    ------
    BappsError
        If there is nothing to score, a file or an item cannot be read, or a metric fails.

    Examples
    --------
    >>> import bapps
    >>> scores = bapps.score(["l2", "ssim"], "dataset", ci="items")
    >>> scores.to_frame().columns.tolist()
    ['task', 'set', 'metric', 'measure', 'score', 'low', 'high']
    >>> print(scores)  # doctest: +ELLIPSIS
    2AFC: % of people who agree with the metric's choice
    ...
    """
    setup = _setup(device, precision, weights)
    several = [metrics] if isinstance(metrics, str | Metric) or callable(metrics) else metrics
    by_name = {metric.name: metric for metric in (as_metric(one, setup) for one in several)}
    evidence = Evidence(
        ci=ci,
        compare=compare,
        by=tuple(by),
        details=details,
        items=_path(items),
        answers=_path(answers),
        votes=votes,
        draws=draws,
        seed=seed,
        level=level,
    )
    report = score_report(
        list(by_name.values()),
        _path(dataset),
        files=[Path(file) for file in distances],
        sets=sets,
        tasks=_tasks(task),
        load=load,
        batch_size=batch_size,
        evidence=evidence,
    )
    for key, choice in report.loads.items():
        if choice.warning:
            warnings.warn(f"{key}: {choice.warning}", Notice, stacklevel=2)
    return Scores.of(report)


def consistency(
    source: PathLike,
    *,
    task: Task | None = None,
    votes: int | None = None,
    study: str | None = None,
    items: PathLike | None = None,
    rules: Sequence[str] | None = None,
    draws: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Sections:
    """Say how well people agree among themselves, and what the best metric could score, as `bapps-consistency` does.

    Parameters
    ----------
    source : path
        A table of answers, of counts or of fractions, a JSON file of lists of votes, or a dataset's folder.
    task : "2afc" or "jnd", optional
        Judgments to take; by default all there are.
    votes : int, optional
        Votes behind each fraction, where only fractions exist.
    study : str, optional
        The study to take, where answers of several are mixed.
    items : path, optional
        Table about items: id, and photo, p0_recipe, ...
    rules : sequence of str, optional
        Exclude people who break them, such as "sentinels>=0.8"; by default those of the command.
    draws, seed, level
        Of the bootstrap and its intervals.

    Returns
    -------
    Sections
        `to_frames()` gives the tables by their titles. It prints as the command does.

    Raises
    ------
    BappsError
        If the source cannot be read.

    Examples
    --------
    >>> import bapps
    >>> found = bapps.consistency("dataset", draws=200)
    >>> "Agreement of people (2AFC)" in found.to_frames()
    True
    """
    limits = DEFAULT_RULES if rules is None else tuple(map(parse_rule, rules))
    facts = read_facts(Path(items)) if items is not None else None
    reading = Reading(votes=votes, task=task, study=study, facts=facts)
    settings = ConsistencySettings(rules=limits, draws=draws, seed=seed, level=level)
    parts = read_judgments(Path(source), reading)
    return Sections([section for judgments in parts for section in sections_of_people(judgments, settings)])


def build(
    items: PathLike | Sequence[PathLike],
    answers: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    study: str = "",
    name: str = "",
    min_answers: int = 1,
    leave_out_short: bool = False,
    split_by: SplitBy = "given",
    val_share: float = 0.2,
    seed: int = 0,
    rules: Sequence[str] = (),
    planned: bool = False,
    copy: bool = False,
) -> DatasetRecord:
    """Build a dataset from items and the answers to them, as `bapps-build build` does.

    Parameters
    ----------
    items : path or sequence of paths
        Patch sets, tables of items (item, p0, p1, and ref for 2AFC), or folders with ref/, p0/ and p1/.
    answers : path or sequence of paths
        Tables of answers with the columns of the documentation, CSV or Parquet. (The command reads other people's
        columns too.)
    out : path
        Folder to make; must not exist.
    study : str
        Take the answers of this study alone; needed where a table has those of several.
    name : str
        Of the dataset; by default that of the folder.
    min_answers : int
        Answers that each item must have.
    leave_out_short : bool
        Leave out items with fewer, instead of ending.
    split_by : "given", "photo" or "collection"
        Keep each item's split, or divide photographs (or their folders) anew.
    val_share, seed
        Of that division.
    rules : sequence of str
        Exclude people who break them, such as "sentinels>=0.8"; marks the dataset post hoc.
    planned : bool
        The rules were fixed before anyone looked at the answers.
    copy : bool
        Copy images instead of hard-linking them.

    Returns
    -------
    DatasetRecord
        What dataset.json holds.

    Raises
    ------
    BappsError
        If answers and items do not belong together, items have too few answers, or an image is not what it should be.

    Examples
    --------
    >>> import bapps
    >>> record = bapps.build("patches", "answers.parquet", "new-dataset", min_answers=2)
    >>> list(record.sets)
    ['2afc/val/traditional']
    """
    target = Path(out)
    settings = DatasetSettings.of_build(
        target,
        name=name,
        rules=rules,
        min_answers=min_answers,
        leave_out_short=leave_out_short,
        split_by=split_by,
        val_share=val_share,
        seed=seed,
        planned=planned,
    )
    return build_dataset(
        [read_source(path) for path in _paths(items)],
        [read_answer_file(path, study=study) for path in _paths(answers)],
        target,
        settings=settings,
        writing=Writing(copy=copy),
    )


def read_dataset(dataset: PathLike, *, sets: Sequence[str] = (), task: Task | None = None) -> list[ItemSet]:
    """Open the sets of a dataset; each is checked for completeness, and gives its items in batches.

    Parameters
    ----------
    dataset : path
        Folder that holds 2afc/ and jnd/.
    sets : sequence of "split/name"
        Those to open, such as "val/cnn". Empty: every validation set.
    task : "2afc" or "jnd", optional
        By default both.

    Raises
    ------
    BappsError
        If a set is not there or not complete.

    Examples
    --------
    >>> import bapps
    >>> (found,) = bapps.read_dataset("dataset", sets=["val/traditional"], task="2afc")
    >>> batch = next(found.batches(batch_size=10))
    >>> [images.shape for images in batch.images], batch.labels.shape
    ([(10, 64, 64, 3), (10, 64, 64, 3), (10, 64, 64, 3)], (10,))
    """
    return [ItemSet(folder) for folder in find_sets(Path(dataset), _tasks(task), sets)]


def verify(dataset: PathLike, *, subset: bool = False, workers: int | None = None) -> Report:
    """Check every file of a dataset, built here or the official one, as `bapps-build verify` does.

    Parameters
    ----------
    dataset : path
    subset : bool
        Whether it is a part of a dataset: gaps and missing items are notes then.
    workers : int, optional
        Processes; by default one a core for large datasets.

    Returns
    -------
    Report
        `failed` says whether something is wrong, `findings` what; `as_text()` is what the command prints.

    Raises
    ------
    BappsError
        If there is no dataset.

    Examples
    --------
    >>> import bapps
    >>> bapps.verify("dataset").failed
    False
    """
    return verify_files(Path(dataset), list_files(Path(dataset)), subset=subset, workers=workers)


def _tasks(task: Task | None) -> Sequence[Task]:
    return TASKS if task is None else [task]
