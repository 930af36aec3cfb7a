"""The command `bapps-build`, and what it built."""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from click.testing import CliRunner, Result

from bapps_builder.commands.bapps_build import build as command

Make = Callable[..., Path]

Answers = Callable[..., pd.DataFrame]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def built(*arguments: object) -> None:
    result = run("build", *arguments)
    assert result.exit_code == 0, result.output


def refused(*arguments: object) -> str:
    """Run a command that must end with one line and exit status 2."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


def written(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def fractions(root: Path, task: str = "2afc", label: str = "val/noise") -> dict[str, float]:
    folder = root / task / label / {"2afc": "judge", "jnd": "same"}[task]
    return {path.stem: float(np.load(path).reshape(())) for path in sorted(folder.iterdir())}


def tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def counted_by_hand(table: pd.DataFrame, choice: str = "p1") -> dict[str, float]:
    totals: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for row in table.to_dict("records"):
        if row["role"] == "test" and row["use"]:
            totals[row["item"]] += 1
            counts[row["item"]] += row["choice"] == choice
    return {item: float(np.float32(counts[item] / totals[item])) for item in sorted(totals)}
