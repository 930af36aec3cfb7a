"""What a platform says of people's submissions: by a message that is kept once, or when it is asked."""

from collections.abc import Iterable

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from collection_app.database.models import Event, Participant, Session, WebhookEvent
from collection_app.platforms.platform import Event as Message
from collection_app.platforms.platform import Submission
from collection_app.sessions.answering import OPEN_STATES
from collection_app.sessions.steps import Step


def take_message(connection: Connection, step: Step, message: Message, *, body: str) -> bool:
    """Keep a message and act on it; False if it was kept before, and nothing is done."""
    of_dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    person = _person(connection, step, message.submission) if message.submission else None
    kept = connection.scalar(
        of_dialect(WebhookEvent)
        .values(
            id=message.id,
            platform=step.study.platform.name,
            participant_id=person,
            # Of people who are not here, nothing could be found again to erase it.
            body=body if person is not None else "",
            at=step.now,
        )
        .on_conflict_do_nothing()
        .returning(WebhookEvent.id)
    )
    if kept is None:
        return False
    if message.submission:
        note_submissions(connection, step, [message.submission], at=message.sent_at)
    return True


def note_submissions(connection: Connection, step: Step, submissions: Iterable[Submission], *, at: int) -> int:
    """Note the states of submissions as they were at a time; older news changes nothing. Gives how many changed.

    Who has left by it keeps what they answered; what they were still to answer goes to others.
    """
    changed = 0
    for submission in submissions:
        session = connection.execute(
            select(Session)
            .join(Participant)
            .where(Participant.study_id == step.study_id, Session.submission_id == submission.submission_id)
            .order_by(Session.id)
            .limit(1)
            .with_for_update(of=Session)
        ).one_or_none()
        if session is None or session.platform_state == submission.state or at < (session.platform_state_at or 0):
            continue
        changed += 1
        values: dict[str, object] = {"platform_state": submission.state, "platform_state_at": at}
        if submission.over and session.state in OPEN_STATES and session.lease_until is not None:
            values["lease_until"] = min(session.lease_until, step.now - 1)
        connection.execute(update(Session).where(Session.id == session.id).values(values))
        connection.execute(
            insert(Event).values(session_id=session.id, kind="platform", detail=submission.state, at=step.now)
        )
    return changed


def _person(connection: Connection, step: Step, submission: Submission) -> int | None:
    return connection.scalar(
        select(Session.participant_id)
        .join(Participant)
        .where(Participant.study_id == step.study_id, Session.submission_id == submission.submission_id)
        .limit(1)
    )
