"""The command `bapps-distort`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bapps_builder.commands.console import Command, ListCommand, note
from bapps_builder.errors import DistortionError, ImageError
from bapps_builder.files.atomic import check_writable, replaced_whole
from bapps_builder.images.image_files import encode_png
from distortions.commands.import_command import import_images
from distortions.commands.patch_set_commands import (
    distortions_option,
    generate,
    max_pixels_option,
    photos_option,
    replay,
    seed_option,
    zoo_option,
)
from distortions.commands.train_cnn import described, train_cnn

if TYPE_CHECKING:
    from distortions.distortion import Distortion, Patch

_FOLDER = click.Path(path_type=Path)


@click.group(epilog="\b\nExample:\n  bapps-distort generate --photos photos --out patches --items 1000 --seed 1")
def distort() -> None:
    """Distortions, and patch sets made with them."""


for _command in (generate, replay, import_images, train_cnn):
    distort.add_command(_command)


@distort.command(
    "list",
    cls=ListCommand,
    epilog="\b\nExamples:\n  bapps-distort list\n  bapps-distort list --distortions my_module:posterise",
)
@distortions_option
@click.option("--compositions", "composed", is_flag=True, help="List the ordered compositions of two instead.")
@click.option("--cnn", is_flag=True, help="List the 96 networks instead, with their weights and multiply-adds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_distortions(names: tuple[str, ...], composed: bool, cnn: bool, as_json: bool) -> None:
    """List the distortions: family, parameters with units and ranges, and how strength grows with severity s."""
    from distortions.recipes import with_compositions
    from distortions.traditional import TWENTY

    if composed and cnn:
        raise click.UsageError("--compositions and --cnn are two lists; ask for one")
    if cnn and names:
        raise click.UsageError(
            "--cnn lists the networks; --distortions chooses among the others; give only one of the two"
        )
    if cnn:
        click.echo(described(as_json))
        return
    entries = _entries(names)
    if composed:
        drawn = with_compositions(tuple(entry.name for entry in entries) if names else TWENTY)
        pairs = [steps for steps in drawn if len(steps) == 2]
        click.echo(json.dumps(pairs, indent=2) if as_json else "\n".join(map("+".join, pairs)))
        return
    click.echo(
        json.dumps([_described(entry) for entry in entries], indent=2) if as_json else "\n".join(map(_text, entries))
    )


def _entries(names: Sequence[str]) -> "list[Distortion]":
    """The distortions of some names; by default all of this project and of plug-ins, with a note on broken ones."""
    from distortions.cnn.variants import is_variant
    from distortions.registry import distortions, find, plugins

    if networks := [name for name in names if is_variant(name)]:
        raise click.UsageError(f"{networks[0]} is a network, which has no severities; --cnn shows those")
    if names:
        return list({entry.name: entry for entry in map(find, names)}.values())
    installed, wrong = plugins()
    for fault in wrong:
        note(f"left out: {fault}")
    return [*distortions().values(), *installed.values()]


def _described(entry: "Distortion") -> dict[str, Any]:
    return {
        "name": entry.name,
        "family": entry.family,
        "summary": entry.summary,
        "parameters": [
            {
                "name": name,
                "low": p.low,
                "high": p.high,
                "unit": p.unit,
                "whole": p.whole,
                "meaning": p.meaning,
                **({"default": entry.defaults[name]} if name in entry.defaults else {}),
            }
            for name, p in entry.parameters.items()
        ],
        "ramp": {"top": entry.ramp.top, "power": entry.ramp.power},
        "border": entry.border,
        **({"source": asdict(entry.source)} if entry.source else {}),
    }


def _text(entry: "Distortion") -> str:
    lines = [f"{entry.name} ({entry.family}): {entry.summary}"]
    for name, p in entry.parameters.items():
        unit = f" {p.unit}" if p.unit else ""
        default = f"; {entry.defaults[name]} by default" if name in entry.defaults else ""
        lines.append(f"  {name} in [{p.low:g}, {p.high:g}]{unit}{', whole' if p.whole else ''}: {p.meaning}{default}")
    lines.append(f"  strength at severity s: {entry.ramp}; borders: {entry.border}")
    if entry.source:
        lines.append(f"  from {entry.source}")
    return "\n".join(lines)


@distort.command(cls=ListCommand, epilog="\b\nExample:\n  bapps-distort preview --photos photos --out sheet.png")
@photos_option
@click.option("--out", type=_FOLDER, required=True, help="PNG file to write.")
@distortions_option
@click.option("--cnn", is_flag=True, help="A row for each network instead.")
@zoo_option
@seed_option
def preview(
    folders: tuple[Path, ...], out: Path, names: tuple[str, ...], cnn: bool, zoo: Path | None, seed: int
) -> None:
    """Draw a contact sheet: a row for each distortion, a column for each severity, on crops of the photos."""
    from distortions.cnn.zoo import STARTER, open_zoo
    from distortions.patch_sets.contact_sheet import contact_sheet, network_sheet
    from distortions.workers import settle_opencv

    if cnn and names:
        raise click.UsageError(
            "--cnn shows the networks of a zoo; --distortions chooses among the others; give only one of the two"
        )
    _check_png(out)
    settle_opencv()
    trained = open_zoo(zoo or STARTER) if cnn else None
    shown = [] if trained else _entries(names)
    crops = _crops(folders, seed)
    _write_png(out, network_sheet(crops, trained, seed=seed) if trained else contact_sheet(crops, shown, seed=seed))


def _crops(folders: Sequence[Path], seed: int) -> "list[Patch]":
    """Crops with margins, one of each of the first photos, at random places that have some contrast."""
    import numpy as np

    from bapps_builder.images.enlargement import PATCH_SIDE
    from distortions.crops import cut
    from distortions.patch_sets.sampling import Settings, draw_place_with_contrast
    from distortions.photos import list_photos
    from distortions.traditional import TWENTY

    rng = np.random.default_rng(seed)
    settings = Settings(1, "jnd", "traditional", "val", seed, "uniform", min_contrast=20)
    crops = []
    for photo in list_photos(folders, smallest_side=PATCH_SIDE).photos[: len(TWENTY)]:
        pixels = photo.read()
        if place := draw_place_with_contrast(pixels, rng, settings):
            crops.append(cut(pixels, left=place.left, top=place.top)[0])
    if not crops:
        raise ImageError(f"{', '.join(map(str, folders))}: no place in the photos has enough contrast for a preview")
    return crops


@distort.command(
    cls=Command,
    epilog="\b\nExample:\n  bapps-distort apply 'gaussian-blur(sigma=1.35)+jpeg(quality=23)' in.png out.png --seed 1",
)
@click.argument("recipe")
@click.argument("source", type=_FOLDER)
@click.argument("target", type=_FOLDER)
@zoo_option
@seed_option
@max_pixels_option
def apply(recipe: str, source: Path, target: Path, zoo: Path | None, seed: int, max_pixels: int | None) -> None:
    """Distort one image of any size by a recipe, and write it as PNG. Beyond its edges it is reflected."""
    import numpy as np

    from bapps_builder.images.photographs import MAX_PIXELS, decode_photo
    from distortions.cnn.zoo import STARTER, open_zoo
    from distortions.recipes import parse
    from distortions.workers import settle_opencv

    parsed = parse(recipe)
    _check_png(target)
    settle_opencv()
    image = decode_photo(source.read_bytes(), name=str(source), max_pixels=max_pixels or MAX_PIXELS)
    trained = open_zoo(zoo or STARTER) if parsed.has_network else None
    _write_png(target, parsed.apply(image, np.random.default_rng(seed), zoo=trained))


def _check_png(target: Path) -> None:
    """Refuse what an image could not be written to, before the work."""
    if target.suffix.lower() != ".png":
        raise DistortionError(f"{target}: PNG is written; the name must end in .png, not {target.suffix!r}")
    check_writable(target)


def _write_png(target: Path, image: "Patch") -> None:
    with replaced_whole(target) as temporary:
        temporary.write_bytes(encode_png(image))
