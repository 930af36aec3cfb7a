"""What the page on security promises is tested where it says: each file and test that it names exists."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "security.md"
NAMED = re.compile(r"`((?:[\w/]+\.py)?)(?:::(test_\w+))?`")
THREATS = 18


def rows(columns: int) -> list[list[str]]:
    """The rows of the page's tables of three columns, without heads: those that end in where it is tested."""
    cells = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [row for row in cells if len(row) == columns and row[-1] not in ("tested in", "tests")]


def functions_of(file: str) -> set[str]:
    tree = ast.parse((REPOSITORY / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def names(cell: str, before: str) -> list[tuple[str, str]]:
    """The files and tests that a cell names; "the same" is the file of the row before it."""
    files = [(before, "")] if cell.startswith("the same") else []
    for file, test in NAMED.findall(cell):
        folder = "" if file.startswith("benchmarks/") else "tests/collection_app/"
        files.append((folder + file if file else files[-1][0], test))
    return files


ROWS = rows(3)


def test_the_page_has_promises_and_every_threat() -> None:
    numbered = [int(row[0]) for row in ROWS if row[0].isdigit()]
    assert numbered == list(range(1, THREATS + 1))
    assert len(ROWS) - THREATS >= 30


def test_every_promise_names_a_file_that_exists_and_every_threat_a_test() -> None:
    before = ""
    for row in ROWS:
        named = names(row[-1], before)
        assert named, row[0]
        before = named[0][0]
        for file, test in named:
            assert (REPOSITORY / file).is_file(), (row[0], file)
            assert not test or test in functions_of(file), (row[0], file, test)
        assert not row[0].isdigit() or all(test for _, test in named), row[0]


@pytest.mark.parametrize(
    "wrong", ["`sessions/test_never_written.py`", "`sessions/test_what_counts.py::test_never_written`"]
)
def test_a_name_of_nothing_is_noticed(wrong: str) -> None:
    ((file, test),) = names(wrong, "")
    assert not (REPOSITORY / file).is_file() or test not in functions_of(file)
