"""Every command in the documentation exists, with its options, and does what the page says it does: it runs.

A ```sh block is a step, and so is a ```python block that begins with the name of a file, which it becomes.
The steps of a page run in its order, in a folder that holds what the page's comment `<!-- given: ... -->` names.
A block that cannot run has the reason before it: `<!-- not run: needs a GPU -->`. Every line of a block that has
`<!-- prints -->` before it is among what the step above it prints.
"""

import importlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from bapps_builder.commands.launch import COMMANDS

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")])
GENERATED = ("commands", "reference", "_build")
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+?) -->\n+)?^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
PRINTS = re.compile(r"\n+<!-- prints -->\n```text\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
GIVEN = re.compile(r"^<!-- given: ([a-z0-9., -]+) -->$", re.MULTILINE)
COMMAND = re.compile(r"^\s*(?:\$ )?(bapps-[a-z]+|torchrun|python|pip|make)\b")


@dataclass(frozen=True)
class Step:
    """A block that is run, or the reason why it is not."""

    text: str
    language: str
    reason: str | None
    prints: list[str]

    @property
    def file(self) -> str | None:
        """The name of the file that a block of Python becomes."""
        named = re.match(r"# ([a-z_]+\.py)\n", self.text) if self.language == "python" else None
        return named and named[1]


def pages() -> Iterator[tuple[str, list[Step]]]:
    """Every page by hand with the steps on it."""
    for path in PAGES:
        name = path.relative_to(REPOSITORY).as_posix()
        if not any(f"docs/{folder}/" in name for folder in GENERATED):
            text = path.read_text()
            found = [read_step(text, block) for block in BLOCK.finditer(text)]
            yield name, [step for step in found if step.language == "sh" or step.file]


def read_step(page: str, block: re.Match[str]) -> Step:
    """A block with what the page says that it prints."""
    printed = PRINTS.match(page, block.end())
    return Step(block["text"], block["language"], block["reason"], printed["text"].splitlines() if printed else [])


STEPS = {name: steps for name, steps in pages() if steps}


def test_what_a_page_says_is_printed_belongs_to_a_step() -> None:
    for name, steps in STEPS.items():
        assert (REPOSITORY / name).read_text().count("<!-- prints -->") == sum(bool(step.prints) for step in steps)


def test_there_are_ten_recipes_of_ten_lines_that_run() -> None:
    recipes = re.split(r"^(?=\*\*)", (REPOSITORY / "docs/start/recipes.md").read_text(), flags=re.MULTILINE)[1:]
    assert len(recipes) == 10
    for recipe in recipes:
        steps = [read_step(recipe, block) for block in BLOCK.finditer(recipe)]
        assert steps
        assert all((step.language == "sh" or step.file) and not step.reason for step in steps), recipe
        assert sum(len(step.text.splitlines()) for step in steps) <= 10, recipe


def test_the_pages_have_commands() -> None:
    assert {"README.md", "docs/training.md", "docs/datasets.md", "docs/tutorials/prolific-study.md"} <= set(STEPS)


def test_no_command_hides_in_another_kind_of_block() -> None:
    hidden = []
    for path in PAGES:
        name, text = path.relative_to(REPOSITORY).as_posix(), path.read_text()
        if any(f"docs/{folder}/" in name for folder in GENERATED):
            continue
        others = [m["text"] for m in BLOCK.finditer(text) if m["language"] != "sh"]
        indented = re.findall(r"(?:^    .*\n)+", BLOCK.sub("", text), re.MULTILINE)
        hidden += [
            f"{name}: {line}" for some in [*others, *indented] for line in some.splitlines() if COMMAND.match(line)
        ]
    assert not hidden, "make these ```sh blocks:\n" + "\n".join(hidden)


def calls(text: str) -> Iterator[list[str]]:
    """The words of each command of ours in a block."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        starts = [k for k, word in enumerate(words) if word.startswith("bapps-")]
        if starts:
            rest = words[starts[0] :]
            yield rest[: next((k for k, word in enumerate(rest) if word in {"|", ">", "&&", ";"}), len(rest))]


@pytest.mark.parametrize("name", STEPS)
def test_commands_and_options_exist(name: str) -> None:
    for words in (words for step in STEPS[name] if step.language == "sh" for words in calls(step.text)):
        module, attribute = COMMANDS[words[0].removeprefix("bapps-")]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        rest = words[1:]
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            assert rest[0] in command.commands, words
            command = command.commands[rest.pop(0)]
        known = {spelling for parameter in command.params for spelling in parameter.opts} | {"--help"}
        unknown = [word for word in rest if word.startswith("--") and word.split("=")[0] not in known]
        assert not unknown, words


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_commands_run(name: str, shelf: Any, tmp_path: Path) -> None:
    for given in GIVEN.findall((REPOSITORY / name).read_text()):
        for thing in given.split():
            shelf.give(thing, tmp_path)
    for step in STEPS[name]:
        if step.file:
            (tmp_path / step.file).write_text(step.text)
        elif not step.reason:
            said = {line.rstrip() for line in shelf.run(step.text, tmp_path).splitlines()}
            assert not [line for line in step.prints if line.rstrip() not in said], "\n".join(sorted(said))
