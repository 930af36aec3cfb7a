"""Options about nets that several commands have, and what they come to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from metrics.metric import Metric, Precision
    from metrics.weights.store import WeightStore

Replacements = tuple[tuple[str, str], ...]

device_option = click.option("--device", default="cpu", show_default=True, help="Torch device for nets, such as cuda.")
precision_option = click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="Precision of the nets' convolutions. bf16 is faster where the processor has it, and moves distances by some "
    ".001.",
)
weights_option = click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Folder with weight files. [default: $BAPPS_WEIGHTS, then cache]",
)
unverified_weights_option = click.option(
    "--unverified-weights",
    "replacements",
    nargs=2,
    multiple=True,
    metavar="NAME FILE",
    help="Take the weights NAME (see `bapps-weights list`) from FILE, unchecked; results then say unverified.",
)


def weight_store(folder: Path | None, replacements: Replacements = ()) -> "WeightStore":
    """Where weights come from, as `--weights` and `--unverified-weights` say."""
    from metrics.weights.store import WeightStore

    store = WeightStore(folder)
    for name, file in replacements:
        store = store.with_unverified(name, Path(file))
    return store


def load_metrics(
    names: Sequence[str], device: str, precision: "Precision", folder: Path | None, replacements: Replacements
) -> "list[Metric]":
    """Make the metrics that a command's options name."""
    from metrics.image_math.torch_threads import keep_to_our_cores
    from metrics.metric import Setup
    from metrics.registry import load_all

    keep_to_our_cores()
    return load_all(names, Setup(device=device, precision=precision, weights=weight_store(folder, replacements)))
