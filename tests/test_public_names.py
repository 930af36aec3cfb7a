"""The public names: the list, where each comes from, their signatures, examples and documentation, held together."""

import ast
import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import bapps

# The whole of it: adding a name here is a promise, taking one away breaks somebody's program.
NAMES = {
    "BappsError",
    "LPIPS",
    "Metric",
    "__version__",
    "build",
    "consistency",
    "distance",
    "distort",
    "generate",
    "list_distortions",
    "list_metrics",
    "load_metric",
    "loss",
    "parse_recipe",
    "read_dataset",
    "score",
    "verify",
}
FUNCTIONS = sorted(name for name in NAMES if inspect.isfunction(getattr(bapps, name)))


def test_the_list_of_names() -> None:
    assert set(bapps.__all__) == set(dir(bapps)) == NAMES
    assert len(NAMES) < 25
    assert {name for name in NAMES if getattr(bapps, name) is None} == set()
    with pytest.raises(AttributeError, match=r"module 'bapps' has no attribute 'scores'; it has .*score"):
        _ = bapps.scores  # pyrefly: ignore[missing-attribute]


def test_the_folder_is_small(repository: Path) -> None:
    files = {path.name for path in (repository / "bapps").iterdir() if path.name != "__pycache__"}
    assert files == {"__init__.py", "datasets.py", "images.py", "py.typed"}


def test_type_checkers_see_the_same_names(repository: Path) -> None:
    tree = ast.parse((repository / "bapps" / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    seen = {"__version__": ("bapps", "__version__")}
    for node in block.body:
        if isinstance(node, ast.ImportFrom):
            assert node.module
            seen |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    assert set(seen) == NAMES
    for name, (module, attribute) in seen.items():
        assert getattr(importlib.import_module(module), attribute) == getattr(bapps, name)


def test_nothing_is_imported_before_it_is_used() -> None:
    program = (
        "import sys, bapps\n"
        "heavy = {'torch', 'pandas', 'numpy', 'click', 'metrics', 'analysis', 'distortions'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "bapps.BappsError\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_all_there_is_to_know(name: str) -> None:
    function = getattr(bapps, name)
    signature, text = inspect.signature(function), inspect.getdoc(function) or ""
    positional = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert len(positional) <= 3  # what cannot be confused; all else by keyword
    assert signature.return_annotation is not signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not parameter.empty
        assert parameter.name in text, f"{name} does not explain {parameter.name}"
    if signature.parameters:
        assert "Parameters\n-----" in text
        assert "Raises\n-----" in text


@pytest.mark.parametrize("name", sorted(NAMES - {"__version__"}))
def test_every_name_has_an_example(name: str) -> None:
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(getattr(bapps, name)) or "")
    assert any("bapps." in one.source for one in examples), name
    assert not any(doctest.SKIP in one.options for one in examples), name


def test_the_documentation_has_every_name(repository: Path) -> None:
    page = (repository / "docs" / "python.md").read_text()
    assert [name for name in NAMES if f"`{name}" not in page and f"bapps.{name}" not in page] == []
