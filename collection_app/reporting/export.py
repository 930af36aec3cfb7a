"""Writing all answers of a study as one table, in the format of `bapps_builder.answers.answer_table`, in flat memory.

Every answer is in it, used or not, with the reason. Rows come by session, then trial, then attempt. In CSV,
texts that a spreadsheet would run as a formula get a leading apostrophe.
"""

import csv
import gzip
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Row, select

from bapps_builder.answers.answer_table import SUFFIXES
from bapps_builder.answers.columns import COLUMNS
from bapps_builder.errors import DatasetError
from bapps_builder.files.atomic import replaced_whole
from collection_app.database.models import Answer, Assignment, Item, Participant, Session
from collection_app.studies.study import Study

_SESSIONS_AT_A_TIME = 50
# Until a session is over, or silent too long, no rule has judged whether its answers can be used.
UNDER_WAY = "session under way"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ARROW = {"text": pa.string(), "number": pa.float64(), "truth": pa.bool_()}
SCHEMA = pa.schema([(column.name, _ARROW[column.kind]) for column in COLUMNS])

Values = Mapping[str, Any]


class _Writer(Protocol):
    def write(self, rows: list[Values]) -> None: ...
    def close(self) -> None: ...


def export(
    connection: Connection,
    study: Study,
    study_id: int,
    *,
    path: Path,
    advance: Callable[[int], None] = lambda steps: None,
) -> int:
    """Write all answers to `path` (.parquet, .csv or .csv.gz) and a data dictionary beside it; give their number.

    Raises
    ------
    DatasetError
        If the suffix is none of these.
    """
    if not path.name.endswith(SUFFIXES):
        raise DatasetError(
            f"{path}: cannot tell its format; give a table of answers a name that ends in {', '.join(SUFFIXES)}"
        )
    count = 0
    with (
        replaced_whole(path, private=True) as temporary,
        temporary.open("wb") as file,
        closing(_writer(file, path.name)) as writer,
    ):
        for rows in _answers(connection, study, study_id):
            writer.write(rows)
            count += len(rows)
            advance(len(rows))
    write_dictionary(dictionary_path(path))
    return count


def export_pieces(connection: Connection, study: Study, study_id: int, *, name: str) -> Iterator[bytes]:
    """Give the bytes of what `export` writes to a file of this name, a piece at a time."""
    pieces = _Pieces()
    with closing(_writer(pieces, name)) as writer:
        for rows in _answers(connection, study, study_id):
            writer.write(rows)
            yield pieces.take()
    yield pieces.take()


class _Pieces(io.BytesIO):
    """A file that is taken away while it is written."""

    def __init__(self) -> None:
        super().__init__()
        self._taken = 0

    def take(self) -> bytes:
        found = self.getvalue()
        self._taken += len(found)
        self.seek(0)
        self.truncate()
        return found

    def tell(self) -> int:
        return self._taken + super().tell()

    def close(self) -> None:
        """Stay open: what the writer wrote last is still to be taken."""


def dictionary_path(path: Path) -> Path:
    """Where the data dictionary of a table is."""
    return path.with_name(path.name.split(".")[0] + ".dictionary.csv")


def write_dictionary(path: Path) -> None:
    """Write what each column means."""
    with replaced_whole(path, private=True) as temporary:
        temporary.write_bytes(dictionary().encode())


def dictionary() -> str:
    """Give what each column means, as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["column", "kind", "values", "meaning"])
    for column in COLUMNS:
        writer.writerow([column.name, column.kind, " ".join(column.values), column.meaning])
    return text.getvalue()


def _answers(connection: Connection, study: Study, study_id: int) -> Iterator[list[Values]]:
    """Rows of some sessions at a time: never all answers in memory."""
    last = 0
    while True:
        ids = connection.scalars(
            select(Session.id)
            .join(Participant)
            .where(Participant.study_id == study_id, Session.id > last)
            .order_by(Session.id)
            .limit(_SESSIONS_AT_A_TIME)
        ).all()
        if not ids:
            return
        last = ids[-1]
        found = connection.execute(
            select(Answer, Session.public_id, Session.state, Session.simulated, Participant.pseudonym)
            .add_columns(Item.set_name, Item.name, Item.role, Item.expected, Assignment.slot, Assignment.side)
            .add_columns(((Item.p0 == Item.p1) & Item.ref.is_(None)).label("identical"))
            .select_from(Session)
            .join(Participant)
            .join(Assignment, Assignment.session_id == Session.id)
            .join(Item)
            .join(Answer)
            .where(Session.id.in_(ids))
            .order_by(Session.id, Assignment.slot, Answer.attempt)
        )
        yield [_values(row, study) for row in found]


def _values(row: Row, study: Study) -> Values:
    """A value for each column: as the row has it, but for what is called or written otherwise in a table."""
    submitted = datetime.fromtimestamp(row.submitted_at / 1000, UTC)
    judged = row.state != "started"
    otherwise = {
        "study": f"{study.name}-v{study.version}",
        "set": row.set_name,
        "item": row.name,
        "task": study.task,
        "participant": row.pseudonym,
        "session": row.public_id,
        "trial": row.slot,
        "expected": row.expected or ("same" if row.identical else ""),
        "side": row.side if study.task_module.sided else "",
        "use": row.use and judged,
        "reason": row.reason if judged or not row.use else UNDER_WAY,
        "submitted_at": submitted.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return {name: otherwise[name] if name in otherwise else getattr(row, name) for name in SCHEMA.names}


def _writer(file: BinaryIO, name: str) -> _Writer:
    if name.endswith(".parquet"):
        return _Parquet(file)
    return _Csv(file, zipped=name.endswith(".gz"))


class _Parquet:
    def __init__(self, file: BinaryIO) -> None:
        self._file = pq.ParquetWriter(file, SCHEMA)

    def write(self, rows: list[Values]) -> None:
        self._file.write_table(pa.Table.from_pylist(list(map(dict, rows)), schema=SCHEMA))

    def close(self) -> None:
        self._file.close()


class _Csv:
    def __init__(self, file: BinaryIO, *, zipped: bool) -> None:
        self._raw = gzip.GzipFile("", "wb", mtime=0, fileobj=file) if zipped else file
        self._text = io.TextIOWrapper(self._raw, encoding="utf-8", newline="")
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(SCHEMA.names)

    def write(self, rows: list[Values]) -> None:
        self._rows.writerows([cell(row[name]) for name in SCHEMA.names] for row in rows)

    def close(self) -> None:
        self._text.close()  # and what it writes to


def cell(value: Any) -> str:
    """Give a value as text of a CSV cell that no spreadsheet runs as a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return repr(value)
