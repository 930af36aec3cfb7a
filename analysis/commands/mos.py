"""The command `bapps-mos`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from bapps_builder.commands.console import Command, progress
from bapps_builder.errors import DatasetError

if TYPE_CHECKING:
    from analysis.report.tables import Section
    from analysis.statistics.intervals import Resampling

_EXAMPLES = """
\b
Examples:
  bapps-mos tid2013.csv
  bapps-mos tid2013_lpips.csv tid2013_psnr.csv --json
"""
# Column of ours to what collections call it.
_NAMES = {
    "id": ("id", "dis", "dist", "distorted", "image"),
    "ref": ("ref", "reference", "photo"),
    "mos": ("mos", "dmos"),
}
# A column with this name says nothing about the metric; the file's name does.
_NAMELESS = ("pred", "value", "distance")


@dataclass(frozen=True)
class Opinions:
    """One metric and the opinion scores of N images; `references` are codes, or None if unknown."""

    metric: str
    values: NDArray[np.float64]
    scores: NDArray[np.float64]
    references: NDArray[np.intp] | None


@click.command(cls=Command, epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--draws",
    type=click.IntRange(100, 1000),  # each repeats sorts and a fit, and percentiles need no more
    default=1000,
    show_default=True,
    help="How often the bootstrap resamples.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the bootstrap.")
@click.option(
    "--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="Level of the intervals."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def mos(files: tuple[Path, ...], draws: int, seed: int, level: float, as_json: bool) -> None:
    """Correlate metrics with opinion scores, such as those of TID2013.

    Each of FILES is a table with the column mos (or dmos), optionally id (or dis) and ref (the reference
    image, over which intervals are taken), and one column a metric. A single column named pred goes by
    the file's name.
    """
    from analysis.report.tables import as_text
    from analysis.statistics.intervals import Resampling

    opinions_of_metrics = [opinions for file in files for opinions in read_opinions(file)]
    section = _section(opinions_of_metrics, Resampling(draws=draws, seed=seed, level=level))
    if as_json:
        about = {"files": list(map(str, files)), "draws": draws, "seed": seed, "level": level}
        click.echo(json.dumps({**about, **section.as_record()}, indent=2))
    else:
        click.echo(as_text([section]))


def read_opinions(path: Path) -> list[Opinions]:
    """Read a table of opinion scores and metrics.

    Raises
    ------
    DatasetError
        If it cannot be read, has no scores or no metric, a value is no finite number, or a reference is missing.
    """
    import pandas as pd

    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not a readable table: {error}") from error
    columns = {str(name).strip().lower(): name for name in table}
    ours = {name: columns[theirs] for name, spellings in _NAMES.items() for theirs in spellings if theirs in columns}
    metrics = [name for name in table if name not in ours.values()]
    if "mos" not in ours or not metrics or not len(table):
        raise DatasetError(
            f"{path}: has {len(table)} rows and the columns {', '.join(map(str, table))}; expected mos, "
            "one column a metric, and optionally id and ref"
        )
    names = {name: path.name.split(".")[0] if name in _NAMELESS else str(name) for name in metrics}
    numbers = {}
    for name in (ours["mos"], *metrics):
        values = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64)
        if (bad := ~np.isfinite(values)).any():
            first = int(np.flatnonzero(bad)[0])
            raise DatasetError(
                f"{path}: {int(bad.sum())} of {len(values)} values of {name} are not finite numbers, the first in row "
                f"{first + 1}: {table[name].iloc[first]!r}"
            )
        numbers[name] = values
    if (
        "ref" in ours
        and (missing := table[ours["ref"]].isna() | (table[ours["ref"]].astype(str).str.strip() == "")).any()
    ):
        raise DatasetError(
            f"{path}: {int(missing.sum())} of {len(table)} values of {ours['ref']} are missing, the first in row "
            f"{int(np.flatnonzero(missing)[0]) + 1}; name the reference of every image, or leave the column out"
        )
    references = pd.factorize(table[ours["ref"]].astype(str).str.lower())[0] if "ref" in ours else None
    return [Opinions(names[name], numbers[name], numbers[ours["mos"]], references) for name in metrics]


def _section(opinions: list[Opinions], how: "Resampling") -> "Section":
    from analysis.report.tables import Column, Section
    from analysis.scoring.mos import associate

    rows, methods, doubts = [], {}, []
    with progress(len(opinions), "metrics") as advance:
        for one in opinions:
            result = associate(one.values, one.scores, one.references, how)
            cells = [
                cell
                for estimate in (result.spearman, result.kendall, result.pearson)
                for cell in (estimate.value, (estimate.low, estimate.high))
            ]
            direction = None if result.rises is None else "rises" if result.rises else "falls"
            rows.append((one.metric, len(one.values), *cells, direction))
            methods[result.spearman.method] = None
            doubts += [f"{one.metric}: {result.doubt}"] if result.doubt else []
            advance(1)
    measures = ("Spearman", "Kendall", "Pearson")
    columns = [
        column for name in measures for column in (Column(name, "number"), Column(f"{name} interval", "number range"))
    ]
    notes = (
        "correlations by their size; the last column says whether the score rises or falls with the metric's value",
        "Pearson is after a monotone logistic fit of four parameters; Kendall is tau-b",
        f"{100 * how.level:g}% intervals: {'; '.join(methods)}; seed {how.seed}",
        *doubts,
    )
    head = (Column("metric"), Column("images", "count"))
    return Section("Opinion scores", (*head, *columns, Column("score")), tuple(rows), notes)
