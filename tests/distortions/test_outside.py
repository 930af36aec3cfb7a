"""Distortions from outside: how they are named, found and checked, and what hostile ones come to."""

import hashlib
import importlib
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bapps
from bapps_builder.errors import DistortionError, Notice
from distortions import registry
from distortions.patch_sets.chosen import chosen, try_out
from distortions.recipes import parse, traditional, with_compositions
from distortions.registry import distortions, find, plugins
from distortions.traditional import TWENTY

pytestmark = pytest.mark.usefixtures("empty_place")

HEAD = """
    import sys
    import numpy as np
    from distortions.distortion import Parameter, Ramp, distortion

    def declare(**changes):
        return distortion(**{
            "ramp": Ramp(100, 1), "draw": lambda strength, rng: {"levels": strength}, "border": "none",
            "levels": Parameter(0, 255, "levels", "added"), **changes,
        })
"""
BRIGHTER = """
    @declare()
    def brighter(patch, rng, *, levels):
        "Add a number."
        return np.clip(np.rint(patch + float(levels)), 0, 255).astype(np.uint8)
"""
PATCH = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a module into the current folder, which is searched."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])

    def written(name: str, body: str = BRIGHTER) -> None:
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(HEAD) + textwrap.dedent(body))
        importlib.invalidate_caches()

    return written


def apply(recipe: str) -> Any:
    return parse(recipe).apply(PATCH, np.random.default_rng(0))


# --- names -------------------------------------------------------------------------------------------


def test_a_recipe_holds_module_and_function_and_parses_back(write: Write) -> None:
    write("user_a")
    recipe = parse("user_a:brighter(levels=3)+gaussian-white-noise(sigma=2)")
    assert str(recipe) == "user_a:brighter(levels=3.0)+gaussian-white-noise(sigma=2.0)"
    assert parse(str(recipe)) == recipe
    assert recipe.family == "user_a+noise"
    np.testing.assert_array_equal(apply("user_a:brighter(levels=3)"), np.minimum(PATCH.astype(int) + 3, 255))
    between = find("user_a:brighter").apply(PATCH, np.random.default_rng(0), {"levels": 3})
    expected = parse("gaussian-white-noise(sigma=2)").apply(between, np.random.default_rng(0))
    np.testing.assert_array_equal(apply(str(recipe)), expected)


def test_a_module_of_a_package_and_a_function_like_one_of_ours(write: Write) -> None:
    write("user_b/tones", BRIGHTER.replace("brighter", "jpeg"))
    assert find("user_b.tones:jpeg").name == "user_b.tones:jpeg"
    assert find("jpeg").parameters.keys() == {"quality"}
    assert "user_b.tones:jpeg" not in distortions()


def test_one_of_ours_has_its_own_name_however_it_is_found(write: Write) -> None:
    write("user_c", "from distortions.traditional.blur import gaussian_blur")
    assert str(parse("user_c:gaussian_blur(sigma=1)")) == "gaussian-blur(sigma=1.0)"


BAD_NAMES = {
    "user_none:x": "distortion 'user_none:x': ModuleNotFoundError: No module named 'user_none'; expected module:dist",
    "user_d:darker": "distortion 'user_d:darker': the module user_d, from ",
    "user_d:np": "'user_d:np' is a module and no distortion; expected a function under @distortion",
    "user_d:declare": "'user_d:declare' is a function and no distortion",
    "user_d:": "'user_d:' is not of the form module:distortion; both are written as Python imports them",
    ":brighter": "':brighter' is not of the form module:distortion",
    "..user_d:brighter": "'..user_d:brighter' is not of the form module:distortion",
    "user_d..x:brighter": "'user_d..x:brighter' is not of the form module:distortion",
    "../user_d.py:brighter": "'../user_d.py:brighter' is not of the form module:distortion; both are written as Python "
    "imports them, such as my_module:posterise or my_package.tones:posterise, without folders and without .py",
    "user_d:a:b": "'user_d:a:b' is not of the form module:distortion",
    "metrics:brighter": "distortion 'metrics:brighter': the module metrics, from ",
    "random:brighter": "distortion 'random:brighter': the module random, from ",
    "__main__:brighter": "'__main__:brighter': other processes cannot import __main__; put the distortion into a file",
}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_lead_nowhere_are_one_line(write: Write, name: str) -> None:
    write("user_d")
    with pytest.raises(DistortionError) as raised:
        find(name)
    assert str(raised.value).startswith(BAD_NAMES[name])
    assert "\n" not in str(raised.value)


