"""Tables too long to be held: their rows come some at a time, from Parquet files and into them."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

# Of N rows gives those that are inside, an array of shape (N,), in order; they are read anew at every call.
Portions = Callable[[NDArray[np.bool_]], Iterator[pa.Table]]

_READ = 2_000  # rows
GROUP = 5_000  # rows that a file keeps together, so that each column is compressed and read well


def table_portions(path: Path) -> Iterator[pa.Table]:
    """Read a Parquet file some rows at a time; the first portion has none and tells the columns."""
    with pq.ParquetFile(path) as file:
        yield file.schema_arrow.empty_table()
        for batch in file.iter_batches(_READ, use_threads=False):  # threads hold memory, and save no time here
            yield pa.Table.from_batches([batch])


def sliced(table: pa.Table) -> Iterator[pa.Table]:
    """Give a table that is held all the same some rows at a time."""
    return (table.slice(start, _READ) for start in range(0, len(table), _READ))


def write_portions(path: Path, tables: Iterable[pa.Table]) -> None:
    """Write tables of the same columns, with a row at least, one after the other into a Parquet file."""
    groups = regrouped(tables, GROUP)
    first = next(groups)
    with pq.ParquetWriter(path, first.schema) as writer:
        for group in chain([first], groups):
            writer.write_table(group)


def regrouped(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the same rows as tables of `rows` rows each; the last may have fewer."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        while sum(map(len, held)) >= rows:
            whole = pa.concat_tables(held)
            yield whole.slice(0, rows).combine_chunks()
            held = [whole.slice(rows)]
    if any(map(len, held)):
        yield pa.concat_tables(held).combine_chunks()


def select_rows(tables: Iterable[pa.Table], mask: NDArray[np.bool_]) -> Iterator[pa.Table]:
    """Yield the rows that `mask` selects, an array of as many elements as the tables have rows together."""
    start = 0
    for table in tables:
        part = mask[start : start + len(table)]
        if part.any():
            yield table.filter(pa.array(part))
        start += len(table)
