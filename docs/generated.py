"""The pages that follow from the code: one a command, from its help, and one a package, from its docstrings.

Commands come from `[project.scripts]`, modules from the packages themselves, so a new one is there by itself.
"""

import importlib
import inspect
import pkgutil
import re
import tomllib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("bapps", "bapps_builder", "metrics", "distortions", "analysis", "collection_app")
# What is reached by a command, a browser or a database, and not from Python.
NO_REFERENCE = re.compile(r"(^|[._])(cli|launch|migrations|commands?)($|\.)")


def write_pages(docs: Path) -> None:
    """Write commands/*.md and reference/*.md, leaving pages that are right untouched."""
    for name, (module, attribute) in commands().items():
        _write(docs / "commands" / f"{name}.md", command_page(name, module, attribute))
    for package in PACKAGES:
        _write(docs / "reference" / f"{package}.md", package_page(package))
    _write(docs / "reference" / "answers.inc", answers_table())


def commands() -> dict[str, tuple[str, str]]:
    """Every command by name, with the module and the name of its click command."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    from bapps_builder.commands import launch

    return {name: launch.COMMANDS[target.split(":")[1]] for name, target in sorted(scripts.items())}


def command_page(name: str, module: str, attribute: str) -> str:
    """Page of a command with all that is below it."""
    command: click.Command = getattr(importlib.import_module(module), attribute)
    return "\n".join(_help(command, click.Context(command, info_name=name), "#"))


def _help(command: click.Command, context: click.Context, mark: str) -> Iterator[str]:
    """What `--help` says, as Markdown: heading, usage, text, a table of the options, and the same of commands below."""
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"{mark} {context.command_path}\n"
    yield f"```text\n{context.command_path} {usage}\n```\n"
    yield from _prose(command.help or "")
    records = [each.get_help_record(context) for each in command.params if isinstance(each, click.Option)]
    if records:
        yield "| option | meaning |\n|---|---|"
        yield from (f"| `{_cell(found[0])}` | {_cell(_escaped(found[1]))} |" for found in records if found)
        yield ""
    yield from _prose(command.epilog or "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.commands[name]
            yield from _help(below, click.Context(below, parent=context, info_name=name), f"{mark}#"[:3])


def _prose(text: str) -> Iterator[str]:
    """Paragraphs; what click is told not to wrap stays as it is, its first line for a caption."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if paragraph.startswith("\b\n"):
            first, *rest = paragraph.removeprefix("\b\n").splitlines()
            laid_out = rest if first.endswith(":") else [first, *rest]
            yield f"{first}\n" if first.endswith(":") else ""
            yield "```text\n" + "\n".join(inspect.cleandoc("\n".join(laid_out)).splitlines()) + "\n```\n"
        elif paragraph:
            yield f"{_escaped(paragraph)}\n"


def _escaped(text: str) -> str:
    """Take characters that Markdown reads as markup for themselves, outside of code."""
    parts: Sequence[str] = _CODE.split(text)
    return "".join(part if k % 2 else re.sub(r"([<*])", r"\\\1", part) for k, part in enumerate(parts))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def modules(package: str) -> list[str]:
    """The public modules of a package, itself first."""
    root = importlib.import_module(package)
    found = [module.name for module in pkgutil.walk_packages(root.__path__, f"{package}.")]
    return [package, *sorted(name for name in found if not NO_REFERENCE.search(name))]


def package_page(package: str) -> str:
    """Page of a package: every public module under a heading of its own."""
    return "\n".join(
        f"{'##' if '.' in name else '#'} {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n```\n"
        for name in modules(package)
    )


def answers_table() -> str:
    """The columns of a table of answers, from the data dictionary."""
    from bapps_builder.answers.columns import COLUMNS

    rows = (
        f"| {f'**`{column.name}`**' if column.required else f'`{column.name}`'} | {column.kind} | {column.meaning} |"
        for column in COLUMNS
    )
    return "\n".join(["| column | kind | meaning |", "|---|---|---|", *rows, ""])


_ARRAY = re.compile(r"~?numpy\.ndarray\[tuple\[~?typing\.Any, \.\.\.\], ~?numpy\.dtype\[~?[\w.]+(\[[^]]*\])?\]\]")


def plain_signature(
    _app: Any, _what: str, _name: str, _object: Any, _options: Any, signature: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """Call an array an array: what is in it, and its shape, stands in the docstring."""
    first, second = (text and _ARRAY.sub("~numpy.ndarray", text) for text in (signature, result))
    return first, second


_CODE = re.compile(r"(`+[^`]*`+)")
_LAID_OUT = re.compile(r"\S {2,}\S|^ {2,}\S")


def as_text(_app: Any, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Take characters that reStructuredText reads as markup for themselves, and keep tables laid out with spaces."""
    read: list[str] = []
    for blank, paragraph in groupby(lines, key=lambda line: not line.strip()):
        some = list(paragraph)
        if what == "module" and not blank and _LAID_OUT.search(some[0]):
            read += ["::", "", *(f"    {line}" for line in some)]
        else:
            read += [_plain(line) for line in some]
    lines[:] = read


def _plain(line: str) -> str:
    parts: Sequence[str] = _CODE.split(line)
    return "".join(part if k % 2 else re.sub(r"([*|\\]|_(?=\W|$))", r"\\\1", part) for k, part in enumerate(parts))


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
