"""Forgetting people: one at their wish, all of them when a study is over.

Erasing removes everything that leads back to a person: identity, submission ids, device, event log and webhook
bodies; the pseudonym, which anybody with the salt could make again, becomes a random number. What was copied
before - backups, exports, published releases - is out of reach.
"""

from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Engine, Select, delete, select, update

from collection_app.database.models import Answer, Assignment, Event, Identity, Participant, Session, WebhookEvent
from collection_app.database.models import Study as StudyRow
from collection_app.errors import StudyError
from collection_app.sessions.allocation import release
from collection_app.sessions.answering import OPEN_STATES
from collection_app.sessions.judging import exclude_session
from collection_app.sessions.steps import Step, lapse
from collection_app.signing import pseudonym
from collection_app.studies.installation import find

_DAY_MS = 86_400_000
ERASED = "erased at the person's wish"


@dataclass(frozen=True)
class Closing:
    """What `close` did: arrivals are closed since then, and the salt is kept until `erasable_until`, or gone."""

    state: Literal["closed", "forgotten"]
    erasable_until: int


def erase(connection: Connection, step: Step, *, person: str, with_answers: bool) -> int:
    """Forget a participant, named by platform id or pseudonym; give the number of sessions concerned.

    `with_answers` also deletes the answers, whose places go to others; without, they stay, nobody's.

    Raises
    ------
    StudyError
        If nobody has this id or pseudonym, or the study's people were all forgotten already.
    """
    row = find(connection, step.study)
    names = [person] if row.salt is None else [person, pseudonym(row.salt, step.study.platform.name, person)]
    found = connection.scalar(
        select(Participant.id).where(Participant.study_id == row.id, Participant.pseudonym.in_(names))
    )
    if found is None:
        gone = "; the ids of this study's people were deleted after its erasure deadline" if row.salt is None else ""
        raise StudyError(f"no participant {person!r} in {step.study.name} version {step.study.version}{gone}")
    sessions = connection.scalars(
        select(Session.id).where(Session.participant_id == found).order_by(Session.id).with_for_update()
    ).all()
    of_open = select(Assignment.id).where(Assignment.participant_id == found, Assignment.state == "open")
    release(connection, connection.scalars(of_open).all())
    connection.execute(
        update(Session)
        .where(Session.id.in_(sessions), Session.state.in_(("arrived", *OPEN_STATES)))
        .values(state="withdrawn", lease_until=None)  # nobody goes on, or gets a code for nothing
    )
    if with_answers:
        for session_id in sessions:
            exclude_session(connection, session_id=session_id, reason=ERASED)
        of_person = select(Assignment.id).where(Assignment.participant_id == found)
        connection.execute(delete(Answer).where(Answer.assignment_id.in_(of_person)))
        connection.execute(delete(Assignment).where(Assignment.participant_id == found))
    _forget(connection, step, select(Participant.id).where(Participant.id == found))
    return len(sessions)


def close(connection: Connection, step: Step) -> Closing:
    """Let nobody arrive any more; when the erasure deadline has passed, delete the salt and all ids."""
    row = find(connection, step.study)
    closed_at = step.now if row.closed_at is None else row.closed_at
    connection.execute(update(StudyRow).where(StudyRow.id == row.id).values(closed_at=closed_at))
    until = closed_at + step.study.erasure_days * _DAY_MS
    if row.salt is None:
        return Closing("forgotten", until)
    if step.now < until:
        return Closing("closed", until)
    lapse(connection, step, silent_since=step.now + 1)
    _forget(connection, step, select(Participant.id).where(Participant.study_id == row.id))
    connection.execute(update(StudyRow).where(StudyRow.id == row.id).values(salt=None))
    return Closing("forgotten", until)


def empty_log(engine: Engine) -> bool:
    """Make SQLite overwrite what was deleted, which its write-ahead log still holds; False if somebody reads it now."""
    if engine.dialect.name != "sqlite":
        return True
    with closing(engine.raw_connection()) as connection:  # not within a transaction
        cursor = connection.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found = cursor.fetchone()
        cursor.close()
    return found is not None and found[0] == 0  # the first number says whether somebody was in the way


def _forget(connection: Connection, step: Step, people: Select[int]) -> None:
    of_people = select(Session.id).where(Session.participant_id.in_(people))
    connection.execute(delete(Event).where(Event.session_id.in_(of_people)))
    connection.execute(delete(WebhookEvent).where(WebhookEvent.participant_id.in_(people)))
    connection.execute(delete(Identity).where(Identity.participant_id.in_(people)))
    connection.execute(
        update(Session).where(Session.participant_id.in_(people)).values(submission_id=None, kept=None, device=None)
    )
    for person in connection.scalars(people).all():
        connection.execute(update(Participant).where(Participant.id == person).values(pseudonym=step.entropy(16).hex()))
