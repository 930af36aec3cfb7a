"""The commands of `bapps-distort` that make patch sets from photos: generate and replay."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bapps_builder.commands.console import Command, ListCommand, note, progress
from bapps_builder.errors import PatchSetError, WeightsError
from bapps_builder.patch_sets.manifest import MAX_ITEMS

if TYPE_CHECKING:
    from bapps_builder.patch_sets.patch_set import PatchSet
    from distortions.sizes import Strength
    from distortions.workers import Workers

FOLDER = click.Path(path_type=Path)


photos_option = click.option(
    "--photos", "folders", type=FOLDER, multiple=True, required=True, metavar="DIR...", help="Folders of photos."
)
seed_option = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides all chance.")
items_option = click.option("--items", type=click.IntRange(1, MAX_ITEMS), required=True, help="How many items to make.")
split_option = click.option("--split", type=click.Choice(["train", "val"]), default="val", show_default=True)
workers_option = click.option(
    "--workers", type=click.IntRange(1), help="Processes. The result does not depend on it. [default: processors]"
)
zoo_option = click.option(
    "--zoo",
    type=FOLDER,
    help="Folder of trained networks, as `bapps-distort train-cnn` makes it. [default: the starter zoo]",
)
dask_option = click.option(
    "--dask",
    default="",
    metavar="ADDRESS",
    help="Scheduler of a Dask cluster to work on instead, such as tcp://host:8786; its workers must see the same "
    "folders under the same paths.",
)
distortions_option = click.option(
    "--distortions",
    "names",
    multiple=True,
    metavar="NAME...",
    help="These only: names as `list` prints them, or module:function for one of your own.",
)
rescale_option = click.option(
    "--rescale",
    nargs=2,
    type=click.FloatRange(0, min_open=True),
    metavar="LOW HIGH",
    help="Scale images first by a random number from this range.",
)
size_option = click.option(
    "--size",
    default="64",
    show_default=True,
    metavar="SIDE|WIDTHxHEIGHT",
    help="Size of the patches, in pixels, such as 256 or 512x384.",
)
max_pixels_option = click.option(
    "--max-pixels", type=click.IntRange(1), help="Images with more are refused. [default: 256 million]"
)


@click.command(
    cls=ListCommand,
    epilog="""\b
