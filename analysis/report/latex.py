"""The result table in LaTeX, for a paper: booktabs, the best metric of each column in bold."""

import math
import re
from collections.abc import Sequence

from analysis.scoring.scores import Score, set_order
from bapps_builder.layout import TASKS, Task

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
}
_PATTERN = re.compile("|".join(map(re.escape, _SPECIAL)))
# As the names of people's rows are written, but what pdfTeX without fonts for them would drop.
_SYMBOLS = {"²": r"$^2$", "±": r"$\pm$"}


def as_latex(scores: Sequence[Score]) -> str:
    """One tabular a task. Every name is escaped."""
    return "\n".join(_table(task, [score for score in scores if score.task == task]) for task in TASKS)


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is."""
    plain = _PATTERN.sub(lambda match: _SPECIAL[match[0]], text)
    for symbol, command in _SYMBOLS.items():
        plain = plain.replace(symbol, command)
    return plain


def _table(task: Task, scores: Sequence[Score]) -> str:
    rows = [score for score in scores if score.measure != "ap-of-ties"]
    if not rows:
        return ""
    sets = sorted({score.set for score in rows if not score.is_mean}, key=set_order)
    columns = [*sets, *dict.fromkeys(score.set for score in rows if score.is_mean)]
    cells = {(score.metric, score.set): score.value for score in rows}
    names = list(dict.fromkeys(score.metric for score in rows))
    best = {
        column: max((cells.get((name, column), -1.0) for name in names if not _human(name)), default=-1.0)
        for column in columns
    }
    head = " & ".join(["metric", *map(escaped, columns)])
    lines = [
        f"% {'2AFC: % of people who agree with the metric' if task == '2afc' else 'JND: average precision, %'}",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
    ]
    for human in (False, True):
        mine = [name for name in names if _human(name) == human]
        if human and mine:
            lines.append(r"\midrule")
        lines += [
            " & ".join([escaped(name), *(_cell(cells.get((name, column)), best[column], human) for column in columns)])
            + r" \\"
            for name in mine
        ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _human(name: str) -> bool:
    return name.startswith("human")


def _cell(value: float | None, best: float, human: bool) -> str:
    if value is None or math.isnan(value):
        return "--"
    text = f"{100 * value:.1f}"
    return rf"\textbf{{{text}}}" if value == best and not human else text
