"""Opening a database so that what it says is committed stays committed.

SQLite by default, PostgreSQL by its address. Every connection is set up here and nowhere else; `durability`
says what a connection really has.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from bapps_builder.errors import BappsError
from bapps_builder.files.private import FILE, close_to_others, private_file

T = TypeVar("T")

# What each connection must answer for commits to outlive a power cut.
REQUIRED: dict[str, dict[str, str]] = {
    # NORMAL would lose commits that were acknowledged.
    "sqlite": {"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "1"},
    "postgresql": {"synchronous_commit": "on", "fsync": "on", "full_page_writes": "on"},
}
_BUSY_SECONDS = 30
_TRIES = 6
# Deadlock, serialization failure.
_RETRIED_STATES = frozenset({"40P01", "40001"})
_READING = "reading"
# Parameters of an address that hold a secret.
_SECRET = frozenset({"password", "sslpassword"})


class DatabaseError(BappsError):
    """A database that cannot be opened, or is not set up for this version."""


@dataclass(frozen=True)
class Finding:
    """One durability setting: what a connection has, and what it must have."""

    name: str
    found: str
    wanted: str

    @property
    def right(self) -> bool:
        """Whether they agree."""
        return self.found == self.wanted


def open_database(url: str, *, connections: int = 10) -> Engine:
    """Open a database by its SQLAlchemy address; `postgresql://` means psycopg 3.

    Raises
    ------
    DatabaseError
        If the address is none, names another kind of database, or the driver is not installed.
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        # Not a part of it may be shown: nobody knows where in it the password is. Nor the error, which quotes it.
        begins = url.partition(":")[0] if "@" not in url.partition(":")[0] else "..."
        raise DatabaseError(
            f"not a valid database address: it begins with {begins[:40]!r}; it should look like "
            "sqlite:///study.sqlite or postgresql://user:password@host/name (in a password, write @ as %40, : as %3A "
            "and / as %2F)"
        ) from None
    kind = address.get_backend_name()
    if kind not in REQUIRED:
        raise DatabaseError(f"databases of the kind {kind!r} are not supported; use {' or '.join(REQUIRED)}")
    if kind == "sqlite":
        if not address.database or address.database == ":memory:":
            raise DatabaseError("a study cannot live in memory; name a file, such as sqlite:///study.sqlite")
        engine = create_engine(address, connect_args={"timeout": _BUSY_SECONDS}, pool_size=connections)
        _listen_sqlite(engine)
        return engine
    try:
        # Connections are checked before use, so that a restart of the server costs nobody an answer.
        engine = create_engine(
            address.set(drivername="postgresql+psycopg"), pool_pre_ping=True, pool_size=connections, max_overflow=0
        )
    except ModuleNotFoundError as error:
        raise DatabaseError("PostgreSQL needs psycopg: pip install 'bapps[postgres]'") from error
    event.listen(engine, "connect", _set_up_postgresql)
    return engine


def _listen_sqlite(engine: Engine) -> None:
    path = str(engine.url.database)

    def close_files(*_: Any) -> None:
        # SQLite gives its log the rights of the database; a study begun before this was so may have an open one.
        with suppress(OSError):  # SQLite says what is wrong with the place
            private_file(Path(path))
        for suffix in ("-wal", "-shm", "-queue"):
            close_to_others(Path(path + suffix))

    event.listen(engine, "do_connect", close_files)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours to say, below
    with closing(connection.cursor()) as cursor:
        for name, value in (("journal_mode", "WAL"), ("synchronous", "FULL"), ("foreign_keys", "ON")):
            cursor.execute(f"PRAGMA {name} = {value}")
        cursor.execute("PRAGMA secure_delete = ON")
        # Pages between two copies of the log into the file: the same pages are written again and again.
        cursor.execute("PRAGMA wal_autocheckpoint = 8000")


def _begin_sqlite(connection: Connection) -> None:
    # A writer that started as a reader could fail in the middle instead of waiting for its turn.
    reading = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _set_up_postgresql(connection: Any, _record: Any) -> None:
    connection.execute("SET synchronous_commit = on")
    # A machine that vanishes in the middle of a transaction does not hold up the others for hours.
    connection.execute("SET idle_in_transaction_session_timeout = '5min'")
    connection.commit()


def durability(connection: Connection) -> list[Finding]:
    """Ask a connection for its durability settings."""
    kind = connection.dialect.name
    ask = "PRAGMA" if kind == "sqlite" else "SHOW"
    return [
        Finding(name, str(connection.exec_driver_sql(f"{ask} {name}").scalar()), wanted)
        for name, wanted in REQUIRED[kind].items()
    ]


def write(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Run `work` in one transaction and commit it; on a deadlock or a lost connection, run it again.

    A commit whose answer was lost may have happened, so `work` must be harmless to repeat.
    """
    for attempt in range(_TRIES):
        try:
            with _turn(engine), engine.begin() as connection:
                return work(connection)
        except DBAPIError as error:
            if attempt == _TRIES - 1 or not _worth_repeating(error):
                raise
            time.sleep(0.02 * 2**attempt)
    raise AssertionError("unreachable")


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    """Let the writers of an SQLite file queue up, threads and processes alike.

    SQLite itself has them sleep and try again, in no order and for up to 100 ms at a time. Whoever writes without
    queueing, such as a backup, is still kept apart by SQLite's own lock.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    file = os.open(f"{engine.url.database}-queue", os.O_WRONLY | os.O_CREAT, FILE)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed, also by a kill
        yield
    finally:
        os.close(file)


def read(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Run `work` on one unchanging view of the database."""
    with view(engine) as connection:
        return work(connection)


@contextmanager
def view(engine: Engine) -> Iterator[Connection]:
    """Give one unchanging view of the database; it keeps nobody from writing."""
    with engine.connect() as plain:
        if plain.dialect.name == "sqlite":
            connection = plain.execution_options(**{_READING: True})
        else:
            connection = plain.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection


def _worth_repeating(error: DBAPIError) -> bool:
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _RETRIED_STATES


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the tables to a revision, from nothing or from any older one.

    Raises
    ------
    DatabaseError
        If the database cannot be reached, or is of a newer version than this program.
    """
    # A pool's connections would hold old statements; and only one process migrates at a time.
    alone = create_engine(engine.url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        _listen_sqlite(alone)
    else:
        event.listen(alone, "connect", _set_up_postgresql)
    try:
        with alone.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(0)"))
            command.upgrade(alembic_config(connection), revision)
    except OperationalError as error:
        raise DatabaseError(f"{safe_address(engine.url)}: cannot be opened: {masked(engine.url, error.orig)}") from None
    except command.util.CommandError as error:
        raise DatabaseError(f"{safe_address(engine.url)}: {error}; was it made by a newer version?") from error


def safe_address(address: URL) -> str:
    """A database's address as it may be shown: without its password, wherever that is written."""
    known = {name: "***" for name in address.query if name.lower() in _SECRET}
    return address.update_query_dict(known).render_as_string()


def masked(address: URL, said: object) -> str:
    """What a driver said, without the secrets of the address."""
    secrets = [address.password, *(value for name, value in address.query.items() if name.lower() in _SECRET)]
    text = str(said)
    for secret in secrets:
        if secret:
            text = text.replace(str(secret), "***")
    return text


def alembic_config(connection: Connection) -> Config:
    """Give Alembic's configuration for the migrations of this package on an open connection."""
    config = Config()
    config.set_main_option("script_location", "collection_app:migrations")
    config.attributes["connection"] = connection
    return config
