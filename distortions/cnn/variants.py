"""The 96 variants: one frozen table, `variants.csv`, read and checked here.

The factors are those of Zhang et al., CVPR 2018, Table 2. The paper prints no ranges; these are this project's.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from bapps_builder.errors import DistortionError

COUNT = 96
TABLE = Path(__file__).with_name("variants.csv")

Corruption = Literal["null", "pink-noise", "white-noise", "color-removal", "downsampling"]
Upsampling = Literal["nearest", "bilinear", "transposed", "pixel-shuffle"]
Normalization = Literal["none", "batch", "instance", "group"]
Tap = Literal["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"]

CORRUPTIONS: tuple[Corruption, ...] = ("null", "pink-noise", "white-noise", "color-removal", "downsampling")
UPSAMPLINGS: tuple[Upsampling, ...] = ("nearest", "bilinear", "transposed", "pixel-shuffle")
NORMALIZATIONS: tuple[Normalization, ...] = ("none", "batch", "instance", "group")
TAPS: tuple[Tap, ...] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")

_NAME = re.compile(r"cnn-\d+")


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes
    ----------
    name : str
        `cnn-000` to `cnn-095`, as in recipes.
    corruption : str
        What the network learns to undo.
    layers : int
        Of the encoder, 3-8; the decoder has as many.
    skips : int
        From 0 to `layers`: connections from the encoder to the decoder, counted from the deepest. The last of
        them adds the input to the output.
    dropout : int
        Layers with dropout, 0-3, counted from the deepest. Dropout is of training alone.
    top_skip : bool
        Whether the input is added to the output whatever `skips` says. Never for the corruption null, whose
        network would have nothing to learn.
    upsampling, normalization : str
    first_stride : int
        Of the first layer, 1 or 2.
    first_channels : int
        16-96; each layer doubles them.
    max_channels : int
        64-512: no layer has more, not even the first.
    discriminator : int
        Layers of the discriminator, 0-4.
    l1, vgg, adversarial : float
        Weights of the losses, 0 for none; l1 and vgg are never both 0.
    vgg_tap : str
        The layer of VGG16 whose features are compared.
    learning_rate : float
        1e-5 to 1e-3.
    """

    name: str
    corruption: Corruption
    layers: int
    skips: int
    dropout: int
    top_skip: bool
    upsampling: Upsampling
    normalization: Normalization
    first_stride: int
    first_channels: int
    max_channels: int
    discriminator: int
    l1: float
    vgg: float
    adversarial: float
    vgg_tap: Tap
    learning_rate: float

    @property
    def number(self) -> int:
        """Its row, from 0."""
        return int(self.name.removeprefix("cnn-"))


@cache
def variants() -> Mapping[str, Variant]:
    """Give the 96 by name."""
    with TABLE.open(newline="") as file:
        rows = [_variant(row) for row in csv.DictReader(file)]
    return {row.name: row for row in rows}


def name_of(number: int) -> str:
    """The name of the variant in a row from 0."""
    return f"cnn-{number:03d}"


@lru_cache(maxsize=1000)  # asked of every step a dozen times
def is_variant(name: str) -> bool:
    """Whether a name in a recipe is written like a variant's."""
    return bool(_NAME.fullmatch(name))


def find_variant(name: str) -> Variant:
    """Give the variant of a name, or raise DistortionError."""
    if name not in variants():
        raise DistortionError(f"unknown variant {name!r}; there are {name_of(0)} to {name_of(COUNT - 1)}")
    return variants()[name]


def parse_numbers(text: str) -> tuple[int, ...]:
    """Read row numbers such as `0-95` or `3,17-20`, sorted, each once.

    Raises
    ------
    DistortionError
        If it is no such list, or a number has no row.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise DistortionError(f"variants are written like 0-95 or 3,17-20, got {text!r}")
        low, high = int(first), int(last or first)
        if not low <= high < COUNT:
            raise DistortionError(f"variants are numbered 0 to {COUNT - 1}, lower before higher, got {part.strip()!r}")
        numbers.update(range(low, high + 1))
    return tuple(sorted(numbers))


def write_table(rows: list[Variant], target: Path) -> None:
    """Write rows as the table."""
    names = [field.name for field in fields(Variant)]
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_text(getattr(row, name)) for name in names] for row in rows)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _variant(row: dict[str, str]) -> Variant:
    values: dict[str, Any] = {field.name: _read(field.type, row[field.name]) for field in fields(Variant)}
    return Variant(**values)


def _read(kind: object, text: str) -> object:
    """Undo `_text` for a field of some type."""
    if kind is bool:
        return text == "yes"
    return int(text) if kind is int else float(text) if kind is float else text
