"""Forgetting people: one at their wish, all of them when a study is over.

Erasing removes everything that leads back to a person, column by column as `database.personal` says: identity,
submissions, device, event log and webhook bodies go; every name that a table made before may hold - pseudonym, session,
key of a payment, hash of the browser's key - is made anew at random; times are rounded to the day. What was copied
before - backups, exports, published releases - is out of reach, and no longer leads to what is kept.
"""

from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from collection_app.database.models import Answer, Assignment, Base, Decision, Pace, Participant, Payment, Session
from collection_app.database.models import Study as StudyRow
from collection_app.database.personal import DAY_MS, PERSONAL, columns_of
from collection_app.errors import StudyError
from collection_app.sessions.allocation import release
from collection_app.sessions.answering import OPEN_STATES
from collection_app.sessions.judging import exclude_session
from collection_app.sessions.steps import WITHDRAWN, Step, lapse
from collection_app.signing import pseudonym
from collection_app.studies.installation import find

ERASED = "erased at the person's wish"
_DAY_MINUTES = DAY_MS // 60_000


@dataclass(frozen=True)
class Closing:
    """What `close` did: arrivals are closed since then, and the salt is kept until `erasable_until`, or gone."""

    state: Literal["closed", "forgotten"]
    erasable_until: int


def person_of(connection: Connection, step: Step, person: str) -> int:
    """Give the id of a participant named by platform id or pseudonym.

    Raises
    ------
    StudyError
        If nobody has this id or pseudonym, or the study's people were all forgotten already.
    """
    row = find(connection, step.study)
    names = [person] if row.salt is None else [person, pseudonym(row.salt, step.study.platform.name, person)]
    participant_id = connection.scalar(
        select(Participant.id).where(Participant.study_id == row.id, Participant.pseudonym.in_(names))
    )
    if participant_id is None:
        reason = "; the ids of this study's people were deleted after its erasure deadline" if row.salt is None else ""
        raise StudyError(f"no participant {person!r} in {step.study.name} version {step.study.version}{reason}")
    return participant_id


def erase(connection: Connection, step: Step, *, person: str, with_answers: bool) -> int:
    """Forget a participant, named by platform id or pseudonym; give the number of sessions concerned.

    `with_answers` also deletes the answers, whose places go to others; without, they stay, nobody's.

    Raises
    ------
    StudyError
        See `person_of`; also if it is not known of a payment whether it was paid, since nobody could look any more.
    """
    participant_id = person_of(connection, step, person)
    sessions = connection.scalars(
        select(Session.id).where(Session.participant_id == participant_id).order_by(Session.id).with_for_update()
    ).all()
    payments = select(Payment.idempotency_key).where(Payment.session_id.in_(sessions), Payment.state == "sent")
    if unclear := connection.scalar(payments.limit(1)):
        raise StudyError(
            f"{person!r}: it is not known whether the payment {unclear} was paid, and after erasing nobody could tell; "
            "look at the platform, say it with `bapps-collect pay --settle`, and erase again"
        )
    of_open = select(Assignment.id).where(Assignment.participant_id == participant_id, Assignment.state == "open")
    release(connection, connection.scalars(of_open).all())
    sessions_under_way = select(Session.id).where(Session.id.in_(sessions), Session.state.in_(OPEN_STATES))
    for session_id in connection.scalars(sessions_under_way).all():
        exclude_session(connection, session_id=session_id, reason=WITHDRAWN)  # no rule will judge it any more
    connection.execute(
        update(Session)
        .where(Session.id.in_(sessions), Session.state.in_(("arrived", *OPEN_STATES)))
        .values(state="withdrawn", lease_until=None)  # nobody goes on, or gets a code for nothing
    )
    if with_answers:
        for session_id in sessions:
            exclude_session(connection, session_id=session_id, reason=ERASED)
        of_person = select(Assignment.id).where(Assignment.participant_id == participant_id)
        connection.execute(delete(Answer).where(Answer.assignment_id.in_(of_person)))
        connection.execute(delete(Assignment).where(Assignment.participant_id == participant_id))
    _forget(connection, step, select(Participant.id).where(Participant.id == participant_id))
    return len(sessions)


def close(connection: Connection, step: Step) -> Closing:
    """Let nobody arrive any more; when the erasure deadline has passed, delete the salt and all ids."""
    row = find(connection, step.study)
    closed_at = step.now if row.closed_at is None else row.closed_at
    connection.execute(update(StudyRow).where(StudyRow.id == row.id).values(closed_at=closed_at))
    until = closed_at + step.study.erasure_days * DAY_MS
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


def rows_of(table: Table, people: Select[int]) -> ColumnElement[bool]:
    """Tell the rows of a table of `PERSONAL` that are about some people."""
    if table.name == "participant":
        return table.c.id.in_(people)
    if "participant_id" in table.c:
        return table.c.participant_id.in_(people)
    of_people = select(Session.id).where(Session.participant_id.in_(people))
    if "session_id" in table.c:
        return table.c.session_id.in_(of_people)
    return table.c.assignment_id.in_(select(Assignment.id).where(Assignment.session_id.in_(of_people)))


def _forget(connection: Connection, step: Step, people: Select[int]) -> None:
    _whole_days(connection, people)
    for name in PERSONAL:
        table = Base.metadata.tables[name]
        theirs = rows_of(table, people)
        if columns_of(name, "deleted"):
            connection.execute(delete(table).where(theirs))
            continue
        emptied = columns_of(name, "emptied")
        values: dict[str, object] = {column: None if table.c[column].nullable else "" for column in emptied}
        if name != "pace":
            values |= {column: table.c[column] - table.c[column] % DAY_MS for column in columns_of(name, "day")}
        if values:
            connection.execute(update(table).where(theirs).values(values))
        _rename(connection, step, table, theirs)
    # What somebody wrote when they decided about pay may name the person.
    of_people = rows_of(Base.metadata.tables["decision"], people)
    connection.execute(update(Decision).where(of_people, Decision.rule.like("decided by %")).values(reason=""))


def _rename(connection: Connection, step: Step, table: Table, theirs: ColumnElement[bool]) -> None:
    """Make names anew, as long as they were."""
    for name in columns_of(table.name, "anew"):
        key, kind = table.primary_key.columns[0], table.c[name].type
        assert isinstance(kind, String)
        assert kind.length
        rows = connection.scalars(select(key).where(theirs).order_by(key)).all()
        if rows:
            renamed = update(table).where(key == bindparam("of")).values({name: bindparam("name")})
            connection.execute(renamed, [{"of": row, "name": step.entropy(kind.length // 2).hex()} for row in rows])


def _whole_days(connection: Connection, people: Select[int]) -> None:
    """Count the answers of each session by the day instead of by the minute."""
    table = Base.metadata.tables["pace"]
    theirs = rows_of(table, people)
    day = Pace.minute - Pace.minute % _DAY_MINUTES
    rows = connection.execute(
        select(day.label("minute"), Pace.session_id, func.sum(Pace.answers), func.sum(Pace.failed))
        .where(theirs)
        .group_by(day, Pace.session_id)
    ).all()
    connection.execute(delete(Pace).where(theirs))
    if rows:
        names = ("minute", "session_id", "answers", "failed")
        connection.execute(insert(Pace), [dict(zip(names, map(int, row), strict=True)) for row in rows])
