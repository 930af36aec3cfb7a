"""Whether a platform knows the submissions that people come with: whose to ask about, and what the reply changes.

A submission that the platform does not know was made up. Its places go to others, its answers are not used, and it
gets no code. A platform that cannot be reached says nothing about anybody: who finishes then gets the code, and a
person looks before paying.
"""

from typing import Literal

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from collection_app.database.models import Event, Identity, Participant, Session, table_of
from collection_app.sessions.answering import OPEN_STATES, lock_session
from collection_app.sessions.judging import exclude_session

Vouched = Literal["known", "unknown", "unreachable"]
KNOWN, UNKNOWN, UNREACHABLE = "known", "unknown", "unreachable"
# How a session ends that the platform does not know; it has no code.
OUTCOME = "unknown_submission"
MADE_UP = "the platform knows no such submission"
# Who asked and got no answer may ask again; who died asking is followed by somebody else.
_AGAIN_MS = 30_000
# A session that began so long ago is not asked about any more.
_LATELY_MS = 7 * 86_400_000
_AT_ONCE = 100
_UNDECIDED = or_(Session.vouched.is_(None), Session.vouched == UNREACHABLE)
_TO_ASK = (
    select(Session.id, Session.public_id, Session.submission_id, Identity.external_id)
    .join(Participant, Participant.id == Session.participant_id)
    .join(Identity, Identity.participant_id == Participant.id)
    .where(
        Participant.study_id == bindparam("study_id"),
        # Sessions of versions that did not ask go on as they began.
        Session.guarded,
        Session.submission_id.is_not(None),
        Session.arrived_at > bindparam("lately"),
        _UNDECIDED,
    )
)
_DUE = (
    _TO_ASK.where(or_(Session.vouched_at.is_(None), Session.vouched_at < bindparam("before")))
    .order_by(Session.vouched_at, Session.id)
    .limit(_AT_ONCE)
)
_UNASKED = _TO_ASK.where(Session.public_id == bindparam("public_id"), Session.vouched.is_(None))


def unasked(connection: Connection, study_id: int, *, public_id: str, now: int) -> Row | None:
    """The submission of a session that nobody has had an answer about: id, public_id, submission_id, external_id."""
    of_session = {"study_id": study_id, "public_id": public_id, "lately": now - _LATELY_MS}
    return connection.execute(_UNASKED, of_session).one_or_none()


def due(connection: Connection, study_id: int, *, now: int) -> list[Row]:
    """Submissions to ask about now, those never asked about first."""
    wanted = {"study_id": study_id, "lately": now - _LATELY_MS, "before": now - _AGAIN_MS}
    return list(connection.execute(_DUE, wanted))


def claim(connection: Connection, study_id: int, *, now: int) -> list[Row]:
    """As `due`, for the caller alone: of several processes one asks, and another after half a minute."""
    found = []
    for row in due(connection, study_id, now=now):
        asked_before = or_(Session.vouched_at.is_(None), Session.vouched_at < now - _AGAIN_MS)
        claimed = update(Session).where(Session.id == row.id, asked_before).values(vouched_at=now)
        if connection.execute(claimed).rowcount:
            found.append(row)
    return found


def note_vouched(connection: Connection, *, public_id: str, found: Vouched, now: int) -> None:
    """Write down what became of asking about a session's submission, and act on it; what was decided stays."""
    session = lock_session(connection, public_id)
    if session is None or session.vouched in (KNOWN, UNKNOWN):
        return
    of_session = update(Session).where(Session.id == session.id)
    connection.execute(of_session.values(vouched=found, vouched_at=now))
    if found != UNKNOWN:
        return
    event = {"session_id": session.id, "kind": OUTCOME, "detail": MADE_UP, "at": now}
    connection.execute(table_of(Event).insert(), event)
    if not session.excluded:
        exclude_session(connection, session_id=session.id, reason=MADE_UP)
    if session.state in ("arrived", *OPEN_STATES):
        connection.execute(
            of_session.values(state="turned away", outcome=OUTCOME, code=None, finished_at=now, lease_until=None)
        )
