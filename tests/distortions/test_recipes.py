"""Recipes: print and parse back, the 308 compositions, and one-line errors for what is no recipe."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bapps_builder.errors import DistortionError
from distortions.recipes import Recipe, Step, compositions, draw, parse, traditional
from distortions.registry import distortions, find
from distortions.traditional import TWENTY

NAMES = list(distortions())


@st.composite
def steps(drawing: st.DrawFn) -> Step:
    """Any step with any accepted values, not just those that severities draw."""
    found = find(drawing(st.sampled_from(NAMES)))
    values = {
        name: drawing(
            st.integers(int(parameter.low), int(parameter.high))
            if parameter.whole
            else st.floats(parameter.low, parameter.high)
        )
        for name, parameter in found.parameters.items()
    }
    return Step(found.name, tuple(found.checked(values).items()))


@given(st.lists(steps(), max_size=4).map(lambda many: Recipe(tuple(many))))
def test_what_prints_parses_back(recipe: Recipe) -> None:
    assert parse(str(recipe)) == recipe
    assert str(parse(str(recipe))) == str(recipe)


@given(st.sampled_from(traditional()), st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**32))
def test_what_is_drawn_parses_back(names: tuple[str, ...], first: float, second: float, seed: int) -> None:
    recipe = draw(names, (first, second)[: len(names)], np.random.default_rng(seed))
    assert parse(str(recipe)) == recipe
    assert tuple(step.name for step in recipe.steps) == names


@pytest.mark.parametrize(
    ("text", "prints"),
    [
        ("gaussian-blur(sigma=1.35)+jpeg(quality=23)", "gaussian-blur(sigma=1.35)+jpeg(quality=23)"),
        (" gaussian-blur( sigma = 1.350 ) + jpeg(quality=23.0) ", "gaussian-blur(sigma=1.35)+jpeg(quality=23)"),
        ("shift(dy=1e+2, dx=-.5)", "shift(dx=-0.5, dy=100.0)"),
        ("contrast(factor=1e-05)+contrast(factor=2)", "contrast(factor=1e-05)+contrast(factor=2.0)"),
        (" identity ", "identity"),
    ],
)
def test_shortest_form(text: str, prints: str) -> None:
    assert str(parse(text)) == prints


BAD = {
    "": "no recipe: '' at ''; a recipe is like gaussian-blur(sigma=1.35)+jpeg(quality=23)",
    "   ": "no recipe: '   ' at ''; a recipe is like",
    "gausian-blur(sigma=1)": "unknown distortion 'gausian-blur'; did you mean gaussian-blur",
    "gaussian_blur(sigma=1)": "unknown distortion 'gaussian_blur'; did you mean gaussian-blur",
    "identity+jpeg(quality=3)": "unknown distortion 'identity'",
    "jpeg(quality=101)": "jpeg: quality must be in [1, 100], got 101.0",
    "jpeg(quality=1.5)": "jpeg: quality must be a whole number, got 1.5",
    "gaussian-blur(sigma=nan)": "gaussian-blur: sigma must be in [0, 100] pixels, got nan",
    "gaussian-blur(sigma=-1)": "gaussian-blur: sigma must be in [0, 100] pixels, got -1.0",
    "gaussian-blur": "gaussian-blur needs sigma, but sigma is missing",
    "gaussian-blur()": "gaussian-blur needs sigma, but sigma is missing",
    "gaussian-blur(width=1)": "gaussian-blur has no parameter 'width'; it has sigma",
    "gaussian-blur(sigma=1, sigma=2)": "gaussian-blur: values are written name=number, each once, got 'sigma=2'",
    "gaussian-blur(sigma=wide)": "gaussian-blur: values are written name=number, each once, got 'sigma=wide'",
    "gaussian-blur(sigma=)": "gaussian-blur: values are written name=number, each once, got 'sigma='",
    "gaussian-blur(1.35)": "gaussian-blur: values are written name=number, each once, got '1.35'",
    "gaussian-blur(sigma=1": "no recipe: 'gaussian-blur(sigma=1' at 'gaussian-blur(sigma=1'",
    "gaussian-blur sigma=1)": "no recipe: 'gaussian-blur sigma=1)' at",
    "gaussian-blur((sigma=1))": "no recipe: 'gaussian-blur((sigma=1))' at",
    "jpeg(quality=5)+": "no recipe: 'jpeg(quality=5)+' at ''",
    "+jpeg(quality=5)": "no recipe: '+jpeg(quality=5)' at ''",
    "jpeg(quality=5)jpeg(quality=5)": "no recipe:",
    "jpeg(quality=5)\njpeg(quality=5)": "no recipe:",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_recipes_are_one_line(text: str) -> None:
    with pytest.raises(DistortionError) as raised:
        parse(text)
    message = str(raised.value)
    assert message.startswith(BAD[text])
    assert "\n" not in message


@given(st.text(alphabet="jpeg(quality=5)+-, .1en\n", max_size=30))
def test_any_text_is_a_recipe_or_an_error_of_ours(text: str) -> None:
    try:
        recipe = parse(text)
    except DistortionError:
        return
    assert parse(str(recipe)) == recipe


def test_308_compositions_by_another_count() -> None:
    sizes = Counter(find(name).family for name in TWENTY)
    assert sizes == {"photometric": 4, "noise": 6, "blur": 2, "spatial": 7, "compression": 1}
    # All ordered pairs, less the distinct ones within noise and within spatial.
    assert 20 * 19 - 6 * 5 - 7 * 6 == len(compositions()) == len(set(compositions())) == 308
    spatial_or_noise = [(a, b) for a, b in compositions() if find(a).family == find(b).family]
    assert Counter(find(a).family for a, _ in spatial_or_noise) == {"photometric": 4 * 3, "blur": 2}
    assert all(a != b for a, b in compositions())
    assert set(compositions()) <= {(a, b) for a in TWENTY for b in TWENTY}
    assert traditional() == (*((name,) for name in TWENTY), *compositions())
    # Frozen in their order too: patch sets are drawn by place in this list.
    digest = hashlib.sha256("\n".join(map("+".join, traditional())).encode()).hexdigest()
    assert digest == "e3c72cd89e31ac0400625a9391a171e82e66fd47bdf3d6b420aa46cd6ff12432"


def test_steps_apply_from_left_to_right_on_one_rng() -> None:
    patch = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    recipe = parse("gaussian-white-noise(sigma=9)+cubic-warp(amplitude=7)")
    rng = np.random.default_rng(5)
    between = find("gaussian-white-noise").apply(patch, rng, {"sigma": 9})
    expected = find("cubic-warp").apply(between, rng, {"amplitude": 7})
    assert np.array_equal(recipe.apply(patch, np.random.default_rng(5)), expected)
    assert not np.array_equal(expected, between)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("jpeg(quality=23)", "compression"),
        ("gaussian-blur(sigma=1.35)+jpeg(quality=23)", "blur+compression"),
        ("saturation(factor=0.5)+contrast(factor=0.8)", "photometric"),
        ("cnn-017+jpeg(quality=23)", "cnn+compression"),
        ("identity", ""),
    ],
)
def test_families_of_the_steps(text: str, family: str) -> None:
    assert parse(text).family == family


def test_identity_gives_a_copy() -> None:
    patch = np.zeros((3, 3, 3), np.uint8)
    same = parse("identity").apply(patch, np.random.default_rng(0))
    same[:] = 1
    assert patch.max() == 0


def test_draw_wants_a_severity_for_each_name() -> None:
    with pytest.raises(ValueError, match="zip"):
        draw(("jpeg",), (0.1, 0.2), np.random.default_rng(0))
