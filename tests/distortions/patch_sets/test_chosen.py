"""Patch sets of chosen distortions, some of them from outside: they replay, and know when a source has changed."""

import dataclasses
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bapps_builder.errors import DatasetError, DistortionError, PatchSetError
from bapps_builder.patch_sets.patch_set import read_patch_set
from distortions import distortion as distortion_module
from distortions import registry
from distortions.distortion import Parameter, Patch, Ramp, distortion
from distortions.patch_sets.generate import generate
from distortions.patch_sets.replay import Replayed, replay
from distortions.patch_sets.sampling import Settings, recipe_names
from distortions.recipes import parse, traditional, with_compositions
from distortions.registry import distortions, find
from distortions.traditional import TWENTY
from distortions.workers import Workers

pytestmark = pytest.mark.usefixtures("empty_place")

Digest = Callable[[Path], dict[str, str]]

# What pickle cannot take along lies around the function: workers import it by name.
POSTERISE = """
import threading
import numpy as np
from distortions.distortion import Parameter, Ramp, distortion

LOCK = threading.Lock()

def make():
    @distortion(
        ramp=Ramp(48, 1), draw=lambda strength, rng: {"levels": strength}, border="none",
        levels=Parameter(0, 128, "levels", "width of a step"),
    )
    def posterise(patch, rng, *, levels):
        "Round every value to a multiple of a step."
        with LOCK:
            step = max(levels, 1)
            return np.clip(np.rint(patch / step) * step, 0, 255).astype(np.uint8)
    return posterise

posterise = make()
"""
OWN = "user_chosen:posterise"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a distortion from outside, in the current folder, which is searched."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    path = tmp_path / "user_chosen.py"
    path.write_text(POSTERISE)
    importlib.invalidate_caches()
    return path


def settings(*names: str, items: int = 24) -> Settings:
    return Settings(items, "2afc", "traditional", "val", seed=3, severity_law="uniform", distortions=names)


def again(folder: Path, *, warn: Callable[[str], None] = pytest.fail) -> list[Replayed]:
    found = read_patch_set(folder)
    return replay(found, range(len(found)), folder=folder.with_name("again"), warn=warn)


def test_a_set_of_ones_own_distortion_is_recorded_and_replays(module: Path, photos: Path, tmp_path: Path) -> None:
    assert generate(
        settings(OWN, "gaussian-blur", OWN), photos=[photos], folder=tmp_path / "set", workers=Workers(2)
    ).new
    found = read_patch_set(tmp_path / "set")
    source = find(OWN).source
    assert source
    assert found.description.settings["distortions"] == [OWN, "gaussian-blur"]
    assert found.description.settings["sources"] == {
        OWN: {"module": "user_chosen", "version": "", "sha256": source.sha256}
    }
    assert found.description.findings["source_folders"] == {OWN: str(tmp_path)}
    assert {item.set for item in found} == {"custom"}
    drawn = {tuple(step.name for step in parse(made.recipe).steps) for item in found for made in (item.p0, item.p1)}
    assert drawn == {(OWN,), ("gaussian-blur",), (OWN, "gaussian-blur"), ("gaussian-blur", OWN)}
    made = again(tmp_path / "set")
    assert len(made) == 72
    assert all(entry.same for entry in made)


