"""Asking the platform whether it knows who arrived: in the background, at once, and before any code is given.

No request waits for the platform, however long that takes: whoever would get a code before it has answered is told to
come again, which the page does by itself.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

from flask import Flask
from sqlalchemy import Row

from collection_app.database.connections import read, write
from collection_app.platforms.platform import PlatformError
from collection_app.sessions.vouching import (
    KNOWN,
    UNKNOWN,
    UNREACHABLE,
    Vouched,
    claim,
    due,
    is_open_question,
    note_vouched,
)
from collection_app.web.http_errors import Stop
from collection_app.web.logs import LOGGER, log
from collection_app.web.served_study import Running, running

_AT_ONCE = 4
# However often somebody asks.
_LEAST_SECONDS = 0.2


def asks(run: Running) -> bool:
    """Whether the platform is to be asked about arrivals."""
    return run.study.platform.vouching(run.platform_token) == "answer" and not run.simulated


def is_arriving(run: Running) -> None:
    """Have the platform asked about who has just arrived: few will have to wait for its answer."""
    if asks(run):
        run.somebody_asks.set()


def wait_for_platform(run: Running, public_id: str) -> None:
    """Let nobody on to a code about whose submission the platform is still to be heard; nobody made up is to see one.

    Raises
    ------
    Stop
        If so: the same request is to be sent again.
    """
    if not asks(run):
        return
    now = run.clock()
    if read(run.engine, lambda c: is_open_question(c, run.study_id, public_id=public_id, now=now)):
        run.somebody_asks.set()
        raise Stop(503, "asking", "the platform is being asked about this submission; ask again", retry_after=2)


def ask_about_arrivals(run: Running) -> int:
    """Ask about everybody who is due; gives how many were. Who cannot be asked about is asked about again later."""
    now = run.clock()
    if not read(run.engine, lambda c: due(c, run.study_id, now=now)):
        return 0
    rows = write(run.engine, lambda c: claim(c, run.study_id, now=now))
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            replies = list(pool.map(lambda row: _ask(run, row), some))
        for row, reply in zip(some, replies, strict=True):
            _note(run, row, reply)
        if set(replies) == {UNREACHABLE}:  # the others would only wait for nothing
            for row in rows[first + _AT_ONCE :]:
                _note(run, row, UNREACHABLE)
            break
    return len(rows)


def _ask(run: Running, row: Row) -> Vouched:
    try:
        known = run.study.platform.knows(
            run.platform_token, submission_id=row.submission_id, external_id=row.external_id
        )
    except PlatformError as error:
        log("asking about an arrival failed", error=str(error))
        return UNREACHABLE
    except Exception as error:  # a reply of a kind nobody thought of must not hold everybody's codes
        LOGGER.error("asking about an arrival failed", exc_info=error)
        return UNREACHABLE
    return KNOWN if known else UNKNOWN


def _note(run: Running, row: Row, word: Vouched) -> None:
    write(run.engine, lambda c: note_vouched(c, public_id=row.public_id, found=word, now=run.clock()))


def begin_arrival_checks(app: Flask, *, every_seconds: float = 5) -> Event:
    """Ask about arrivals from now on, in a thread, until the given event is set: when somebody asks, and in any case
    every so many seconds.
    """
    ended = Event()
    with app.app_context():
        run = running()

    def keep_asking() -> None:
        while not ended.wait(min(_LEAST_SECONDS, every_seconds)):
            run.somebody_asks.wait(every_seconds)
            run.somebody_asks.clear()
            try:
                ask_about_arrivals(run)
            except Exception as error:
                LOGGER.error("asking about arrivals failed", exc_info=error)

    if asks(run):
        Thread(target=keep_asking, name="arrivals", daemon=True).start()
    return ended
