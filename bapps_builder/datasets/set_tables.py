"""The two tables beside a set, items.parquet and answers.parquet, and what they say in numbers."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bapps_builder.answers.answer_table import write_answer_portions, write_answers
from bapps_builder.answers.vote_arithmetic import agreement_paper, agreement_unbiased
from bapps_builder.datasets.dataset_record import SetSummary
from bapps_builder.errors import DatasetError
from bapps_builder.files.download import sha256_of
from bapps_builder.files.row_batches import GROUP, table_portions, write_portions
from bapps_builder.layout import ANSWERS, ITEMS, OTHER_ANSWERS, SetFolder
from bapps_builder.patch_sets.manifest import SCHEMA, item_id

Ints = NDArray[np.integer]

# What is known of an item before people are asked: its name in the study, then a manifest's columns.
SOURCE_SCHEMA = pa.schema(
    [("source_set", pa.string()), ("source_id", pa.string()), *(field for field in SCHEMA if field.name != "id")]
)
# What items.parquet holds: the number in the set, the source's columns, and the votes.
ITEMS_SCHEMA = pa.schema([("id", pa.string()), *SOURCE_SCHEMA, ("k", pa.int32()), ("n", pa.int32())])


def read_items(folder: SetFolder) -> pa.Table:
    """Read items.parquet, a table of ITEMS_SCHEMA, or raise DatasetError."""
    return pa.concat_tables(item_portions(folder)).combine_chunks()


def item_portions(folder: SetFolder) -> Iterator[pa.Table]:
    """Read items.parquet some rows at a time, as tables of ITEMS_SCHEMA, or raise DatasetError."""
    path = folder.path / ITEMS
    try:
        for table in table_portions(path):
            if table.schema.names != ITEMS_SCHEMA.names:
                raise DatasetError(
                    f"{path}: its columns are {', '.join(table.schema.names)}; expected those of a dataset"
                )
            yield table.cast(ITEMS_SCHEMA)
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file; a set built here has one") from error
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path}: not a readable table: {error}") from error


def write_tables(
    folder: SetFolder, items: Iterable[pa.Table], answers: pd.DataFrame, row: Ints, *, k: Ints, n: Ints
) -> SetSummary:
    """Write the tables of a set of N items.

    Parameters
    ----------
    folder : SetFolder
    items : tables of ITEMS_SCHEMA
        Of N rows together.
    answers : DataFrame
        All that the build has; its column `at` (see `count_votes`) is not written.
    row : array, an element an answer
        The row of its item in this set, or -1 for answers to other items.
    k, n : arrays of shape (N,)
        Votes.
    """
    write_portions(folder.path / ITEMS, items)
    recorded = np.flatnonzero(row >= 0)
    recorded = recorded[np.argsort(row[recorded], kind="stable")]
    write_answer_portions(folder.path / ANSWERS, _with_names(folder, answers, row, recorded))
    unbiased = agreement_unbiased(k, n)
    return SetSummary(
        items=len(n),
        people=int(answers["participant"][(row >= 0) & answers["use"]].nunique()),
        answers=int(n.sum()),
        recorded=len(recorded),
        fewest=int(n.min()),
        most=int(n.max()),
        agreement=float(agreement_paper(k / n).mean()),
        agreement_unbiased=float(np.nanmean(unbiased)) if np.isfinite(unbiased).any() else None,
        items_sha256=sha256_of(folder.path / ITEMS),
        answers_sha256=sha256_of(folder.path / ANSWERS),
    )


def _with_names(folder: SetFolder, answers: pd.DataFrame, row: Ints, order: Ints) -> Iterator[pd.DataFrame]:
    """Yield answers in an order by item, named as they are here; those to an item are in one of the tables."""
    rows, start = row[order], 0
    while start < len(order):
        last = min(start + GROUP, len(order)) - 1
        stop = int(np.searchsorted(rows, rows[last], "right"))
        items = [item_id(number) for number in rows[start:stop].tolist()]
        yield answers.iloc[order[start:stop]].drop(columns="at").assign(set=folder.label, item=items)
        start = stop


def write_other_answers(root: Path, answers: pd.DataFrame) -> None:
    """Keep the answers that belong to no item of the dataset: to sentinels, training items, items left out."""
    if len(answers):
        write_answers(root / OTHER_ANSWERS, answers.drop(columns="at"))
