"""What a session's answers say about whether they can be used, and about pay: two tiers, kept apart.

Use: every sentinel rule, every rule of conduct and the rules about time must be kept, else all answers of the session
are kept but not used, and their items are asked again. A sentinel that was not answered, or spoiled, is not right,
and what cannot be known keeps no rule. Pay: everybody who took part is paid; a broken rule only asks a person to look
first.

The answers of a session that is left unfinished are not used, unless the study says so: they would be those of whom no
rule could judge, and leaving early would pay. Where it does say so, they count up to the last sentinel passed, if
somebody who answers by chance would pass as many of those in hardly any case.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import comb

import numpy as np
import pandas as pd
from sqlalchemy import Connection, insert, select, update

from bapps_builder.answers.exclusions import conduct, parse_rule
from collection_app.database.models import Answer, Assignment, Decision, Item, Session, table_of
from collection_app.sessions.allocation import release, take_again
from collection_app.sessions.answering import LATE, own_ms
from collection_app.sessions.exposures import MARKS, Shown, ahead_of_time
from collection_app.studies.study import SentinelRule, Study

UNFINISHED, NOT_REACHED = "unfinished session", "unfinished session: after the last sentinel passed"
# How the rules of decisions begin that a person made.
DECIDED = "decided by "
VALID, OWN_TIME = "valid answers", "its own time"
# How often chance may pass as many sentinels as are taken for a sign of looking.
_BY_CHANCE = 0.02
# Answers that no browser gives, or that come before their time: more than this share of a session is looked at.
_SHARE_MARKED = 0.05
# Trials of a complete session without a valid answer: a device seldom spoils more than these or one, and who likes can
# spoil many.
_SHARE_LEFT_OUT = 0.05


@dataclass(frozen=True)
class Judged:
    """One answer that counts, as the rules see it."""

    role: str
    check: str
    choice: str
    expected: str
    side: str
    slot: int
    reaction_ms: float
    focus_lost: bool = False

    @property
    def passed(self) -> bool:
        """Whether it is right about a sentinel."""
        return self.role == "sentinel" and self.choice == self.expected


@dataclass(frozen=True)
class Came:
    """What the server saw of a session, whatever its answers are.

    Attributes
    ----------
    expected : int
        Trials of the session.
    to_judge : int
        Those that are no training.
    sentinels : int
        Those that are sentinels.
    marked : int
        Answers with one of `exposures.MARKS`.
    ahead : int
        Answers that came before their own time had passed; see `exposures.ahead_of_time`.
    received : int
        Answers, valid or not.
    """

    expected: int
    to_judge: int
    sentinels: int = 0
    marked: int = 0
    ahead: int = 0
    received: int = 0


@dataclass(frozen=True)
class Verdict:
    """What one rule says of a session; `verdict` is used, excluded, approve, pro rata or review."""

    tier: str
    rule: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What a session comes to.

    Attributes
    ----------
    verdicts : list of Verdict
    complete : bool
        Whether enough of its answers are valid, and enough sentinels right.
    used_until : int or None
        The last slot whose answer is used, where not all are.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    complete: bool = True
    used_until: int | None = None


def judge(study: Study, answers: Sequence[Judged], came: Came, *, finished: bool) -> Outcome:
    """Judge a session by its answers, one for each assignment that has a valid one."""
    verdicts = _completeness(study, answers, came) if finished else [_unfinished(study, answers, came)]
    complete = finished and all(one.verdict == "used" for one in verdicts)
    verdicts += _conduct(study, answers, came, finished=finished)
    ahead = came.ahead / max(came.received, 1)
    if study.rules.server_time:
        reason = f"{came.ahead} of {came.received} answers before their own time had passed"
        verdicts.append(Verdict("use", OWN_TIME, "excluded" if ahead > _SHARE_MARKED else "used", reason))
    reviews = [one.reason for one in verdicts if one.verdict == "review"]
    if finished and not complete:
        reviews += [f"{one.rule}: {one.reason}" for one in verdicts if one.tier == "use" and one.verdict == "excluded"]
    elif ahead > _SHARE_MARKED:
        reviews.append(f"{came.ahead} of {came.received} answers before their own time had passed")
    if came.marked > _SHARE_MARKED * max(came.received, 1):
        reviews.append(f"{came.marked} of {came.received} answers as no browser gives them")
    left_out = came.expected - len(answers)
    if complete and left_out > max(1, _SHARE_LEFT_OUT * came.expected):
        reviews.append(f"{left_out} of {came.expected} trials without a valid answer")
    share = f"{len(answers)} of {came.expected} answered"
    usual = "approve" if finished else "pro rata"
    pay = Verdict("pay", "part taken", "review" if reviews else usual, "; ".join([share, *reviews]))
    until = None if finished else _last_passed(answers)
    return Outcome([*(one for one in verdicts if one.tier == "use"), pay], complete, until)


def _completeness(study: Study, answers: Sequence[Judged], came: Came) -> list[Verdict]:
    """Whether a session that was gone through to its end is complete."""
    right = Counter(answer.check for answer in answers if answer.passed)
    seen = Counter(answer.check for answer in answers if answer.role == "sentinel")
    verdicts = [_sentinels(rule, right=right[rule.check], seen=seen[rule.check]) for rule in study.sentinels.rules]
    valid, least = sum(answer.role != "training" for answer in answers), study.rules.least_valid
    enough = valid >= least * came.to_judge
    name = f"{VALID}>={least:g}"
    return [*verdicts, Verdict("use", name, "used" if enough else "excluded", f"{valid} of {came.to_judge}")]


def _sentinels(rule: SentinelRule, *, right: int, seen: int) -> Verdict:
    name = f"sentinels {rule.check}>={rule.at_least} of {rule.count}"
    reason = f"{right} right, {seen - right} wrong" + (f", {rule.count - seen} not seen" if seen < rule.count else "")
    return Verdict("use", name, "used" if right >= rule.at_least else "excluded", reason)


def _unfinished(study: Study, answers: Sequence[Judged], came: Came) -> Verdict:
    """Whether the answers of a session that was left are used up to the last sentinel passed."""
    seen = Counter(answer.check for answer in answers if answer.role == "sentinel")
    right = Counter(answer.check for answer in answers if answer.passed)
    shares = all(right[rule.check] * rule.count >= rule.at_least * max(seen[rule.check], 1) for rule in _rules(study))
    chance = by_chance(seen.total(), right.total())
    keep = study.rules.keep_unfinished and shares and chance <= _BY_CHANCE
    reason = f"{len(answers)} of {came.expected}"
    if study.rules.keep_unfinished:
        reason += f", {right.total()} of {seen.total()} sentinels right, by chance in {chance:.1%}"
    return Verdict("use", UNFINISHED, "used" if keep else "excluded", reason)


def _rules(study: Study) -> Sequence[SentinelRule]:
    return study.sentinels.rules


def by_chance(seen: int, right: int) -> float:
    """How likely one of two choices, made by chance each time, is right so often: 1 where nothing was seen."""
    return sum(comb(seen, k) for k in range(right, seen + 1)) / 2**seen


def _last_passed(answers: Sequence[Judged]) -> int:
    return max((answer.slot for answer in answers if answer.passed), default=-1)


def _conduct(study: Study, answers: Sequence[Judged], came: Came, *, finished: bool) -> list[Verdict]:
    """What each rule of conduct says: of those about use, excluded or used; of those about pay, review or approve.

    What cannot be known keeps no rule; at the end, sentinels without an answer are not right.
    """
    rules = [("use", parse_rule(rule)) for rule in study.rules.use]
    rules += [("pay", parse_rule(rule)) for rule in study.rules.pay]
    if not rules:
        return []
    table = pd.DataFrame(
        {
            "participant": "this",
            "task": study.task,
            "role": [answer.role for answer in answers],
            "choice": [answer.choice for answer in answers],
            "expected": [answer.expected for answer in answers],
            "side": [answer.side if study.task_module.sided else "" for answer in answers],
            "trial": [answer.slot for answer in answers],
            "reaction_ms": [answer.reaction_ms for answer in answers],
            "focus_lost": [answer.focus_lost for answer in answers],
        }
    )
    behaved = conduct(table) if answers else None
    verdicts = []
    for tier, rule in rules:
        value = np.array([np.nan]) if behaved is None else behaved.quantity(rule.quantity)
        if rule.quantity == "sentinels" and finished and came.sentinels:
            value = np.array([sum(answer.passed for answer in answers) / came.sentinels])
        keeps = not np.isnan(value[0]) and not rule.broken(value)[0]
        words = {"use": ("excluded", "used"), "pay": ("review", "approve")}[tier]
        number = "not known" if np.isnan(value[0]) else f"{np.round(value[0], 3):g}"
        verdicts.append(Verdict(tier, str(rule), words[keeps], f"{rule.quantity} {number}"))
    return verdicts


def outcome_of(connection: Connection, study: Study, *, session_id: int, finished: bool) -> Outcome:
    """Judge a session by what is stored of it; nothing is written."""
    session = connection.execute(select(Session).where(Session.id == session_id)).one()
    columns = table_of(Answer).c
    rows = connection.execute(
        select(Item.role, Item.check_name, Answer.choice, Item.expected, Assignment.side, Assignment.slot)
        .add_columns(columns.reaction_ms, Answer.valid, Answer.reason, Answer.submitted_at, Answer.fetched_at)
        .add_columns(columns.first_ms, columns.gap_ms, columns.second_ms, columns.focus_lost)
        .select_from(Assignment)
        .join(Item)
        .join(Answer, Answer.assignment_id == Assignment.id)
        .where(Assignment.session_id == session_id)
        .order_by(Assignment.slot, Answer.attempt)
    ).all()
    # One answer an assignment: the last valid attempt, whether it came in time or not.
    by_slot = {
        row.slot: Judged(
            *row[:6],
            reaction_ms=_reaction_ms(row.reaction_ms, row.fetched_at, row.submitted_at),
            focus_lost=row.focus_lost,
        )
        for row in rows
        if row.valid
    }
    roles = connection.scalars(select(Item.role).join(Assignment).where(Assignment.session_id == session_id)).all()
    in_order = sorted(rows, key=lambda row: row.submitted_at)
    # A clock that was set back meanwhile says nothing about time.
    back = any(row.fetched_at is not None and row.fetched_at > row.submitted_at for row in rows)
    timed = study.rules.server_time and session.guarded and not back
    own = [
        own_ms(study, Shown(row.first_ms, row.gap_ms, row.second_ms, None, False), row.reaction_ms) for row in in_order
    ]
    at = [row.submitted_at for row in in_order]
    came = Came(
        expected=len(roles),
        to_judge=sum(role != "training" for role in roles),
        sentinels=sum(role == "sentinel" for role in roles),
        marked=sum(row.reason in MARKS for row in rows),
        ahead=ahead_of_time(own, at, began=session.started_at) if timed else 0,
        received=len(rows),
    )
    return judge(study, list(by_slot.values()), came, finished=finished)


def judge_session(connection: Connection, study: Study, *, session_id: int, finished: bool, now: int) -> bool:
    """Judge a session, write down what each rule found, and act on it; tell whether it is complete."""
    outcome = outcome_of(connection, study, session_id=session_id, finished=finished)
    values = [
        {"session_id": session_id, "tier": v.tier, "rule": v.rule, "verdict": v.verdict, "reason": v.reason, "at": now}
        for v in outcome.verdicts
    ]
    connection.execute(insert(Decision), values)
    if reasons := [f"{v.rule} ({v.reason})" for v in outcome.verdicts if v.verdict == "excluded"]:
        exclude_session(connection, session_id=session_id, reason="; ".join(reasons))
    elif finished:
        _use_again(connection, session_id)
    elif outcome.used_until is not None:
        _unuse(connection, _ids(connection, session_id, after=outcome.used_until), NOT_REACHED)
    return outcome.complete


def _reaction_ms(said: float, fetched_at: int | None, submitted_at: int) -> float:
    """A time to react: as the browser says, but no longer than the server saw it could be."""
    if fetched_at is None or fetched_at > submitted_at:
        return said
    return min(said, float(submitted_at - fetched_at))


def exclude_session(connection: Connection, *, session_id: int, reason: str) -> None:
    """Use no answer of a session, and give all its places to others; the answers stay."""
    _unuse(connection, _ids(connection, session_id, after=-1), reason)
    connection.execute(update(Session).where(Session.id == session_id).values(excluded=reason))


def _use_again(connection: Connection, session_id: int) -> None:
    """Use what was not used because the session had been left, and now is complete, where there still is a place."""
    excluded = connection.scalar(select(Session.excluded).where(Session.id == session_id))
    connection.execute(update(Session).where(Session.id == session_id).values(excluded=None))
    left = (
        select(Assignment, Item.role, Answer.id.label("answer_id"))
        .join(Item)
        .join(Answer)
        .where(Assignment.session_id == session_id, Answer.valid)
        .where(Answer.reason.startswith(UNFINISHED) | (Answer.reason == (excluded or UNFINISHED)))
        .order_by(Assignment.item_id)
    )
    for row in connection.execute(left).all():
        again = row.role != "test" or take_again(connection, row)
        values = {"use": True, "reason": ""} if again else {"reason": LATE}
        connection.execute(update(Answer).where(Answer.id == row.answer_id).values(values))


def _ids(connection: Connection, session_id: int, *, after: int) -> Sequence[int]:
    of_session = select(Assignment.id).where(Assignment.session_id == session_id, Assignment.slot > after)
    return connection.scalars(of_session).all()


def _unuse(connection: Connection, ids: Sequence[int], reason: str) -> None:
    release(connection, ids)
    connection.execute(update(Answer).where(Answer.assignment_id.in_(ids), Answer.use).values(use=False, reason=reason))
