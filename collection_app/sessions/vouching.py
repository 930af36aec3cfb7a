"""Whether a platform knows the submissions that people come with: whose to ask about, and what the reply changes.

A submission that the platform does not know, and does not know half a minute later either, was made up. Its places go
to others, its answers are not used, and it gets no code. A platform that cannot be reached says nothing about anybody:
who finishes then gets the code, and a person looks before paying.
"""

from typing import Literal

from sqlalchemy import Connection, Row, and_, bindparam, or_, select, update

from collection_app.database.models import Decision, Event, Identity, Participant, Session, table_of
from collection_app.sessions.answering import OPEN_STATES, lock_session
from collection_app.sessions.judging import DECIDED, exclude_session

# Doubted: not known when the platform was asked first, which may not have heard of it yet itself.
Vouched = Literal["known", "doubted", "unknown", "unreachable"]
KNOWN, DOUBTED, UNKNOWN, UNREACHABLE = "known", "doubted", "unknown", "unreachable"
# How a session ends that the platform does not know; it has no code.
OUTCOME = "unknown_submission"
MADE_UP = "the platform knows no such submission"
# Who asked and got no answer may ask again; who died asking is followed by somebody else.
_AGAIN_MS = 30_000
# Of a doubted submission the platform is asked again so soon; what it does not know so long after the arrival, and did
# not before, was made up. Found within a minute, with the time that asking takes.
_DOUBTED_AGAIN_MS, _SURE_MS = 15_000, 30_000
# A session that began so long ago is not asked about any more.
_LATELY_MS = 7 * 86_400_000
_AT_ONCE = 100
_UNDECIDED = or_(Session.vouched.is_(None), Session.vouched.in_((DOUBTED, UNREACHABLE)))
_IS_DUE = or_(
    Session.vouched_at.is_(None),
    Session.vouched_at < bindparam("before"),
    and_(Session.vouched == DOUBTED, Session.vouched_at < bindparam("doubted_before")),
)
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
# The databases do not agree on whether what was never asked about comes first by its time.
_DUE = _TO_ASK.where(_IS_DUE).order_by(Session.vouched_at.is_not(None), Session.vouched_at, Session.id).limit(_AT_ONCE)
_OPEN_QUESTION = _TO_ASK.where(
    Session.public_id == bindparam("public_id"), or_(Session.vouched.is_(None), Session.vouched == DOUBTED)
)
_CLAIM = update(Session).where(Session.id == bindparam("session"), _IS_DUE).values(vouched_at=bindparam("now"))


def is_open_question(connection: Connection, study_id: int, *, public_id: str, now: int) -> bool:
    """Whether the platform is still to say if it knows the submission of a session."""
    of_session = {"study_id": study_id, "public_id": public_id, "lately": now - _LATELY_MS}
    return connection.execute(_OPEN_QUESTION, of_session).first() is not None


def due(connection: Connection, study_id: int, *, now: int) -> list[Row]:
    """Submissions to ask about now, those never asked about first: id, public_id, submission_id, external_id."""
    return list(connection.execute(_DUE, {"study_id": study_id, "lately": now - _LATELY_MS, **_times(now)}))


def claim(connection: Connection, study_id: int, *, now: int) -> list[Row]:
    """As `due`, for the caller alone: of several processes one asks, and another after half a minute."""
    claims = [
        (row, connection.execute(_CLAIM, {"session": row.id, "now": now, **_times(now)}).rowcount)
        for row in due(connection, study_id, now=now)
    ]
    return [row for row, is_mine in claims if is_mine]


def _times(now: int) -> dict[str, int]:
    return {"before": now - _AGAIN_MS, "doubted_before": now - _DOUBTED_AGAIN_MS}


def note_vouched(connection: Connection, *, public_id: str, found: Vouched, now: int) -> None:
    """Write down what became of asking about a session's submission, and act on it; what was decided stays.

    The first "unknown" is a doubt.
    """
    session = lock_session(connection, public_id)
    if session is None or session.vouched in (KNOWN, UNKNOWN):
        return
    if found == UNKNOWN and not (session.vouched == DOUBTED and now - session.arrived_at >= _SURE_MS):
        found = DOUBTED
    of_session = update(Session).where(Session.id == session.id)
    connection.execute(of_session.values(vouched=found, vouched_at=now))
    if found != UNKNOWN:
        return
    event = {"session_id": session.id, "kind": OUTCOME, "detail": MADE_UP, "at": now}
    connection.execute(table_of(Event).insert(), event)
    if not session.excluded:
        exclude_session(connection, session_id=session.id, reason=MADE_UP)
    _ask_to_return(connection, session_id=session.id, now=now)
    if session.state in ("arrived", *OPEN_STATES):
        connection.execute(
            of_session.values(state="turned away", outcome=OUTCOME, code=None, finished_at=now, lease_until=None)
        )


def _ask_to_return(connection: Connection, *, session_id: int, now: int) -> None:
    """Take back what rules found about the pay of a session, if they did; what a person decided stays."""
    about_pay = select(Decision.rule).where(Decision.session_id == session_id, Decision.tier == "pay")
    rules = connection.scalars(about_pay).all()
    if rules and not any(rule.startswith(DECIDED) for rule in rules):
        made_up = {"session_id": session_id, "tier": "pay", "rule": OUTCOME, "verdict": "ask to return"}
        connection.execute(table_of(Decision).insert(), {**made_up, "reason": MADE_UP, "at": now})
