"""Upgrading while people answer: what the version before wrote and read works on the newest tables."""

import itertools
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, func, insert, inspect, select, text

from collection_app.database.connections import alembic_config, migrate, open_database, read, write

BEFORE = "0003"
# Tables that a migration made anew, because no version before it had ever written to them.
REMADE = {("payment", "0003")}
_COUNTED = """
    SELECT answer.submitted_at / 60000, assignment.session_id, count(*), sum(CASE WHEN valid THEN 0 ELSE 1 END)
    FROM answer JOIN assignment ON assignment.id = answer.assignment_id GROUP BY 1, 2 ORDER BY 1, 2
"""
_KEPT = "SELECT minute, session_id, answers, failed FROM pace ORDER BY 1, 2"


def rows(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text(statement))]


def as_before(engine: Engine) -> MetaData:
    """The tables as a program of the version before knows them."""
    found = MetaData()
    found.reflect(engine)
    return found


def answer(connection: Connection, tables: MetaData, number: int, *, submitted_at: int, valid: bool = True) -> None:
    """Store an answer with the columns that `tables` has, in a trial of its own of the one session."""
    trial, given = tables.tables["assignment"], tables.tables["answer"]
    connection.execute(
        insert(trial).values(
            id=number,
            session_id=1,
            participant_id=1,
            item_id=number,
            slot=number,
            side="left",
            state="answered",
            holds=False,
        )
    )
    values = {"choice": "p0", "valid": valid, "use": valid, "reason": "", "reaction_ms": 1.0, "input": "mouse"}
    connection.execute(
        insert(given).values(
            id=f"{number}",
            assignment_id=number,
            attempt=1,
            focus_lost=False,
            answered_at=0,
            submitted_at=submitted_at,
            **values,
        )
    )


def begin(connection: Connection, tables: MetaData) -> None:
    """A study with one session."""
    study = {"id": 1, "name": "s", "version": 1, "settings": "{}", "settings_sha256": "", "items_sha256": ""}
    connection.execute(insert(tables.tables["study"]).values(**study))
    item = {"study_id": 1, "role": "test", "set_name": "s", "check_name": "", "expected": "", "p0": "", "p1": ""}
    item |= {"quota": 5, "filled": 0, "p1_left": 0, "priority": 0}
    connection.execute(
        insert(tables.tables["item"]), [{**item, "id": number, "name": str(number)} for number in range(1, 9)]
    )
    connection.execute(insert(tables.tables["participant"]).values(id=1, study_id=1, pseudonym="x"))
    session = {"id": 1, "public_id": "x", "participant_id": 1, "number": 0, "platform": "local", "seed": 0}
    session |= {"arrival_sha256": "x", "state": "started", "simulated": False, "arrived_at": 0, "seen_at": 0}
    connection.execute(insert(tables.tables["session"]).values(**session))


def test_a_server_of_the_version_before_goes_on_while_the_tables_are_brought_up(database_url: str) -> None:
    engine = open_database(database_url)
    migrate(engine, BEFORE)
    before = as_before(engine)

    def first(connection: Connection) -> None:
        begin(connection, before)
        answer(connection, before, 1, submitted_at=59_999)
        answer(connection, before, 2, submitted_at=60_000, valid=False)

    write(engine, first)
    other = open_database(database_url)  # the new version's server
    migrate(other)

    def then(connection: Connection) -> None:
        answer(connection, before, 3, submitted_at=60_001)
        answer(connection, before, 4, submitted_at=180_000, valid=False)

    write(engine, then)
    stored = read(engine, lambda c: c.execute(select(before.tables["answer"]).order_by(text("submitted_at"))).all())
    assert [row.id for row in stored] == ["1", "2", "3", "4"]
    assert read(other, lambda c: rows(c, _KEPT)) == [(0, 1, 1, 0), (1, 1, 2, 1), (3, 1, 1, 1)]
    engine.dispose()
    other.dispose()


def test_no_migration_takes_away_or_asks_for_what_the_one_before_does_not_know(database_url: str) -> None:
    """So a program of the version before can insert into and select from every table."""
    engine = open_database(database_url)
    with engine.connect() as connection:
        scripts = ScriptDirectory.from_config(alembic_config(connection)).walk_revisions()
    revisions = [script.revision for script in scripts][::-1]
    assert BEFORE in revisions
    for old, new in itertools.pairwise(revisions):
        migrate(engine, old)
        known = {
            name: {c["name"] for c in inspect(engine).get_columns(name)} for name in inspect(engine).get_table_names()
        }
        migrate(engine, new)
        for table, columns in known.items():
            now = {column["name"]: column for column in inspect(engine).get_columns(table)}
            assert columns <= now.keys(), table
            asked = {
                name for name, c in now.items() if name not in columns and not c["nullable"] and c["default"] is None
            }
            assert not asked or (table, new) in REMADE, table
    engine.dispose()


