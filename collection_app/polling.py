"""Asking the platform who left, now and then: what messages tell sooner, where they reach the server."""

from threading import Event, Thread

from flask import Flask

from collection_app.database import write
from collection_app.logs import LOGGER, log
from collection_app.platforms.platform import PlatformError
from collection_app.running import Running, running
from collection_app.settings import Settings
from collection_app.submissions import note_submissions


def poll(run: Running, token: str) -> int:
    """Ask once, and note what changed; gives how many submissions did.

    Raises
    ------
    PlatformError
        If the platform does not answer as it should.
    """
    asked_at = run.clock()  # what changes while it answers is younger
    found = list(run.study.platform.submissions(token))
    return write(run.engine, lambda connection: note_submissions(connection, run.step(), found, at=asked_at))


def begin_polling(app: Flask, settings: Settings) -> Event:
    """Ask every `poll_minutes` from now on, in a thread, until the event that is given back is set."""
    ended = Event()
    with app.app_context():
        run = running()

    def keep_asking() -> None:
        while not ended.wait(settings.poll_minutes * 60):
            try:
                log("polled", changed=poll(run, settings.platform_token))
            except PlatformError as error:
                log("polling failed", error=str(error))
            except Exception as error:
                LOGGER.error("polling failed", exc_info=error)

    if settings.platform_token and settings.poll_minutes:
        Thread(target=keep_asking, name="polling", daemon=True).start()
    return ended
