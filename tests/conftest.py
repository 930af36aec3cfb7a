"""What tests share: data that may be absent, weights, and what becomes of tests that need what is not here.

Tests of third-party data, and of tools that a machine may lack (`@pytest.mark.needs("nginx")`), are not collected where
these are absent, and the summary says how many. Any other skip is a failure where BAPPS_NO_SKIP is set, as in CI.
"""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from metrics.metric import Setup
from metrics.weights.store import WeightStore

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"

# How busy the machine is is not under test.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


_NOT_COLLECTED = pytest.StashKey[Counter[str]]()
# What a test needs that asks for a fixture.
_NEEDED_BY = {"chromium": "chromium"}


@pytest.hookimpl(tryfirst=True)  # before marks are looked at
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that need what is absent; whoever leaves out slow tests leaves out long ones too."""
    absent: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker("slow")
        if lacking := [what for what in _needs(item) if not _is_here(what)]:
            absent.setdefault(lacking[0], []).append(item)
    left_out = {item for some in absent.values() for item in some}
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))
    config.stash[_NOT_COLLECTED] = Counter({what: len(some) for what, some in absent.items()})


def _needs(item: pytest.Item) -> list[str]:
    fixtures = getattr(item, "fixturenames", ())
    marked = [tool for marker in item.iter_markers("needs") for tool in marker.args]
    return [*marked, *(tool for name, tool in _NEEDED_BY.items() if name in fixtures)] + (
        [str(SHARED_DATA)] if "shared_data" in fixtures else []
    )


def _is_here(what: str) -> bool:
    return (REPOSITORY / what).exists() if "/" in what else shutil.which(what) is not None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that started this one what was left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["not_collected"] = dict(session.config.stash.get(_NOT_COLLECTED, Counter()))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker left out; all workers leave out the same."""
    node.config.stash[_NOT_COLLECTED] = Counter(getattr(node, "workeroutput", {}).get("not_collected", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was left out."""
    for what, count in config.stash.get(_NOT_COLLECTED, Counter()).items():
        terminalreporter.write_line(f"{count} tests were not collected, since they need {what}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """With BAPPS_NO_SKIP set, turn every skip into a failure: nothing may be missing in CI."""
    report = yield
    if os.environ.get("BAPPS_NO_SKIP") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and BAPPS_NO_SKIP is set: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of third-party data beside the checkout; tests that ask for it are not collected without it."""
    return SHARED_DATA


@pytest.fixture
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For commands: an empty current folder, none of the user's variables but that of the cache, modules forgotten."""
    for name in ("BAPPS_TRACEBACK", "BAPPS_WEIGHTS", "BAPPS_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("user_"):
            del sys.modules[name]


@pytest.fixture(scope="session")
def squeezenet(shared_data: Path) -> Setup:
    """A setup with SqueezeNet in half precision, since its published file may be out of reach."""
    path = shared_data / "squeezenet" / "squeezenet1_1_features_fp16.npz"
    return Setup(weights=WeightStore().with_unverified("squeezenet1_1", path))
