"""The evidence about scores as sections: intervals, comparisons, breakdowns, and what stands beside a score."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from analysis.report.tables import Cell, Column, Section, formatted
from analysis.scoring import breakdown, jnd
from analysis.scoring.breakdown import By
from analysis.scoring.calibration import calibrate
from analysis.scoring.judged_sets import JudgedSet
from analysis.scoring.score import ScoreReport, settings_of
from analysis.scoring.score_evidence import Key, Settings, rows_of, shared_metrics
from analysis.statistics import betabinomial, multiple_comparisons
from analysis.statistics.best_metric import FEW_VOTES, best_metric
from analysis.statistics.intervals import Estimate
from bapps_builder.layout import TASKS, Task


def sections_of(report: ScoreReport) -> list[Section]:
    """What was asked for beside the scores, in the order in which it is shown."""
    evidence, settings = report.evidence, settings_of(report.evidence)
    sections = []
    if evidence.ci:
        sections.append(interval_section(report.intervals, settings))
    if evidence.compare:
        sections += comparison_sections(report.comparisons, report.intervals, settings)
    for by in evidence.by:
        sections += breakdown_section(report.sets, by)
    if evidence.details:
        sections += beside_sections(report.sets)
        if correlation := correlation_section(report.values):
            sections.append(correlation)
    return sections


def interval_section(intervals: Mapping[Key, Estimate], settings: Settings) -> Section:
    """Scores with their intervals."""
    rows = tuple(
        (key.task.upper(), _label(key), key.set, one.value, (one.low, one.high), one.method)
        for key, one in intervals.items()
        if key.measure != "ap-of-ties" or one.value != intervals[key._replace(measure="ap")].value
    )
    names = (Column("task"), Column("metric"), Column("set"), Column("score", "percent"))
    notes = [f"{100 * settings.level:g}% intervals; {settings.draws} draws, seed {settings.seed}"]
    methods = {one.method for one in intervals.values()}
    if any("t over" in method and "two-way" not in method for method in methods):
        notes.append(
            "fewer than 40 photos in a set, or so unequal in size that they count as fewer: a t interval on photos, "
            "as the bootstrap would cover too little"
        )
    if any("unknown" in method for method in methods):
        notes.append("photos unknown: items are taken as independent, and the interval is too narrow if they are not")
    of_2afc = any(key.task == "2afc" for key in intervals)
    if of_2afc and any("two-way" in method for method in methods):
        notes.append(
            "over items and people: items alone (--ci items) would ignore that other people might have been asked"
        )
    elif of_2afc:
        notes.append(
            "over items alone, which ignores that other people might have been asked; --ci people does not, where "
            "answers with people are known"
        )
    if settings.drawn == "people":
        if not any("two-way" in method for method in methods):
            notes.append("no answers with people are known (2AFC): over items only; --answers FILE has them")
        if any(key.task == "jnd" for key in intervals):
            notes.append("average precision: over photos or items only, not over people")
    return Section("Scores with intervals", (*names, Column("interval", "range"), Column("drawn")), rows, tuple(notes))


def comparison_sections(
    comparisons: Mapping[tuple[Task, str], Sequence[multiple_comparisons.Comparison]],
    values: Mapping[Key, Estimate],
    settings: Settings,
) -> list[Section]:
    """The differences of every two metrics, and the letters that say who is tied."""
    rows = tuple(
        (task.upper(), column, f"{one.first} - {one.second}", *_difference(one))
        for (task, column), pairs in comparisons.items()
        for one in pairs
    )
    head = (Column("task"), Column("set"), Column("metrics"), Column("difference", "points"))
    tail = (Column("interval", "points range"), Column("p", "p"), Column("p Holm", "p"), Column("drawn"))
    notes = _notes_on_comparisons([one.difference.method for pairs in comparisons.values() for one in pairs], settings)
    sections = [Section("Metrics compared", (*head, *tail), rows, notes)]
    for task in TASKS:
        mine = {column: pairs for (of, column), pairs in comparisons.items() if of == task}
        if mine:
            sections.append(_letter_section(task, mine, values))
    return sections


def _notes_on_comparisons(methods: Sequence[str], settings: Settings) -> tuple[str, ...]:
    notes = ["p: two-sided, on the same items; Holm's correction is over all pairs of a set or mean"]
    if any("flip" in method or "exchange" in method for method in methods):
        notes.append(
            "flips and exchanges: p is the share of ways to exchange the two metrics in some photos or items that "
            f"part them as far; the interval leaves out 0 exactly if p is at most {1 - settings.level:.3g}"
        )
    if any("not tested" in method for method in methods):
        notes.append("not tested: the variance over items and people cannot be estimated where fewer than six differ")
    return (*notes, f"seed {settings.seed}")


def _label(key: Key) -> str:
    return key.metric + (", ties averaged" if key.measure == "ap-of-ties" else "")


def _difference(one: multiple_comparisons.Comparison) -> tuple[Cell, ...]:
    estimate = one.difference
    return (estimate.value, (estimate.low, estimate.high), estimate.p, one.p_holm, estimate.method)


def _letter_section(
    task: Task, comparisons: Mapping[str, Sequence[multiple_comparisons.Comparison]], values: Mapping[Key, Estimate]
) -> Section:
    measure = "2afc" if task == "2afc" else "ap"
    names = list(dict.fromkeys(key.metric for key in values if key.task == task))
    cells: dict[str, dict[str, str]] = {}
    for column, pairs in comparisons.items():
        of_column = {key.metric: one.value for key, one in values.items() if key[2:] == (measure, column)}
        order = sorted(of_column, key=lambda name: -of_column[name])
        tied = multiple_comparisons.letters(order, pairs)
        cells[column] = {name: f"{100 * of_column[name]:.2f} {tied[name]}" for name in order}
    rows = tuple((name, *(cells[column].get(name) for column in comparisons)) for name in names)
    note = "metrics that share a letter are not told apart at .05 after Holm's correction"
    return Section(
        f"Who is tied ({task.upper()})", (Column("metric"), *(Column(column) for column in comparisons)), rows, (note,)
    )


def breakdown_section(sets: Sequence[JudgedSet], by: By) -> list[Section]:
    """Scores of every metric in groups of items, all sets together; one section a task."""
    sections = []
    for task in TASKS:
        mine = [one for one in sets if one.task == task]
        if not mine:
            continue
        names = shared_metrics(mine)
        items = pd.concat([one.items for one in mine], ignore_index=True)
        distances = np.concatenate([one.distances[rows_of(one, names)] for one in mine], axis=2)
        whole = JudgedSet(task, "all", names, distances, items, None)
        rows = []
        for name, mask in breakdown.groups(items, by).items():
            group = whole.only(mask)
            rows.append((name, int(mask.sum()), *_scores(group)))
        head = (Column(by), Column("items", "count"))
        notes = ["all sets together, each item once" if len(mine) > 1 else "each item once"]
        if by in ("recipe", "family"):
            notes = ["an item counts for each of its patches, so groups overlap"]
        if by == "margin":
            notes.append("margin: the share of the majority of people")
        title = f"{'2AFC score' if task == '2afc' else 'JND average precision'} by {by}"
        sections.append(
            Section(title, (*head, *(Column(name, "percent") for name in names)), tuple(rows), tuple(notes))
        )
    return sections


def _scores(one: JudgedSet) -> list[float]:
    if one.task == "2afc":
        return [float(value) for value in one.payoffs().mean(1)]
    return [jnd.average_precision(distance[0], one.p) for distance in one.distances]


def beside_sections(sets: Sequence[JudgedSet]) -> list[Section]:
    """Beside each 2AFC score: its share of what can be reached, and how well the metric bets on votes."""
    if not any(one.task == "2afc" for one in sets):
        return []
    rows, beyond = [], []
    for one in sets:
        if one.task != "2afc" or "n" not in one.items:
            continue
        k, n = one.items["k"].to_numpy(), one.items["n"].to_numpy()
        paired, nan = n >= 2, float("nan")
        ceilings = (nan, nan)
        if paired.any():
            best = best_metric(k[paired], n[paired])
            ceilings = (best.low, best.high) if np.isnan(best.npmle) else (best.npmle, best.npmle)
        fitted = betabinomial.fit(k, n).ceiling if paired.any() else nan
        for name, (d0, d1), value in zip(one.metrics, one.distances, one.payoffs().mean(1), strict=True):
            bets = calibrate(d0, d1, k, n)
            least, most = (_share(float(value), ceiling) for ceiling in ceilings[::-1])
            if most > 1:
                beyond.append(f"{name} on {one.label} {formatted((least, most), 'range')}")
            cells = (float(value), ceilings, (least, most), _share(float(value), fitted))
            rows.append((name, one.label, *cells, bets.log_likelihood, bets.error))
    head = (Column("metric"), Column("set"), Column("score", "percent"), Column("ceiling", "range"))
    shares = (Column("reachable", "range"), Column("by the beta-binomial", "percent"))
    tail = (Column("log-likelihood", "number"), Column("calibration error", "percent"))
    notes = [
        "ceiling: the least and the most that the votes allow the best metric, whatever the distribution of p; with "
        f"more than {FEW_VOTES} votes an item the likeliest (NPMLE)",
        "reachable: (score - 50) / (ceiling - 50), from the most to the least ceiling; by the beta-binomial: with the "
        "ceiling of that fit",
        "log-likelihood: nats a vote under P(p1) = logistic(beta (d0 - d1)), beta fitted; chance is -0.6931",
        "calibration error: mean |bet - share of votes| over ten bins of the bet",
    ]
    if beyond:
        notes.insert(
            2,
            f"above 100%: {'; '.join(beyond)}. No metric's expected score is above the ceiling: the true ceiling is "
            "nearer the most that the votes allow, or the score is by chance, or the metric has seen these votes",
        )
    if not rows:
        notes = ["the number of votes is not known; --votes says it, or k and n in items.parquet"]
    return [Section("Beside the 2AFC score", (*head, *shares, *tail), tuple(rows), tuple(notes))]


def _share(score: float, ceiling: float) -> float:
    """Of what is above chance and below the ceiling, what a score reaches."""
    return (score - 0.5) / (ceiling - 0.5) if ceiling > 0.5 else float("nan")


def correlation_section(scores: Mapping[Key, float]) -> Section | None:
    """How far the two tasks rank metrics alike (the paper's Table 4), or None with fewer than three metrics."""
    both = paired_tasks(scores)
    if len(both) < 3:
        return None
    x, y = (np.array(values) for values in zip(*(pair[1:] for pair in both), strict=True))
    linear = rank = float("nan")
    if np.ptp(x) > 0 and np.ptp(y) > 0:
        linear, rank = float(np.corrcoef(x, y)[0, 1]), float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
    head = (Column("metrics", "count"), Column("Pearson", "number"), Column("Spearman", "number"))
    note = "mean over the sets that both tasks have; the paper's Table 4 gives .928 over its metrics"
    return Section(
        "2AFC score against JND average precision, over metrics", head, ((len(both), linear, rank),), (note,)
    )


def paired_tasks(scores: Mapping[Key, float]) -> list[tuple[str, float, float]]:
    """Name, 2AFC and JND score of each metric that has both, the means over the sets both tasks have."""
    labels = {task: {key.set for key in scores if key.task == task} for task in TASKS}
    shared = (labels["2afc"] & labels["jnd"]) - {"mean of all"}

    def mean(name: str, measure: str) -> float | None:
        values = [v for key, v in scores.items() if (key.metric, key.measure) == (name, measure) and key.set in shared]
        return float(np.mean(values)) if values else None

    rows = []
    for name in dict.fromkeys(key.metric for key in scores):
        of_both = mean(name, "2afc"), mean(name, "ap")
        if of_both[0] is not None and of_both[1] is not None:
            rows.append((name, of_both[0], of_both[1]))
    return rows
