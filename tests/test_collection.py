"""Tests that need what is absent are left out, and that is said: never silently, and never as a failure."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_TESTS = """
import pytest

def test_of_nothing() -> None: ...
def test_of_data(shared_data) -> None: ...
@pytest.mark.needs("no-such-tool")
def test_of_a_tool() -> None: ...
@pytest.mark.needs("sh")
def test_of_a_shell() -> None: ...
@pytest.mark.long
def test_of_many_minutes() -> None: ...
def test_that_skips() -> None: pytest.skip("for no reason")
"""


def outcome(repository: Path, tmp_path: Path, *arguments: str) -> str:
    tests = tmp_path / "clone" / "tests"
    tests.mkdir(parents=True)
    shutil.copy(repository / "tests" / "conftest.py", tests)
    (tests / "test_some.py").write_text(_TESTS)
    markers = "slow: x\nlong: x\nneeds(tool): x"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", f"markers={markers}", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "BAPPS"))}
    done = subprocess.run(
        command, cwd=tests.parent, capture_output=True, text=True, env={**environment, "BAPPS_NO_SKIP": "1"}
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_what_is_absent_is_left_out_and_said(repository: Path, tmp_path: Path, workers: tuple[str, ...]) -> None:
    said = outcome(repository, tmp_path, "-m", "not slow", *workers)
    assert "1 failed, 2 passed" in said  # the skip fails; what is absent does not
    assert f"1 tests were not collected, since they need {tmp_path / 'shared' / 'data'}" in said
    assert "1 tests were not collected, since they need no-such-tool" in said


def test_a_long_test_is_a_slow_one(repository: Path, tmp_path: Path) -> None:
    assert "1 passed" in outcome(repository, tmp_path, "-m", "slow")