def test_a_file_named_like_an_installed_module_is_told_to_be_renamed(write: Write) -> None:
    write("json")
    with pytest.raises(DistortionError) as raised:
        find("json:brighter")
    assert str(raised.value).endswith("give yours a name that no installed module has")
    assert f"{Path('json') / '__init__.py'}, has no 'brighter'" in str(raised.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("sys.exit('bye')", "SystemExit: bye"),
        ("def f(:", "SyntaxError: "),
        (
            "@declare(levels=Parameter(1, 1, '', ''))\ndef f(patch, rng, *, levels): ...",
            "ValueError: a parameter needs",
        ),
        ("@declare(ramp=lambda s: s)\ndef f(patch, rng, *, levels): ...", "ValueError: f: ramp must be a Ramp"),
        ("@declare()\ndef f(patch, rng): ...", "ValueError: f must take (patch, rng, *, levels)"),
    ],
)
def test_modules_that_do_not_import(write: Write, body: str, message: str) -> None:
    write("user_e", body)
    with pytest.raises(DistortionError) as raised:
        find("user_e:f")
    assert str(raised.value).startswith(f"distortion 'user_e:f': {message}")


# --- what they return --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        ("patch / 2", "float64 of shape (6, 5, 3) with values from "),
        ("patch * np.nan", "float64 of shape (6, 5, 3) with values from nan to nan"),
        ("patch.astype(int) + 900", "int64 of shape (6, 5, 3) with values from "),
        ("patch[..., 0]", "uint8 of shape (6, 5) with values from "),
        ("patch[1:]", "uint8 of shape (5, 5, 3) with values from "),
        ("patch.transpose(1, 0, 2)", "uint8 of shape (5, 6, 3) with values from "),
        ("None", "None, a NoneType"),
        ("patch.tolist()", "[[["),
    ],
)
def test_anything_but_a_patch_is_refused(write: Write, returned: str, got: str) -> None:
    write("user_f", f"@declare()\ndef f(patch, rng, *, levels): return {returned}")
    with pytest.raises(DistortionError) as raised:
        apply("user_f:f(levels=3)")
    assert str(raised.value).startswith(f"user_f:f returned {got}")
    assert str(raised.value).endswith("here (6, 5, 3): round, clip to 0..255 and convert at its end")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("1 / 0", "user_g:f raised ZeroDivisionError: division by zero (user_g.py, line 12)"),
        ("np.zeros(-1)", "user_g:f raised ValueError: negative dimensions are not allowed (user_g.py, line 12)"),
        ("sys.exit(3)", "user_g:f raised SystemExit: 3 (user_g.py, line 12)"),
        (
            "return (patch * np.nan).astype(np.uint8)",
            "user_g:f raised RuntimeWarning: invalid value encountered in cast",
        ),
    ],
)
def test_a_function_that_fails_is_one_line(write: Write, statement: str, message: str) -> None:
    write("user_g", f"@declare()\ndef f(patch, rng, *, levels): {statement}")
    with pytest.raises(DistortionError) as raised:
        apply("user_g:f(levels=3)")
    assert str(raised.value).startswith(message)


