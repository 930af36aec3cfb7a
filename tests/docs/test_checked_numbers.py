"""What the pages say about tests is true: each test that `How the numbers were checked` names exists."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "start" / "checked-numbers.md"
NAMED = re.compile(r"`([\w/]+\.py)`: ((?:`test_\w+`(?:, )?)+)")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]


def test_the_page_has_claims() -> None:
    assert len(ROWS) >= 20
    assert all(len(row) == 3 and all(row) for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].split(",")[0])
def test_every_test_of_a_claim_exists(row: list[str]) -> None:
    named = NAMED.findall(row[2])
    # Nothing but names of files with their tests stands in the cell.
    assert NAMED.sub("", row[2]).strip("; ") == ""
    assert named
    for file, tests in named:
        tree = ast.parse((REPOSITORY / file).read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert set(re.findall(r"test_\w+", tests)) <= functions, file
