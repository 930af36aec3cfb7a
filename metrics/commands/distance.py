"""The command `bapps-distance`."""

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from bapps_builder.commands.console import Command, note, progress
from bapps_builder.errors import ImageError, MetricError
from bapps_builder.files.atomic import replaced_whole
from bapps_builder.files.file_names import printable
from bapps_builder.images.image_files import colour_scale, encode_png
from bapps_builder.images.photographs import read_photo
from metrics.commands.options import (
    Replacements,
    device_option,
    load_metrics,
    precision_option,
    unverified_weights_option,
    weights_option,
)

if TYPE_CHECKING:
    from metrics.commands.image_pairs import AllPairs, FilePairs
    from metrics.metric import Metric, Precision

Row = tuple[str | float, ...]

_DISTANCE_EXAMPLES = """
\b
Examples:
  bapps-distance --metric lpips-alex original.png decoded.png
  bapps-distance --metric lpips-vgg --metric ssim originals/ decoded/ --csv
  bapps-distance --metric lpips-alex frames/
  bapps-distance --metric lpips-vgg a.png b.png --map where.png
"""


@click.command(cls=Command, epilog=_DISTANCE_EXAMPLES)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path), required=False)
@click.option("--metric", "names", multiple=True, required=True, metavar="NAME", help="Metric; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table, each row as soon as it is known.")
@click.option(
    "--map",
    "map_file",
    type=click.Path(path_type=Path),
    help="Also write where two images differ as a PNG (dark: 0, bright: the largest local distance).",
)
@device_option
@precision_option
@weights_option
@unverified_weights_option
def distance(
    a: Path,
    b: Path | None,
    names: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    map_file: Path | None,
    device: str,
    precision: "Precision",
    weights: Path | None,
    replacements: Replacements,
) -> None:
    """Distances between images: two of any equal size, two folders paired by name, or all pairs of one folder.

    Bigger is further apart, for every metric. All pairs of a folder come sorted by the first file, then the
    second; of many or large images (more than fifty of 64x64, or that many pixels), in blocks of files, sorted
    inside each pair of blocks.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    pairs = _pairs(a, b)
    if map_file:
        if len(pairs) != 1:
            raise click.UsageError("--map needs two images, not folders")
        if len(names) != 1:
            raise click.UsageError("--map needs one --metric")
        _check_map_file(map_file)

    metrics = load_metrics(names, device, precision, weights, replacements)
    if map_file and metrics[0].spatial is None:
        raise MetricError(f"metric {metrics[0].name} has no spatial map; those on nets have one, such as lpips-alex")
    out = sys.stdout  # taken before a progress bar puts its own in place
    rows: list[Row] = []
    with _progress(len(pairs), hidden=as_csv and out.isatty()) as advance:
        row_groups = _rows(pairs, metrics, advance)
        if as_csv:
            _stream_csv(metrics, row_groups, out)
        else:
            rows.extend(row for some in row_groups for row in some)
    if not as_csv:
        click.echo(_json(metrics, rows) if as_json else _text(metrics, rows))
    if map_file:
        _write_map(metrics[0], *next(iter(pairs)), map_file)


def _pairs(a: Path, b: Path | None) -> "FilePairs | AllPairs":
    """The pairs of files that are meant: a and b themselves, equal names of two folders, or all of one."""
    from metrics.commands.image_pairs import AllPairs, FilePairs

    for path in (a, b):
        if path and not path.exists():
            raise ImageError(f"{path}: no such file or folder")
    if b is None:
        if not a.is_dir():
            raise click.UsageError(f"{a} is one image; name a second one, or a folder")
        return AllPairs.of_folder(a)
    if a.is_dir() != b.is_dir():
        raise click.UsageError("name two images or two folders, not one of each")
    return FilePairs.by_name(a, b) if a.is_dir() else FilePairs([(a, b)])


def _progress(total: int, *, hidden: bool) -> AbstractContextManager[Callable[[int], None]]:
    """A progress bar, unless rows that stream to the same screen show the progress themselves."""
    return nullcontext(lambda steps: None) if hidden else progress(total, "distances")


def _rows(
    pairs: "FilePairs | AllPairs", metrics: "list[Metric]", advance: Callable[[int], None]
) -> Iterator[list[Row]]:
    for some, values in pairs.distances(metrics):
        yield [(printable(x), printable(y), *map(float, column)) for (x, y), column in zip(some, values.T, strict=True)]
        advance(len(some))


def _check_map_file(target: Path) -> None:
    """Refuse what a map could not be written to, before the work."""
    if target.is_dir():
        raise ImageError(f"{target}: is a folder; --map needs the name of a PNG file")
    if target.suffix.lower() != ".png":
        raise ImageError(f"{target}: --map writes PNG; the name must end with .png, not {target.suffix!r}")
    if not target.absolute().parent.is_dir():
        raise ImageError(f"{target.absolute().parent}: no such folder to write the map to")


def _write_map(metric: "Metric", a: Path, b: Path, target: Path) -> None:
    if metric.spatial is None:
        raise MetricError(f"metric {metric.name} has no spatial map")
    try:
        values = metric.spatial(read_photo(a)[None], read_photo(b)[None])[0]
    except Exception as error:  # a metric may be anybody's code
        raise MetricError(f"{a} and {b}: the map of metric {metric.name}: {type(error).__name__}: {error}") from error
    top = float(values.max())
    with replaced_whole(target) as temporary:
        temporary.write_bytes(encode_png(colour_scale(values, top=top)))
    note(f"{target}: dark is 0, bright is {top:.4f}")


def _columns(metrics: "Sequence[Metric]") -> list[str]:
    return ["a", "b", *(metric.name + ("" if metric.verified else " (unverified)") for metric in metrics)]


def _stream_csv(metrics: "Sequence[Metric]", row_groups: Iterable[list[Row]], out: TextIO) -> None:
    """Write rows as they come. The header waits for the first, so that an early error leaves no output."""
    header: list[Sequence[str | float]] = [_columns(metrics)]
    for rows in row_groups:
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows([*header, *rows])
        click.echo(lines.getvalue(), file=out, nl=False)  # flushes
        header = []


def _json(metrics: "Sequence[Metric]", rows: list[Row]) -> str:
    described = {
        metric.name: {
            "description": metric.description,
            "verified": metric.verified,
            "weights": [{"name": w.name, "sha256": w.sha256, "verified": w.verified} for w in metric.weights],
        }
        for metric in metrics
    }
    columns = ["a", "b", *described]
    records = [dict(zip(columns, map(_plain, row), strict=True)) for row in rows]
    return json.dumps({"metrics": described, "distances": records}, indent=2, allow_nan=False)


def _plain(value: str | float) -> str | float:
    """A value as JSON has it, which knows no infinity: the text "inf" or "-inf" stands for it."""
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _text(metrics: "Sequence[Metric]", rows: list[Row]) -> str:
    """A table, then a line a metric that says what it is."""
    cells = [_columns(metrics), *([f"{v:.6f}" if isinstance(v, float) else v for v in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        aligned = [
            cell.ljust(width) if k < 2 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(aligned).rstrip())
    for metric in metrics:
        weights = ", ".join(f"{w.name} {w.sha256[:8]}{'' if w.verified else ' UNVERIFIED'}" for w in metric.weights)
        lines.append(f"{metric.name}: {metric.description}" + (f" [{weights}]" if weights else ""))
    return "\n".join(lines)
