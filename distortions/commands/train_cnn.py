"""The command `bapps-distort train-cnn`, and what `bapps-distort list --cnn` prints."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bapps_builder.commands.console import ListCommand, note, progress
from bapps_builder.errors import BappsError, DistortionError
from distortions.commands.patch_set_commands import dask_option, photos_option, seed_option

if TYPE_CHECKING:
    from distortions.cnn.runs import Place
    from distortions.cnn.training import Training
    from distortions.cnn.variants import Variant
    from distortions.photos import Collection

_FOLDER = click.Path(path_type=Path)
_MULTIPLE, _SMALLEST = 16, 32


def described(as_json: bool) -> str:
    """The 96 variants with their factors, weights, and multiply-adds for a 64x64 patch."""
    from distortions.cnn.plan import multiply_adds, weights
    from distortions.cnn.variants import variants

    rows = [
        {**asdict(variant), "weights": weights(variant), "multiply_adds": multiply_adds(variant)}
        for variant in variants().values()
    ]
    return json.dumps(rows, indent=2) if as_json else "\n".join(_lines(list(variants().values())))


def _lines(rows: "Sequence[Variant]") -> Iterator[str]:
    from distortions.cnn.plan import multiply_adds, weights

    for row in rows:
        losses = [f"{name} {weight:g}" for name, weight in (("l1", row.l1), (row.vgg_tap, row.vgg)) if weight]
        if row.adversarial:
            losses.append(f"adversarial {row.adversarial:g} ({row.discriminator} layers)")
        skips = f"{row.skips} skips{' and the top one' if row.top_skip else ''}"
        yield (
            f"{row.name}: {row.corruption}, {row.layers} layers, {skips}, {row.dropout} with dropout, "
            f"{row.upsampling}, {row.normalization} normalization, stride {row.first_stride}, channels "
            f"{row.first_channels}-{row.max_channels}; {', '.join(losses)}; rate {row.learning_rate:g}; "
            f"{weights(row):,} weights, {multiply_adds(row) / 1e6:,.1f}M multiply-adds"
        )


@click.command(
    "train-cnn",
    cls=ListCommand,
    epilog="""\b
