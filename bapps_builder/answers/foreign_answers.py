"""Answers as other tools and older studies left them, given our columns.

Columns may have other names, choices other words, and one row may hold several trials, as in the batch
results of Amazon Mechanical Turk: `Input.item1, Answer.choice1, Input.item2, ...`. A mapping then names
them with `{n}` in place of the number. Choices of a side are decoded with the side on which p1 was shown.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa

from bapps_builder.answers.answer_table import check_answers
from bapps_builder.answers.columns import COLUMNS
from bapps_builder.errors import DatasetError

NUMBER = "{n}"
_SIDES = ("left", "right")
_OURS = [column.name for column in COLUMNS]


def read_foreign_answers(path: Path, *, columns: Mapping[str, str], words: Mapping[str, str]) -> pd.DataFrame:
    """Read a CSV or Parquet file of answers with other columns.

    Parameters
    ----------
    path : Path
    columns : mapping of our column to theirs
        For item, participant and choice, if they have other names, and whatever else is wanted. Others of
        theirs are not read.
    words : mapping of their choice to p0, p1, same, different, left or right
        Those that are one of these already need not be given. left and right are decoded with the column
        `side`, where p1 was shown; its words are translated too.

    Returns
    -------
    DataFrame
        See `answer_table.check_answers`. People are numbered in the order of their first answer, since ids of a
        platform are not to be kept; without a column `trial`, the number in the row is the trial.

    Raises
    ------
    DatasetError
        If the file cannot be read, lacks a column, or a choice is none of the words.
    """
    unknown = [name for name in columns if name not in _OURS]
    if unknown:
        raise DatasetError(f"no column of answers is called {unknown[0]!r}; there are {', '.join(_OURS)}")
    ours = {name: name for name in ("item", "participant", "choice")}  # where they have these names already
    table = _long(_read(path), {**ours, **columns}, name=str(path))
    if "side" in table:
        table["side"] = table["side"].replace(dict(words))
    table["choice"] = _decoded(table["choice"].replace(dict(words)), table.get("side"), name=str(path))
    table["participant"] = [f"person-{number + 1:05d}" for number in pd.factorize(table["participant"])[0]]
    return check_answers(table, name=str(path))


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype=str, index_col=False, keep_default_na=False)
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, pa.ArrowException) as error:
        raise DatasetError(f"{path}: not a readable table: {error}") from error


def _long(table: pd.DataFrame, columns: Mapping[str, str], *, name: str) -> pd.DataFrame:
    """One row an answer, with our names."""
    numbers = _numbers(list(map(str, table.columns)), columns)
    parts = []
    for number in numbers:
        theirs = {ours: column.replace(NUMBER, number) for ours, column in columns.items()}
        if absent := [column for column in theirs.values() if column not in table]:
            raise DatasetError(f"{name}: no column {absent[0]!r}; it has {', '.join(map(str, table.columns))}")
        part = pd.DataFrame({ours: table[column] for ours, column in theirs.items()})
        if number and "trial" not in columns:
            part["trial"] = float(number)
        parts.append(part.assign(_row=range(len(part))))
    long = pd.concat(parts, ignore_index=True).sort_values("_row", kind="stable").drop(columns="_row")
    # Trials that a row does not use are empty cells.
    used = (long["item"].fillna("").astype(str) != "") | (long["choice"].fillna("").astype(str) != "")
    return long[used].reset_index(drop=True) if len(numbers) > 1 else long


def _numbers(theirs: list[str], columns: Mapping[str, str]) -> list[str]:
    """The numbers that stand for `{n}` in the file, or one empty text where no column has any."""
    pattern = next((column for column in columns.values() if NUMBER in column), None)
    if pattern is None:
        return [""]
    before, _, after = pattern.partition(NUMBER)
    matcher = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    numbers = {match[1] for column in theirs if (match := matcher.fullmatch(column))}
    if not numbers:
        raise DatasetError(f"no column is like {pattern!r} with a number in place of {NUMBER}")
    return sorted(numbers, key=int)


def _decoded(choice: pd.Series, side: pd.Series | None, *, name: str) -> pd.Series:
    """Turn left and right into p0 and p1: p1 is chosen where its side is."""
    sided = choice.isin(_SIDES)
    if not sided.any():
        return choice
    if side is None or (sided & ~side.isin(_SIDES)).any():
        row = int((sided if side is None else sided & ~side.isin(_SIDES)).to_numpy().argmax())
        raise DatasetError(
            f"{name}: the choice in row {row + 1} is {choice.iloc[row]!r}, and the side on which p1 was shown is "
            f"{'not given' if side is None else repr(side.iloc[row])}; name its column with --columns side=..."
        )
    return choice.mask(sided, (choice == side).map({True: "p1", False: "p0"}))
