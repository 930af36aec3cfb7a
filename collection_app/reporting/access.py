"""Everything that is kept of one person, for their right of access (GDPR, Article 15).

In two parts. `who` is what tells who they are: platform, submissions, pay; it has no time finer than a day, and no name
or measurement that a table of answers has. `record` is everything else: sessions, device, every answer, what happened
and what rules found. Who keeps only one of them, or sends both and deletes them, has no list of who answered what.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, select

from collection_app.database.models import Base, Item, Participant
from collection_app.database.personal import PERSONAL, WHO
from collection_app.sessions.erasure import person_of, rows_of
from collection_app.sessions.steps import Step

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Access:
    """Rows of each table, by its name."""

    who: dict[str, Rows]
    record: dict[str, Rows]


def access(connection: Connection, step: Step, *, person: str) -> Access:
    """Give all that is kept of a participant, named by platform id or pseudonym.

    Raises
    ------
    StudyError
        See `person_of`.
    """
    of_person = select(Participant.id).where(Participant.id == person_of(connection, step, person))
    who: dict[str, Rows] = {}
    record: dict[str, Rows] = {}
    for name, columns in PERSONAL.items():
        table = Base.metadata.tables[name]
        telling = [column for column, kept in columns.items() if kept.told in WHO]
        if telling:
            who[name] = _rows(connection, table, of_person, telling, by_day=True)
        if not telling or name == "session":  # the only table of both
            record[name] = _rows(connection, table, of_person, [column for column in columns if column not in telling])
    shown = {row["item_id"] for row in record["assignment"]}
    record["item"] = _items(connection, shown)
    return Access(who, record)


def _rows(connection: Connection, table: Table, people: Any, columns: list[str], *, by_day: bool = False) -> Rows:
    query = select(*(table.c[column] for column in columns)).where(rows_of(table, people))
    rows = connection.execute(query.order_by(*table.primary_key))
    return [{name: _said(name, row[name], by_day=by_day) for name in columns} for row in rows.mappings()]


def _said(name: str, value: Any, *, by_day: bool) -> Any:
    """A value as people read it: times in UTC, and where it is asked for only their day."""
    if value is None or not (name == "at" or name.endswith(("_at", "_until"))):
        return value
    time = datetime.fromtimestamp(value / 1000, UTC)
    return time.strftime("%Y-%m-%d") if by_day else time.isoformat(timespec="milliseconds")


def _items(connection: Connection, ids: set[int]) -> Rows:
    query = select(Item.id, Item.role, Item.set_name, Item.name, Item.check_name, Item.expected).order_by(Item.id)
    wanted = sorted(ids)
    rows: Rows = []
    for first in range(0, len(wanted), 1000):
        rows += map(dict, connection.execute(query.where(Item.id.in_(wanted[first : first + 1000]))).mappings())
    return rows
