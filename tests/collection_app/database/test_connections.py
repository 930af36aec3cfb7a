"""Durability of every connection, transactions, and migrations from the first version on."""

import fcntl
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, make_url, text
from sqlalchemy.exc import DBAPIError

from collection_app.database.connections import (
    DatabaseError,
    durability,
    masked,
    migrate,
    open_database,
    read,
    safe_address,
    write,
)
from collection_app.database.models import Base


def test_every_connection_keeps_what_it_commits(engine: Engine) -> None:
    def look(number: int) -> bool:
        with engine.connect() as connection:
            time.sleep(0.05)  # so that they are different connections
            return all(finding.right for finding in durability(connection))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(look, range(8))) == [True] * 8


def test_writers_of_a_file_queue_and_readers_do_not(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
    migrate(engine)

    def is_free() -> bool:
        with (tmp_path / "study.sqlite-queue").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    assert not write(engine, lambda connection: is_free())
    assert read(engine, lambda connection: is_free())
    with pytest.raises(ZeroDivisionError):
        write(engine, lambda connection: 1 / 0)
    assert is_free()
    engine.dispose()


def test_the_tables_that_the_migrations_make_are_those_of_the_models(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        checks = inspect(connection).get_check_constraints("item")
    assert {check["name"] for check in checks} == {"ck_item_filled", "ck_item_sides"}
    migrate(engine)  # again does no harm


def test_the_first_version_is_brought_up_with_its_answers(database_url: str) -> None:
    engine = open_database(database_url)
    migrate(engine, "0001")
    assert "payment" not in inspect(engine).get_table_names()
    fill(engine, sessions=2, trials=3)
    migrate(engine)
    tables = set(inspect(engine).get_table_names())
    assert {"payment", "webhook_event"} <= tables
    assert read(engine, lambda c: c.scalar(text("SELECT count(*) FROM answer"))) == 6
    engine.dispose()


@pytest.mark.slow
def test_half_a_million_answers_are_brought_up(database_url: str) -> None:
    engine = open_database(database_url)
    migrate(engine, "0001")
    fill(engine, sessions=5000, trials=100)
    migrate(engine)
    assert read(engine, lambda c: c.scalar(text("SELECT count(*) FROM answer"))) == 500_000
    assert "ix_answer_submitted_at" in {index["name"] for index in inspect(engine).get_indexes("answer")}
    engine.dispose()


def fill(engine: Engine, *, sessions: int, trials: int) -> None:
    """Answers in the tables of the first version, written without the models, which are of the last."""

    def work(connection: Any) -> None:
        run = connection.execute
        run(text("INSERT INTO study VALUES (1, 's', 1, '{}', '', '', NULL, NULL, NULL)"))
        item = "INSERT INTO item VALUES (:i, 1, 'test', 's', :n, '', '', NULL, '', '', 100000, 0, 0, 0)"
        run(text(item), [{"i": i + 1, "n": str(i)} for i in range(trials)])
        run(
            text("INSERT INTO participant VALUES (:i, 1, :n)"),
            [{"i": i + 1, "n": f"{i:032d}"} for i in range(sessions)],
        )
        session = (
            "INSERT INTO session (id, public_id, participant_id, number, platform, arrival_sha256, state, seed, "
            "simulated, arrived_at, seen_at) VALUES (:i, :n, :i, 0, 'local', :n, 'complete', 0, :no, 0, 0)"
        )
        run(text(session), [{"i": i + 1, "n": f"{i:032d}", "no": False} for i in range(sessions)])
        trial = "INSERT INTO assignment VALUES (:a, :s, :s, :i, :slot, 'left', 'answered', :yes)"
        answer = (
            "INSERT INTO answer (id, assignment_id, attempt, choice, valid, use, reason, reaction_ms, input, "
            "focus_lost, answered_at, submitted_at) VALUES (:n, :a, 1, 'p0', :yes, :yes, '', 1, 'mouse', :no, 0, :a)"
        )
        for first in range(0, sessions, 100):
            rows = [
                {"a": s * trials + t + 1, "s": s + 1, "i": t + 1, "slot": t, "yes": True}
                for s in range(first, min(first + 100, sessions))
                for t in range(trials)
            ]
            run(text(trial), rows)
            run(text(answer), [{"a": row["a"], "n": f"{row['a']:036d}", "yes": True, "no": False} for row in rows])

    write(engine, work)


def test_writers_wait_for_each_other_and_none_is_lost(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE counter (n INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))

    def count(_: int) -> None:
        def work(connection: Any) -> None:
            lock = " FOR UPDATE" if engine.dialect.name == "postgresql" else ""
            n = connection.scalar(text(f"SELECT n FROM counter{lock}"))
            connection.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

        write(engine, work)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(64)))
    assert read(engine, lambda c: c.scalar(text("SELECT n FROM counter"))) == 64


def test_a_deadlock_is_tried_again(postgres_server: str) -> None:
    engine = open_database(postgres_server)
    tries = []

    def work(connection: Any) -> str:
        tries.append(1)
        if len(tries) < 3:
            connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$"))
        return "done"

    assert write(engine, work) == "done"
    assert len(tries) == 3
    with pytest.raises(DBAPIError):
        write(engine, lambda c: c.execute(text("DO $$ BEGIN RAISE EXCEPTION 'x'; END $$")))
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("study.sqlite", "not a valid database address: it begins with 'study.sqlite'; it should look like"),
        ("mysql://x/y", "databases of the kind 'mysql' are not supported; use sqlite or postgresql"),
        ("sqlite://", "cannot live in memory"),
    ],
)
def test_a_wrong_address_is_named(url: str, message: str) -> None:
    with pytest.raises(DatabaseError, match=message):
        open_database(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgres//kim:s3cret@host/study",
        "postgresql:/kim:s3cret@host/study",
        "postgresql://kim:s3cret@host:54x2/study",
        "postgresql://kim:pa/s3cret@host/study",
        "kim@host s3cret",
        "postgresql://kim:s3cret@127.0.0.1:1/study",
        "postgresql://kim@127.0.0.1:1/study?password=s3cret",
        "mysql://kim:s3cret@host/study",
    ],
)
def test_threat_12_no_message_holds_the_password_of_a_database(url: str) -> None:
    with pytest.raises(DatabaseError) as found:
        migrate(open_database(url))
    said = "".join(traceback.format_exception(found.value))  # with what it came from
    assert "s3cret" not in said


def test_what_a_driver_says_is_shown_without_secrets() -> None:
    address = make_url("postgresql://kim:s3cret@host/study?password=0ther&application_name=x")
    assert masked(address, 'missing "=" after "s3cret" and 0ther') == 'missing "=" after "***" and ***'
    assert safe_address(address).startswith("postgresql://kim:***@host/study?")
    assert "application_name=x" in safe_address(address)
    assert "0ther" not in safe_address(address)


def test_a_newer_database_and_one_that_cannot_be_reached_are_named(database_url: str, tmp_path: Any) -> None:
    engine = open_database(database_url)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="was it made by a newer version"):
        migrate(engine)
    engine.dispose()
    with pytest.raises(DatabaseError, match="cannot be opened"):
        migrate(open_database(f"sqlite:///{tmp_path}/no/folder.sqlite"))