def test_workers_do_not_matter_nor_does_where_one_stands(
    module: Path, photos: Path, tmp_path: Path, digest: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(settings(OWN, "jpeg"), photos=[photos], folder=tmp_path / "one")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    generate(settings(OWN, "jpeg"), photos=[photos], folder=tmp_path / "two", workers=Workers(2))
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_workers_of_a_cluster_find_the_module_and_follow_an_edit(
    cluster: str, module: Path, photos: Path, tmp_path: Path, digest: Digest
) -> None:
    for edit in ("", " + 2"):
        module.write_text(POSTERISE.replace("step = max(levels, 1)", f"step = max(levels, 1){edit}"))
        importlib.reload(importlib.import_module("user_chosen"))
        made = []
        for number, workers in enumerate((Workers(), Workers(dask=cluster))):
            folder = tmp_path / f"set{number}{len(edit)}"
            generate(settings(OWN, "jpeg"), photos=[photos], folder=folder, workers=workers)
            made.append(digest(folder))
        assert made[0] == made[1]


@pytest.mark.parametrize(("edit", "differing"), [("step = max(levels, 1) + 2", True), ("step = max(1, levels)", False)])
def test_a_replay_tells_that_a_source_has_changed(
    module: Path, photos: Path, tmp_path: Path, edit: str, differing: bool
) -> None:
    generate(settings(OWN, "jpeg"), photos=[photos], folder=tmp_path / "set")
    before = find(OWN).source
    module.write_text(POSTERISE.replace("step = max(levels, 1)", edit) + "# edited")
    importlib.reload(sys.modules["user_chosen"])
    said: list[str] = []
    made = again(tmp_path / "set", warn=said.append)
    assert said == [
        f"{OWN} has changed since {tmp_path / 'set'} was made, and its patches may differ: its source was {before} and "
        f"is {find(OWN).source}"
    ]
    changed = {entry.item.id for entry in made if not entry.same}
    assert bool(changed) == differing
    with_own = {item.id for item in read_patch_set(tmp_path / "set") if OWN in item.p0.recipe + item.p1.recipe}
    assert changed <= with_own
    with pytest.raises(PatchSetError, match=r"made otherwise: sources was .* and is .*\. Choose a new folder"):
        generate(settings(OWN, "jpeg"), photos=[photos], folder=tmp_path / "set")


def test_a_replay_without_the_module_is_refused_and_says_where_it_was(
    module: Path, photos: Path, tmp_path: Path
) -> None:
    generate(settings(OWN, "jpeg"), photos=[photos], folder=tmp_path / "set")
    module.unlink()
    del sys.modules["user_chosen"]
    importlib.invalidate_caches()
    with pytest.raises(PatchSetError) as raised:
        again(tmp_path / "set")
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'set'}: made with {OWN} (user_chosen, SHA-256 ")
    assert "ModuleNotFoundError: No module named 'user_chosen'" in message
    assert f"when the set was made it was found from {tmp_path}: work there, or name a folder that has it" in message


def test_workers_follow_an_edit_as_far_as_the_process_does(
    module: Path, photos: Path, tmp_path: Path, digest: Digest
) -> None:
    generate(settings(OWN, "jpeg"), photos=[photos], folder=tmp_path / "before", workers=Workers(2))
    module.write_text(POSTERISE.replace("step = max(levels, 1)", "step = max(levels, 1) + 2"))
    importlib.reload(sys.modules["user_chosen"])
    for name, count in (("one", 1), ("two", 2)):
        generate(settings(OWN, "jpeg"), photos=[photos], folder=tmp_path / name, workers=Workers(count))
    assert digest(tmp_path / "one") == digest(tmp_path / "two") != digest(tmp_path / "before")
    # An edit that the process has not loaded, and its workers do.
    module.write_text(POSTERISE + "# edited")
    with pytest.raises(DistortionError, match=r"a worker has another source of it, .* Run the command again"):
        generate(settings(OWN, "jpeg"), photos=[photos], folder=tmp_path / "set", workers=Workers(2))


def test_files_of_the_current_folder_do_not_stand_in_for_installed_modules(
    module: Path, photos: Path, tmp_path: Path
) -> None:
    for name in ("queue", "random", "numpy", "metrics", "distortions"):
        (tmp_path / f"{name}.py").write_text("1 / 0")
    generate(settings(OWN, "jpeg"), photos=[photos], folder=tmp_path / "set", workers=Workers(2))
    assert all(entry.same for entry in again(tmp_path / "set"))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("patch / 2", f"{OWN} returned float64 of shape (96, 96, 3)"),
        ("patch | np.random.default_rng().bytes(1)[0]", f"{OWN} gives other pixels when it is asked again"),
    ],
)
def test_what_does_not_work_fails_before_anything_is_made(
    module: Path, photos: Path, tmp_path: Path, returned: str, message: str
) -> None:
    module.write_text(POSTERISE.replace("with LOCK:", f"return {returned}\n        with LOCK:"))
    with pytest.raises(DistortionError) as raised:
        generate(settings(OWN, "jpeg"), photos=[photos], folder=tmp_path / "set")
    assert str(raised.value).startswith(message)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("family", "task", "names", "message"),
    [
        ("traditional", "2afc", ("jpeg", "jpeg"), "two patches need two different .* only one to draw from is jpeg"),
        ("traditional", "2afc", ("jpeg", "cnn-011"), "cnn-011 is not of the family traditional; networks are of cnn"),
        ("cnn", "2afc", ("jpeg",), "jpeg is not of the family cnn"),
        ("cnn", "2afc", ("cnn-011",), "two patches need two different distortions, .* draw from is cnn-011"),
        ("cnn", "2afc", ("cnn-011", "cnn-000"), "cnn-000 is not among the trained variants"),
        ("traditional", "2afc", ("jpg", "shift"), "unknown distortion 'jpg'; did you mean jpeg"),
        ("traditional", "2afc", ("user_none:f", "shift"), "distortion 'user_none:f': ModuleNotFoundError"),
        ("traditional", "jnd", ("jpeg(quality=3)",), "is a recipe; what is drawn are names"),
    ],
)
def test_choices_that_cannot_be_drawn(
    photos: Path, tmp_path: Path, family: Any, task: Any, names: tuple[str, ...], message: str
) -> None:
    wanted = dataclasses.replace(settings(*names), family=family, task=task)
    with pytest.raises(DistortionError, match=message):
        generate(wanted, photos=[photos], folder=tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("name", ["../evil", "a/b", "", " x", ".hidden"])
def test_a_set_is_named_by_what_can_be_a_folder(photos: Path, tmp_path: Path, name: str) -> None:
    wanted = dataclasses.replace(settings("jpeg", "shift"), set=name)
    if name:
        with pytest.raises(DatasetError, match=f"--set: {name!r} cannot name a set"):
            generate(wanted, photos=[photos], folder=tmp_path / "set")
    else:
        assert wanted.set_name == "custom"


def test_one_name_is_enough_for_jnd(photos: Path, tmp_path: Path) -> None:
    wanted = dataclasses.replace(settings("jpeg", items=5), task="jnd", set="codecs")
    generate(wanted, photos=[photos], folder=tmp_path / "set")
    found = read_patch_set(tmp_path / "set")
    assert {parse(item.p1.recipe).steps[0].name for item in found} == {"jpeg"}
    assert {item.set for item in found} == {"codecs"}
    assert "sources" not in found.description.settings


def test_a_mix_sets_chosen_networks_against_chosen_distortions(module: Path, photos: Path, tmp_path: Path) -> None:
    wanted = dataclasses.replace(settings(OWN, "jpeg", "cnn-011", items=16), family="mix")
    generate(wanted, photos=[photos], folder=tmp_path / "set")
    for item in read_patch_set(tmp_path / "set"):
        names = [{step.name for step in parse(made.recipe).steps} for made in (item.p0, item.p1)]
        assert {"cnn-011"} in names
        assert any(some <= {OWN, "jpeg"} for some in names)
    assert all(entry.same for entry in again(tmp_path / "set"))


def test_the_twenty_by_name_are_drawn_as_the_family_is() -> None:
    assert recipe_names(settings(*TWENTY)) == recipe_names(settings()) == (traditional(),)


@pytest.fixture
def one_more() -> Iterator[str]:
    """A distortion beside the twenty, as if a file of `distortions.traditional` had it, until the test ends."""

    def banding(patch: Patch, rng: np.random.Generator, *, levels: float) -> Patch:
        """Add a number."""
        return np.clip(patch + float(levels), 0, 255).astype(np.uint8)

    caches = (registry._ours, with_compositions)
    before = dict(distortion_module._DECLARED)
    banding.__module__ = "distortions.traditional.blur"
    parameter = Parameter(0, 255, "levels", "added")
    distortion(ramp=Ramp(9, 1), draw=lambda strength, rng: {"levels": strength}, border="", levels=parameter)(banding)
    for cache in caches:
        cache.cache_clear()
    yield "banding"
    distortion_module._DECLARED.clear()
    distortion_module._DECLARED.update(before)
    for cache in caches:
        cache.cache_clear()


def test_one_more_distortion_changes_no_byte_of_a_traditional_set(
    module: Path, photos: Path, tmp_path: Path, digest: Digest, request: pytest.FixtureRequest
) -> None:
    generate(settings(), photos=[photos], folder=tmp_path / "before")
    name = request.getfixturevalue("one_more")
    assert list(distortions()) == [*TWENTY, name]
    assert find(OWN)
    generate(settings(), photos=[photos], folder=tmp_path / "after")
    assert digest(tmp_path / "before") == digest(tmp_path / "after")
    content = json.loads((tmp_path / "after" / "patchset.json").read_text())
    assert not {"distortions", "sources", "set"} & content["settings"].keys()
    # And it can be chosen all the same.
    generate(settings(name, OWN), photos=[photos], folder=tmp_path / "chosen")
    assert any(name in item.p0.recipe for item in read_patch_set(tmp_path / "chosen"))
