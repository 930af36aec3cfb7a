"""The commands `bapps-build verify` and `bapps-build info`, and what all of `bapps-build` prints."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bapps_builder.commands.console import Command, note, progress

if TYPE_CHECKING:
    from bapps_builder.datasets.dataset_record import DatasetRecord

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("verify", cls=Command, epilog="\b\nExample:\n  bapps-build verify dataset")
@click.argument("dataset", type=_FOLDER)
@click.option("--subset", is_flag=True, help="It is a part of a dataset: gaps and missing items are notes.")
@click.option("--workers", type=click.IntRange(1), help="Processes. [default: one a core]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def verify_command(context: click.Context, dataset: Path, subset: bool, workers: int | None, as_json: bool) -> None:
    """Check every file of a dataset, built here or the official one. Exit status 1 if something is wrong."""
    if not verified(dataset, subset=subset, workers=workers, as_json=as_json):
        context.exit(1)


def verified(
    dataset: Path, *, part: str = "", subset: bool = False, workers: int | None = None, as_json: bool = False
) -> bool:
    """Check a dataset, or the sets whose key begins with `part`, and print the report."""
    from bapps_builder.checking.set_files import list_files
    from bapps_builder.checking.verify import verify

    listed = [one for one in list_files(dataset) if one[0].folder.key.startswith(part)]
    total = sum(len(files.complete) for files, _ in listed)
    with progress(total, "items") as advance:
        report = verify(dataset, listed, subset=subset, workers=workers, advance=advance)
    click.echo(report.as_json() if as_json else report.as_text())
    return not report.failed


@click.command("info", cls=Command, epilog="\b\nExample:\n  bapps-build info dataset --json")
@click.argument("dataset", type=_FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info_command(dataset: Path, as_json: bool) -> None:
    """Say what a dataset holds, without reading its images."""
    from bapps_builder.checking.set_files import list_files
    from bapps_builder.datasets.dataset_record import is_built, read_record

    if is_built(dataset):
        return print_record(dataset, read_record(dataset), as_json=as_json)
    sets = {files.folder.key: len(files.complete) for files, _ in list_files(dataset)}
    if as_json:
        click.echo(json.dumps({"dataset": str(dataset), "sets": sets}, indent=2))
    else:
        click.echo("\n".join(f"{key}: {items} items" for key, items in sets.items()))


def print_record(root: Path, record: "DatasetRecord", *, as_json: bool) -> None:
    """Print the card of a dataset built here, or its record."""
    from bapps_builder.datasets.dataset_card import card

    click.echo(json.dumps(asdict(record), indent=2, ensure_ascii=False) if as_json else card(record))
    note(f"{root}: {sum(one.items for one in record.sets.values())} items in {len(record.sets)} sets")
