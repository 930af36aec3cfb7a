"""Who comes: a visitor becomes a person of the study, and is given a session, or their own again.

As every step of a session, arriving is one transaction and harmless to repeat.
"""

import hmac
import json
from collections.abc import Mapping

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from collection_app.database.models import Identity, Participant, Session, table_of
from collection_app.database.models import Study as StudyRow
from collection_app.platforms.platform import Visitor
from collection_app.sessions.allocation import wait_for_turn
from collection_app.sessions.answering import OPEN_STATES
from collection_app.sessions.steps import Refused, Step, note
from collection_app.sessions.vouching import UNKNOWN
from collection_app.signing import digest, pseudonym

# Statements are built once: building one takes longer than running it.
_INSERTS = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_NEW_PARTICIPANT, _NEW_IDENTITY = (
    {name: made(table_of(model)).on_conflict_do_nothing() for name, made in _INSERTS.items()}
    for model in (Participant, Identity)
)
_STUDY = select(StudyRow).where(StudyRow.id == bindparam("study_id"))
_PARTICIPANT = (
    select(Participant.id)
    .where(Participant.study_id == bindparam("study_id"), Participant.pseudonym == bindparam("pseudonym"))
    .with_for_update()
)
_OF_OTHERS = (
    select(Session.id)
    .join(Participant)
    .where(
        Participant.study_id == bindparam("study_id"),
        Session.submission_id == bindparam("submission_id"),
        Participant.id != bindparam("participant_id"),
    )
    .limit(1)
)
_EARLIER = select(Session).where(Session.participant_id == bindparam("participant_id")).order_by(Session.number)
_BY_KEY = select(Session.id).where(Session.arrival_sha256 == bindparam("arrival_sha256"))
_ARRIVED = insert(table_of(Session)).returning(*table_of(Session).columns)


class AlreadyStarted(Exception):
    """Someone arrives under an id that is known, without the key or submission of its session."""


def arrive(
    connection: Connection,
    step: Step,
    *,
    visitor: Visitor,
    key: str,
    simulated: bool,
    block: str | None = None,
    browser: str | None = None,
) -> Row:
    """Give the session of a visitor: a new one, or theirs if they come with the same key or submission.

    Parameters
    ----------
    key : str
        Made at random in the browser; arriving twice with it, because the first answer was lost, is one arrival.
    block, browser : str, optional
        HMACs of the network that the visitor comes from and of what the browser calls itself; kept under another one
        with the study's salt, so that nobody can make them again once that is deleted.

    Raises
    ------
    Refused
        If the study is closed, or the person has had all their sessions.
    AlreadyStarted
        If the visitor's id is known, but neither key nor submission; or the submission is somebody else's.
    """
    wait_for_turn(connection, step.study_id)
    study_row = connection.execute(_STUDY, {"study_id": step.study_id}).one()
    if study_row.salt is None:
        raise Refused("closed", "this study is closed")
    name = pseudonym(study_row.salt, step.study.platform.name, visitor.external_id)
    participant_id = _participant(connection, step, name=name, external_id=visitor.external_id)
    of_visitor = {
        "study_id": step.study_id,
        "participant_id": participant_id,
        "submission_id": visitor.submission_id,
        "arrival_sha256": digest(key),
    }
    if visitor.submission_id is not None and connection.scalar(_OF_OTHERS, of_visitor):
        raise AlreadyStarted  # a submission is one person's: it would be paid for two
    earlier = connection.execute(_EARLIER, of_visitor).all()
    for session in earlier:
        if visitor.submission_id is not None and session.submission_id == visitor.submission_id:
            return session
        if hmac.compare_digest(session.arrival_sha256, digest(key)):
            return _followed(connection, session, visitor)
    if study_row.closed_at is not None:  # who had begun comes back above
        raise Refused("closed", "this study is closed")
    if connection.scalar(_BY_KEY, of_visitor):
        raise AlreadyStarted  # a key under another id: a browser that somebody else has used
    if any(session.state in ("arrived", *OPEN_STATES) for session in earlier):
        raise AlreadyStarted
    if sum(session.vouched != UNKNOWN for session in earlier) >= step.study.sessions_per_person:
        raise Refused("done", "you have taken part in this study already")
    session = connection.execute(
        _ARRIVED,
        {
            "public_id": step.entropy(16).hex(),
            "participant_id": participant_id,
            "number": len(earlier),
            "platform": step.study.platform.name,
            "submission_id": visitor.submission_id,
            "kept": _as_text(visitor.kept),
            "arrival_sha256": digest(key),
            "state": "arrived",
            "seed": int.from_bytes(step.entropy(7)),
            "simulated": simulated,
            "guarded": True,
            "block": pseudonym(study_row.salt, "block", block) if block else None,
            "browser": pseudonym(study_row.salt, "browser", browser) if browser else None,
            "arrived_at": step.now,
            "seen_at": step.now,
        },
    ).one()
    note(connection, step, session_id=session.id, kind="arrived")
    return session


def _followed(connection: Connection, session: Row, visitor: Visitor) -> Row:
    """Tie a session under way to the submission that its own browser now comes with: the one that will be paid."""
    if visitor.submission_id is None or session.submission_id == visitor.submission_id:
        return session
    connection.execute(
        update(Session)
        .where(Session.id == session.id, Session.state.in_(("arrived", *OPEN_STATES)))
        .values(
            submission_id=visitor.submission_id,
            kept=_as_text(visitor.kept),
            platform_state=None,
            platform_state_at=None,
            vouched=None,
            vouched_at=None,
        )
    )
    return connection.execute(select(Session).where(Session.id == session.id)).one()


def _as_text(kept: Mapping[str, str]) -> str | None:
    return json.dumps(dict(kept), sort_keys=True) if kept else None


def _participant(connection: Connection, step: Step, *, name: str, external_id: str) -> int:
    person = {"study_id": step.study_id, "pseudonym": name}
    connection.execute(_NEW_PARTICIPANT[connection.dialect.name], person)
    found = connection.scalars(_PARTICIPANT, person).one()
    identity = {"participant_id": found, "platform": step.study.platform.name, "external_id": external_id}
    connection.execute(_NEW_IDENTITY[connection.dialect.name], identity)
    return found
