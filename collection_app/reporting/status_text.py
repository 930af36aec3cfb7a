"""How far a study is, for a terminal: the numbers of the admin pages' overview."""

import math
from datetime import UTC, datetime

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from collection_app.reporting.durations import Duration
from collection_app.reporting.status import RECENT_MINUTES, Status
from collection_app.studies.study import Study

_BARS = " ▁▂▃▄▅▆▇█"
_WIDE = 120


def show_status(study: Study, figures: Status, console: Console | None = None) -> None:
    """Print a study's state; without colour and bars where the output is no terminal."""
    # A pipe gets whole lines, whatever the width of the terminal it was started from.
    out = console or Console(highlight=False, soft_wrap=True, width=None if Console().is_terminal else _WIDE)
    said = " - SIMULATED" if figures.simulated else ""
    share = f" ({figures.filled / figures.wanted:.1%})" if figures.wanted else ""
    out.print(
        f"{study.name} version {study.version}{said}: {figures.filled} of {figures.wanted} answers{share}", markup=False
    )
    if figures.under_way:
        out.print(f"{figures.under_way} of them under way, the others stored")
    out.print(_sets(figures, bars=out.is_terminal))
    out.print(
        f"answers a minute: {figures.rate:.1f}; of the last {RECENT_MINUTES} minutes: {sparkline(figures.recent)}"
    )
    out.print(f"stored: {figures.answers} answers with sentinels and training, {figures.failed} to a failed exposure")
    sessions = ", ".join(f"{count} {state}" for state, count in figures.sessions.items()) or "none yet"
    declined = f"; {figures.declined} declined" if figures.declined else ""
    out.print(f"sessions: {sessions}; {figures.excluded} of them not used{declined}")
    for took in figures.durations:
        out.print(_duration(took), markup=False, style="bold red" if took.too_little else None)
    for image in figures.damaged[:10]:
        out.print(f"DAMAGED IMAGE, given to nobody: {image.path}", markup=False, style="bold red")
    if len(figures.damaged) > 10:
        out.print(f"and {len(figures.damaged) - 10} more damaged images", style="bold red")
    for rule in figures.rules:
        out.print(f"rule {rule.rule}: {rule.kept} kept, {rule.broken} broken", markup=False)
    if figures.pay:
        out.print("pay: " + ", ".join(f"{count} {verdict}" for verdict, count in figures.pay.items()))
    if figures.payments:
        out.print("payments: " + ", ".join(f"{count} {state}" for state, count in figures.payments.items()))
    out.print(f"as of {datetime.fromtimestamp(figures.at / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC", style="dim")


def _duration(took: Duration) -> str:
    spread = f"{took.quarter:.1f} to {took.three_quarters:.1f} minutes, half of them within {took.median:.1f}"
    said = f"{took.outcome.replace('_', ' ')}: {took.sessions} sessions took {spread}"
    if took.per_hour is None:
        return said
    short = f" - LESS THAN THE {took.promised:.2f} PROMISED: raise the pay" if took.too_little else ""
    return f"{said}: {took.per_hour:.2f} {took.currency} an hour{short}"


def sparkline(numbers: tuple[int, ...]) -> str:
    """Draw numbers as a row of little bars; the highest reaches the top."""
    top = max(numbers, default=0)
    if not top:
        return "none"
    return "".join(_BARS[math.ceil(number * (len(_BARS) - 1) / top)] for number in numbers).strip()


def _sets(figures: Status, *, bars: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("set")
    if bars:
        table.add_column("", width=24)
    for name in ("items full", "answers", "quota"):
        table.add_column(name, justify="right")
    for part in figures.sets:
        bar = [ProgressBar(total=part.wanted, completed=part.filled, width=24)] if bars else []
        numbers = (f"{part.done} of {part.items}", f"{part.filled} of {part.wanted}", str(part.quota))
        table.add_row(_plain(part.name), *bar, *numbers)
    return table


def _plain(text: str) -> str:
    """A text in which nothing is markup."""
    return text.replace("[", r"\[")
