"""How the table of variants was drawn: once, from a seed, every factor spread evenly over its levels.

    python benchmarks/starter_zoo/draw_variants.py      writes variants.csv anew, which gives the same bytes

Rows come in three sizes, since factors drawn without regard to each other make few networks that are small enough
for every study and few that are as large as the paper's. Within a size, factors are independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from distortions.cnn.variants import (
    CORRUPTIONS,
    COUNT,
    NORMALIZATIONS,
    TABLE,
    TAPS,
    UPSAMPLINGS,
    Tap,
    Variant,
    name_of,
    write_table,
)

# The first from 2018, the year of the paper, whose rows hold every number of skip connections.
SEED = 2019
_WITHOUT_L1 = 12  # rows without a pixel loss
_L1, _VGG, _ADVERSARIAL = (1.0, 10.0), (0.01, 1.0), (0.001, 0.1)

T = TypeVar("T")
Range = tuple[float, float]


@dataclass(frozen=True)
class _Size:
    """What the rows of one size are drawn from; `without_vgg` of them have no feature loss."""

    rows: int
    without_vgg: int
    layers: tuple[int, ...]
    first_channels: Range
    max_channels: Range
    first_strides: tuple[int, ...]
    discriminators: tuple[int, ...] = (0, 1, 2, 3, 4)
    taps: tuple[Tap, ...] = TAPS
    rates: Range = (1e-5, 1e-3)


_SIZES = (
    # Small enough to be trained at a desk: also by a feature loss that is cheap, and within some thousand steps.
    _Size(32, 16, (3, 4), (16, 24), (64, 96), (2,), (0, 1, 2), ("relu1_2", "relu2_2"), (1e-4, 1e-3)),
    _Size(20, 4, (3, 4, 5, 6, 7, 8), (16, 96), (64, 512), (1, 2)),
    _Size(44, 8, (5, 6, 7, 8), (48, 96), (256, 512), (1, 2)),
)


def drawn(seed: int = SEED) -> list[Variant]:
    """Draw the 96 rows, in random order of sizes."""
    rng = np.random.default_rng(seed)
    rows = [row for size in _SIZES for row in _drawn_of_size(size, rng)]
    with_vgg = [number for number, row in enumerate(rows) if row.vgg]
    for number in rng.permutation(with_vgg)[:_WITHOUT_L1]:
        rows[number] = replace(rows[number], l1=0.0)
    return [replace(rows[k], name=name_of(number)) for number, k in enumerate(rng.permutation(COUNT))]


def _drawn_of_size(size: _Size, rng: np.random.Generator) -> list[Variant]:
    count = size.rows
    columns: dict[str, list[Any]] = {
        "corruption": _spread(CORRUPTIONS, count, rng),
        "layers": _spread(size.layers, count, rng),
        "dropout": _spread((0, 1, 2, 3), count, rng),
        "top_skip": _spread((False, True), count, rng),
        "upsampling": _spread(UPSAMPLINGS, count, rng),
        "normalization": _spread(NORMALIZATIONS, count, rng),
        "first_stride": _spread(size.first_strides, count, rng),
        "first_channels": _channels(size.first_channels, count, 8, rng),
        "max_channels": _channels(size.max_channels, count, 16, rng),
        "discriminator": _spread(size.discriminators, count, rng),
        "l1": _log_even(_L1, count, rng),
        "vgg": _log_even(_VGG, count, rng),
        "adversarial": _log_even(_ADVERSARIAL, count, rng),
        "vgg_tap": _spread(size.taps, count, rng),
        "learning_rate": _log_even(size.rates, count, rng),
    }
    parts = (rng.permutation(count) + rng.random(count)) / count
    without_vgg = set(rng.permutation(count)[: size.without_vgg].tolist())
    rows = []
    for number, values in enumerate(zip(*columns.values(), strict=True)):
        row = dict(zip(columns, values, strict=True))
        something_to_learn = row["corruption"] != "null"
        row["top_skip"] &= something_to_learn
        row["skips"] = int(parts[number] * (row["layers"] + something_to_learn))
        row["vgg"] *= number not in without_vgg
        row["adversarial"] *= row["discriminator"] > 0
        rows.append(Variant(name="", **row))
    return rows


def _spread(levels: Sequence[T], count: int, rng: np.random.Generator) -> list[T]:
    """Each level as often as the others, or once more, in random order."""
    rounds = -(-count // len(levels))
    chosen = [levels[k] for _ in range(rounds) for k in rng.permutation(len(levels))][:count]
    return [chosen[k] for k in rng.permutation(count)]


def _log_even(range_: Range, count: int, rng: np.random.Generator) -> list[float]:
    """One number from each of `count` slices of equal logarithm, in random order, to three digits."""
    low, high = np.log(range_)
    parts = (rng.permutation(count) + rng.random(count)) / count
    return [float(f"{value:.3g}") for value in np.exp(low + (high - low) * parts)]


def _channels(range_: Range, count: int, step: int, rng: np.random.Generator) -> list[int]:
    return [round(value / step) * step for value in _log_even(range_, count, rng)]


if __name__ == "__main__":
    write_table(drawn(), TABLE)
