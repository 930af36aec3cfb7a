"""The command `bapps-score`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands.evidence_options import evidence_options
from analysis.scoring.evidence import Evidence
from bapps_builder.commands.console import Command, note, progress
from bapps_builder.errors import DatasetError
from bapps_builder.files.atomic import check_writable
from metrics.commands.options import (
    Replacements,
    device_option,
    load_metrics,
    precision_option,
    unverified_weights_option,
    weights_option,
)

if TYPE_CHECKING:
    from bapps_builder.datasets.load_mode import LoadMode
    from metrics.metric import Precision

DATA_VARIABLE = "BAPPS_DATA"
DEFAULT_DATA = Path("dataset")

_EXAMPLES = """
\b
Examples:
  bapps-score --metric lpips-vgg
  bapps-score --metric l2 --metric ssim --metric lpips-alex --data dataset --set val/cnn
  bapps-score --metric my_module:my_distance --json
  bapps-score --distances hdr-vdp.csv
  bapps-score --metric ssim --metric lpips-vgg --ci items --compare --by margin
"""


@click.command(cls=Command, epilog=_EXAMPLES)
@click.option("--metric", "names", multiple=True, metavar="NAME", help="Metric to score; may be repeated.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help=f"Folder that holds 2afc/ and jnd/. [default: ${DATA_VARIABLE}, then ./{DEFAULT_DATA}]",
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="SPLIT/SET",
    help="Set to score, such as val/cnn; may be repeated. [default: every validation set]",
)
@click.option(
    "--task",
    type=click.Choice(["2afc", "jnd", "both"]),
    default="both",
    show_default=True,
    help="Judgments to score against; both takes what the dataset has.",
)
@click.option(
    "--load",
    type=click.Choice(["auto", "official", "exact", "native"]),
    default="auto",
    show_default=True,
    help="auto: official for sets whose files are BAPPS's enlarged patches, native for all others. official: shrink "
    "files to 64x64 as all published scores did. exact: undo BAPPS's enlargement. native: files as they are.",
)
@click.option(
    "--distances",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Score distances computed elsewhere: CSV or Parquet with id, d0, d1, judge (or id, distance, same), and "
    "metric and set if there are several. This is the way for HDR-VDP and other MATLAB metrics. May be repeated.",
)
@click.option(
    "--save-distances",
    type=click.Path(path_type=Path),
    help="Also write every distance to this file (.csv, .csv.gz or .parquet).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one score a row, instead of tables.")
@device_option
@precision_option
@click.option("--batch-size", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Items at a time.")
@weights_option
@unverified_weights_option
@evidence_options
def score(
    *,
    asked: Evidence,
    names: tuple[str, ...],
    data: Path | None,
    sets: tuple[str, ...],
    task: str,
    load: "LoadMode",
    files: tuple[Path, ...],
    save_distances: Path | None,
    as_json: bool,
    as_csv: bool,
    device: str,
    precision: "Precision",
    batch_size: int,
    weights: Path | None,
    replacements: Replacements,
) -> None:
    """Score metrics against human judgments, in one pass over the images.

    Prints, for each metric and set, how many people agree with its choices (2AFC), or the average
    precision with which its ranking finds the pairs people called the same (JND), with the paper's
    unweighted means over sets and what people score among themselves.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    if files and not names:
        for option, value in (
            ("--data", data and not asked.anything),
            ("--load", load != "auto"),
            ("--device", device != "cpu"),
        ):
            if value:
                raise click.UsageError(f"{option} is about images, and only --distances are scored; add a --metric")
    if not names and not files:
        raise click.UsageError("nothing to score: name a --metric (see --help) or a file with --distances")

    # Imported late: these load torch and pandas, which --help and a usage error should not wait for.
    from analysis.report import score_tables
    from analysis.report.evidence_tables import sections_of
    from analysis.scoring.distances import check_suffix, write_distances
    from analysis.scoring.score import score as scored
    from bapps_builder.layout import TASKS

    if save_distances:
        check_suffix(save_distances)
        check_writable(save_distances)  # before the work, not after it
    root = _data_folder(data) if names else data
    report = scored(
        load_metrics(names, device, precision, weights, replacements) if names else (),
        root,
        files=files,
        sets=sets,
        tasks=[one for one in TASKS if task in (one, "both")],
        load=load,
        batch_size=batch_size,
        evidence=asked,
        progress=progress,
    )
    for key, choice in report.loads.items():
        if choice.warning:
            note(f"warning: {key}: {choice.warning}")
    form = score_tables.as_json if as_json else score_tables.as_csv if as_csv else score_tables.as_text
    click.echo(form(report, sections_of(report)))
    if save_distances:
        write_distances(save_distances, report.results)


def _data_folder(data: Path | None) -> Path:
    """The dataset's folder; if there is none, an error with the commands that make or download one."""
    folder = data or (Path(value) if (value := os.environ.get(DATA_VARIABLE)) else None)
    root = folder or DEFAULT_DATA
    if root.is_dir():
        return root
    if folder:
        raise DatasetError(f"{folder}: no such folder; it should hold 2afc/ or jnd/ in the BAPPS layout")
    raise click.exceptions.Exit(_say_how_to_get_data())


def _say_how_to_get_data() -> int:
    note(
        f"No dataset: neither --data nor ${DATA_VARIABLE} is given, and ./{DEFAULT_DATA} does not exist.\n"
        "The official validation sets (1.3 GB), downloaded:\n"
        f"  bapps-build download --split val --split jnd --out {DEFAULT_DATA}\n"
        "A small set with simulated answers, made in a checkout of this project:\n"
        "  make demo"
    )
    return 2
