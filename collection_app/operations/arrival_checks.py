"""Asking the platform whether it knows who arrived: in the background within seconds, and before any code is given."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

from flask import Flask
from sqlalchemy import Row

from collection_app.database.connections import read, write
from collection_app.platforms.platform import PlatformError
from collection_app.sessions.vouching import KNOWN, UNKNOWN, UNREACHABLE, Vouched, claim, due, note_vouched, unasked
from collection_app.web.logs import LOGGER, log
from collection_app.web.served_study import Running, running

_AT_ONCE = 4


def asks(run: Running) -> bool:
    """Whether the platform is to be asked about arrivals."""
    return run.study.platform.vouching(run.platform_token) == "answer" and not run.simulated


def ask_before_code(run: Running, public_id: str) -> None:
    """Ask about a session's submission if nobody has had an answer yet; nobody made up is to see a code."""
    if not asks(run):
        return
    now = run.clock()
    row = read(run.engine, lambda c: unasked(c, run.study_id, public_id=public_id, now=now))
    if row is not None:
        _note(run, row, _ask(run, row))


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
    return KNOWN if known else UNKNOWN


def _note(run: Running, row: Row, found: Vouched) -> None:
    write(run.engine, lambda c: note_vouched(c, public_id=row.public_id, found=found, now=run.clock()))


def begin_arrival_checks(app: Flask, *, every_seconds: float = 5) -> Event:
    """Ask about arrivals from now on, in a thread, until the given event is set."""
    ended = Event()
    with app.app_context():
        run = running()

    def keep_asking() -> None:
        while not ended.wait(every_seconds):
            try:
                ask_about_arrivals(run)
            except Exception as error:
                LOGGER.error("asking about arrivals failed", exc_info=error)

    if asks(run):
        Thread(target=keep_asking, name="arrivals", daemon=True).start()
    return ended
