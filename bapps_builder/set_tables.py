"""The two tables beside a set, items.parquet and answers.parquet, and what they say in numbers."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bapps_builder.answers import write_answers
from bapps_builder.download import sha256_of
from bapps_builder.errors import DatasetError
from bapps_builder.layout import ANSWERS, ITEMS, OTHER_ANSWERS, SetFolder
from bapps_builder.record import SetSummary
from bapps_builder.sources import SOURCE_SCHEMA
from bapps_builder.votes import agreement_paper, agreement_unbiased

# What items.parquet holds: the number in the set, the source's columns, and the votes.
ITEMS_SCHEMA = pa.schema([("id", pa.string()), *SOURCE_SCHEMA, ("k", pa.int32()), ("n", pa.int32())])


def read_items(folder: SetFolder) -> pa.Table:
    """Read items.parquet, a table of ITEMS_SCHEMA, or raise DatasetError."""
    path = folder.path / ITEMS
    try:
        table = pq.ParquetFile(path).read()
        if table.schema.names != ITEMS_SCHEMA.names:
            raise DatasetError(f"{path}: its columns are {', '.join(table.schema.names)}; wanted those of a dataset")
        return table.cast(ITEMS_SCHEMA)
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file; a set built here has one") from error
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path}: not a readable table: {error}") from error


def write_tables(
    folder: SetFolder, items: pa.Table, answers: pd.DataFrame, *, digests: Mapping[str, list[str]]
) -> SetSummary:
    """Write the tables of a set.

    Parameters
    ----------
    folder : SetFolder
    items : table of N rows
        The columns of ITEMS_SCHEMA.
    answers : DataFrame
        To these items, with `at` pointing at rows of `items`.
    digests : mapping of role to N hashes
        Of the pixels as they were written.
    """
    for role, found in digests.items():
        at = items.schema.get_field_index(f"{role}_sha256")
        items = items.set_column(at, f"{role}_sha256", pa.array(found, pa.string()))
    pq.write_table(items.cast(ITEMS_SCHEMA), folder.path / ITEMS)
    recorded = answers.iloc[np.argsort(answers["at"].to_numpy(), kind="stable")]
    ids = items["id"].to_pandas().to_numpy()
    named = recorded.assign(set=folder.label, item=ids[recorded["at"].to_numpy()])
    write_answers(folder.path / ANSWERS, named.drop(columns="at"))
    k, n = (items[name].to_numpy().astype(np.int64) for name in ("k", "n"))
    unbiased = agreement_unbiased(k, n)
    return SetSummary(
        items=len(items),
        people=int(recorded["participant"][recorded["use"]].nunique()),
        answers=int(n.sum()),
        recorded=len(recorded),
        fewest=int(n.min()),
        most=int(n.max()),
        agreement=float(agreement_paper(k / n).mean()),
        agreement_unbiased=float(np.nanmean(unbiased)) if np.isfinite(unbiased).any() else None,
        items_sha256=sha256_of(folder.path / ITEMS),
        answers_sha256=sha256_of(folder.path / ANSWERS),
    )


def write_other_answers(root: Path, answers: pd.DataFrame) -> None:
    """Keep the answers that belong to no item of the dataset: to sentinels, training items, items left out."""
    if len(answers):
        write_answers(root / OTHER_ANSWERS, answers.drop(columns="at"))