Examples:
  bapps-distort generate --photos photos --out patches --items 5000 --seed 1
  bapps-distort generate --photos fivek raise --out jnd --items 4800 --task jnd --workers 8
  bapps-distort generate --photos photos --out mine --items 400 --distortions my_module:posterise gaussian-blur""",
)
@photos_option
@click.option(
    "--out", type=FOLDER, required=True, help="Folder of the patch set; one begun with equal options goes on."
)
@items_option
@click.option(
    "--family",
    type=click.Choice(["traditional", "cnn", "mix"]),
    default="traditional",
    show_default=True,
    help="Distortions to draw from: the paper's twenty and their compositions of two, networks, or one of each.",
)
@click.option(
    "--distortions",
    multiple=True,
    metavar="NAME...",
    help="Draw from these and their compositions of two instead of the paper's twenty, and from these networks instead "
    "of all: names as `bapps-distort list` prints them, cnn-000 to cnn-095, or module:function for one of your own.",
)
@click.option("--set", default="", help="Name of the set. [default: the family, with --distortions custom]")
@zoo_option
@click.option("--task", type=click.Choice(["2afc", "jnd"]), default="2afc", show_default=True)
@split_option
@seed_option
@workers_option
@click.option(
    "--severity-law",
    type=click.Choice(["uniform", "threshold"]),
    help="uniform: even over [0, 1]. threshold: half of all below .25. [default: uniform, for jnd threshold]",
)
@rescale_option
@size_option
@click.option(
    "--strength",
    type=click.Choice(["pixels", "relative"]),
    default="pixels",
    show_default=True,
    help="At other sizes than 64: lengths, such as the width of a blur, stay the same number of pixels, or grow with "
    "the longer side.",
)
@click.option(
    "--min-contrast",
    type=click.FloatRange(0, 127.5),
    default=0,
    help="Take no patch whose luma has a lower standard deviation, in levels.",
)
@click.option(
    "--max-skipped",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="Share of the photos that may be damaged, too small or too large; one always may.",
)
@max_pixels_option
@dask_option
def generate(
    folders: tuple[Path, ...],
    out: Path,
    zoo: Path | None,
    workers: int | None,
    size: str,
    strength: "Strength",
    max_skipped: float,
    max_pixels: int | None,
    dask: str,
    **options: Any,  # those that are fields of Settings
) -> None:
    """Make a patch set from photos.

    2AFC items are two patches with different recipes and their original, JND items a patch and its original.
    The same options give the same files, with any number of workers and after any interruption.
    """
    from bapps_builder.images.photographs import MAX_PIXELS
    from distortions.patch_sets.generate import generate as make
    from distortions.patch_sets.sampling import Settings
    from distortions.sizes import PatchSize, parse_size

    settings = Settings(size=PatchSize(*parse_size(size), strength), **options)
    with progress(settings.items, "items") as advance:
        result = make(
            settings,
            photos=folders,
            folder=out,
            workers=team(workers, dask),
            zoo=zoo,
            max_pixels=max_pixels or MAX_PIXELS,
            max_skipped_share=max_skipped,
            advance=advance,
            skip=lambda entry: note(f"skipped {entry.photo}: {entry.reason}"),
        )
    if not result.new:
        click.echo(f"{out}: complete already, {settings.items} items")
        return
    skipped = len(result.skipped)
    click.echo(
        f"{out}: {settings.items} items" + (f", {skipped} skipped photo{'s' * (skipped > 1)}" if skipped else "")
    )
    if settings.task == "2afc":
        _print_hardness(result.patch_set)


def team(workers: int | None, dask: str) -> "Workers":
    """Who does the work, as `--workers` and `--dask` say."""
    from bapps_builder.files.cores import cores
    from distortions.workers import Workers

    return Workers(workers or cores(), dask)


def _print_hardness(whole: "PatchSet") -> None:
    """Say how far patches are from their originals and pairs from a tie, where the metric's weights are at hand."""
    try:
        from distortions.patch_sets.hardness import sampled_distances, spread, spread_lines

        d0, d1 = sampled_distances(whole)
    except (ImportError, WeightsError) as error:
        note(f"how far its patches are from their originals was not computed: {error}")
        return
    settings = whole.description.settings  # whatever the set is called, its distortions and size may be those of BAPPS
    name = whole[0].set if settings.get("distortions") else settings["family"]
    if "patch_size" in settings:
        name += " of " + "x".join(map(str, settings["patch_size"]))
    for line in spread_lines(name, spread(d0, d1), pairs=len(d0)):
        click.echo(line)


@click.command(cls=Command, epilog="\b\nExample:\n  bapps-distort replay patches --rows 3,17-20 --out again")
@click.argument("patch_set", type=FOLDER)
@click.option("--rows", required=True, help="Rows of the manifest from 0, such as 3,17-20.")
@click.option(
    "--photos",
    "folders",
    type=FOLDER,
    multiple=True,
    metavar="DIR",
    help="Folder of photos; may be repeated. [default: those that generate was given]",
)
@zoo_option
@click.option("--out", type=FOLDER, required=True, help="Folder to write the patches to.")
@max_pixels_option
@click.pass_context
def replay(
    context: click.Context,
    patch_set: Path,
    rows: str,
    folders: tuple[Path, ...],
    zoo: Path | None,
    out: Path,
    max_pixels: int | None,
) -> None:
    """Make the patches of some rows again and compare their pixels. Exit status 1 if some differ."""
    from bapps_builder.images.photographs import MAX_PIXELS
    from bapps_builder.patch_sets.patch_set import read_patch_set
    from distortions.patch_sets.generate import versions
    from distortions.patch_sets.replay import parse_rows
    from distortions.patch_sets.replay import replay as make_again

    source = read_patch_set(patch_set)
    if out.resolve() == patch_set.resolve():
        raise PatchSetError(f"{out}: is the patch set itself; choose another folder")
    numbers = parse_rows(rows, count=len(source))
    with progress(len(numbers), "rows") as advance:
        patches = make_again(
            source,
            numbers,
            photos=folders,
            zoo=zoo,
            folder=out,
            max_pixels=max_pixels or MAX_PIXELS,
            advance=advance,
            warn=note,
        )
    differing = [entry for entry in patches if not entry.same]
    for entry in differing:
        click.echo(f"{entry.path}: differs")
    click.echo(f"{len(numbers)} rows, {len(patches)} patches, {len(differing)} differ from the manifest")
    if differing:
        here = versions()
        if any(source.description.versions.get(name) != version for name, version in here.items()):
            note(f"made with {_versions(source.description.versions)}; here are {_versions(here)}")
        context.exit(1)


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
