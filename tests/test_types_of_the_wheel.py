"""What a type checker of somebody who installed the wheel sees: our types, and mistakes as errors."""

import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from bapps_builder.packages import PACKAGES

SCRIPT = """\
from typing import assert_type

import pandas as pd
import torch

import bapps
from analysis.report.results import Scores
from metrics.metric import Metric

metric = bapps.load_metric("lpips-alex", device="cpu")
assert_type(metric, Metric)
assert_type(bapps.list_metrics(), dict[str, str])
assert_type(bapps.distance("l2", "a.png", "b.png"), float)
scores = bapps.score(["l2"], "dataset", ci="items")
assert_type(scores, Scores)
assert_type(scores.to_frame(), pd.DataFrame)
assert_type(bapps.distort("a.png", "identity").ndim, int)
loss: torch.nn.Module = bapps.loss("ssim")
assert_type(bapps.__version__, str)
"""
MISTAKES = {
    "bapps.load_metric(3)": "bad-argument-type",
    'bapps.score(["l2"], "dataset", ci="photos")': "bad-argument-type",
    'bapps.distance("l2", 1, 2)': "no-matching-overload",
    "bapps.scores": "missing-attribute",
    "scores.to_fame()": "missing-attribute",
    'bapps.distort("a.png", "identity").save("b.png")': "missing-attribute",
    'bapps.loss("ssim", device="cpu")': "unexpected-keyword",
    'bapps.generate("photos", "out")': "missing-argument",
}


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an environment holds after the wheel was installed in it, with all that it needs."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", repository]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    site = folder / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    ours = {"bapps", *PACKAGES}
    for other in Path(sysconfig.get_path("purelib")).iterdir():
        if other.suffix != ".pth" and other.name not in ours and not other.name.startswith("bapps-"):
            (site / other.name).symlink_to(other.resolve())
    return site


def checked(text: str, folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Type-check a script in a folder of its own, with the packages installed in `site` and none of this checkout."""
    (folder / "script.py").write_text(text)
    (folder / "pyrefly.toml").write_text(
        f"skip-interpreter-query = true\nsite-package-path = [{json.dumps(str(site))}]\n"
    )
    checker = shutil.which("pyrefly", path=Path(sys.executable).parent)
    assert checker
    command = [checker, "check", "script.py", "--output-format", "min-text"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.slow
def test_the_checker_sees_the_wheel_and_nothing_else(tmp_path: Path) -> None:
    without = tmp_path / "site-packages"
    without.mkdir()
    assert "Cannot find module `bapps`" in checked("import bapps\n", tmp_path, without).stdout


@pytest.mark.slow
def test_every_package_of_the_wheel_says_that_it_is_typed(installed: Path) -> None:
    assert [name for name in ("bapps", *PACKAGES) if not (installed / name / "py.typed").is_file()] == []


@pytest.mark.slow
def test_a_script_without_mistakes_has_no_errors(installed: Path, tmp_path: Path) -> None:
    done = checked(SCRIPT, tmp_path, installed)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize(("mistake", "kind"), MISTAKES.items())
def test_a_mistake_is_an_error(mistake: str, kind: str, installed: Path, tmp_path: Path) -> None:
    done = checked(f"{SCRIPT}{mistake}\n", tmp_path, installed)
    assert done.returncode == 1
    assert done.stdout.count("ERROR") == 1
    assert f"script.py:{len(SCRIPT.splitlines()) + 1}:" in done.stdout
    assert f"[{kind}]" in done.stdout
