"""Asking the platform who left, now and then: what messages tell sooner, where they reach the server.

Every process of a server would ask, and whoever finds that it is time does so for all: the database notes when
somebody asked last. Nothing is held in between, so that when a process dies the next one to look asks; whoever gets no
answer takes the note back.
"""

from threading import Event, Thread

from flask import Flask
from sqlalchemy import Connection, or_, update

from collection_app.database.connections import write
from collection_app.database.models import Study, table_of
from collection_app.platforms.platform import PlatformError
from collection_app.sessions.submissions import note_submissions
from collection_app.settings import Settings
from collection_app.web.logs import LOGGER, log
from collection_app.web.served_study import Running, running


def poll(run: Running, token: str) -> int:
    """Ask once, and note what changed; gives how many submissions did.

    Raises
    ------
    PlatformError
        If the platform does not answer as it should.
    """
    asked_at = run.clock()  # what changes while it answers is younger
    submissions = list(run.study.platform.submissions(token))
    return write(run.engine, lambda connection: note_submissions(connection, run.step(), submissions, at=asked_at))


def is_due(connection: Connection, study_id: int, *, now: int, minutes: float) -> bool:
    """Whether nobody has asked for so long; if so it is noted that the caller does, and all others are told no."""
    # Waiting for some minutes may take a little less by the clock on the wall, which may also be set back.
    apart = round(0.9 * minutes * 60_000)
    study = table_of(Study)
    due = or_(study.c.polled_at.is_(None), study.c.polled_at <= now - apart, study.c.polled_at > now + apart)
    return bool(connection.execute(update(study).where(study.c.id == study_id, due).values(polled_at=now)).rowcount)


def take_back(connection: Connection, study_id: int, *, at: int) -> None:
    """Undo what `is_due` noted at a time, so that another process may ask."""
    study = table_of(Study)
    connection.execute(update(study).where(study.c.id == study_id, study.c.polled_at == at).values(polled_at=None))


def begin_polling(app: Flask, settings: Settings) -> Event:
    """Ask every `poll_minutes` from now on unless another process has, in a thread, until the given event is set."""
    ended, minutes = Event(), settings.poll_minutes
    with app.app_context():
        run = running()

    def ask_in_turn() -> None:
        now = run.clock()
        if not write(run.engine, lambda connection: is_due(connection, run.study_id, now=now, minutes=minutes)):
            return
        try:
            log("polled", changed=poll(run, settings.platform_token))
        except Exception as error:
            write(run.engine, lambda connection: take_back(connection, run.study_id, at=now))
            if not isinstance(error, PlatformError):
                raise
            log("polling failed", error=str(error))

    def keep_asking() -> None:
        while not ended.wait(minutes * 60):
            try:
                ask_in_turn()
            except Exception as error:
                LOGGER.error("polling failed", exc_info=error)

    if settings.platform_token and minutes:
        Thread(target=keep_asking, name="polling", daemon=True).start()
    return ended
