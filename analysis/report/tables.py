"""Results as sections: a titled table with notes, printed as text, as JSON, or on a page.

Every number of the consistency, comparison and MOS results goes through this one shape, so that the
command line, scripts and the report show the same.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

# "percent" and "range" hold values in [0, 1], or pairs of them, and show 100 times that.
Kind = Literal["text", "count", "percent", "points", "number", "range", "points range", "number range", "p"]
Range = tuple[float, float]
Cell = str | int | float | Range | None


@dataclass(frozen=True)
class Column:
    """A column: its heading, and how its values show."""

    name: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Section:
    """A titled table.

    Attributes
    ----------
    title : str
    columns : tuple of Column
    rows : tuple of tuples
        One cell a column. None shows as nothing: it does not apply, or cannot be known.
    notes : tuple of str
        How the numbers came about, and what they cannot say.
    shown : int
        Rows that the text shows; JSON and the page have all.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    shown: int = 10_000

    def as_record(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes null."""
        names = [column.name for column in self.columns]
        rows = [dict(zip(names, map(_plain, row), strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": list(self.notes)}


def as_text(sections: Sequence[Section]) -> str:
    """Sections one under the other."""
    return "\n\n".join(map(_text, sections))


def formatted(cell: Cell, kind: Kind) -> str:
    """A cell as it shows in text and on the page."""
    if cell is None:
        return ""
    if isinstance(cell, tuple):
        return "" if any(map(math.isnan, cell)) else f"{_number(cell[0], kind)} to {_number(cell[1], kind)}"
    if isinstance(cell, str):
        return cell
    if math.isnan(cell):
        return "undefined"
    return _number(cell, kind)


def is_number(kind: Kind) -> bool:
    """Whether a column of this kind is aligned to the right."""
    return kind != "text"


def _number(value: float, kind: Kind) -> str:
    if kind == "count":
        return f"{value:,.0f}"
    if kind in ("percent", "range"):
        return f"{100 * value:.2f}"
    if kind in ("points", "points range"):
        return f"{100 * value:+.2f}"
    if kind == "p":
        return "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.1f}"


def _plain(cell: Cell) -> Any:
    if isinstance(cell, tuple):
        return [_plain(part) for part in cell]
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def _text(section: Section) -> str:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in section.columns:
        table.add_column(column.name, justify="right" if is_number(column.kind) else "left", no_wrap=True)
    for row in section.rows[: section.shown]:
        cells = zip(row, section.columns, strict=True)
        table.add_row(*(formatted(cell, column.kind) for cell, column in cells))
    out = io.StringIO()
    if section.rows:
        Console(file=out, width=10_000, color_system=None, markup=False, emoji=False).print(table)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    notes = list(section.notes)
    if (more := len(section.rows) - section.shown) > 0:
        notes.append(f"{more} more rows: --json has them all")
    return "\n".join([section.title, *filter(None, lines), *(f"  {note}" for note in notes)])
