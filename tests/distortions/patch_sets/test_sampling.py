"""What chance decides: that it is even where it should be, and depends on nothing but the seed."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from bapps_builder.errors import DistortionError
from bapps_builder.layout import Task
from distortions.cnn.variants import find_variant
from distortions.cnn.zoo import Entry, Zoo
from distortions.patch_sets import sampling
from distortions.patch_sets.sampling import (
    TASK_LAWS,
    Family,
    Settings,
    draw_place,
    draw_place_with_contrast,
    draw_treatments,
    evenly,
    item_seed,
    recipe_names,
)
from distortions.recipes import parse, traditional


def settings(task: Task = "2afc", family: Family = "traditional", min_contrast: float = 0) -> Settings:
    return Settings(10, task, family, "val", 1, TASK_LAWS[task], min_contrast=min_contrast)


def names_of(task: Task, count: int) -> list[tuple[tuple[str, ...], ...]]:
    rng = np.random.default_rng(0)
    made = (draw_treatments(settings(task), rng) for _ in range(count))
    return [tuple(tuple(step.name for step in one.recipe.steps) for one in some) for some in made]


@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 2**32))
def test_evenly_is_even_and_longer_rows_begin_with_shorter_ones(count: int, choices: int, seed: int) -> None:
    chosen = evenly(count, choices, np.random.default_rng(seed))
    times = np.bincount(chosen, minlength=choices)
    assert len(chosen) == count
    assert len(times) == choices
    assert times.max() - times.min() <= 1
    longer = evenly(count + 50, choices, np.random.default_rng(seed))
    np.testing.assert_array_equal(longer[:count], chosen)


def test_the_order_is_random() -> None:
    chosen = evenly(1000, 10, np.random.default_rng(1)).reshape(-1, 10)
    assert len({tuple(row) for row in chosen.tolist()}) == 100


def test_seeds_of_items_differ_and_fit_into_63_bits() -> None:
    seeds = {item_seed(seed, index, attempt) for seed in range(5) for index in range(200) for attempt in range(2)}
    assert len(seeds) == 2000
    assert max(seeds) < 2**63
    assert max(seeds) > 2**62
    assert item_seed(1, 2, 3) == item_seed(1, 2, 3)
    # The seed of a manifest means the same to whoever reads numpy's documentation.
    state = np.random.SeedSequence(7, spawn_key=(0, 5, 0)).generate_state(1, np.uint64)[0]
    assert item_seed(7, 5, 0) == int(state) // 2


def test_places_are_even_over_the_photo() -> None:
    photo, rng = np.zeros((74, 94, 3), np.uint8), np.random.default_rng(2)
    places = [draw_place(photo, rng, size=(64, 64), rescale=None) for _ in range(8000)]
    for values, count in (([place.left for place in places], 31), ([place.top for place in places], 11)):
        assert set(values) == set(range(count))
        assert chisquare(np.bincount(values)).pvalue > 0.001
    assert {place.scale for place in places} == {1.0}


def test_scales_are_even_and_leave_room_for_a_patch() -> None:
    rng = np.random.default_rng(3)
    empty = np.zeros((600, 700, 3), np.uint8)
    large = [draw_place(empty, rng, size=(64, 64), rescale=(0.25, 0.75)).scale for _ in range(2000)]
    assert kstest(large, "uniform", (0.25, 0.5)).pvalue > 0.001
    for height, width, high in ((90, 100, 0.75), (64, 64, 1.0), (86, 300, 64 / 86 + 1e-9)):
        for _ in range(200):
            for size in ((64, 64), (40, 60), (64, 20)):
                place = draw_place(np.zeros((height, width, 3), np.uint8), rng, size=size, rescale=(0.25, high))
                assert place.scale <= high
                assert place.left + size[0] <= np.floor(width * place.scale)
                assert place.top + size[1] <= np.floor(height * place.scale)


def test_a_wish_for_contrast_moves_the_place_or_gives_up() -> None:
    photo = np.full((300, 300, 3), 128, np.uint8)
    photo[:, 150:] = np.random.default_rng(0).integers(0, 256, (300, 150, 3), dtype=np.uint8)
    rng = np.random.default_rng(4)
    lefts = [
        place.left for _ in range(200) if (place := draw_place_with_contrast(photo, rng, settings(min_contrast=20)))
    ]
    assert len(lefts) == 200
    assert min(lefts) > 150 - 64
    assert draw_place_with_contrast(photo[:, :150], rng, settings(min_contrast=20)) is None


def test_every_recipe_is_drawn_and_all_as_often() -> None:
    drawn = Counter(names for pair in names_of("2afc", 8000) for names in pair)
    assert drawn.keys() == set(traditional())
    assert chisquare(list(drawn.values())).pvalue > 0.001


def test_two_recipes_differ_and_jnd_has_one() -> None:
    pairs = names_of("2afc", 3000)
    assert all(a != b for a, b in pairs)
    # Neither side has more of the first half of the list.
    firsts = sum(traditional().index(a) < traditional().index(b) for a, b in pairs)
    assert abs(firsts - 1500) < 4 * np.sqrt(750)
    assert {len(some) for some in names_of("jnd", 100)} == {1}


def test_severities_are_uniform_for_2afc_and_skewed_for_jnd() -> None:
    rng = np.random.default_rng(5)
    found = {
        task: [s for _ in range(2000) for one in draw_treatments(settings(task), rng) for s in one.severity]
        for task in TASK_LAWS
    }
    assert kstest(found["2afc"], "uniform").pvalue > 0.001
    assert kstest(np.sqrt(found["jnd"]), "uniform").pvalue > 0.001
    assert np.median(found["jnd"]) == pytest.approx(0.25, abs=0.03)


def test_a_treatment_says_all_there_is_to_it() -> None:
    rng = np.random.default_rng(6)
    crop = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
    for _ in range(30):
        for one in draw_treatments(settings(), rng):
            assert len(one.severity) == len(one.recipe.steps)
            read = sampling.Treatment(parse(str(one.recipe)), one.severity, one.seed)
            patch = one.apply(crop, margin=16)
            assert patch.shape == (64, 64, 3)
            np.testing.assert_array_equal(read.apply(crop, margin=16), patch)


def zoo(*names: str) -> Zoo:
    entries = [Entry(find_variant(name), Path(f"{name}.safetensors"), "", {}) for name in names]
    return Zoo(Path("zoo"), {entry.variant.name: entry for entry in entries})


def test_what_can_be_drawn() -> None:
    networks = (("cnn-003",), ("cnn-017",))
    assert recipe_names(settings()) == (traditional(),)
    assert len(traditional()) == 328
    assert recipe_names(settings(family="cnn"), zoo("cnn-003", "cnn-017")) == (networks,)
    assert recipe_names(settings(family="mix"), zoo("cnn-003", "cnn-017")) == (traditional(), networks)
    with pytest.raises(DistortionError, match="the families cnn and mix need a zoo"):
        recipe_names(settings(family="mix"))
    with pytest.raises(DistortionError, match="two different distortions, and the only one to draw from is cnn-003"):
        recipe_names(settings(family="cnn"), zoo("cnn-003"))
    assert recipe_names(settings("jnd", "cnn"), zoo("cnn-003")) == ((("cnn-003",),),)


def test_networks_are_drawn_evenly_and_have_no_severity() -> None:
    rng = np.random.default_rng(7)
    trained = zoo(*(f"cnn-{number:03d}" for number in range(10)))
    made = [one for _ in range(1000) for one in draw_treatments(settings(family="cnn"), rng, zoo=trained)]
    assert all(one.severity == () for one in made)
    assert chisquare(list(Counter(str(one.recipe) for one in made).values())).pvalue > 0.001
    assert {str(one.recipe) for one in made} == set(trained.entries)


def test_a_mix_has_one_of_each_family_on_either_side() -> None:
    rng = np.random.default_rng(7)
    trained = zoo("cnn-003", "cnn-017")
    pairs = [draw_treatments(settings(family="mix"), rng, zoo=trained) for _ in range(1000)]
    sides = Counter((a.recipe.has_network, b.recipe.has_network) for a, b in pairs)
    assert sides.keys() == {(True, False), (False, True)}
    assert abs(sides[True, False] - 500) < 4 * np.sqrt(250)
    networks = sum(draw_treatments(settings("jnd", "mix"), rng, zoo=trained)[0].recipe.has_network for _ in range(1000))
    assert abs(networks - 500) < 4 * np.sqrt(250)
