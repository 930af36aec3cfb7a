"""What the checks of a dataset bring up."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bapps_builder.checking.findings import Finding, Report
from bapps_builder.checking.set_files import list_files
from bapps_builder.checking.verify import verify


def checked(root: Path, *, subset: bool = False) -> Report:
    return verify(root, list_files(root), subset=subset)


def failures(report: Report) -> set[tuple[str, str]]:
    return {(one.check, one.where) for one in report.findings if one.fails}


def of(report: Report, check: str) -> Finding:
    (found,) = [one for one in report.findings if one.check == check]
    return found


def edited(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(pd.read_parquet(path)).to_parquet(path, index=False)


VAL = "2afc/val/noise"
