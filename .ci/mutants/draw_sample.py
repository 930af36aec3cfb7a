"""Keep a sample of a session's mutants: at most one a place in the code, the same again where the code is the same."""

import ast
import hashlib
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec

Place = tuple[int, int]  # a line, from 1, and a column, from 0
Span = tuple[Place, Place]


def main(config: str, session: str) -> None:
    settings = tomllib.loads(Path(config).read_text())["cosmic-ray"]["sample"]
    excluded = re.compile("|".join(settings["excluded-operators"]))
    with use_db(session, WorkDB.Mode.open) as work:
        ranked = sorted(work.work_items, key=lambda item: _rank(item.mutations[0], settings["seed"]))
        of_places = {}
        for item in ranked:
            mutation = item.mutations[0]
            if not excluded.fullmatch(mutation.operator_name) and _is_sensible(mutation):
                of_places.setdefault((mutation.module_path, mutation.start_pos), item)
        sample = list(of_places.values())[: settings["mutants"]]
        work.clear()
        work.add_work_items(sample)
    print(f"{len(sample)} mutants, of {len(of_places)} places in the code")


def _rank(mutation: MutationSpec, seed: int) -> tuple[str, int]:
    """By a hash of what stands there, so that a change of one line leaves the rest of the sample as it was."""
    (row, column), path = mutation.start_pos, mutation.module_path
    line = path.read_text().splitlines()[row - 1]
    # The two replacements of a number differ in nothing but whether their count is even.
    what = seed, str(path), mutation.definition_name, line, column, mutation.operator_name, mutation.occurrence % 2
    return hashlib.sha256(repr(what).encode()).hexdigest(), row


def _is_sensible(mutation: MutationSpec) -> bool:
    """Leave out annotations, stars and bars that are no operators, and the order of texts, which nothing depends on."""
    annotations, operators, texts = _syntax(mutation.module_path)
    name, start = mutation.operator_name, mutation.start_pos
    if "BinaryOperator" in name and not _within(start, operators):
        return False
    if re.search("ComparisonOperator.*_(Lt|LtE|Gt|GtE)$", name) and _within(start, texts):
        return False
    return not _within(start, annotations)


def _within(place: Place, spans: list[Span]) -> bool:
    return any(start <= place < end for start, end in spans)


@cache
def _syntax(path: Path) -> tuple[list[Span], list[Span], list[Span]]:
    """Where a file has annotations, operators of two operands, and comparisons with a text."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    annotations = [_span(note) for node in nodes for note in _annotations(node)]
    operators = [(_span(node.left)[1], _span(node.right)[0]) for node in nodes if isinstance(node, ast.BinOp)]
    compared = [node for node in nodes if isinstance(node, ast.Compare)]
    texts = [_span(node) for node in compared if any(map(_is_text, [node.left, *node.comparators]))]
    return annotations, operators, texts


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _annotations(node: ast.AST) -> Iterator[ast.expr]:
    for name in ("annotation", "returns"):
        if isinstance(note := getattr(node, name, None), ast.expr):
            yield note


def _span(node: ast.expr) -> Span:
    return (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
