"""The 96 rows: frozen, drawn by the code that is kept, balanced, and counted as torch counts them."""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from draw_variants import drawn
from torch.utils.flop_counter import FlopCounterMode

from bapps_builder.errors import DistortionError
from distortions.cnn.generator import Generator
from distortions.cnn.plan import multiply_adds, plan, weights
from distortions.cnn.variants import (
    CORRUPTIONS,
    NORMALIZATIONS,
    TABLE,
    TAPS,
    UPSAMPLINGS,
    Variant,
    find_variant,
    is_variant,
    name_of,
    parse_numbers,
    variants,
    write_table,
)

ROWS = list(variants().values())
FROZEN = "a4379173831607d36bb822a2981f6102bb2847d752c515670160c314d7757b0e"


def test_the_table_is_frozen_and_its_code_draws_it_again(tmp_path: Path) -> None:
    assert hashlib.sha256(TABLE.read_bytes()).hexdigest() == FROZEN
    write_table(drawn(), tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == TABLE.read_bytes()
    assert drawn() == ROWS
    assert drawn(1) != ROWS


def test_there_are_96_that_differ() -> None:
    assert [row.name for row in ROWS] == [f"cnn-{number:03d}" for number in range(96)]
    assert [row.number for row in ROWS] == list(range(96))
    assert len({replace(row, name="") for row in ROWS}) == 96


@pytest.mark.parametrize(
    ("factor", "levels", "least"),
    [
        ("corruption", CORRUPTIONS, 15),
        ("layers", range(3, 9), 10),
        ("skips", range(9), 1),
        ("dropout", range(4), 20),
        ("top_skip", (False, True), 30),
        ("upsampling", UPSAMPLINGS, 20),
        ("normalization", NORMALIZATIONS, 20),
        ("first_stride", (1, 2), 30),
        ("discriminator", range(5), 10),
        ("vgg_tap", TAPS, 10),
    ],
)
def test_every_level_of_a_factor_occurs_often(factor: str, levels: tuple, least: int) -> None:
    found = Counter(getattr(row, factor) for row in ROWS)
    assert set(found) == set(levels)
    assert min(found.values()) >= least


def test_numbers_span_their_ranges() -> None:
    for factor, low, high in [
        ("first_channels", 16, 96),
        ("max_channels", 64, 512),
        ("learning_rate", 1e-5, 1e-3),
        ("l1", 1, 10),
        ("vgg", 0.01, 1),
        ("adversarial", 0.001, 0.1),
    ]:
        values = [value for row in ROWS if (value := getattr(row, factor))]
        assert low <= min(values) <= low * 1.35
        assert high / 1.35 <= max(values) <= high
    assert sum(row.l1 == 0 for row in ROWS) == 12
    assert sum(row.vgg == 0 for row in ROWS) == 28


def test_rows_make_sense() -> None:
    for row in ROWS:
        assert row.l1 or row.vgg
        assert bool(row.adversarial) == bool(row.discriminator)
        assert row.skips <= row.layers
        if row.corruption == "null":
            assert not row.top_skip
            assert row.skips < row.layers


def test_many_are_large_and_some_are_small() -> None:
    assert sum(weights(row) > 2_000_000 for row in ROWS) >= 40
    assert sum(weights(row) < 350_000 and multiply_adds(row) < 50e6 for row in ROWS) >= 16
    assert sum(multiply_adds(row) < 20e6 for row in ROWS) >= 12


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_weights_and_multiply_adds_are_those_that_torch_counts(row: Variant) -> None:
    with torch.device("meta"):
        generator = Generator(row)
        assert sum(parameter.numel() for parameter in generator.parameters()) == weights(row)
        with FlopCounterMode(display=False) as counter:
            assert generator(torch.zeros(1, 3, 64, 64)).shape == (1, 3, 64, 64)
    assert counter.get_total_flops() == 2 * multiply_adds(row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_plan_is_what_the_row_says(row: Variant) -> None:
    made = plan(row)
    assert len(made.down) == len(made.up) == row.layers
    assert made.down[0].outputs == min(row.first_channels, row.max_channels)
    assert made.down[0].factor == row.first_stride
    assert max(layer.outputs for layer in made.down) <= row.max_channels
    skips = [layer.skip for layer in made.up]
    assert sum(skips) == row.skips + (row.top_skip and row.skips < row.layers)
    assert all(skips[: row.skips])
    assert skips[-1] == (row.top_skip or row.skips == row.layers)
    assert sum(layer.dropout for layer in (*made.down, *made.up)) == row.dropout


def test_names() -> None:
    assert name_of(7) == "cnn-007"
    assert find_variant("cnn-095").number == 95
    assert is_variant("cnn-17")
    assert not is_variant("jpeg")
    for name in ("cnn-096", "cnn-17", "cnn-0017"):
        with pytest.raises(DistortionError, match=f"unknown variant '{name}'; there are cnn-000 to cnn-095"):
            find_variant(name)


@pytest.mark.parametrize(
    ("text", "wanted"), [("0-95", range(96)), ("3,17-20", (3, 17, 18, 19, 20)), ("5, 5,4 - 5", (4, 5)), ("95", (95,))]
)
def test_slices(text: str, wanted: tuple[int, ...]) -> None:
    assert parse_numbers(text) == tuple(wanted)


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3,,4", "5-4", "96", "0-96", "1.5"])
def test_bad_slices(text: str) -> None:
    with pytest.raises(DistortionError, match="variants are"):
        parse_numbers(text)
