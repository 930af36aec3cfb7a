"""A file or package of somebody else's that has the name of one of ours is named, with what to do."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

USER_FILE = '"""Mine."""\ndef mine(a, b):\n    return [0.0] * len(a)\n'


def run(program: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BAPPS"))}
    (folder / "script.py").write_text(program)
    command = [sys.executable, *options, "script.py"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=clean)


@pytest.mark.parametrize("name", ["metrics", "analysis", "distortions", "bapps_builder"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_import_names_the_file_in_the_way(tmp_path: Path, name: str, kind: str) -> None:
    place = tmp_path / f"{name}.py" if kind == "file" else tmp_path / name
    if kind == "folder":
        place.mkdir()
    (place if kind == "file" else place / "__init__.py").write_text(USER_FILE)
    done = run("import bapps", tmp_path)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.split(": ")[0].endswith(("ForeignPackage", "ImportError"))
    assert f"the package '{name}' is loaded from {place}" in last
    assert "rename it" in last
    assert "python -P" in last
    assert run("import bapps; print(bapps.load_metric('l2').name)", tmp_path, "-P").stdout == "l2\n"


def test_one_that_was_imported_before_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "metrics.py").write_text(USER_FILE)
    done = run("import metrics, sys; sys.path.pop(0); import bapps", tmp_path)
    assert f"the package 'metrics' is loaded from {tmp_path / 'metrics.py'}" in done.stderr


@pytest.mark.parametrize(
    ("what", "name", "command"),
    [
        ("metric", "metrics", "bapps-score --metric metrics:mine --data ."),
        ("metric", "bapps", "bapps-score --metric bapps:mine --data ."),
        ("distortion", "distortions", "bapps-distort list --distortions distortions:mine"),
        ("distortion", "metrics", "bapps-distort apply metrics:mine(x=1) in.png out.png"),
    ],
)
def test_what_a_package_of_ours_hides_is_named(tmp_path: Path, what: str, name: str, command: str) -> None:
    (tmp_path / f"{name}.py").write_text(USER_FILE)
    script, *arguments = command.split()
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"Error: {what} '{name}:mine': {tmp_path / f'{name}.py'} is hidden by the package '{name}' of bapps, which has "
        f"the same name; rename yours, such as my_{name}.py, and the {what} with it\n"
    )
