"""Which tests reach which line, and how long each takes, recorded once before anything is mutated."""

import ast
import json
import math
import sys
import tomllib
from pathlib import Path

import coverage
import pytest

PYTEST = ("-q", "-m", "not slow", "-p", "no:cacheprovider")
_COVERAGE, _SECONDS = Path(".coverage"), Path("seconds.json")


def record(config: str) -> None:
    """Run all tests, and write down what each reaches; one that fails is said, and used for no mutant."""
    settings = tomllib.loads(Path(config).read_text())["cosmic-ray"]
    packages, tests = {path.split("/")[0] for path in settings["module-path"]}, settings["sample"]["tests"]
    passed = _Passed()
    traced = ["--cov-context=test", "--cov-report=", *(f"--cov={name}" for name in packages)]
    pytest.main([*PYTEST, *traced, *tests], plugins=[passed])
    _SECONDS.write_text(json.dumps({test: seconds for test, seconds in passed.seconds.items() if seconds < math.inf}))


class _Passed:
    """A plugin of pytest that measures how long each test takes with what is made for it; infinite if it fails."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        seconds = report.duration if report.passed else math.inf
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + seconds


def reaching(path: Path, line: int) -> dict[str, float]:
    """The tests that run the statement of a line; if that is on import, those of its wing and of all in its file.

    With their seconds, the quickest first. The file has to be as it was recorded.
    """
    data = coverage.CoverageData(_COVERAGE)
    data.read()
    of_lines = data.contexts_by_lineno(str(path.resolve()))
    source = path.read_text()
    contexts = {context for at in _statement(source, line) for context in of_lines.get(at, ())}
    # Of what runs on import, coverage knows only the test that happened to import the file first.
    on_import = _runs_on_import(source, line) or "" in contexts or not contexts
    if on_import:
        contexts = {context for some in of_lines.values() for context in some}
    tests = {context.rpartition("|")[0] for context in contexts}
    # What makes a fixture is the first test that asks for it; the rest of its file read what was made.
    files = {_file(context) for context in contexts if context.endswith("|setup")}
    seconds = json.loads(_SECONDS.read_text())
    wings = {str(folder) for folder in (Path("tests") / path).parents} if on_import else set()
    chosen = [
        test for test in seconds if test in tests or _file(test) in files or str(Path(_file(test)).parent) in wings
    ]
    return {test: seconds[test] for test in sorted(chosen, key=seconds.__getitem__)}


def _file(test: str) -> str:
    return test.split("::")[0]


def _runs_on_import(source: str, line: int) -> bool:
    """Whether a line is in no function's body; what a function is given by default is set on import too."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return not any(node.body[0].lineno <= line <= (node.end_lineno or 0) for node in functions)


def _statement(source: str, line: int) -> range:
    """The lines of the innermost statement that holds a line; of one with a body, those before the body."""
    found = range(line, line + 1)
    for node in ast.walk(ast.parse(source)):  # from the outside in
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0):
            body = getattr(node, "body", None)
            end = body[0].lineno if body else (node.end_lineno or 0) + 1
            if line < end:
                found = range(node.lineno, end)
    return found


if __name__ == "__main__":
    record(*sys.argv[1:])
