"""What every command shares: the check at start, one-line errors, exit statuses, progress.

Exit status 0: done. 1: a check failed (or the user interrupted). 2: input that cannot be worked with.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bapps_builder.errors import BappsError, Notice
from bapps_builder.packages import ForeignPackage, check_packages

TRACEBACK_VARIABLE = "BAPPS_TRACEBACK"

P = ParamSpec("P")


class BadInput(click.ClickException):
    """A one-line error that ends a command with exit status 2."""

    exit_code = 2

    def format_message(self) -> str:
        """Fold the message to one line, whatever the library that raised it wrote."""
        return " ".join(self.message.split())


class Command(click.Command):
    """A click command that checks where its packages come from, and turns our errors into one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; BappsError and OSError end it with one line and exit status 2."""
        try:
            check_packages()
            # Appended, never prepended: a user's metric in the current folder is found, and none of the
            # modules it holds can take the place of an installed one.
            if (folder := str(Path.cwd())) not in sys.path:
                sys.path.append(folder)
            with _notices_printed():
                return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (BappsError, ForeignPackage, OSError) as error:
            if os.environ.get(TRACEBACK_VARIABLE):
                raise
            raise BadInput(_message(error)) from error


class ListCommand(Command):
    """A command whose repeatable options also take several values in a row: `--photos A B` is `--photos A --photos B`.

    For commands without arguments only, since an argument after such an option would be taken for a value.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Name the option again before each further value."""
        repeatable = {
            name for p in self.params if isinstance(p, click.Option) and p.multiple and p.nargs == 1 for name in p.opts
        }
        written: list[str] = []
        option, values = "", 0
        for word in args:
            if word.startswith("-"):
                option, values = (word if word in repeatable else ""), 0
            else:
                if option and values:
                    written.append(option)
                values += 1
            written.append(word)
        return super().parse_args(ctx, written)


def _message(error: Exception) -> str:
    """What an error says; of one from the system the file and the reason, without its number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


@contextmanager
def _notices_printed() -> Iterator[None]:
    """Print what functions warn of as `Notice` like other notes; other warnings stay what they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", Notice)
        show = warnings.showwarning

        def shown(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, Notice):
                note(str(message))
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = shown
        yield


def note(text: str) -> None:
    """Say something to the user on standard error, so that standard output stays data."""
    click.echo(text, err=True)


@contextmanager
def progress(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error; quiet when that is not a terminal.

    Gives a function that advances it by so many steps.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)

        def advance(steps: int) -> None:
            bar.advance(task, steps)

        yield advance
