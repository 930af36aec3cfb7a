"""Answers: one row an answer, as the collection server exports and the builder and the analysis read it.

`columns.COLUMNS` is the data dictionary. Parquet or CSV, by suffix. Only item, participant and choice must be
there: the answers of other people's studies rarely have more, and whoever needs a column says so.
"""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from bapps_builder.answers.columns import COLUMNS, TASK_BY_CHOICE, Column
from bapps_builder.errors import DatasetError
from bapps_builder.files.atomic import replaced_whole
from bapps_builder.files.row_batches import write_portions
from bapps_builder.tasks import JUDGED

SUFFIXES = (".parquet", ".csv", ".csv.gz")
# What a judgment is the share of.
_COUNTED_CHOICES = [judging.choices[1] for judging in JUDGED.values()]
_BY_NAME = {column.name: column for column in COLUMNS}
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def read_answers(
    path: Path, *, renamed: Mapping[str, str] | None = None, words: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Read and check a table of answers.

    Parameters
    ----------
    path : Path
    renamed : mapping of our column to the file's
        For files of other tools. Only the columns named here, and those with names of ours, are taken.
    words : mapping of the file's choice to ours

    Returns
    -------
    DataFrame
        The columns of `COLUMNS` that the file has, in that order, and always `task`, `role` ("test" where
        not given) and `use` (true where not given). Texts that are not given are "", numbers NaN.

    Raises
    ------
    DatasetError
        See `check_answers`; also if the file cannot be read, or has columns nobody knows.
    """
    table = _read(path)
    if renamed:
        absent = [theirs for theirs in renamed.values() if theirs not in table]
        if absent:
            raise DatasetError(f"{path}: no column {absent[0]!r}; it has {', '.join(map(str, table.columns))}")
        taken = {ours: table[theirs] for ours, theirs in renamed.items()}
        table = pd.DataFrame({name: table[name] for name in table if name in _BY_NAME} | taken)
    if words:
        choices = table["choice"] if "choice" in table else pd.Series(dtype=str)
        if unused := [word for word in words if not (choices == word).any()]:
            raise DatasetError(f"{path}: no answer has the choice {unused[0]!r}; there: {_some(choices.unique())}")
        table["choice"] = choices.replace(dict(words))
    return check_answers(table, name=str(path))


def check_answers(table: pd.DataFrame, *, name: str) -> pd.DataFrame:
    """Check a table of answers and give it the types of `COLUMNS`; see `read_answers`.

    `name` is what an error calls the table.

    Raises
    ------
    DatasetError
        If a column is unknown or missing, a value is not of its column, tasks are mixed within an item, a
        choice does not belong to its task, or a person answered an item twice in answers that count. The
        message names the first such row, and says how many there are.
    """
    if unknown := [str(column) for column in table if column not in _BY_NAME]:
        raise DatasetError(
            f"{name}: unknown columns {', '.join(unknown)}; an answers table has {', '.join(_BY_NAME)}. "
            "Drop them, or say which they are with --columns"
        )
    if missing := [column.name for column in COLUMNS if column.required and column.name not in table]:
        raise DatasetError(
            f"{name}: has the columns {', '.join(map(str, table.columns))} and lacks {', '.join(missing)}; "
            "if they have other names, say which with --columns"
        )
    if not len(table):
        raise DatasetError(f"{name}: holds no answers")
    checked = pd.DataFrame(
        {
            column.name: _typed(table[column.name].reset_index(drop=True), column, name)
            for column in COLUMNS
            if column.name in table
        }
    )
    return _check_rows(_with_defaults(checked), name)


def write_answers(path: Path, table: pd.DataFrame) -> None:
    """Check a table of answers and write it, whole or not at all."""
    _check_suffix(path)
    checked = check_answers(table, name=str(path))
    with replaced_whole(path) as temporary:
        if path.suffix == ".parquet":
            checked.to_parquet(temporary, index=False)
        else:
            checked.to_csv(temporary, index=False)


def write_answer_portions(path: Path, tables: Iterable[pd.DataFrame]) -> None:
    """Check tables of answers and write them into one Parquet file, whole or not at all.

    The answers to an item must be in one of the tables, since they are checked against each other.
    """
    checked = (check_answers(table, name=str(path)) for table in tables)
    with replaced_whole(path) as temporary:
        write_portions(temporary, (pa.Table.from_pandas(table, preserve_index=False) for table in checked))


def counted(table: pd.DataFrame) -> pd.DataFrame:
    """Only the answers that count: to test items, and not excluded."""
    return table[(table["role"] == "test") & table["use"]]


def votes(table: pd.DataFrame) -> pd.DataFrame:
    """Count votes: a row an item in the order of first appearance, with set (if given), item, task, k and n.

    k are votes for p1 or "same". Every row given is counted; see `counted`.
    """
    keys = [key for key in ("set", "item", "task") if key in table]
    grouped = table["choice"].isin(_COUNTED_CHOICES).groupby([table[key] for key in keys], sort=False)
    return grouped.agg(k="sum", n="size").reset_index()


def _read(path: Path) -> pd.DataFrame:
    _check_suffix(path)
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header
            table = pd.read_csv(path, dtype=str, index_col=False, keep_default_na=False, skipinitialspace=True)
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, pa.ArrowException, pd.errors.ParserWarning) as error:
        raise DatasetError(f"{path}: not a readable table: {error}") from error
    table.columns = table.columns.str.strip()
    return table


def _check_suffix(path: Path) -> None:
    if not path.name.endswith(SUFFIXES):
        raise DatasetError(
            f"{path}: cannot tell its format; give a table of answers a name that ends in {', '.join(SUFFIXES)}"
        )


def _typed(values: pd.Series, column: Column, name: str) -> pd.Series:
    if column.kind == "number":
        # Numbers as text come from CSV, where an empty cell is "not given".
        numbers = pd.to_numeric(values.replace("", np.nan), errors="coerce").astype(np.float64)
        _refuse(numbers.isna() & values.notna() & (values != ""), values, column.name, name, "a number")
        _refuse(numbers.isin([np.inf, -np.inf]), values, column.name, name, "a finite number")
        return numbers
    # By way of objects only where there are some, since a column of them takes ten times the memory.
    texts = values if isinstance(values.dtype, pd.StringDtype) else values.astype(object).where(values.notna(), "")
    texts = texts.fillna("").astype(str)
    if column.kind == "truth":
        truths = texts.str.lower().map(_TRUTHS)
        _refuse(truths.isna(), values, column.name, name, "true or false")
        return truths.astype(bool)
    if column.required:
        _refuse(texts == "", values, column.name, name, "given")
    if column.values:
        allowed = column.values if column.required else (*column.values, "")
        _refuse(~texts.isin(allowed), values, column.name, name, " or ".join(column.values))
    return texts


def _with_defaults(table: pd.DataFrame) -> pd.DataFrame:
    by_choice = table["choice"].map(TASK_BY_CHOICE)
    table["task"] = table["task"].where(table["task"] != "", by_choice) if "task" in table else by_choice
    table["role"] = table["role"].replace("", "test") if "role" in table else "test"
    if "use" not in table:
        table["use"] = True
    return table[[column.name for column in COLUMNS if column.name in table]]


def _check_rows(table: pd.DataFrame, name: str) -> pd.DataFrame:
    for task, judging in JUDGED.items():
        foreign = (table["task"] == task) & ~table["choice"].isin(judging.choices)
        _refuse(foreign, table["choice"], f"choice in the task {task}", name, " or ".join(judging.choices))
    keys = [key for key in ("study", "set", "item") if key in table]
    tasks = table.drop_duplicates([*keys, "task"])
    if (mixed := tasks.duplicated(keys)).any():
        raise DatasetError(
            f"{name}: item {tasks['item'][mixed].iloc[0]} has answers of both tasks, {' and '.join(JUDGED)}"
        )
    counting = counted(table)
    if (twice := counting.duplicated([*keys, "participant"])).any():
        first = counting[twice].iloc[0]
        raise DatasetError(
            f"{name}: {int(twice.sum())} answers that count are from people who already answered the same item (the "
            f"first is {first['participant']}, item {first['item']}); set use = false for all but one of them"
        )
    return table


def _refuse(bad: pd.Series, values: pd.Series, column: str, name: str, need: str) -> None:
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise DatasetError(
            f"{name}: {int(bad.sum())} of {len(bad)} values of {column} are not {need}, the first in row "
            f"{first + 1}: {values.iloc[first]!r}"
        )


def _some(values: np.ndarray) -> str:
    examples = ", ".join(map(repr, values[:5]))
    return examples + (" ..." if len(values) > 5 else "")
