"""How far a study is: sums of counters, so that it is quick however many answers there are.

The counters are `item.filled`, which the allocator keeps, and `pace`, which the database keeps with every answer.
No number here walks over the answers.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    cast,
    exists,
    func,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from collection_app.database.models import Assignment, Decision, Item, Pace, Participant, Payment, Session, Study
from collection_app.reporting.durations import Duration, durations
from collection_app.studies.damaged_images import DamagedImage, damaged_images

K = TypeVar("K")
MINUTE_MS = 60_000
# How far back the answers of each minute are shown.
RECENT_MINUTES = 60
# A rate is taken over so many whole minutes.
RATE_MINUTES = 5
_STUDY = Participant.study_id == bindparam("study_id")


def _total(column: InstrumentedAttribute[int]) -> ColumnElement[int]:
    # PostgreSQL sums to a decimal number.
    return func.coalesce(cast(func.sum(column), BigInteger()), 0)


def _of_study(query: Select, session_id: InstrumentedAttribute[int]) -> Select:
    """Restrict a query about things of sessions to those of the study `study_id`."""
    return (
        query.join(Session, Session.id == session_id)
        .join(Participant, Participant.id == Session.participant_id)
        .where(_STUDY)
    )


# The statements, built once.
_SESSIONS = (
    select(
        Session.state,
        func.count(),
        func.count().filter(Session.excluded.is_not(None)),
        func.count().filter(Session.simulated),
    )
    .join(Participant)
    .where(_STUDY)
    .group_by(Session.state)
    .order_by(Session.state)
)
_ANSWERS = _of_study(select(_total(Pace.answers), _total(Pace.failed)), Pace.session_id)
_RECENT = (
    _of_study(select(Pace.minute, _total(Pace.answers)), Pace.session_id)
    .where(Pace.minute > bindparam("before"))
    .group_by(Pace.minute)
)
_PAYMENTS = (
    _of_study(select(Payment.state, func.count()), Payment.session_id).group_by(Payment.state).order_by(Payment.state)
)
_SETS = (
    select(Item.set_name, Item.quota, Item.filled, func.count())
    .where(Item.study_id == bindparam("study_id"), Item.role == "test")
    .group_by(Item.set_name, Item.quota, Item.filled)
    .order_by(Item.set_name, Item.quota)
)
# As text, so that the databases see that the index of spoiled trials is meant.
_SPOILED = _of_study(select(func.count()).select_from(Assignment), Assignment.session_id).where(
    text("assignment.state = 'spoiled'")
)
# Only sessions with a lease are looked at.
_LIVE = (
    select(Session.id)
    .join(Participant)
    .where(_STUDY, Session.state.in_(("started", "lapsed")), Session.lease_until.is_not(None))
)
_UNDER_WAY = (
    select(func.count())
    .select_from(Assignment)
    .where(Assignment.session_id.in_(_LIVE), Assignment.state == "open", Assignment.holds)
)
_DECLINED = select(Study.declined).where(Study.id == bindparam("study_id"))
# About use the last of one session and rule counts; about pay the last of a session, which may be a person's.
_LATER = aliased(Decision)
_REPLACED = exists().where(
    _LATER.session_id == Decision.session_id,
    _LATER.tier == Decision.tier,
    or_(_LATER.rule == Decision.rule, _LATER.tier == "pay"),
    _LATER.id > Decision.id,
)
_VERDICTS = (
    _of_study(select(Decision.tier, Decision.rule, Decision.verdict, func.count()), Decision.session_id)
    .where(not_(_REPLACED))
    .group_by(Decision.tier, Decision.rule, Decision.verdict)
    .order_by(Decision.tier, Decision.rule, Decision.verdict)
)


@dataclass(frozen=True)
class SetProgress:
    """Progress of one set: test items, those with all answers, answers needed, and places filled.

    Attributes
    ----------
    quota : int
        Answers wanted of each item.
    by_filled : tuple of int
        How many items have 0, 1, ... `quota` places filled.
    """

    name: str
    items: int
    done: int
    wanted: int
    filled: int
    quota: int = 0
    by_filled: tuple[int, ...] = ()


@dataclass(frozen=True)
class RuleResult:
    """How sessions fared under one rule about use: how many kept it, how many broke it."""

    rule: str
    kept: int
    broken: int


@dataclass(frozen=True)
class Status:
    """Progress of a study.

    Attributes
    ----------
    sets : tuple of SetProgress
    sessions : dict of state to number
    excluded : int
        Sessions whose answers are not used.
    simulated : int
        Sessions of programs.
    answers : int
        All that are stored: of test items, sentinels and training, used or not.
    failed : int
        Of these, the ones to a bad exposure.
    spoiled : int
        Trials whose every exposure was bad.
    under_way : int
        Places filled by trials that are still to be answered.
    recent : tuple of int
        Answers of each of the last 60 minutes, the current one last.
    rate : float
        Answers a minute, over the last five whole minutes.
    rules : tuple of RuleResult
    pay : dict of verdict to number of sessions
        What the rules suggest: approve, pro rata, review.
    payments : dict of state to number
    declined : int
        People who declined, of whom nothing else is kept.
    damaged : tuple of DamagedImage
        Images that do not hold what they should, and are given to nobody.
    durations : tuple of Duration
        How long the sessions of each outcome took, and what their pay comes to an hour.
    at : int
        When this was so, in milliseconds since 1970.
    """

    sets: tuple[SetProgress, ...]
    sessions: dict[str, int]
    excluded: int
    simulated: int
    answers: int = 0
    failed: int = 0
    spoiled: int = 0
    under_way: int = 0
    recent: tuple[int, ...] = ()
    rate: float = 0.0
    rules: tuple[RuleResult, ...] = ()
    pay: dict[str, int] = field(default_factory=dict)
    payments: dict[str, int] = field(default_factory=dict)
    declined: int = 0
    damaged: tuple[DamagedImage, ...] = ()
    durations: tuple[Duration, ...] = ()
    at: int = 0

    @property
    def filled(self) -> int:
        """Answers that count or are being given."""
        return sum(found.filled for found in self.sets)

    @property
    def wanted(self) -> int:
        """All answers that the study asks for."""
        return sum(found.wanted for found in self.sets)


def status(connection: Connection, study_id: int, *, now: int) -> Status:
    """Sum up a study; `now` is in milliseconds since 1970."""
    of_study = {"study_id": study_id}
    sessions = connection.execute(_SESSIONS, of_study).all()
    answers, failed = connection.execute(_ANSWERS, of_study).one()
    recent = _recent(connection, study_id, now // MINUTE_MS)
    verdicts = _verdicts(connection, study_id)
    whole = recent[-RATE_MINUTES - 1 : -1]
    return Status(
        sets=_sets(connection, study_id),
        sessions={row[0]: row[1] for row in sessions},
        excluded=sum(row[2] for row in sessions),
        simulated=sum(row[3] for row in sessions),
        answers=answers,
        failed=failed,
        spoiled=connection.scalars(_SPOILED, of_study).one(),
        under_way=connection.scalars(_UNDER_WAY, of_study).one(),
        recent=recent,
        rate=sum(whole) / len(whole),
        rules=_rules(verdicts["use"]),
        pay=dict(sum(verdicts["pay"].values(), Counter())),
        payments=_counts(connection.execute(_PAYMENTS, of_study)),
        declined=connection.scalars(_DECLINED, of_study).one(),
        damaged=damaged_images(connection),
        durations=durations(connection, study_id),
        at=now,
    )


def _counts(rows: Iterable[Row[K, int]]) -> dict[K, int]:
    """Rows of a name and a number, as a dictionary."""
    return {row[0]: row[1] for row in rows}


def _sets(connection: Connection, study_id: int) -> tuple[SetProgress, ...]:
    rows = connection.execute(_SETS, {"study_id": study_id}).all()
    found: dict[tuple[str, int], Counter[int]] = {}
    for name, quota, filled, items in rows:
        assert quota is not None  # as every test item has one
        found.setdefault((name, quota), Counter())[filled] += items
    return tuple(
        SetProgress(
            name=name,
            items=count.total(),
            done=count[quota],
            wanted=quota * count.total(),
            filled=sum(filled * items for filled, items in count.items()),
            quota=quota,
            by_filled=tuple(count[filled] for filled in range(quota + 1)),
        )
        for (name, quota), count in found.items()
    )


def _recent(connection: Connection, study_id: int, minute: int) -> tuple[int, ...]:
    found = _counts(connection.execute(_RECENT, {"study_id": study_id, "before": minute - RECENT_MINUTES}))
    return tuple(found.get(minute - ago, 0) for ago in range(RECENT_MINUTES - 1, -1, -1))


def _verdicts(connection: Connection, study_id: int) -> dict[str, dict[str, Counter[str]]]:
    """Of each tier and rule, how many sessions got which verdict."""
    rows = connection.execute(_VERDICTS, {"study_id": study_id})
    found: dict[str, dict[str, Counter[str]]] = {"use": {}, "pay": {}}
    for tier, rule, verdict, sessions in rows:
        found[tier].setdefault(rule, Counter())[verdict] = sessions
    return found


def _rules(verdicts: Mapping[str, Counter[str]]) -> tuple[RuleResult, ...]:
    return tuple(
        RuleResult(rule, kept=count.total() - count["excluded"], broken=count["excluded"])
        for rule, count in verdicts.items()
    )