def test_the_count_of_each_minute_follows_every_answer(engine: Engine) -> None:
    tables = as_before(engine)

    def work(connection: Connection) -> None:
        begin(connection, tables)
        for number, at in enumerate([0, 1, 59_999, 60_000, 120_000, 120_001], start=1):
            answer(connection, tables, number, submitted_at=at, valid=number % 3 > 0)

    write(engine, work)
    assert read(engine, lambda c: rows(c, _KEPT)) == read(engine, lambda c: rows(c, _COUNTED))
    assert read(engine, lambda c: rows(c, _KEPT)) == [(0, 1, 3, 1), (1, 1, 1, 0), (2, 1, 2, 1)]
    write(engine, lambda c: c.execute(text("DELETE FROM answer WHERE submitted_at >= 60000 AND submitted_at < 120001")))
    assert read(engine, lambda c: rows(c, _KEPT)) == [(0, 1, 3, 1), (2, 1, 1, 1)]


def test_who_declined_before_is_counted_and_forgotten_and_payments_get_keys_of_their_own(database_url: str) -> None:
    """Threats 13 and 15, for studies under way: key and session's name in exports had been one hash apart."""
    engine = open_database(database_url)
    migrate(engine, "0007")
    known = as_before(engine)
    tables = known.tables

    def work(connection: Connection) -> None:
        begin(connection, known)
        person = {"state": "turned away", "outcome": "no_consent", "number": 0, "platform": "local", "seed": 0}
        person |= {"simulated": False, "arrived_at": 0, "seen_at": 0}
        for number, name in enumerate(["declined", "declined too, and was paid", "came again"], start=2):
            connection.execute(insert(tables["participant"]).values(id=number, study_id=1, pseudonym=name))
            who = {"participant_id": number, "platform": "local", "external_id": name}
            connection.execute(insert(tables["identity"]).values(**who))
            named = {"id": number, "participant_id": number, "public_id": name[:32], "arrival_sha256": name}
            connection.execute(insert(tables["session"]).values(**person, **named))
            connection.execute(insert(tables["event"]).values(session_id=number, kind="arrived", detail="", at=0))
        more = {**person, "state": "complete", "outcome": "complete", "number": 1, "participant_id": 4}
        connection.execute(insert(tables["session"]).values(**more, id=9, public_id="9", arrival_sha256="9"))
        payment = {"amount_minor": 1, "currency": "GBP", "kind": "bonus", "state": "sent", "detail": "", "at": 0}
        for session in (1, 3):
            connection.execute(
                insert(tables["payment"]).values(**payment, session_id=session, idempotency_key=f"{session}" * 64)
            )

    write(engine, work)
    migrate(engine)
    assert read(engine, lambda c: rows(c, "SELECT declined FROM study")) == [(2,)]
    assert read(engine, lambda c: rows(c, "SELECT id FROM session ORDER BY id")) == [(1,), (3,), (9,)]
    assert read(engine, lambda c: rows(c, "SELECT id FROM participant ORDER BY id")) == [(1,), (3,), (4,)]
    assert read(engine, lambda c: rows(c, "SELECT participant_id FROM identity ORDER BY 1")) == [(3,), (4,)]
    assert read(engine, lambda c: rows(c, "SELECT session_id FROM event")) == [(3,)]
    paid = read(engine, lambda c: rows(c, "SELECT session_id, state, idempotency_key FROM payment ORDER BY 1"))
    assert [row[:2] for row in paid] == [(1, "sent"), (3, "sent")]
    assert all(len(key) == 64 and key != f"{session}" * 64 for session, _, key in paid)
    engine.dispose()


def test_a_count_is_undone_with_its_answer(engine: Engine) -> None:
    tables = as_before(engine)
    write(engine, lambda c: begin(c, tables))

    def fails(connection: Connection) -> None:
        answer(connection, tables, 1, submitted_at=0)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        write(engine, fails)
    assert read(engine, lambda c: c.scalar(select(func.count()).select_from(tables.tables["pace"]))) == 0
