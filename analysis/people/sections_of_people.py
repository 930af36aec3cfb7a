"""How well people agree among themselves, as sections of numbers: what `bapps-consistency` shows.

Each function takes what people said and gives one section. What only people (and not counts) can tell
is left out, and `unknowable` says so.
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from analysis.people import reliability as people
from analysis.people.agreement import krippendorff_alpha, split_half
from analysis.people.consistency_jnd import jnd
from analysis.people.consistency_people import flow, persons, side_and_speed
from analysis.people.consistency_settings import Settings, titled
from analysis.people.judgments import Judgments
from analysis.people.planning import Crowd, plan
from analysis.report.tables import Column, Section
from analysis.scoring import breakdown
from analysis.scoring.breakdown import By
from analysis.scoring.item_facts import sample_of
from analysis.statistics import betabinomial
from analysis.statistics.best_metric import FEW_VOTES, best_metric, interval
from analysis.statistics.intervals import Estimate, means_over_items
from analysis.statistics.multiple_comparisons import ALPHA
from analysis.statistics.shares import of_share
from bapps_builder.answers.answer_table import votes
from bapps_builder.answers.exclusions import exclude
from bapps_builder.answers.vote_arithmetic import agreement_paper, agreement_unbiased, majority_left_out, majority_share

# In milliseconds; chosen before looking at any answers.
REACTION_BANDS = (0, 200, 500, 1000, 2000, 4000, np.inf)

_COLUMNS = (
    Column("items", "count"),
    Column("votes", "count"),
    Column("paper", "percent"),
    Column("two people", "percent"),
    Column("its interval", "range"),
    Column("alpha", "number"),
    Column("halves", "number"),
    Column("reliability", "number"),
)
_CEILING_COLUMNS = (
    Column("majority", "percent"),
    Column("others' majority", "percent"),
    Column("best metric", "range"),
    Column("ceiling interval", "range"),
    Column("NPMLE", "percent"),
    Column("beta-binomial", "percent"),
    Column("p of its fit", "p"),
)
# What is known of how patches were made, if anything is.
_MADE: tuple[By, ...] = ("family", "recipe")
# Rows of the text; JSON has all.
_RECIPES_SHOWN = 20


def consistency(judgments: Judgments, settings: Settings) -> list[Section]:
    """Give every section that these judgments allow."""
    sections = [agreement(judgments, settings)]
    for by in _MADE:
        if breakdown.has_facts(judgments.items, by):
            sections.append(agreement_by(judgments, by, settings))
    if judgments.answers is not None:
        sections += [*_by_reaction(judgments), flow(judgments, settings), side_and_speed(judgments, settings)]
        sections.append(persons(judgments, settings))
    if judgments.task == "jnd":
        sections += jnd(judgments, settings)
    return [section for section in (*sections, unknowable(judgments)) if section.rows or section.notes]


def agreement(judgments: Judgments, settings: Settings) -> Section:
    """Agreement and ceilings by set, with and without exclusions side by side."""
    versions = {"as counted": judgments.items}
    if judgments.answers is not None:
        everyone = judgments.answers[judgments.answers["role"] == "test"]
        rest, _ = exclude(judgments.answers, settings.rules)
        versions = {"all answers": _recounted(judgments.items, everyone)}
        versions |= {"after exclusions": _recounted(judgments.items, rest)}
    rows, notes = [], dict[str, list[str]]()
    for name in dict.fromkeys(judgments.items["set"]):
        for version, items in versions.items():
            cells, remarks = _agreement_cells(items[items["set"] == name], judgments.task, settings)
            rows.append((name, version, *cells))
            for note in remarks:
                notes.setdefault(note, []).append(f"{name}, {version}")
    columns = (Column("set"), Column("answers"), *_columns(judgments))
    of_rows = [note if len(where) == len(rows) else f"{'; '.join(where)}: {note}" for note, where in notes.items()]
    return Section(titled("Agreement of people", judgments), columns, tuple(rows), (*_meaning(judgments), *of_rows))


def agreement_by(judgments: Judgments, by: By, settings: Settings) -> Section:
    """Agreement and ceilings by recipe, family, severity, photo or margin."""
    groups = breakdown.groups(judgments.items, by)
    shown = Section.shown
    if by == "recipe":  # of which there are hundreds: those with most votes first
        groups = dict(sorted(groups.items(), key=lambda group: -judgments.items["n"][group[1]].sum()))
        shown = _RECIPES_SHOWN
    rows = []
    for name, mask in groups.items():
        cells, _ = _agreement_cells(judgments.items[mask], judgments.task, settings, fit_tested=False)
        rows.append((name, *cells))
    overlap = "an item counts for each of its patches, so groups overlap" if by in ("recipe", "family") else ""
    columns = (Column(by), *_columns(judgments))
    notes = tuple(filter(None, [overlap]))
    return Section(titled(f"Agreement by {by}", judgments), columns, tuple(rows), notes, shown)


def _columns(judgments: Judgments) -> tuple[Column, ...]:
    return (*_COLUMNS, *_CEILING_COLUMNS) if judgments.task == "2afc" else _COLUMNS


def _agreement_cells(
    items: pd.DataFrame, task: str, settings: Settings, *, fit_tested: bool = True
) -> tuple[tuple, list[str]]:
    """The numbers of one group of items, and what must be said about them."""
    k, n = items["k"].to_numpy(), items["n"].to_numpy()
    paired = n >= 2
    notes = []
    if not paired.all():
        notes.append(
            f"{np.count_nonzero(~paired)} of {len(n)} items have fewer than two votes: agreement is undefined there"
        )
    alpha = krippendorff_alpha(np.stack([n - k, k], axis=1))
    if alpha.why_undefined:
        notes.append(f"alpha is undefined: {alpha.why_undefined}")
    reliability = split_half(k, n, about_half=task == "2afc")
    nan = float("nan")
    unbiased = Estimate(nan, nan, nan, nan, "")
    if paired.any():
        pairs = agreement_unbiased(k[paired], n[paired])
        [mean] = means_over_items(pairs, sample_of(items[paired]), settings)
        unbiased = of_share(mean)
        notes.append(f"interval of the agreement of two people: {unbiased.method}")
    counted = n > 0
    paper = float(agreement_paper(k[counted] / n[counted]).mean()) if counted.any() else nan
    cells = (len(n), int(n.sum()), paper, unbiased.value, (unbiased.low, unbiased.high), alpha.value)
    cells += (reliability.halves, reliability.all_votes)
    if task == "2afc":
        cells += _ceiling_cells(items[counted], settings, notes, fit_tested=fit_tested)
    return cells, notes


def _ceiling_cells(items: pd.DataFrame, settings: Settings, notes: list[str], *, fit_tested: bool) -> tuple:
    nan = float("nan")
    k, n = items["k"].to_numpy(), items["n"].to_numpy()
    plug_in = float(majority_share(k / n).mean()) if len(n) else nan
    paired = n >= 2
    if not paired.any():
        return plug_in, nan, (nan, nan), (nan, nan), None, nan, None
    best = best_metric(k[paired], n[paired])
    ends = interval(best, sample_of(items[paired]), settings)
    if np.isnan(ends[0]):
        notes.append("no interval of the best metric: too few items, or all of them say the same")
    fitted = betabinomial.fit(k, n)
    if fitted.at_bound:
        notes.append("the beta-binomial fit is at its bound: items look all unanimous, or all like coin flips")
    p = None
    if fit_tested:
        p = betabinomial.goodness_of_fit(k, n, draws=min(settings.draws, 1000), rng=settings.rng())
        if p <= ALPHA:
            text = f"p {'<' if p < 0.001 else '='} {max(p, 0.001):.3f}"
            notes.append(f"the beta-binomial does not fit ({text}): take the bounds of the best metric, not its number")
    left_out = float(np.nanmean(majority_left_out(k, n)))
    point = None if np.isnan(best.npmle) else best.npmle
    return plug_in, left_out, (best.low, best.high), ends, point, fitted.ceiling, p


def _by_reaction(judgments: Judgments) -> list[Section]:
    """How often an answer is that of others, by how long it took."""
    answers = judgments.answers
    if answers is None or "reaction_ms" not in answers or answers["reaction_ms"].isna().all():
        return []
    test = answers[(answers["role"] == "test") & answers["use"]]
    same = people.agreement_with_others(people.coded(test))
    reaction = test["reaction_ms"].to_numpy()
    rows = []
    for low, high in pairwise(REACTION_BANDS):
        mine = (reaction >= low) & (reaction < high) & ~np.isnan(same)
        name = f"{low:.0f} ms and more" if np.isinf(high) else f"{low:.0f} to {high:.0f} ms"
        rows.append((name, int(mine.sum()), float(same[mine].mean()) if mine.any() else None))
    columns = (Column("reaction time"), Column("answers", "count"), Column("two people", "percent"))
    return [Section(titled("Agreement with the others, by reaction time", judgments), columns, tuple(rows))]


def unknowable(judgments: Judgments) -> Section:
    """Say what these judgments cannot tell."""
    notes = []
    if judgments.answers is None:
        notes.append(
            "without people: side bias, streaks, fast answers, sentinels, reliabilities, exclusions, "
            + ("d' of each person, " if judgments.task == "jnd" else "")
            + "and intervals over people"
        )
    else:
        answers = judgments.answers
        if answers["participant"].nunique() == 1:
            notes.append("one person answered: agreement of people is undefined")
        for column, what in (
            ("reaction_ms", "fast answers and agreement by reaction time"),
            ("expected", "sentinel pass rates" if judgments.task == "2afc" else "sentinels, false alarms and d'"),
            ("side", "side bias"),
        ):
            if column not in answers and not (column == "side" and judgments.task == "jnd"):
                notes.append(f"without the column {column}: {what}")
    if not breakdown.has_facts(judgments.items, "photo"):
        notes.append("without photos: whether items of one photo are alike; intervals take items as independent")
    if not any(breakdown.has_facts(judgments.items, by) for by in _MADE):
        notes.append("without recipes: agreement by distortion and family")
    return Section(titled("What cannot be known from this", judgments), (), (), tuple(notes))


def planned(judgments: Judgments, half_width: float, settings: Settings, *, score: float, per_person: int) -> Section:
    """Studies that would give an interval of +- `half_width` round a metric's 2AFC score."""
    k, n = judgments.items["k"].to_numpy(), judgments.items["n"].to_numpy()
    fitted = betabinomial.fit(k, n)
    sd, origin = 0.05, "assumed, as there are no people in these judgments"
    if judgments.answers is not None:
        rest, _ = exclude(judgments.answers, settings.rules)
        answers = people.coded(rest)
        estimate = people.person_sd(people.agreement_with_others(answers), answers)
        if not np.isnan(estimate):
            sd, origin = estimate, "estimated from these people's agreement with others"
    crowd = Crowd(fitted.a, min(score, fitted.ceiling), sd, per_person)
    allowed = best_metric(k[n >= 2], n[n >= 2])
    plans = plan(crowd, half_width, rng=settings.rng(), level=settings.level)
    rows = tuple((p.votes, p.items, p.answers, p.people, p.half_width, p.over_items) for p in plans)
    columns = (
        Column("answers an item", "count"),
        Column("items", "count"),
        Column("answers", "count"),
        Column("people", "count"),
        Column("simulated half-width", "percent"),
        Column("by --ci items", "percent"),
    )
    lowered = (
        f", lowered from {100 * score:.1f}, which is above the beta-binomial's ceiling" if score > crowd.score else ""
    )
    notes = (
        f"for a metric that scores {100 * crowd.score:.1f}{lowered} and an interval of +-{100 * half_width:g} points, "
        "simulated",
        "for the interval over items and people (bapps-score --ci people); --ci items would print the last column, "
        "which is too narrow, as it takes these very people for granted",
        f"items: the beta-binomial, Beta(a, a) with a = {fitted.a:.3f}, fitted to these votes; seed {settings.seed}",
        f"its ceiling is {100 * fitted.ceiling:.1f}; the votes allow {100 * allowed.low:.1f} to "
        f"{100 * allowed.high:.1f}, whatever the distribution",
        f"people: assumed to give {per_person} answers each (--plan-per-person); their agreement varies "
        f"with sd {sd:.3f}, {origin}",
        "items are taken as independent; several items of one photo need more",
    )
    return Section(titled("Plan", judgments), columns, rows, notes)


