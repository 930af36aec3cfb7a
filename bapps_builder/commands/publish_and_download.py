"""The commands `bapps-build publish` and `bapps-build download`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bapps_builder.commands.console import BadInput, Command, note, progress
from bapps_builder.commands.verify_and_info import verified

if TYPE_CHECKING:
    from bapps_builder.releasing.publish import Kind

_PATH = click.Path(path_type=Path)
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(
    "publish",
    cls=Command,
    epilog="\b\nExample:\n  bapps-build publish --to parquet --license cc-by-4.0 dataset release",
)
@click.argument("dataset", type=_FOLDER)
@click.argument("out", type=_PATH)
@click.option(
    "--to",
    "kind",
    required=True,
    type=click.Choice(["parquet", "webdataset"]),
    help="Parquet for Hugging Face, or tar.",
)
@click.option("--license", "licence", required=True, help="As the hub spells it, such as cc-by-4.0.")
@click.option("--answers", "raw_answers", is_flag=True, help="Release single answers too, if people agreed to it.")
@click.option("--faces-checked", is_flag=True, help="Somebody looked for faces; the card says so.")
@click.option("--shard-items", type=click.IntRange(1), default=10_000, show_default=True, help="Items a file.")
@click.option(
    "--seed",
    type=int,
    help="Seed of the numbers of people and photographs; whoever knows it can undo them. [default: a fresh secret]",
)
@click.option("--no-verify", is_flag=True, help="Do not check the dataset first.")
@click.pass_context
def publish_command(
    context: click.Context,
    dataset: Path,
    out: Path,
    kind: "Kind",
    licence: str,
    raw_answers: bool,
    faces_checked: bool,
    shard_items: int,
    seed: int | None,
    no_verify: bool,
) -> None:
    """Make a release: shards with the pictures in them, a card, Croissant metadata and checksums.

    Only the columns of the public schema leave: no ids, no times, no comments.
    """
    if out.exists():
        raise BadInput(f"{out}: already exists; name another folder")
    import numpy as np

    from bapps_builder.checking.set_files import list_files
    from bapps_builder.releasing.hub_card import FACES
    from bapps_builder.releasing.publish import Release, publish

    if not no_verify and not verified(dataset):
        note(f"Error: {dataset} is not published, since something in it is wrong; see above, or use --no-verify")
        context.exit(1)
    release = Release(kind, licence, raw_answers, shard_items, faces_checked)
    total = sum(len(files.complete) for files, _ in list_files(dataset))
    with progress(total, "items") as advance:
        shards = publish(dataset, out, release, rng=np.random.default_rng(seed), advance=advance)
    for one in shards:
        click.echo(f"{one.config} {one.split}: {one.rows} rows in {len(one.files)} files, {one.bytes} bytes")
    if not faces_checked:
        note(f"Look at the patches before this leaves the house. {FACES} Then say --faces-checked.")


@click.command(
    "download",
    cls=Command,
    epilog="\b\nExamples:\n  bapps-build download --split val --split jnd --out dataset\n"
    "  bapps-build download --split val --from twoafc_val.tar.gz --out dataset",
)
@click.option(
    "--split",
    "splits",
    multiple=True,
    required=True,
    type=click.Choice(["val", "train", "jnd"]),
    help="May be repeated.",
)
@click.option("--out", required=True, type=_PATH, help="Folder of the dataset; other splits may be there.")
@click.option("--from", "copy", type=_PATH, help="Unpack this copy of the archive instead of downloading it.")
@click.option("--mirror", "mirrors", multiple=True, help="Address of a folder that has the archive; may be repeated.")
@click.option("--sha256", default="", help="What the archive must have. [default: trust the first one]")
@click.option("--keep", is_flag=True, help="Keep the archive.")
@click.option("--no-verify", is_flag=True, help="Do not check every file afterwards.")
@click.pass_context
def download_command(
    context: click.Context,
    splits: tuple[str, ...],
    out: Path,
    copy: Path | None,
    mirrors: tuple[str, ...],
    sha256: str,
    keep: bool,
    no_verify: bool,
) -> None:
    """Download the official BAPPS: val (1.1 GB), train (5.3 GB), jnd (0.2 GB).

    An interrupted download goes on where it ended. Size and SHA-256 of the first archive are written to
    downloads.json, and another one is refused from then on. The data are their authors' to give.
    """
    from bapps_builder.official_download.archives import ARCHIVES, MIRRORS, download, unpack_copy

    if (copy or sha256) and len(splits) > 1:
        raise click.UsageError("--from and --sha256 are about one archive; name one --split")
    passed = True
    for split in splits:
        archive = ARCHIVES[split]
        if copy:
            folder = unpack_copy(archive, copy, out, sha256=sha256.lower(), say=note)
        else:
            with progress(int(archive.gigabytes * 1e9), archive.file) as advance:
                folder = download(
                    archive,
                    out,
                    mirrors=mirrors or MIRRORS,
                    sha256=sha256.lower(),
                    keep=keep,
                    advance=advance,
                    say=note,
                )
        note(f"{folder}: unpacked")
        if not no_verify:
            passed &= verified(out, part=f"{archive.task}/{archive.split}/")
    if not passed:
        context.exit(1)