def test_a_function_may_write_into_its_patch_and_return_one_array_again(write: Write) -> None:
    write("user_h", "@declare()\ndef f(patch, rng, *, levels):\n    patch[:] = levels\n    return patch")
    write("user_i", "kept = np.zeros((6, 5, 3), np.uint8)\n@declare()\ndef f(patch, rng, *, levels):\n"
          "    kept[:] = levels\n    return kept")  # fmt: skip
    before = PATCH.copy()
    for name in ("user_h:f", "user_i:f"):
        one, other = apply(f"{name}(levels=3)"), apply(f"{name}(levels=4)")
        assert (one.max(), other.min()) == (3, 4)
        np.testing.assert_array_equal(PATCH, before)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        ("{'levels': 300}", "user_j:f: levels must be in [0, 255] levels, got 300.0"),
        ("{'levels': float('nan')}", "user_j:f: levels must be in [0, 255] levels, got nan"),
        ("{}", "user_j:f needs levels, but levels is missing"),
        ("{'levels': 1, 'more': 2}", "user_j:f has no parameter 'more'; it has levels"),
        ("strength", "user_j:f raised AttributeError: "),
        ("{'levels': 'much'}", "user_j:f raised ValueError: "),
    ],
)
def test_draws_that_give_no_values(write: Write, draw: str, message: str) -> None:
    write("user_j", f"@declare(draw=lambda strength, rng: {draw})\ndef f(patch, rng, *, levels): return patch")
    with pytest.raises(DistortionError) as raised:
        try_out(["user_j:f"])
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("@declare()\ndef f(patch, rng, *, levels):\n    return np.random.default_rng().bytes(1)[0] + patch", "pixels"),
        ("@declare(draw=lambda s, rng: {'levels': np.random.default_rng().random()})\n"
         "def f(patch, rng, *, levels):\n    return patch", "values"),
    ],
)  # fmt: skip
def test_chance_that_does_not_come_from_the_rng_is_seen(write: Write, body: str, what: str) -> None:
    write("user_k", body)
    with pytest.raises(DistortionError, match=f"user_k:f gives other {what} when it is asked again with the same rng"):
        try_out(["gaussian-blur", "user_k:f"])


def test_what_changes_nothing_is_seen(write: Write) -> None:
    write("user_w", "@declare()\ndef f(patch, rng, *, levels): return patch")
    with pytest.raises(DistortionError, match="user_w:f changes nothing at severity 1, neither a patch of noise nor a"):
        try_out(["user_w:f"])


def test_chance_from_the_rng_is_fine(write: Write) -> None:
    write("user_l", "@declare(draw=lambda s, rng: {'levels': s * rng.random()})\n"
          "def f(patch, rng, *, levels):\n    return rng.integers(0, 256, patch.shape, np.uint8)")  # fmt: skip
    try_out(["user_l:f", "cnn-017", "jpeg"])


# --- sources -----------------------------------------------------------------------------------------


def test_the_source_is_a_hash_of_the_file_and_follows_it(write: Write, tmp_path: Path) -> None:
    write("user_m")
    content = (tmp_path / "user_m.py").read_bytes()
    before = find("user_m:brighter").source
    assert before
    assert before.sha256 == hashlib.sha256(content).hexdigest()
    assert (before.module, before.version, before.folder) == ("user_m", "", str(tmp_path))
    write("user_m", "__version__ = '1.2'\n" + textwrap.dedent(BRIGHTER).replace("patch +", "patch -"))
    assert find("user_m:brighter").source == before  # what is loaded is what was loaded
    importlib.reload(sys.modules["user_m"])
    after = find("user_m:brighter").source
    assert after
    assert (after.version, after.sha256 == before.sha256) == ("1.2", False)
    np.testing.assert_array_equal(apply("user_m:brighter(levels=9)"), np.maximum(PATCH.astype(int) - 9, 0))


def test_the_source_of_a_package_is_all_of_it(write: Write, tmp_path: Path) -> None:
    digests, folders = set(), set()
    for name, extra in (("user_n", "1"), ("user_o", "2")):
        for module, body in (("__init__", ""), ("tones", BRIGHTER), ("below/numbers", extra)):
            write(f"{name}/{module}", body)
        source = find(f"{name}.tones:brighter").source
        assert source
        digests.add(source.sha256)
        folders.add(source.folder)
    assert len(digests) == 2
    assert folders == {str(tmp_path)}


def test_a_folder_without_init_is_searched_for_its_one_file(write: Write, tmp_path: Path) -> None:
    write("user_p/deep/tones")
    write("user_p/deep/other")
    source = find("user_p.deep.tones:brighter").source
    assert source
    assert source.folder == str(tmp_path)
    before = source.sha256
    write("user_p/deep/other", "1 / 0")
    importlib.reload(sys.modules["user_p.deep.tones"])
    again = find("user_p.deep.tones:brighter").source
    assert again
    assert again.sha256 == before


# --- the frozen twenty, and what is chosen -----------------------------------------------------------


def test_what_is_declared_outside_is_drawn_by_nobody_who_did_not_ask(write: Write) -> None:
    before = traditional()
    write("user_q")
    find("user_q:brighter")
    assert traditional() == before
    assert {name for names in before for name in names} == set(TWENTY)