def _recounted(items: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """The items that have any of these answers, with k and n counted from them."""
    counts = votes(answers).drop(columns="task")
    return counts.merge(items.drop(columns=["k", "n"]), on=["set", "item"], how="left")


def _meaning(judgments: Judgments) -> tuple[str, ...]:
    of_ceilings = (
        "majority: max(p, 1-p), biased upward by few votes; others' majority: each vote against the majority of the "
        "rest, a lower estimate",
        "best metric: what no deterministic metric can exceed, E[max(p, 1-p)]: the least and the most that these "
        "votes allow, whatever the distribution of p (linear programs); ceiling interval: these widened by sampling "
        "error",
        f"NPMLE: E[max(p, 1-p)] under the likeliest distribution, with more than {FEW_VOTES} votes an item; "
        "beta-binomial: under a symmetric beta fitted by maximum likelihood, an assumption; p of its fit: parametric "
        "bootstrap",
    )
    return (
        "paper: p²+(1-p)², biased upward by 2p(1-p)/n; two people: the unbiased form, two different people",
        "alpha: Krippendorff's, nominal; halves: correlation of two halves of each item's votes, over all splits; "
        "reliability: the same for all votes (Spearman-Brown)",
        *(of_ceilings if judgments.task == "2afc" else ()),
    )
