"""Tables of distances: what metrics said about the items of a set, in memory and as files.

A file has one row an item and metric, with the columns

    id, d0, d1, judge          2AFC: distances of p0 and p1 to the reference, fraction of people for p1
    id, distance, same         JND: distance of the pair, fraction of people who said "same"

and, optionally, metric and set (else the file's name stands for the set). CSV, gzipped CSV or Parquet,
by suffix. Whatever computes distances elsewhere (MATLAB, a remote service) can be scored through it.
"""

import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bapps_builder.errors import DatasetError
from bapps_builder.files.atomic import replaced_whole
from bapps_builder.layout import Task

Floats = NDArray[np.float64]

DISTANCE_COLUMNS: dict[Task, tuple[str, ...]] = {"2afc": ("d0", "d1"), "jnd": ("distance",)}
LABEL_COLUMN: dict[Task, str] = {"2afc": "judge", "jnd": "same"}
SUFFIXES = (".csv", ".csv.gz", ".parquet")
UNNAMED_METRIC = "distances"


@dataclass(frozen=True)
class SetDistances:
    """What M metrics said about the N items of one set.

    Attributes
    ----------
    task : "2afc" or "jnd"
    label : str
        The set, as "split/name".
    metrics : tuple of M names
    ids : tuple of N item ids
    distances : array of shape (M, K, N)
        K = 2 for 2AFC (p0, p1), 1 for JND.
    labels : array of shape (N,)
        What people said, in [0, 1].
    """

    task: Task
    label: str
    metrics: tuple[str, ...]
    ids: tuple[str, ...]
    distances: Floats
    labels: Floats


def write_distances(path: Path, results: Sequence[SetDistances]) -> None:
    """Write a table of distances, whole or not at all.

    Raises
    ------
    DatasetError
        If the suffix is none of .csv, .csv.gz, .parquet.
    """
    check_suffix(path)
    table = distance_table(results)
    with replaced_whole(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False)


def distance_table(results: Sequence[SetDistances]) -> pd.DataFrame:
    """Every distance with what people said about its item, as in a file."""
    return pd.concat([_frame(result, row) for result in results for row in range(len(result.metrics))])


def read_distances(path: Path) -> list[SetDistances]:
    """Read a table of distances, one result for each set and metric in it, in the order of the file.

    Raises
    ------
    DatasetError
        If the file cannot be read, lacks columns, or holds a value that is no distance or no fraction;
        the message names the first such row.
    """
    table = _read_table(path)
    tasks: list[Task] = [task for task in DISTANCE_COLUMNS if set(_columns(task)) <= set(table.columns)]
    if not tasks:
        raise DatasetError(
            f"{path}: has the columns {', '.join(map(str, table.columns))}; "
            "expected id, d0, d1, judge or id, distance, same"
        )
    stem = path.name.removesuffix(
        next(suffix for suffix in sorted(SUFFIXES, key=len)[::-1] if path.name.endswith(suffix))
    )
    for column, default in (("set", stem), ("metric", UNNAMED_METRIC)):
        table[column] = table[column].fillna(default) if column in table else default
    results = []
    for task in tasks:
        rows = table[table[list(_columns(task)[1:])].notna().any(axis=1)] if len(tasks) > 1 else table
        _check_values(path, rows, task)
        for (label, metric), group in rows.groupby(["set", "metric"], sort=False):
            results.append(_result(path, task, str(label), str(metric), group))
    if not results:
        raise DatasetError(f"{path}: holds no rows")
    return results


def _columns(task: Task) -> tuple[str, ...]:
    return ("id", *DISTANCE_COLUMNS[task], LABEL_COLUMN[task])


def _frame(result: SetDistances, row: int) -> pd.DataFrame:
    columns = dict(zip(DISTANCE_COLUMNS[result.task], result.distances[row], strict=True))
    return pd.DataFrame(
        {"metric": result.metrics[row], "set": result.label, "id": result.ids, **columns}
        | {LABEL_COLUMN[result.task]: result.labels}
    )


