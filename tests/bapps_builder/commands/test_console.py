"""What every command shares: exit statuses, one-line errors, the check of packages, the search path."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bapps_builder.commands.console import Command, ListCommand, note, progress
from bapps_builder.commands.launch import COMMANDS
from bapps_builder.errors import (
    BappsError,
    DatasetError,
    DownloadError,
    ImageError,
    MetricError,
    WeightsError,
)


@pytest.fixture(autouse=True)
def search_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The search path of modules, put back afterwards, and no wish for tracebacks."""
    monkeypatch.delenv("BAPPS_TRACEBACK", raising=False)
    before = list(sys.path)
    yield before
    sys.path[:] = before


def run(raised: BaseException | None = None) -> Result:
    @click.command(cls=Command)
    def command() -> None:
        """Raise, or say done."""
        if raised:
            raise raised
        click.echo("done")

    return CliRunner().invoke(command, [])


@pytest.mark.parametrize("kind", [BappsError, DatasetError, DownloadError, ImageError, MetricError, WeightsError])
def test_our_errors_end_with_status_2_and_one_line(kind: type[BappsError]) -> None:
    result = run(kind("x.png: is\n  not   right"))
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "Error: x.png: is not right\n")


def test_an_error_of_the_system_ends_the_same_way(tmp_path: Path) -> None:
    result = run(FileNotFoundError(2, "No such file or directory", str(tmp_path / "absent")))
    assert result.exit_code == 2
    assert result.stderr == f"Error: {tmp_path / 'absent'}: No such file or directory\n"


def test_a_defect_of_ours_is_not_dressed_up() -> None:
    result = run(ZeroDivisionError("ours"))
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_interruption_ends_with_status_1() -> None:
    result = run(KeyboardInterrupt())
    assert result.exit_code == 1
    assert "Aborted!" in result.stderr


def test_success_is_status_0() -> None:
    result = run()
    assert (result.exit_code, result.stdout, result.stderr) == (0, "done\n", "")


def test_the_variable_shows_where_an_error_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAPPS_TRACEBACK", "1")
    error = MetricError("x")
    assert run(error).exception is error


def test_a_failed_check_inside_a_command_keeps_its_status() -> None:
    assert run(click.exceptions.Exit(1)).exit_code == 1
    assert run(click.UsageError("bad option")).exit_code == 2


# --- the search path ---------------------------------------------------------------------------------


def test_the_current_folder_is_appended_once_and_never_put_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search_path: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run().exit_code == 0
        assert sys.path == [*search_path, str(tmp_path)]


def test_a_module_of_the_current_folder_shadows_nothing(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "numpy.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "mine.py").write_text("import json, numpy; print('found', json.__name__, numpy.__name__)")
    program = (
        f"import sys; sys.path = [{str(repository)!r}, *filter(None, sys.path)]\n"
        "import click; from bapps_builder.commands.console import Command\n"
        "@click.command(cls=Command)\n"
        "def command():\n    import mine\n"
        "command([])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path, env=without_path()
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "found json numpy\n", "")


def test_a_current_folder_that_was_deleted_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    result = run()
    assert result.exit_code in (0, 2)
    assert len(result.stderr.splitlines()) <= 1


# --- intruders ---------------------------------------------------------------------------------------


def without_path() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BAPPS"))}


@pytest.mark.parametrize("name", ["metrics", "distortions", "collection_app"])
def test_a_package_of_another_distribution_is_named(tmp_path: Path, repository: Path, name: str) -> None:
    folder = tmp_path / "site-packages"
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("")
    program = (
        f"import sys; sys.path[:0] = [{str(folder)!r}, {str(repository)!r}]\n"
        "sys.argv = ['bapps-score', '--metric', 'l2', '--data', 'absent']\n"
        "from bapps_builder.commands.launch import score; score()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"Error: the package '{name}' is loaded from {folder / name}, not from {repository / name}: "
        "another distribution uses this name; remove it or use an environment of its own\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        ["bapps-score", "--metric", "l2"],
        ["bapps-distance", "a.png", "b.png", "--metric", "l2"],
        ["bapps-weights", "list"],
    ],
    ids=lambda command: command[0],
)
def test_every_installed_command_names_an_intruder(tmp_path: Path, command: list[str]) -> None:
    script = Path(sysconfig.get_path("scripts")) / command[0]
    if not script.is_file():
        pytest.skip(f"{script} is not installed")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "__init__.py").write_text("")
    done = subprocess.run(
        [script, *command[1:]],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**without_path(), "PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"the package 'metrics' is loaded from {tmp_path / 'metrics'}" in done.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_says_its_version(name: str) -> None:
    program = f"from bapps_builder.commands.launch import {name}; {name}()"
    done = subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"bapps-{name}, version {version('bapps')}\n"


def test_packages_that_are_absent_are_named(tmp_path: Path, repository: Path) -> None:
    for name in ("bapps_builder", "analysis", "metrics", "distortions"):
        (tmp_path / name).symlink_to(repository / name)
    # The four are one tree with this checkout; the fifth is nowhere.
    program = (
        "import sys, importlib.util as u\n"
        f"sys.path = [{str(tmp_path)!r}, *(p for p in sys.path if p and p != {str(repository)!r})]\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name: None if name == 'collection_app' else find(name)\n"
        "from analysis.commands.score import score; score(['--metric', 'l2'], prog_name='bapps-score')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: the package 'collection_app' is loaded from nowhere, not from ")


# --- options of several values ------------------------------------------------------------------------


def test_options_take_several_values_in_a_row() -> None:
    @click.command(cls=ListCommand)
    @click.option("--many", multiple=True)
    @click.option("--pair", nargs=2, type=int)
    @click.option("--flag", is_flag=True)
    def command(many: tuple[str, ...], pair: tuple[int, int], flag: bool) -> None:
        click.echo(repr((many, pair, flag)))

    def said(*words: str) -> str:
        return CliRunner().invoke(command, words).stdout.strip()

    assert said("--many", "a", "b", "c", "--flag") == "(('a', 'b', 'c'), None, True)"
    assert said("--many", "a", "--pair", "1", "2", "--many", "b", "c") == "(('a', 'b', 'c'), (1, 2), False)"
    assert said("--many=a", "--pair", "1", "2") == "(('a',), (1, 2), False)"
    assert CliRunner().invoke(command, ["--flag", "stray"]).exit_code == 2


# --- notes and progress ------------------------------------------------------------------------------


def test_a_note_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    note("fetching")
    assert capsys.readouterr() == ("", "fetching\n")


@pytest.mark.parametrize("total", [3, None])
def test_progress_is_quiet_when_nobody_watches(capsys: pytest.CaptureFixture[str], total: int | None) -> None:
    with progress(total, "items") as advance:
        advance(2)
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_progress_lets_an_error_through() -> None:
    with pytest.raises(MetricError, match="inside"), progress(1, "items"):
        raise MetricError("inside")