Examples:
  bapps-distort train-cnn --photos photos --variants 50,30 --steps 5000 --out zoo
  bapps-distort train-cnn --photos imagenet/train --epochs 1 --variants 0-95 --device cuda --out zoo
  bapps-distort train-cnn --photos imagenet/train --variants 0-95 --device cuda --out zoo --estimate""",
)
@photos_option
@click.option("--out", type=_FOLDER, required=True, metavar="ZOO", help="Folder of the zoo; what is in it is kept.")
@click.option("--variants", "numbers", default="0-95", show_default=True, help="Rows of the table, such as 3,17-20.")
@click.option("--steps", type=click.IntRange(1), help="Steps of each variant. [default: as --epochs says]")
@click.option("--epochs", type=click.FloatRange(0, min_open=True), help="Crops of each photo. [default: 1]")
@click.option("--batch", type=click.IntRange(1), default=16, show_default=True, help="Crops a step.")
@click.option(
    "--side", type=click.IntRange(_SMALLEST), default=64, show_default=True, help="Side of the crops, in pixels."
)
@click.option("--vgg-patches", type=click.IntRange(1), help="Crops of a step that VGG sees. [default: all]")
@click.option("--vgg-side", type=click.IntRange(16), help="Side of the square of each that VGG sees. [default: all]")
@click.option(
    "--decay",
    type=click.FloatRange(0, 1),
    default=0,
    show_default=True,
    help="Share of the steps, the last ones, over which learning rates fall to 0.",
)
@click.option("--half", is_flag=True, help="Round the trained weights to half precision.")
@seed_option
@click.option("--device", default="cpu", show_default=True, help="Such as cuda, or cuda:1.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="auto: bf16 on a GPU that has it.",
)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Variants at the same time.")
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Threads of each variant; with 1, results repeat exactly.",
)
@click.option("--checkpoint-every", type=click.IntRange(1), default=500, show_default=True, help="Steps.")
@click.option("--estimate", is_flag=True, help="Measure some steps, print how long it would take, train nothing.")
@dask_option
@click.pass_context
def train_cnn(
    context: click.Context,
    folders: tuple[Path, ...],
    out: Path,
    numbers: str,
    steps: int | None,
    epochs: float | None,
    batch: int,
    side: int,
    vgg_patches: int | None,
    vgg_side: int | None,
    decay: float,
    half: bool,
    seed: int,
    device: str,
    precision: Literal["auto", "fp32", "bf16"],
    workers: int,
    threads: int,
    checkpoint_every: int,
    estimate: bool,
    dask: str,
) -> None:
    """Train networks whose artifacts are distortions, each on its own.

    The same command goes on where it was interrupted, to the same result, and leaves finished variants alone. Exit
    status 1 if some came to nothing.
    """
    from distortions.cnn.variants import name_of, parse_numbers, variants
    from distortions.photos import list_photos

    if steps and epochs:
        raise click.UsageError("--steps and --epochs both say how long; give one")
    if side % _MULTIPLE:
        raise click.UsageError(f"--side must be a multiple of {_MULTIPLE}, got {side}")
    if vgg_side and vgg_side > side:
        raise click.UsageError(f"--vgg-side must not be larger than --side {side}, got {vgg_side}")
    chosen = [variants()[name_of(number)] for number in parse_numbers(numbers)]
    collection = list_photos(folders, smallest_side=max(side, 64))
    from distortions.cnn.runs import Place, checked_device
    from distortions.cnn.streaming import split
    from distortions.cnn.training import Training

    learned, _ = split(collection.photos, seed)
    training = Training(
        steps=steps or max(1, round((epochs or 1) * len(learned) / batch)),
        batch=batch,
        side=side,
        seed=seed,
        vgg_patches=min(vgg_patches or batch, batch),
        vgg_side=vgg_side or side,
        decay=decay,
        bf16=checked_device(device, precision),
        half=half,
    )
    place = Place(out, device=device, threads=threads, checkpoint_every=checkpoint_every)
    if estimate:
        _print_estimate(chosen, training, place, workers)
        return
    out.mkdir(parents=True, exist_ok=True)
    failed = _train_all(chosen, training, collection, place, workers, dask)
    context.exit(1 if failed else 0)


@dataclass(frozen=True)
class _Outcome:
    name: str
    trained: bool = True
    error: BappsError | None = None


@dataclass(frozen=True)
class _Work:
    """What a worker does with a variant. Errors are returned, since a raised one can hang a Dask cluster."""

    training: "Training"
    collection: "Collection"
    place: "Place"

    def __call__(self, variant: "Variant") -> _Outcome:
        from distortions.cnn.runs import train

        def report(event: object) -> None:
            note(str(event))

        try:
            return _Outcome(variant.name, train(variant, self.training, self.collection, self.place, report=report))
        except BappsError as error:
            return _Outcome(variant.name, error=error)
        except OSError as error:
            return _Outcome(variant.name, error=DistortionError(f"{self.place.zoo}: {error}"))


def _train_all(
    chosen: "Sequence[Variant]",
    training: "Training",
    collection: "Collection",
    place: "Place",
    workers: int,
    dask: str,
) -> int:
    """Train all that can be trained; give how many came to nothing, and raise the first other error."""
    from distortions.cnn.results import Diverged
    from distortions.workers import Workers

    work, diverged, other = _Work(training, collection, place), 0, None
    with (
        progress(len(chosen), "variants") as advance,
        Workers(workers, dask).mapped(work, chosen) as outcomes,
    ):
        for outcome in outcomes:
            advance(1)
            if isinstance(outcome.error, Diverged):
                diverged += 1
                note(str(outcome.error))
            elif outcome.error:
                other = other or outcome.error
                break
            else:
                click.echo(f"{outcome.name}: {'trained' if outcome.trained else 'complete already'}")
    if other:
        raise other
    return diverged


def _print_estimate(chosen: "Sequence[Variant]", training: "Training", place: "Place", workers: int) -> None:
    """Say how long a training would take, by its operations and the rate of its cheapest and its dearest variant."""
    from distortions.cnn.budget import measured_rate, operations

    dear = sorted(chosen, key=lambda variant: operations(variant, training))
    began = time.perf_counter()
    rates = [
        measured_rate(variant, training, device=place.device, threads=place.threads, weights=place.weights)
        for variant in (dear[0], dear[-1])
    ]
    total = training.steps * sum(operations(variant, training) for variant in chosen)
    for variant, rate in zip((dear[0], dear[-1]), rates, strict=True):
        count = operations(variant, training)
        click.echo(
            f"{variant.name}: {count / 1e9:,.1f} billion operations a step, {rate / 1e9:,.1f} billion a second, "
            f"{count / rate * 1000:,.1f} ms a step"
        )
    slow, fast = total / min(rates) / workers / 3600, total / max(rates) / workers / 3600
    click.echo(
        f"{len(chosen)} variants x {training.steps:,} steps: {total / 1e15:,.3f} quadrillion operations, "
        f"{fast:,.1f} to {slow:,.1f} hours with {workers} at a time (measured in {time.perf_counter() - began:.0f} s)"
    )