def test_compositions_follow_the_papers_rule(write: Write) -> None:
    write("user_r")
    own = "user_r:brighter"
    drawn = with_compositions((own, "shift", "ghosting"))
    assert drawn == ((own,), ("shift",), ("ghosting",), *((own, b) for b in ("shift", "ghosting")),
                     ("shift", own), ("ghosting", own))  # fmt: skip
    assert with_compositions(TWENTY) == traditional()


def test_chosen_names_are_canonical_and_stand_once(write: Write) -> None:
    write("user_s", BRIGHTER + "\n    from distortions.traditional.compression import jpeg")
    names = ["user_s:brighter", "jpeg", "user_s:jpeg", "jpeg", "cnn-017", "user_s:brighter"]
    assert chosen(names) == ("user_s:brighter", "jpeg", "cnn-017")
    for recipe in ("jpeg+shift", "jpeg(quality=3)"):
        with pytest.raises(DistortionError, match="is a recipe; what is drawn are names"):
            chosen([recipe])
    with pytest.raises(DistortionError, match="unknown distortion 'jpg'; did you mean jpeg"):
        chosen(["jpg"])
    with pytest.raises(DistortionError, match="unknown variant 'cnn-999'"):
        chosen(["cnn-999"])


# --- plug-ins ----------------------------------------------------------------------------------------


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have an installed distribution publish some names."""

    class Publisher:
        name, version = "lab-distortions", "3.1"

    def published(**names: str) -> None:
        points = [EntryPoint(name, value, registry.ENTRY_POINTS) for name, value in names.items()]
        for point in points:
            vars(point).update(dist=Publisher)
        monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.ENTRY_POINTS else [])
        registry._entry_points.cache_clear()

    return published


@pytest.fixture(autouse=True)
def forget_plugins() -> Any:
    """No plug-in of one test is known to another."""
    yield
    registry._entry_points.cache_clear()


def test_a_plugin_has_a_name_of_its_own(write: Write, publish: Callable[..., None]) -> None:
    write("user_t")
    publish(brighter="user_t:brighter")
    assert find("brighter").name == "brighter"
    source = find("brighter").source
    assert source
    assert (source.module, source.version) == ("user_t", "3.1")
    assert str(parse("brighter(levels=2)")) == "brighter(levels=2.0)"
    assert plugins()[0].keys() == {"brighter"}
    assert "brighter" not in distortions()
    with pytest.raises(DistortionError, match="unknown distortion 'brigther'; did you mean brighter"):
        find("brigther")


def test_plugins_that_cannot_be_used_are_told_and_spoil_nothing(write: Write, publish: Callable[..., None]) -> None:
    write("user_u")
    write("user_v", "1 / 0")
    publish(
        **{
            "fine": "user_u:brighter",
            "broken": "user_v:brighter",
            "jpeg": "user_u:brighter",
            "cnn-017": "user_u:brighter",
            "two words": "user_u:brighter",
            "plain": "os.path:join",
        }
    )
    found, wrong = plugins()
    assert found.keys() == {"fine"}
    with pytest.warns(Notice) as told:
        listed = bapps.list_distortions()
    assert sorted(str(warning.message) for warning in told) == sorted(wrong)
    assert list(listed) == [*distortions(), "fine"]
    assert listed["fine"] == "Add a number."
    assert find("jpeg").source is None
    assert sorted(wrong) == [
        "'plain' is a function and no distortion; expected a function under @distortion(...) from "
        "distortions.distortion",
        "distortion 'broken' of lab-distortions does not load: ZeroDivisionError: division by zero",
        "lab-distortions publishes 'cnn-017', which cannot stand in a recipe",
        "lab-distortions publishes 'jpeg', which is a name of this project",
        "lab-distortions publishes 'two words', which cannot stand in a recipe",
    ]
    with pytest.raises(DistortionError, match="distortion 'broken' of lab-distortions does not load"):
        find("broken")


def test_two_plugins_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("swirl", f"user_{k}:swirl", registry.ENTRY_POINTS) for k in "xy"]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    registry._entry_points.cache_clear()
    with pytest.raises(DistortionError, match="user_x:swirl and user_y:swirl both publish a distortion 'swirl'"):
        find("swirl")
