"""The recipe: the paper's numbers, the schedule, what is refused, and that the command offers every number."""

import json
from typing import Any

import pytest

from metrics.commands.train import train
from metrics.training.recipe import Recipe, TrainingError, differences, options

LIN = Recipe("lin", "alex", ("train/a",))


def test_the_defaults_are_those_of_the_paper() -> None:
    assert (LIN.lr, LIN.beta1, LIN.beta2, LIN.batch_size) == (1e-4, 0.5, 0.999, 50)
    assert (LIN.epochs, LIN.decay_epochs, LIN.dropout, LIN.hidden, LIN.ratio_offset) == (5, 5, 0.5, 32, 0.1)


def test_the_rate_is_full_for_five_epochs_and_falls_in_equal_steps() -> None:
    rates = [LIN.learning_rate(epoch) for epoch in range(LIN.all_epochs)]
    assert rates == pytest.approx([1e-4] * 6 + [0.8e-4, 0.6e-4, 0.4e-4, 0.2e-4])
    assert Recipe("lin", "alex", ("train/a",), epochs=2, decay_epochs=0).learning_rate(1) == 1e-4


def test_only_lin_without_exact_runs_on_averages() -> None:
    modes = [Recipe("lin", "alex", ("train/a",), exact=True), Recipe("tune", "alex", ("train/a",)), LIN]
    assert [recipe.by_averages for recipe in modes] == [False, False, True]


def test_a_recipe_is_stored_whole() -> None:
    recipe = Recipe("lin", "vgg", ("train/a", "train/b"), val=("val/c",), lr=3e-3, exact=True, trunk="random")
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert set(json.loads(recipe.to_json())) >= {"mode", "net", "sets", "val", *options()}


def test_differences_name_the_setting() -> None:
    assert differences(LIN, Recipe("lin", "alex", ("train/a",), lr=1e-3)) == ["lr: 0.0001, 0.001"]


@pytest.mark.parametrize("mode", ["lin", "tune", "scratch"])
def test_the_command_offers_every_setting(mode: str) -> None:
    offered = {parameter.name for parameter in train.commands[mode].params}
    left_out = {"lin": set(), "tune": {"exact"}, "scratch": {"exact", "trunk", "start"}}[mode]
    assert set(options()) - offered == left_out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sets": ()}, "no training sets"),
        ({"lr": -1.0}, "--lr must be at least 0, got -1"),
        ({"lr": float("nan")}, "--lr must be at least 0, got nan"),
        ({"dropout": 1.0}, "--dropout must be at least 0 and below 1, got 1"),
        ({"batch_size": 0}, "--batch-size must be at least 1, got 0"),
        ({"batch_size": 2.5}, "--batch-size must be a whole number"),
        ({"load": "blurred"}, "--load must be one of auto, official, exact, native, got 'blurred'"),
        ({"epochs": 0, "decay_epochs": 0}, "both 0"),
        ({"mode": "tune", "exact": True}, "--exact is for lin"),
        ({"mode": "scratch", "trunk": "kmeans"}, "scratch starts from a Gaussian trunk"),
        ({"trunk": "random", "start": "x.pth"}, "--trunk and --start exclude each other"),
    ],
)
def test_values_that_make_no_recipe_are_refused(settings: dict, message: str) -> None:
    whole: dict[str, Any] = {"mode": "lin", "net": "alex", "sets": ("train/a",), **settings}
    with pytest.raises(TrainingError, match=message):
        Recipe(**whole)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mode": "lin"}', '{"sets": [], "val": [], "odd": 1}'])
def test_text_that_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(TrainingError, match="no recipe of this version"):
        Recipe.from_json(text)
