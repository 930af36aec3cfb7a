"""Try a session's mutants one after another, each with the tests that reach it, until one fails.

Every mutant has a process of its own, forked from one that has imported what takes long to import, which is where
most of the time of `cosmic-ray exec` would go.
"""

import difflib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from typing import IO

import cosmic_ray.plugins
import pytest
from cosmic_ray.mutating import use_mutation
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult
from reaching_tests import PYTEST, reaching

SLOW_TO_IMPORT = (
    "cv2",
    "flask",
    "matplotlib.figure",
    "numba",
    "pandas",
    "pyarrow",
    "pydantic",
    "scipy.optimize",
    "scipy.stats",
    "sqlalchemy",
    "torch",
)
# Of pytest: tests failed, were not collected since an import failed, or are not there for the same reason.
_NOTICED = {1, 2, 4}


def main(session: str) -> None:
    for name in SLOW_TO_IMPORT:
        import_module(name)
    pytest.main(["--collect-only", "--quiet", "tests/test_layers.py"])  # which imports all plugins
    with use_db(session, WorkDB.Mode.open) as work:
        for item in work.pending_work_items:
            work.set_result(item.job_id, _tried(item.mutations[0]))
            print(f"{work.num_results} of {work.num_work_items}", flush=True)


def _tried(mutation: MutationSpec) -> WorkResult:
    if loaded := [name for name, module in sys.modules.items() if _is_of(module, mutation)]:
        raise RuntimeError(f"{loaded[0]} is mutated, and was imported before; name nothing of ours in SLOW_TO_IMPORT")
    tests = reaching(mutation.module_path, mutation.start_pos[0])
    operator = cosmic_ray.plugins.get_operator(mutation.operator_name)(**mutation.operator_args)
    with use_mutation(mutation.module_path, operator, mutation.occurrence) as (before, after):
        # An endless loop ends; a machine that others use too gets its time.
        noticed, said = _fail(list(tests), seconds=60 + 10 * sum(tests.values())) if tests else (False, "no tests")
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    outcome = TestOutcome.KILLED if noticed else TestOutcome.SURVIVED
    return WorkResult(WorkerOutcome.NORMAL, said, outcome, "\n".join(diff))


def _is_of(module: object, mutation: MutationSpec) -> bool:
    return getattr(module, "__file__", None) == str(mutation.module_path.resolve())


def _fail(tests: Sequence[str], *, seconds: float) -> tuple[bool, str]:
    """Whether tests fail, or run without end, and what they say."""
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            _run(tests, output)
        status, until = None, time.monotonic() + seconds
        while status is None and time.monotonic() < until:
            done, found = os.waitpid(child, os.WNOHANG)
            status = os.waitstatus_to_exitcode(found) if done else None
            time.sleep(0.02)
        _end(child)
        output.seek(0)
        said = output.read()
    if status is None:
        os.waitpid(child, 0)
        return True, f"{said}\nran without end"
    if status > 0 and status not in _NOTICED:
        raise RuntimeError(f"pytest ended with {status}, which is not about the tests:\n{said}")
    return status != 0, said


def _run(tests: Sequence[str], output: IO[str]) -> None:
    """What the forked process does."""
    os.setsid()
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    status = 3
    try:
        status = int(pytest.main([*PYTEST, "-x", *tests]))
    finally:
        sys.stdout.flush()
        os._exit(status)


def _end(child: int) -> None:
    """End a process, if it still runs, and those that it has started and left."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
