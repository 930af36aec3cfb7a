"""The command `bapps-distort import`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bapps_builder.commands.console import ListCommand, progress
from bapps_builder.patch_sets.manifest import MAX_ITEMS
from distortions.commands.patch_set_commands import (
    FOLDER,
    dask_option,
    max_pixels_option,
    rescale_option,
    seed_option,
    split_option,
    team,
    workers_option,
)

if TYPE_CHECKING:
    from bapps_builder.layout import Task
    from bapps_builder.patch_sets.manifest import Split
    from distortions.patch_sets.shown_algorithms import Pairs


@click.command(
    "import",
    cls=ListCommand,
    epilog="""\b
Examples:
  bapps-distort import --reference originals --outputs mine=sr/mine other=sr/other --out patches --items 2000
  bapps-distort import --reference originals --outputs a=codec/a b=codec/b c=codec/c --out whole --size full""",
)
@click.option("--reference", type=FOLDER, required=True, help="Folder of originals.")
@click.option(
    "--outputs",
    multiple=True,
    required=True,
    metavar="NAME=DIR...",
    help="Folders of outputs, each with the name of its algorithm; files are paired by name without suffix.",
)
@click.option(
    "--out", type=FOLDER, required=True, help="Folder of the patch set; one begun with equal options goes on."
)
@click.option(
    "--items",
    type=click.IntRange(1, MAX_ITEMS),
    help="How many items to make. [needed, but for whole images; default there: every pair of every image]",
)
@click.option("--task", type=click.Choice(["2afc", "jnd"]), default="2afc", show_default=True)
@click.option(
    "--size",
    default="64",
    show_default=True,
    metavar="SIDE|WIDTHxHEIGHT|full",
    help="Size of the crops, in pixels, such as 256 or 512x384; full: images are shown whole.",
)
@click.option(
    "--pairs",
    type=click.Choice(["even", "all"]),
    default="even",
    show_default=True,
    help="even: every item has a place of its own, and pairs of algorithms (for jnd: algorithms) come equally often. "
    "all: every place comes with all of them.",
)
@click.option("--set", "set_name", default="import", show_default=True, help="Name of the set, such as superres.")
@split_option
@seed_option
@click.option(
    "--scale",
    default="1",
    show_default=True,
    metavar="auto|X",
    help="Resize outputs by X, or by whatever it takes, to the size of their reference.",
)
@rescale_option
@max_pixels_option
@workers_option
@dask_option
def import_images(
    reference: Path,
    outputs: tuple[str, ...],
    out: Path,
    items: int | None,
    task: "Task",
    size: str,
    pairs: "Pairs",
    set_name: str,
    split: "Split",
    seed: int,
    scale: str,
    rescale: tuple[float, float] | None,
    max_pixels: int | None,
    workers: int | None,
    dask: str,
) -> None:
    """Make a patch set from images that other programs made of the same originals.

    2AFC items are an original and the outputs of two algorithms, JND items an original and the output of one.
    """
    from bapps_builder.images.photographs import MAX_PIXELS
    from bapps_builder.patch_sets.patch_set import read_patch_set
    from distortions.patch_sets.import_outputs import ImportSettings, import_outputs
    from distortions.patch_sets.outside_images import HALF_A_PIXEL
    from distortions.sizes import parse_size

    settings = ImportSettings(
        items,
        set_name,
        split,
        seed,
        scale=_scale(scale),
        rescale=rescale,
        size=None if size == "full" else parse_size(size),
        task=task,
        pairs=pairs,
    )
    with progress(items, "items") as advance:
        registrations = import_outputs(
            settings,
            reference=reference,
            outputs=_named(outputs),
            folder=out,
            workers=team(workers, dask),
            max_pixels=max_pixels or MAX_PIXELS,
            advance=advance,
        )
    click.echo(f"{out}: {len(read_patch_set(out))} items")
    for one in registrations:
        click.echo(
            f"{one.algorithm}: shifted by {one.median:.2f} pixels in the median, {one.share:.1%} of images by "
            f"more than {HALF_A_PIXEL:g}" + ("  MISREGISTERED" if one.median > HALF_A_PIXEL else "")
        )


def _named(outputs: Sequence[str]) -> dict[str, Path]:
    by_name: dict[str, Path] = {}
    for text in outputs:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder) or name in by_name:
            raise click.UsageError(f"--outputs are written NAME=DIR, each name once; got {text!r}")
        by_name[name] = Path(folder)
    return by_name


def _scale(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise click.UsageError(f"--scale needs auto or a number, got {text!r}") from error
