"""Tables in portions: the rows are the same however they are cut."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bapps_builder.files import row_batches
from bapps_builder.files.row_batches import regrouped, select_rows, table_portions, write_portions


def cut(table: pa.Table, *lengths: int) -> list[pa.Table]:
    starts = np.cumsum([0, *lengths])
    return [table.slice(start, length) for start, length in zip(starts, lengths, strict=False)]


ROWS = pa.table({"number": range(10), "text": [f"row {number}" for number in range(10)]})


@pytest.mark.parametrize("lengths", [(10,), (0, 1, 9), (3, 0, 3, 4), (1,) * 10])
@pytest.mark.parametrize("rows", [1, 3, 5, 10, 11])
def test_regrouped_rows_are_the_same_rows(lengths: tuple[int, ...], rows: int) -> None:
    found = list(regrouped(cut(ROWS, *lengths), rows))
    assert pa.concat_tables(found).equals(ROWS)
    assert all(len(table) == rows for table in found[:-1])
    assert 0 < len(found[-1]) <= rows


def test_no_rows_are_no_tables() -> None:
    assert list(regrouped([ROWS.slice(0, 0)], 3)) == []


def test_chosen_rows_follow_one_mask_over_all_tables() -> None:
    inside = np.arange(10) % 3 == 0
    assert pa.concat_tables(select_rows(cut(ROWS, 4, 0, 6), inside))["number"].to_pylist() == [0, 3, 6, 9]


def test_a_file_is_read_as_it_was_written_and_the_same_for_every_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_batches, "GROUP", 4)
    monkeypatch.setattr(row_batches, "_READ", 3)
    write_portions(tmp_path / "a.parquet", cut(ROWS, 7, 3))
    write_portions(tmp_path / "b.parquet", cut(ROWS, 1, 1, 8))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    first, *rest = table_portions(tmp_path / "a.parquet")
    assert len(first) == 0
    assert first.schema == ROWS.schema
    assert pa.concat_tables(rest).equals(ROWS)
    assert max(map(len, rest)) <= 3
