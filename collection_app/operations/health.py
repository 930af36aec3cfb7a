"""/healthz: whether what this server acknowledges is safe, and whether it can go on."""

import shutil
from pathlib import Path

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Engine, update
from sqlalchemy.exc import SQLAlchemyError

from collection_app.database.connections import durability, write
from collection_app.database.models import Study as StudyRow
from collection_app.errors import StudyError
from collection_app.studies.damaged_images import damaged_images
from collection_app.studies.installation import find
from collection_app.web.background_value import Latest
from collection_app.web.messages import Health
from collection_app.web.served_study import Running

_NAMED = 3


def blueprint(run: Running, *, keep_ms: float) -> Blueprint:
    """Make the page, which looks again once what it says is so old."""

    def looked() -> tuple[int, list[str]]:
        return run.clock(), _problems(run)

    # Whoever asks after that waits: what was so before would be news of an hour ago where nobody asks in between.
    latest = Latest(looked, clock=run.clock, keep_ms=keep_ms, renewed=1)
    pages = Blueprint("health", __name__)

    @pages.get("/healthz")
    def health() -> ResponseReturnValue:
        """Say what was found, and when."""
        at, problems = latest()
        ago = max(0, run.clock() - at) / 1000
        health = Health(status="failing" if problems else "ok", problems=problems, seconds_ago=ago)
        return health.model_dump(mode="json"), 503 if problems else 200, {"Cache-Control": "no-store"}

    return pages


def _problems(run: Running) -> list[str]:
    """Check that the database takes a write, holds the study and keeps what it commits; that the disk has room; that no
    image is damaged.
    """

    def work(connection: Connection) -> list[str]:
        row = find(connection, run.study)
        # A value that differs: the same one again would not reach the disk.
        connection.execute(update(StudyRow).where(StudyRow.id == row.id).values(written_at=(row.written_at or 0) + 1))
        unsafe = [f"{f.name} is {f.found}, not {f.wanted}" for f in durability(connection) if not f.right]
        return unsafe + _damaged(connection)

    try:
        problems = write(run.engine, work)
    except (SQLAlchemyError, StudyError) as error:
        problems = [f"the database does not take and give as it should: {type(error).__name__}"]
    except OSError as error:
        problems = [f"the database cannot be written to: {error.strerror}"]
    return problems + _room(run)


def _damaged(connection: Connection) -> list[str]:
    images = damaged_images(connection)
    names = ", ".join(Path(one.path).name for one in images[:_NAMED]) + (", ..." if len(images) > _NAMED else "")
    return [f"{len(images)} images are damaged: {names}"] if images else []


def _room(run: Running) -> list[str]:
    """What is wrong with the disk of an SQLite file; a database server looks after its own."""
    folder = _folder(run.engine)
    if folder is None:
        return []
    free = shutil.disk_usage(folder).free // 2**20
    return [f"the disk has {free} MB left, less than {run.least_room_mb}"] if free < run.least_room_mb else []


def _folder(engine: Engine) -> Path | None:
    database = engine.url.database
    return Path(database).absolute().parent if engine.dialect.name == "sqlite" and database else None
