"""Metrics from elsewhere: functions and objects in a module of the user's, and those that distributions publish."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bapps_builder.errors import MetricError
from metrics import registry
from metrics.registry import load, load_all

A = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
B = np.random.default_rng(2).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def search_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the search path of modules, forgotten afterwards."""
    modules = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._plugins.cache_clear()
    yield tmp_path
    registry._plugins.cache_clear()
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


# --- a module of the user's --------------------------------------------------------------------------

MODULE = '''
import numpy as np
from metrics.metric import Metric

def far(a, b):
    """Always three."""
    return np.full(len(a), 3.0)

class Kept:
    @staticmethod
    def inside(a, b):
        return np.zeros(len(a))

number = 5
whole = Metric(name="l2", description="not the l2 you know", contrast=far)
'''


@pytest.fixture
def module(search_path: Path) -> str:
    (search_path / "user_metrics_a.py").write_text(MODULE)
    importlib.invalidate_caches()
    return "user_metrics_a"


@pytest.mark.parametrize(("attribute", "about", "value"), [("far", "Always three.", 3), ("Kept.inside", "user's", 0)])
def test_a_function_of_the_user(module: str, attribute: str, about: str, value: float) -> None:
    name = f"{module}:{attribute}"
    metric = load(name)
    assert metric.name == name == load(metric.name).name
    assert metric.description.startswith(about)
    assert metric(A, B).tolist() == [value] * 3


def test_a_metric_object_of_the_user_keeps_the_name_it_was_asked_by(module: str) -> None:
    metric = load(f"{module}:whole")
    assert metric(A, B).tolist() == [3, 3, 3]
    assert metric.name == f"{module}:whole"


def test_a_metric_object_of_the_user_does_not_vanish_behind_ours(module: str) -> None:
    found = load_all(["l2", f"{module}:whole"])
    assert [metric(A, A).tolist() for metric in found] == [[0, 0, 0], [3, 3, 3]]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent_module_x:f", "No module named 'absent_module_x'"),
        ("user_metrics_a:absent", "has no attribute 'absent'"),
        ("user_metrics_a:", "has no attribute ''"),
        ("user_metrics_a:far.absent", "has no attribute 'absent'"),
        ("user_metrics_a:number", "is a int, expected a function of two image batches"),
        (":far", "Empty module name"),
        (".user_metrics_a:far", "expected module:callable"),
    ],
)
@pytest.mark.usefixtures("module")
def test_a_function_that_is_not_there_is_named(name: str, message: str) -> None:
    with pytest.raises(MetricError, match=rf"^metric '{re.escape(name)}'.*{re.escape(message)}"):
        load(name)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("user_broken_a", "def f(:\n", "invalid syntax"),
        ("user_broken_b", "raise RuntimeError('boom')\n", "boom"),
        ("user_broken_c", "import absent_library_x\n", "No module named 'absent_library_x'"),
        ("user_broken_d", "1 / 0\n", "division by zero"),
    ],
)
def test_a_module_that_does_not_import_is_one_line(search_path: Path, name: str, text: str, message: str) -> None:
    (search_path / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    with pytest.raises(MetricError, match=rf"^metric '{name}:f'.*{message}"):
        load(f"{name}:f")


# --- published plug-ins ------------------------------------------------------------------------------


def distribution(folder: Path, name: str, points: dict[str, str]) -> None:
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{point} = {value}\n" for point, value in points.items()]
    (about / "entry_points.txt").write_text("".join(["[bapps.metrics]\n", *lines]))
    importlib.invalidate_caches()


def test_a_published_metric_is_found_by_its_name(search_path: Path, module: str) -> None:
    distribution(search_path, "threes", {"three": f"{module}:far"})
    metric = load("three")
    assert metric.name == "three"
    assert metric.description == "Always three."
    assert metric(A, B).tolist() == [3, 3, 3]
    with pytest.raises(MetricError, match="did you mean three"):
        load("thre")


def test_a_published_metric_object_goes_by_its_published_name(search_path: Path, module: str) -> None:
    distribution(search_path, "wholes", {"published": f"{module}:whole"})
    metric = load("published")
    assert metric(A, B).tolist() == [3, 3, 3]
    assert metric.name == "published"


@pytest.mark.parametrize("value", ["absent_module_x:f", "user_metrics_a:absent"])
def test_a_published_metric_that_does_not_load_names_its_distribution(
    search_path: Path, module: str, value: str
) -> None:
    distribution(search_path, "brokenthing", {"broken": value})
    with pytest.raises(MetricError, match=r"^metric 'broken' of brokenthing does not load: .*absent"):
        load("broken")


def test_a_published_metric_does_not_replace_one_of_ours(search_path: Path, module: str) -> None:
    distribution(search_path, "thief", {"l2": f"{module}:far"})
    assert load("l2")(A, A).tolist() == [0, 0, 0]


def test_two_distributions_that_publish_one_name_are_refused(search_path: Path, module: str) -> None:
    distribution(search_path, "first", {"twice": f"{module}:far"})
    distribution(search_path, "second", {"twice": f"{module}:Kept.inside"})
    with pytest.raises(MetricError, match=r"twice.*(first.*second|second.*first)"):
        load("twice")
