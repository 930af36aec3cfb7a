"""How far a study is: sums of counters, so that it is quick however many answers there are.

The counters are `item.filled`, which the allocator keeps, and `pace`, which the database keeps with every answer.
No number here walks over the answers.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, case, cast, func, select, text
from sqlalchemy.orm import InstrumentedAttribute

from collection_app.models import Assignment, Decision, Item, Pace, Participant, Payment, Session

K = TypeVar("K")
MINUTE_MS = 60_000
# How far back the answers of each minute are shown.
RECENT_MINUTES = 60
# A rate is taken over so many whole minutes.
RATE_MINUTES = 5


@dataclass(frozen=True)
class SetProgress:
    """Progress of one set: test items, those with all answers, answers wanted, and places filled.

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
    sessions = connection.execute(
        select(
            Session.state,
            func.count(),
            func.count().filter(Session.excluded.is_not(None)),
            func.count().filter(Session.simulated),
        )
        .join(Participant)
        .where(Participant.study_id == study_id)
        .group_by(Session.state)
        .order_by(Session.state)
    ).all()
    answers, failed = connection.execute(
        _of_study(select(_total(Pace.answers), _total(Pace.failed)), Pace.session_id, study_id)
    ).one()
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
        spoiled=_spoiled(connection, study_id),
        under_way=_under_way(connection, study_id),
        recent=recent,
        rate=sum(whole) / len(whole),
        rules=_rules(verdicts["use"]),
        pay=dict(sum(verdicts["pay"].values(), Counter())),
        payments=_counts(
            connection,
            _of_study(select(Payment.state, func.count()), Payment.session_id, study_id)
            .group_by(Payment.state)
            .order_by(Payment.state),
        ),
        at=now,
    )


def _counts(connection: Connection, query: Select[K, int]) -> dict[K, int]:
    """Rows of a name and a number, as a dictionary."""
    return {row[0]: row[1] for row in connection.execute(query)}


def _total(column: InstrumentedAttribute[int]) -> ColumnElement[int]:
    # PostgreSQL sums to a decimal number.
    return func.coalesce(cast(func.sum(column), BigInteger), 0)


def _of_study(query: Select, session_id: InstrumentedAttribute[int], study_id: int) -> Select:
    """Restrict a query about things of sessions to a study's."""
    return (
        query.join(Session, Session.id == session_id)
        .join(Participant, Participant.id == Session.participant_id)
        .where(Participant.study_id == study_id)
    )


def _sets(connection: Connection, study_id: int) -> tuple[SetProgress, ...]:
    rows = connection.execute(
        select(Item.set_name, Item.quota, Item.filled, func.count())
        .where(Item.study_id == study_id, Item.role == "test")
        .group_by(Item.set_name, Item.quota, Item.filled)
        .order_by(Item.set_name, Item.quota)
    ).all()
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
    query = _of_study(select(Pace.minute, _total(Pace.answers)), Pace.session_id, study_id)
    found = _counts(connection, query.where(Pace.minute > minute - RECENT_MINUTES).group_by(Pace.minute))
    return tuple(found.get(minute - ago, 0) for ago in range(RECENT_MINUTES - 1, -1, -1))


def _spoiled(connection: Connection, study_id: int) -> int:
    query = _of_study(select(func.count()).select_from(Assignment), Assignment.session_id, study_id)
    # As text, so that the databases see that the index of spoiled trials is meant.
    return connection.scalars(query.where(text("assignment.state = 'spoiled'"))).one()


def _under_way(connection: Connection, study_id: int) -> int:
    """Places that live leases hold: only sessions with a lease are looked at."""
    live = (
        select(Session.id)
        .join(Participant)
        .where(
            Participant.study_id == study_id,
            Session.state.in_(("started", "lapsed")),
            Session.lease_until.is_not(None),
        )
    )
    query = select(func.count()).select_from(Assignment)
    return connection.scalars(
        query.where(Assignment.session_id.in_(live), Assignment.state == "open", Assignment.holds)
    ).one()


def _verdicts(connection: Connection, study_id: int) -> dict[str, dict[str, Counter[str]]]:
    """Of each tier and rule, how many sessions got which verdict.

    About use the last of one session and rule counts; about pay the last of a session, which may be a person's.
    """
    rule = case((Decision.tier == "use", Decision.rule), else_="")
    last = _of_study(select(func.max(Decision.id)), Decision.session_id, study_id)
    rows = connection.execute(
        select(Decision.tier, Decision.rule, Decision.verdict, func.count())
        .where(Decision.id.in_(last.group_by(Decision.session_id, Decision.tier, rule)))
        .group_by(Decision.tier, Decision.rule, Decision.verdict)
        .order_by(Decision.tier, Decision.rule, Decision.verdict)
    )
    found: dict[str, dict[str, Counter[str]]] = {"use": {}, "pay": {}}
    for tier, rule, verdict, sessions in rows:
        found[tier].setdefault(rule, Counter())[verdict] = sessions
    return found


def _rules(verdicts: Mapping[str, Counter[str]]) -> tuple[RuleResult, ...]:
    return tuple(
        RuleResult(rule, kept=count.total() - count["excluded"], broken=count["excluded"])
        for rule, count in verdicts.items()
    )