def _result(path: Path, task: Task, label: str, metric: str, group: pd.DataFrame) -> SetDistances:
    repeated = group["id"][group["id"].duplicated()]
    if len(repeated):
        raise DatasetError(f"{path}: two rows for item {repeated.iloc[0]} of set {label}, metric {metric}")
    return SetDistances(
        task=task,
        label=label,
        metrics=(metric,),
        ids=tuple(group["id"]),
        distances=group[list(DISTANCE_COLUMNS[task])].to_numpy(np.float64).T[None],
        labels=group[LABEL_COLUMN[task]].to_numpy(np.float64),
    )


def _read_table(path: Path) -> pd.DataFrame:
    check_suffix(path)
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            # As text, and made numbers by numpy, which rounds correctly in every version of pandas.
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header
                table = pd.read_csv(path, dtype=str, index_col=False, keep_default_na=False, skipinitialspace=True)
            table.columns = table.columns.str.strip()
            for column in {"d0", "d1", "distance", "judge", "same"} & set(table):
                table[column] = _numbers(table[column])
            for column in {"set", "metric"} & set(table):
                table[column] = table[column].replace("", None)
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, zlib.error, pa.ArrowException, pd.errors.ParserWarning) as error:
        raise DatasetError(f"{path}: not a readable table: {error}") from error
    if "id" in table:
        missing = np.flatnonzero(table["id"].isna() | (table["id"].astype(str) == ""))
        if missing.size:
            raise DatasetError(f"{path}: row {missing[0] + 1} has no id")
        table["id"] = table["id"].astype(str)
    return table


def _numbers(texts: pd.Series) -> "pd.Series":
    """Texts to float64; what is no number stays text, for the error that names it."""

    def number(text: str) -> float | str:
        try:
            return float(text) if text else float("nan")
        except ValueError:
            return text

    return texts.map(number)


def check_suffix(path: Path) -> None:
    """Raise DatasetError unless the name ends as a table of distances does."""
    if not path.name.endswith(SUFFIXES):
        raise DatasetError(f"{path}: a table of distances ends in {', '.join(SUFFIXES)}")


def _check_values(path: Path, rows: pd.DataFrame, task: Task) -> None:
    label = LABEL_COLUMN[task]
    for column in (*DISTANCE_COLUMNS[task], label):
        values = pd.to_numeric(rows[column], errors="coerce").to_numpy(np.float64)
        bad = ~((values >= 0) & (values <= 1)) if column == label else np.isnan(values)
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            need = "a fraction in [0, 1]" if column == label else "a number"
            raise DatasetError(
                f"{path}: {int(bad.sum())} of {len(rows)} values of {column} are not {need}, the first for item "
                f"{rows['id'].iloc[first]}: {rows[column].tolist()[first]!r}"
            )


def check_same_items(results: Iterable[SetDistances]) -> None:
    """Raise DatasetError unless all results of a set are about the same items and people, each metric once."""
    first_of: dict[tuple[Task, str], SetDistances] = {}
    pairs: set[tuple[Task, str, str]] = set()
    for result in results:
        for metric in result.metrics:
            if (result.task, result.label, metric) in pairs:
                raise DatasetError(f"set {result.label}: two lists of distances for metric {metric}; keep one")
            pairs.add((result.task, result.label, metric))
        first = first_of.setdefault((result.task, result.label), result)
        if first is result:
            continue
        mine, theirs = (
            dict(zip(result.ids, result.labels, strict=True)),
            dict(zip(first.ids, first.labels, strict=True)),
        )
        who = f"set {result.label}: {result.metrics[0]} and {first.metrics[0]}"
        if mine.keys() != theirs.keys():
            odd = sorted(mine.keys() ^ theirs.keys())
            raise DatasetError(f"{who} are about different items ({len(odd)} in one only, such as {odd[0]})")
        for item in result.ids:
            if abs(mine[item] - theirs[item]) > 1e-6:
                raise DatasetError(f"{who} have different answers for item {item}: {mine[item]} and {theirs[item]}")
