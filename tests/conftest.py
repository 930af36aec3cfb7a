"""What tests share: data that may be absent, weights, and the rule that absence is a failure in CI."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from metrics.metric import Setup
from metrics.weights.store import WeightStore

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"

# How busy the machine is is not under test.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


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
    """The folder of third-party data beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"third-party data is not at {SHARED_DATA}")
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
