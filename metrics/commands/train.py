"""The command `bapps-train`."""

import json
from collections.abc import Callable
from dataclasses import Field
from pathlib import Path
from typing import Any, get_args

import click

from bapps_builder.commands.console import Command, ListCommand, note, progress
from bapps_builder.errors import WeightsError
from metrics.commands.options import Replacements, unverified_weights_option, weight_store, weights_option

_NETS = ("alex", "vgg", "squeeze")

_EXAMPLES = """
\b
Examples:
  bapps-train lin --net alex --data dataset --sets train/traditional train/cnn train/mix --out runs/mine
  bapps-score --metric lpips:runs/mine --metric lpips-alex --data dataset
  bapps-train tune --net vgg --data dataset --sets train/mix --device cuda --precision bf16 --out runs/tuned
  torchrun --nproc-per-node 4 --no-python bapps-train scratch --net alex --device cuda ... --out runs/scratch
  bapps-train export runs/mine heads.pth
"""


@click.group(epilog=_EXAMPLES)
def train() -> None:
    """Train LPIPS on your own judgments (lin, tune, scratch), make trunks, export weights.

    A run that was interrupted goes on when the same command is given again, to the same result.
    """


def _recipe_options(mode: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options for every setting of a recipe, from its own table."""
    from metrics.training.recipe import options

    left_out = {"lin": (), "tune": ("exact",), "scratch": ("exact", "trunk", "start")}[mode]

    def add(function: Callable[..., None]) -> Callable[..., None]:
        for name, each in reversed(list(options().items())):
            if name not in left_out:
                function = _option(name, each)(function)
        return function

    return add


def _option(name: str, each: Field[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    spelling, text = f"--{name.replace('_', '-')}", each.metadata["help"]
    if each.type is bool:
        return click.option(spelling, name, is_flag=True, help=text)
    choices = get_args(each.type)
    kind = click.Choice(choices) if choices else each.type
    return click.option(spelling, name, type=kind, default=each.default, show_default=each.default != "", help=text)


_SUMMARIES = {
    "lin": "Learn the heads on a frozen trunk.",
    "tune": "Learn the heads, and go on training the trunk.",
    "scratch": "Learn heads and trunk, from Gaussian weights.",
}


def _training(mode: Any) -> click.Command:
    @click.command(mode, cls=ListCommand, help=_SUMMARIES[mode], epilog=_EXAMPLES)
    @click.option("--net", type=click.Choice(_NETS), required=True, help="Trunk.")
    @click.option("--data", type=click.Path(path_type=Path), required=True, help="Dataset in the BAPPS layout.")
    @click.option("--sets", multiple=True, required=True, metavar="SPLIT/SET...", help="Sets to train on.")
    @click.option(
        "--val",
        multiple=True,
        metavar="SPLIT/SET...",
        help="Sets to validate on after each epoch. [default: every val/ set of the data]",
    )
    @click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
    @_recipe_options(mode)
    @click.option(
        "--checkpoint-every",
        type=click.IntRange(0),
        default=500,
        show_default=True,
        help="Steps between checkpoints inside an epoch; 0: only after epochs.",
    )
    @click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="That read images.")
    @click.option(
        "--cache",
        type=click.Path(path_type=Path),
        help="Folder for averages of features (lin). [default: averages/ beside the cached weights]",
    )
    @weights_option
    @unverified_weights_option
    def command(
        net: str,
        data: Path,
        sets: tuple[str, ...],
        val: tuple[str, ...],
        out: Path,
        checkpoint_every: int,
        threads: int,
        cache: Path | None,
        weights: Path | None,
        replacements: Replacements,
        **numbers: Any,
    ) -> None:
        from metrics.training.judgments import validation_sets
        from metrics.training.processes import started
        from metrics.training.recipe import Recipe
        from metrics.training.session import Settings, train

        if not (val := val or validation_sets(data)):
            note(f"{data}: has no 2AFC validation sets; the log shows training scores alone")
        settings = Settings(
            data=data,
            out=out,
            weights=weight_store(weights, replacements),
            checkpoint_every=checkpoint_every,
            threads=threads,
            **({"cache": cache} if cache else {}),
        )
        train(Recipe(mode=mode, net=net, sets=sets, val=val, **numbers), settings, progress=progress, say=note)
        if started().first:
            click.echo(f"{out}: done; score it with `bapps-score --metric lpips:{out} --data {data}`")

    return command


for _mode in _SUMMARIES:
    train.add_command(_training(_mode))


@train.command("trunk", cls=Command)
@click.option("--net", type=click.Choice(_NETS), required=True, help="Trunk.")
@click.option("--method", type=click.Choice(["kmeans"]), required=True, help="How: stacked k-means.")
@click.option("--photos", type=click.Path(path_type=Path), required=True, help="Folder of photos.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File to write, .safetensors. [default: in the cache, where NET@kmeans finds it]",
)
@click.option("--crops", type=click.IntRange(1), default=2000, show_default=True, help="Random 64x64 crops to look at.")
@click.option("--patches", type=click.IntRange(1), default=20_000, show_default=True, help="Patches a layer.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of crops, patches and centroids."
)
def trunk(net: str, method: str, photos: Path, out: Path | None, crops: int, patches: int, seed: int) -> None:
    """Make a trunk without labels from your photos, for `NET@kmeans` and `lin --trunk kmeans`.

    \b
    Example:
      bapps-train trunk --net alex --method kmeans --photos photos
    """
    import numpy as np
    from safetensors.torch import save

    from bapps_builder.files.atomic import check_writable, replaced_whole
    from metrics.deep.kmeans import kmeans_trunk, random_crops, scaled
    from metrics.deep.trunks.trunk import trunk_specs
    from metrics.training.processes import torch_threads
    from metrics.weights.store import default_cache

    if out is None:
        out = default_cache() / f"{net}-{method}.safetensors"
        out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix != ".safetensors":
        raise WeightsError(f"{out}: a trunk is written as .safetensors; end the name in that")
    check_writable(out)
    rng = np.random.default_rng(seed)
    images = scaled(random_crops(photos, count=crops, rng=rng))
    with progress(None, "layers") as advance, torch_threads(1):
        tensors = kmeans_trunk(trunk_specs()[net], images, rng=rng, patches=patches, advance=advance)
    about = {"net": net, "method": method, "crops": crops, "patches": patches, "seed": seed}
    with replaced_whole(out) as temporary:
        temporary.write_bytes(save(tensors, {"made": json.dumps(about)}))  # one entry, whose order cannot change
    click.echo(f"{out}: written; score it as {net}@{out}, train on it with `bapps-train lin --trunk {out}`")


@train.command("export", cls=Command)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--whole", is_flag=True, help="A training checkpoint with its trunk, even where heads would do.")
@weights_option
def export(run: Path, target: Path, whole: bool, weights: Path | None) -> None:
    """Write the weights of a RUN as a .pth file in the key names of the official release.

    Heads alone where the trunk is the published one, else a whole training checkpoint.

    \b
    Example:
      bapps-train export runs/mine heads.pth
    """
    from metrics.deep.lpips import LPIPS
    from metrics.training.run import export as write

    module = LPIPS.from_file(run, weights=weight_store(weights))
    own_trunk = not module.weights  # a file that brings its trunk
    write(module, target, whole=whole or own_trunk)
    click.echo(f"{target}: {'a training checkpoint' if whole or own_trunk else 'heads'}")


if __name__ == "__main__":
    train()
