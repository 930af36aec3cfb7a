"""Lists for the people who run a study: sessions, pay, items with their answers, exposures that failed.

Every list comes a page at a time along an index, so that a page is as quick after 500,000 answers as after 50.
`after` is the `id` of the last row of the page before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, ScalarSelect, Select, func, select, text
from sqlalchemy.orm import InstrumentedAttribute

from collection_app.database.models import (
    Answer,
    Assignment,
    Decision,
    Event,
    Item,
    Pace,
    Participant,
    Session,
    table_of,
)
from collection_app.payments.pay_lines import over, pay_lines
from collection_app.sessions.steps import Step

PAGE = 50


@dataclass(frozen=True)
class Page:
    """Some rows of a list; `after` leads to those that follow, None where nothing does."""

    rows: Sequence[Any]
    after: int | None


@dataclass(frozen=True)
class SessionDetail:
    """A session with what rules found, what happened, and its trials with their answers (None: not answered)."""

    session: Row
    decisions: Sequence[Row]
    events: Sequence[Row]
    trials: Sequence[Row]


@dataclass(frozen=True)
class ItemDetail:
    """An item with every answer to it, used or not."""

    item: Row
    answers: Sequence[Row]


def sessions(
    connection: Connection, study_id: int, *, state: str | None = None, excluded: bool = False, after: int | None = None
) -> Page:
    """Sessions, the latest first: all, those of a state, or those whose answers are not used."""
    query = _sessions(study_id).order_by(Session.id.desc())
    if state is not None:
        query = query.where(Session.state == state)
    if excluded:
        query = query.where(Session.excluded.is_not(None))
    if after is not None:
        query = query.where(Session.id < after)
    return _page(connection, query)


def session(connection: Connection, study_id: int, session_id: int) -> SessionDetail | None:
    """One session, or None if the study has none of this id."""
    found = connection.execute(_sessions(study_id).where(Session.id == session_id)).one_or_none()
    if found is None:
        return None
    trials = (
        select(Assignment.slot, Assignment.state, Assignment.side, Item.id.label("item_id"), Item.role, Item.check_name)
        .add_columns(Item.set_name, Item.name, Item.expected, Answer.attempt, Answer.choice, Answer.valid, Answer.use)
        .add_columns(Answer.reason, table_of(Answer).c.reaction_ms, Answer.submitted_at)
        .select_from(Assignment)
        .join(Item)
        .outerjoin(Answer)
        .where(Assignment.session_id == session_id)
        .order_by(Assignment.slot, Answer.attempt)
    )
    return SessionDetail(
        found,
        connection.execute(select(Decision).where(Decision.session_id == session_id).order_by(Decision.id)).all(),
        connection.execute(select(Event).where(Event.session_id == session_id).order_by(Event.id)).all(),
        connection.execute(trials).all(),
    )


def pay(connection: Connection, step: Step, *, after: int | None = None) -> Page:
    """Lines of pay, the latest session first."""
    query = over(step).order_by(None).order_by(Session.id.desc())
    if after is not None:
        query = query.where(Session.id < after)
    ids = _page(connection, query)
    return Page(pay_lines(connection, step, [row.id for row in ids.rows])[::-1], ids.after)


def items(
    connection: Connection, study_id: int, *, role: str = "test", set_name: str | None = None, after: int | None = None
) -> Page:
    """Items of a role, of all sets or of one, in the order they were installed."""
    query = select(Item).where(Item.study_id == study_id, Item.role == role).order_by(Item.id)
    if set_name is not None:
        query = query.where(Item.set_name == set_name)
    if after is not None:
        query = query.where(Item.id > after)
    return _page(connection, query)


def item_named(connection: Connection, study_id: int, name: str) -> int | None:
    """The id of the first item of a name, such as 000042."""
    return connection.scalar(select(Item.id).where(Item.study_id == study_id, Item.name == name).limit(1))


def item(connection: Connection, study_id: int, item_id: int) -> ItemDetail | None:
    """One item, or None if the study has none of this id."""
    found = connection.execute(select(Item).where(Item.study_id == study_id, Item.id == item_id)).one_or_none()
    if found is None:
        return None
    answers = (
        select(Answer, Assignment.side, Assignment.slot, Session.id.label("session_id"), Participant.pseudonym)
        .select_from(Assignment)
        .join(Answer)
        .join(Session, Session.id == Assignment.session_id)
        .join(Participant, Participant.id == Session.participant_id)
        .where(Assignment.item_id == item_id)
        .order_by(Answer.submitted_at.desc())
        .limit(1000)  # a sentinel has as many as there are sessions
    )
    return ItemDetail(found, connection.execute(answers).all())


def failed_exposures(connection: Connection, study_id: int) -> Sequence[Row]:
    """The latest answers to a bad exposure, with what the browser measured."""
    query = (
        select(Answer, Session.id.label("session_id"), Participant.pseudonym, Item.id.label("item_id"), Item.name)
        .add_columns(Item.set_name, Assignment.state)
        .select_from(Answer)
        .join(Assignment)
        .join(Item)
        .join(Session, Session.id == Assignment.session_id)
        .join(Participant, Participant.id == Session.participant_id)
        # As text, so that the databases see that the index of failed exposures is meant.
        .where(text("NOT answer.valid"), Participant.study_id == study_id)
        .order_by(Answer.submitted_at.desc())
        .limit(PAGE)
    )
    return connection.execute(query).all()


def _sessions(study_id: int) -> Select:
    def total(column: InstrumentedAttribute[int]) -> ScalarSelect[int]:
        return select(func.coalesce(func.sum(column), 0)).where(Pace.session_id == Session.id).scalar_subquery()

    return (
        select(Session, Participant.pseudonym, total(Pace.answers).label("answers"), total(Pace.failed).label("failed"))
        .join(Participant)
        .where(Participant.study_id == study_id)
    )


def _page(connection: Connection, query: Select) -> Page:
    rows = connection.execute(query.limit(PAGE + 1)).all()
    return Page(rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None)
