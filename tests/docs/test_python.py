"""The page about Python, the notebook, and the example of every public name: they run, and say what happens."""

import doctest
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bapps

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "python.md"
NOTEBOOK = REPOSITORY / "docs" / "notebooks" / "from-arrays-to-a-table.ipynb"
DATA = re.compile(r'"(photos|patches|answers\.parquet|dataset)"')
EXAMPLES = {
    name: doctest.DocTestParser().get_doctest(text, {}, f"bapps.{name}", None, 0)
    for name in bapps.__all__
    if name != "__version__" and (text := inspect.getdoc(getattr(bapps, name)))
}
WITH_DATA = sorted(name for name, one in EXAMPLES.items() if any(DATA.search(each.source) for each in one.examples))
PLAIN = sorted(set(EXAMPLES) - set(WITH_DATA))


def run_example(name: str) -> None:
    one = EXAMPLES[name]
    assert one.examples
    said: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(one, out=said.append)
    assert not failed, "".join(said)


def run_program(text: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import matplotlib; matplotlib.use('agg')\n{text}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", PLAIN)
def test_an_example_says_what_happens(name: str) -> None:
    run_example(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_DATA)
def test_an_example_with_data_says_what_happens(
    name: str, shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for thing in {thing for each in EXAMPLES[name].examples for thing in DATA.findall(each.source)}:
        shelf.give(thing, tmp_path)
    monkeypatch.chdir(tmp_path)
    run_example(name)


@pytest.mark.slow
def test_the_page_runs(shelf: Any, tmp_path: Path) -> None:
    text = PAGE.read_text()
    (given,) = re.findall(r"^<!-- given: (.*) -->$", text, re.MULTILINE)
    for thing in given.split():
        shelf.give(thing, tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 5
    run_program("\n".join(blocks), tmp_path)


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert (notebook["nbformat"], len(code)) == (4, 7)
    # What a notebook is committed with is its text alone: results of one run and one machine would not stay true.
    assert all(cell["outputs"] == [] for cell in notebook["cells"] if cell["cell_type"] == "code")
    proof = """
assert list(frame.columns) == ["task", "set", "metric", "measure", "score", "low", "high"]
assert frame["score"].between(0, 1).all() and (found["low"] < found["score"]).all()
# Those who answered look at edges, as gmsd does, and not at the mean level.
score = found.set_index("metric")["score"]
assert score["gmsd"] == score.max() and score["__main__:mean_level"] == score.min()
assert Path("scores.png").stat().st_size > 5000
assert "<table>" in scores._repr_html_()
"""
    run_program("\n".join([*code, proof]), tmp_path)
