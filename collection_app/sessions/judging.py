"""What a session's answers say about whether they can be used, and about pay: two tiers, kept apart.

Use: every sentinel rule and every rule of conduct must be kept, else all answers of the session are kept
but not used, and their items are asked again. Pay: everybody who took part is paid; a broken rule only asks a
person to look first. An unfinished session is judged by what it has: a sentinel rule of 14 in 15 allows one
failure.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sqlalchemy import Connection, insert, select, update

from bapps_builder.answers.exclusions import conduct, parse_rule
from collection_app.database.models import Answer, Assignment, Decision, Item, Session
from collection_app.sessions.allocation import release
from collection_app.studies.study import SentinelRule, Study

UNFINISHED = "unfinished session"


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


@dataclass(frozen=True)
class Verdict:
    """What one rule says of a session; `verdict` is used, excluded, approve, pro rata or review."""

    tier: str
    rule: str
    verdict: str
    reason: str


def verdicts(study: Study, answers: Sequence[Judged], *, finished: bool, expected: int) -> list[Verdict]:
    """Judge a session by its answers, one for each assignment that has one; `expected` is the number of those."""
    shown = Counter(answer.check for answer in answers if answer.role == "sentinel")
    right = Counter(
        answer.check for answer in answers if answer.role == "sentinel" and answer.choice == answer.expected
    )
    found = [
        _sentinels(rule, right=right[rule.check], wrong=shown[rule.check] - right[rule.check])
        for rule in study.sentinels.rules
    ]
    found += [Verdict("use", rule, "excluded" if out else "used", said) for rule, out, said in _conduct(study, answers)]
    if not finished:
        keep = study.rules.keep_unfinished
        found.append(Verdict("use", UNFINISHED, "used" if keep else "excluded", f"{len(answers)} of {expected}"))
    reviews = [said for _, out, said in _conduct(study, answers, tier="pay") if out]
    share = f"{len(answers)} of {expected} answered"
    usual = "approve" if finished else "pro rata"
    return [*found, Verdict("pay", "part taken", "review" if reviews else usual, "; ".join([share, *reviews]))]


def _sentinels(rule: SentinelRule, *, right: int, wrong: int) -> Verdict:
    passed = wrong <= rule.count - rule.at_least
    name = f"sentinels {rule.check}>={rule.at_least} of {rule.count}"
    return Verdict("use", name, "used" if passed else "excluded", f"{right} right, {wrong} wrong")


def _conduct(study: Study, answers: Sequence[Judged], *, tier: str = "use") -> list[tuple[str, bool, str]]:
    """Of each rule of conduct: its text, whether it is broken, and the value found."""
    rules = [parse_rule(rule) for rule in getattr(study.rules, tier)]
    if not rules or not answers:
        return []
    table = pd.DataFrame(
        {
            "participant": "this",
            "task": study.task,
            "role": [answer.role for answer in answers],
            "choice": [answer.choice for answer in answers],
            "expected": [answer.expected for answer in answers],
            "side": [answer.side if study.task == "2afc" else "" for answer in answers],
            "trial": [answer.slot for answer in answers],
            "reaction_ms": [answer.reaction_ms for answer in answers],
        }
    )
    behaved = conduct(table)
    values = {rule: behaved.quantity(rule.quantity) for rule in rules}
    return [
        (str(rule), bool(rule.broken(value)[0]), f"{rule.quantity} {np.round(value[0], 3):g}")
        for rule, value in values.items()
    ]


def judge_session(connection: Connection, study: Study, *, session_id: int, finished: bool, now: int) -> None:
    """Judge a session, write down what each rule found, and act on it."""
    rows = connection.execute(
        select(Item.role, Item.check_name, Answer.choice, Item.expected, Assignment.side, Assignment.slot)
        .add_columns(Answer.reaction_ms)
        .select_from(Assignment)
        .join(Item)
        # One answer an assignment: the last valid attempt, whether it came in time or not.
        .join(Answer, (Answer.assignment_id == Assignment.id) & Answer.valid)
        .where(Assignment.session_id == session_id)
        .order_by(Assignment.slot, Answer.attempt)
    )
    by_slot = {row.slot: Judged(*row) for row in rows}
    expected = len(connection.scalars(select(Assignment.id).where(Assignment.session_id == session_id)).all())
    found = verdicts(study, list(by_slot.values()), finished=finished, expected=expected)
    values = [
        {"session_id": session_id, "tier": v.tier, "rule": v.rule, "verdict": v.verdict, "reason": v.reason, "at": now}
        for v in found
    ]
    connection.execute(insert(Decision), values)
    if broken := [f"{v.rule} ({v.reason})" for v in found if v.verdict == "excluded"]:
        exclude_session(connection, session_id=session_id, reason="; ".join(broken))


def exclude_session(connection: Connection, *, session_id: int, reason: str) -> None:
    """Use no answer of a session, and give all its places to others; the answers stay."""
    ids = connection.scalars(select(Assignment.id).where(Assignment.session_id == session_id)).all()
    release(connection, ids)
    connection.execute(update(Answer).where(Answer.assignment_id.in_(ids), Answer.use).values(use=False, reason=reason))
    connection.execute(update(Session).where(Session.id == session_id).values(excluded=reason))
