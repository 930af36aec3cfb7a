"""A copy of a study's database as it is at one instant, while people answer: it keeps nobody from writing.

SQLite is copied by VACUUM INTO, in one read transaction; PostgreSQL by its own pg_dump, in the custom format.
The study file, its key, its images and the patch sets are files: copy them beside it.
"""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine

from bapps_builder.files.atomic import check_writable
from bapps_builder.files.private import private_file
from collection_app.database.connections import masked
from collection_app.errors import StudyError


def back_up(engine: Engine, path: Path) -> None:
    """Write a backup of a database to a new file.

    Raises
    ------
    StudyError
        If `path` already exists, pg_dump is not installed or fails, or the copy is not sound.
    """
    if path.exists():
        raise StudyError(f"{path}: already exists; a backup never takes the place of an older one")
    check_writable(path)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    private_file(unfinished)
    try:
        if engine.dialect.name == "sqlite":
            _copy_sqlite(Path(engine.url.database or ""), unfinished)
        else:
            _dump_postgresql(engine, unfinished)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _copy_sqlite(database: Path, to: Path) -> None:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute("VACUUM INTO ?", (str(to),))
    with closing(sqlite3.connect(to)) as copy:
        verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
        orphans = copy.execute("PRAGMA foreign_key_check").fetchall()
    if verdict != "ok" or orphans:
        raise StudyError(
            f"{database}: the copy is not sound and was not kept; integrity check: {verdict}, "
            f"{len(orphans)} rows without their parents; check the database"
        )


def _dump_postgresql(engine: Engine, to: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise StudyError("pg_dump is not installed; it comes with PostgreSQL's client programs")
    # The password goes by the environment: arguments can be seen by everybody on the machine.
    url = engine.url.set(drivername="postgresql", password=None)
    environment = {**os.environ, **({"PGPASSWORD": str(engine.url.password)} if engine.url.password else {})}
    command = [program, "--format=custom", "--no-owner", f"--file={to}", f"--dbname={url.render_as_string()}"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    if process.returncode:
        raise StudyError(f"pg_dump failed: {masked(engine.url, ' '.join(process.stderr.split()))}")
