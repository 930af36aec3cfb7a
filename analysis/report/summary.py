"""What a report says in a few numbers, before its tables: the best metric, people, and what can be reached."""

import math
from dataclasses import dataclass

from analysis.report.material import Material, columns_of
from analysis.report.tables import formatted
from analysis.scoring.score_evidence import Key
from analysis.scoring.twoafc import AT_LEAST, AT_MOST
from analysis.statistics.multiple_comparisons import ALPHA
from bapps_builder.layout import TASKS, Task

_NAMES = {"2afc": "2AFC score", "jnd": "JND average precision"}
# Rows of people, of the least and the most, and what they are.
_PEOPLE = {
    ("human, two people",): "how often two people agree (2AFC)",
    (AT_LEAST, AT_MOST): "what no metric can exceed (2AFC), as far as the votes tell",
}
_FEW = 3  # names that fit below a number


@dataclass(frozen=True)
class Fact:
    """A number, what it is, and what must be known with it."""

    number: str
    what: str
    detail: str


def summary(material: Material) -> list[Fact]:
    """The best metric of each task with those that cannot be told from it, then people."""
    facts = [fact for task in TASKS if (fact := _best(material, task))]
    columns = columns_of(material, "2afc")
    for rows, what in _PEOPLE.items() if columns else ():
        values = [material.values.get(Key("2afc", row, "2afc", columns[-1]), math.nan) for row in rows]
        if not any(map(math.isnan, values)):
            facts.append(Fact(" – ".join(f"{100 * value:.1f}" for value in values) + "%", what, columns[-1]))
    return facts


def _best(material: Material, task: Task) -> Fact | None:
    """Of the last column, which is the mean over sets where there are several."""
    columns, measure = columns_of(material, task), "2afc" if task == "2afc" else "ap"
    names = list(dict.fromkeys(name for one in material.sets if one.task == task for name in one.metrics))
    scored = {
        name: value
        for name in names
        if (value := material.values.get(Key(task, name, measure, columns[-1]))) is not None and not math.isnan(value)
    }
    if not scored:
        return None
    best = max(scored, key=lambda name: scored[name])
    pairs = material.comparisons.get((task, columns[-1]), ())
    tied = [
        one.second if one.first == best else one.first
        for one in pairs
        if best in (one.first, one.second) and not one.p_holm <= ALPHA
    ]
    estimate = material.intervals.get(Key(task, best, measure, columns[-1]))
    interval = formatted((estimate.low, estimate.high), "range") if estimate else ""
    what = f"{_NAMES[task]} of {best}" + (f", the best of {len(scored)} metrics" if len(scored) > 1 else "")
    detail = [columns[-1], *filter(None, [interval])]
    if len(scored) > 1:
        some = ", ".join(tied[:_FEW]) + (f" and {len(tied) - _FEW} more" if len(tied) > _FEW else "")
        detail.append(f"not told apart from {some}" if tied else "told apart from all others")
    return Fact(f"{100 * scored[best]:.1f}%", what, "; ".join(detail))
