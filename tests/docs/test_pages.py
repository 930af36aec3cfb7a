"""The documentation is complete: a page for each command, every module in the reference, every page in the contents."""

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from bapps_builder.commands import launch

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generated() -> Iterator[ModuleType]:
    """The file that writes the pages that follow from the code."""
    sys.path.insert(0, str(REPOSITORY / "docs"))
    import generated

    yield generated
    sys.path.remove(str(REPOSITORY / "docs"))


def test_every_script_is_a_command_with_a_page(generated: ModuleType) -> None:
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(generated.commands()) == set(scripts)
    assert {target.split(":")[1] for target in scripts.values()} == set(launch.COMMANDS)
    for name, (module, attribute) in generated.commands().items():
        page = generated.command_page(name, module, attribute)
        assert page.startswith(f"# {name}\n")
        for said in spoken(getattr(importlib.import_module(module), attribute)):
            assert said in page


def spoken(command: click.Command) -> Iterator[str]:
    """The spellings of every option of a command and of those below it."""
    for parameter in command.params:
        yield from (spelling for spelling in parameter.opts if spelling.startswith("--"))
    for below in getattr(command, "commands", {}).values():
        yield from spoken(below)


def test_every_public_module_is_in_the_reference(generated: ModuleType) -> None:
    for package in generated.PACKAGES:
        page = generated.package_page(package)
        for path in (REPOSITORY / package).rglob("*.py"):
            module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
            shown = f"automodule:: {module}\n" in page
            assert shown != bool(generated.NO_REFERENCE.search(module)), module


def test_docstrings_are_read_as_text(generated: ModuleType) -> None:
    lines = ["mean of |d0 - d1|, `a|b`, ``*``, sum_i x_ , x_i and *args"]
    generated.as_text(None, "", "", None, None, lines)
    assert lines == [r"mean of \|d0 - d1\|, `a|b`, ``*``, sum_i x\_ , x_i and \*args"]


def test_no_page_speaks_of_a_file_that_is_not_there() -> None:
    for path in [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").rglob("*.md")]:
        for named in re.findall(r"`(?:python )?((?:benchmarks|tests|examples|docs)/[\w/.-]+\.py)\b", path.read_text()):
            assert (REPOSITORY / named).is_file(), f"{path}: {named}"


def test_every_threat_has_tests_that_exist() -> None:
    page = (REPOSITORY / "docs" / "security.md").read_text()
    rows = re.findall(r"^\| (\d+) \|.*\|.*\|$", page, re.MULTILINE)
    assert [int(number) for number in rows] == list(range(1, 19))
    tests = REPOSITORY / "tests" / "collection_app"
    for row in re.findall(r"^\| \d+ \|.*$", page, re.MULTILINE):
        named = re.findall(r"`([^`]*)::(test_\w+)`", row)
        assert named, row
        file = ""
        for found, name in named:
            file = found or file  # a test without a file is in that of the one before
            assert f"def {name}(" in (tests / file).read_text(), (file, name)
