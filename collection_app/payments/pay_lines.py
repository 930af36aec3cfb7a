"""Who is to be paid what, and why: one line a session, made of what the rules found and of what people decided.

Everybody who took part in good faith is paid: in full for a complete session, by share for a part. Who gave
nothing is asked to return the work. No rule withholds pay: only a person does, by name and with a reason.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import Connection, Row, Select, func, insert, select

from collection_app.database.models import Assignment, Decision, Identity, Participant, Payment, Session
from collection_app.database.models import Study as StudyRow
from collection_app.errors import StudyError
from collection_app.sessions.answering import OPEN_STATES
from collection_app.sessions.judging import DECIDED
from collection_app.sessions.likeness import alike_sessions
from collection_app.sessions.steps import TURNED_AWAY, Step
from collection_app.sessions.vouching import DOUBTED, MADE_UP, UNKNOWN, UNREACHABLE
from collection_app.signing import pay_id
from collection_app.studies.study import Study

Verdict = Literal["approve", "pro rata", "ask to return", "withhold"]
UNJUDGED = "silent, and not judged yet"
UNASKED = "the platform could not be asked whether it knows this submission"
_UNSURE = {UNREACHABLE: UNASKED, DOUBTED: "the platform did not know this submission when it was asked first"}


@dataclass(frozen=True)
class Line:
    """What one session is to be paid.

    Attributes
    ----------
    external_id : str
        Of the person on the platform; empty once they were erased.
    submission_id : str
    pay_id : str
        What lists of pay alone call the session, another one once the person was erased; empty after all were.
    outcome : str
        Of the session, or its state while it has none.
    verdict : Verdict
    amount_minor : int
        In hundredths of `currency`.
    reasons : str
    look : bool
        A rule asks that a person look before anything is sent.
    platform_state : str
        What the platform last said of the submission.
    payment, key : str
        State of the payment in the ledger, and its idempotency key; empty before there is one.
    """

    external_id: str
    submission_id: str
    pay_id: str
    outcome: str
    verdict: Verdict
    amount_minor: int
    currency: str
    reasons: str
    look: bool
    platform_state: str
    payment: str
    key: str
    session_id: int

    @property
    def kind(self) -> Literal["approve", "bonus"]:
        """How the platform is asked: to approve the submission, or to pay a part beside it."""
        return "approve" if self.verdict == "approve" else "bonus"


def over(step: Step) -> Select:
    """The ids of the sessions that are over, or silent too long, in the order of arrival."""
    silent_since = step.now - round(step.study.lapse_hours * 3_600_000)
    return (
        select(Session.id)
        .join(Participant)
        .where(Participant.study_id == step.study_id)
        .where(Session.state.not_in(("arrived", "started")) | (Session.seen_at < silent_since))
        .order_by(Session.id)
    )


def pay_lines(connection: Connection, step: Step, only: Sequence[int] | None = None) -> list[Line]:
    """Give a line for each session of `over`, in its order, or `only` for some of them."""
    sessions = over(step).order_by(None) if only is None else only
    decisions: dict[int, list[Row]] = {}
    for row in connection.execute(
        select(Decision).where(Decision.session_id.in_(sessions), Decision.tier == "pay").order_by(Decision.id)
    ):
        decisions.setdefault(row.session_id, []).append(row)
    rows = connection.execute(
        select(Session, Identity.external_id)
        .add_columns(
            func.count(Assignment.id).label("trials"),
            func.count(Assignment.id).filter(Assignment.state == "answered").label("answered"),
        )
        .join(Participant, Participant.id == Session.participant_id)
        .outerjoin(Identity, Identity.participant_id == Participant.id)
        .outerjoin(Assignment, Assignment.session_id == Session.id)
        .where(Session.id.in_(sessions))
        .group_by(Session.id, Identity.external_id)
        .order_by(Session.id)
    ).all()
    payments = {
        row.session_id: row for row in connection.execute(select(Payment).where(Payment.session_id.in_(sessions)))
    }
    suspicions = {of: [why] for of, why in alike_sessions(connection, step.study_id, sessions).items()}
    for row in rows:
        if row.vouched in _UNSURE:
            suspicions.setdefault(row.id, []).append(_UNSURE[row.vouched])
    salt = connection.scalar(select(StudyRow.salt).where(StudyRow.id == step.study_id))
    return [
        _line(step.study, salt, row, decisions.get(row.id, []), payments.get(row.id), suspicions.get(row.id, []))
        for row in rows
    ]


def _line(
    study: Study,
    salt: bytes | None,
    session: Row,
    decisions: list[Row],
    payment: Row | None,
    suspicions: Sequence[str],
) -> Line:
    verdict, reasons, look = _judged(study, session, decisions)
    if suspicions and not _decided(decisions):
        reasons, look = "; ".join([reasons, *suspicions]), True
    return Line(
        external_id=session.external_id or "",
        submission_id=session.submission_id or "",
        pay_id=pay_id(salt, session.public_id) if salt else "",
        outcome=session.outcome or session.state,
        verdict=verdict,
        amount_minor=amount(study, verdict, session.outcome, answered=session.answered, trials=session.trials),
        currency=study.terms.currency,
        reasons=reasons,
        look=look,
        platform_state=session.platform_state or "",
        payment=payment.state if payment else "",
        key=payment.idempotency_key if payment else "",
        session_id=session.id,
    )


def _judged(study: Study, session: Row, decisions: list[Row]) -> tuple[Verdict, str, bool]:
    """The verdict, why, and whether a person should look first."""
    if by_people := _decided(decisions):
        last = by_people[-1]
        return last.verdict, f"{last.rule}: {last.reason}", False
    if session.vouched == UNKNOWN:
        return "ask to return", MADE_UP, True
    if session.state in ("arrived", "turned away"):
        if session.outcome in (None, "no_consent", "withdrawn"):
            return "ask to return", "did not begin", False
        has_pay = study.terms.turned_away_pay > 0
        return ("pro rata" if has_pay else "ask to return"), f"turned away: {session.outcome}", False
    share = f"{session.answered} of {session.trials} answered"
    by_rule = decisions[-1] if decisions else None
    look = by_rule is not None and by_rule.verdict == "review"
    reasons = by_rule.reason if by_rule else share
    if session.state == "complete":
        return "approve", reasons, look
    if session.state == "incomplete" and session.outcome == "incomplete":
        # Whose sentinels were not right has taken part as long as any; whose answers are not valid, in a part of it.
        whole = session.answered >= study.rules.least_valid * session.trials
        return ("approve" if whole else "pro rata"), reasons, True
    if session.outcome == "unsuitable_device":
        has_pay = session.answered > 0 or study.terms.turned_away_pay > 0
        return ("pro rata" if has_pay else "ask to return"), f"unsuitable_device, {reasons}", look
    if session.answered == 0:
        return "ask to return", share, False
    if by_rule is None and session.state in OPEN_STATES:
        return "pro rata", f"{share}; {UNJUDGED}", True
    return "pro rata", reasons if look else share, look


def _decided(decisions: list[Row]) -> list[Row]:
    return [row for row in decisions if row.rule.startswith(DECIDED)]


def amount(study: Study, verdict: Verdict, outcome: str | None, *, answered: int, trials: int) -> int:
    """What a verdict comes to, in hundredths; a share is rounded up."""
    whole = round(study.terms.pay * 100)
    if verdict == "approve":
        return whole
    if verdict != "pro rata":
        return 0
    least = round(study.terms.turned_away_pay * 100) if outcome and (trials == 0 or outcome in TURNED_AWAY) else 0
    return max(least, math.ceil(whole * answered / trials) if trials else 0)


def decide(
    connection: Connection, step: Step, lines: Mapping[str, Line], *, person: str, verdict: str, by: str, reason: str
) -> Line:
    """Write down what somebody decided about a person's pay, over what the rules found; gives the line as it was.

    `lines` by whatever may name them: platform id, submission, or pay id.

    Raises
    ------
    StudyError
        If there is no such line, or name or reason is missing, or it was paid already.
    """
    if verdict not in get_args(Verdict):
        raise StudyError(f"the verdict must be one of {', '.join(get_args(Verdict))}, got {verdict!r}")
    if not by.strip() or not reason.strip():
        raise StudyError("a decision about pay needs the name of who decides (--by) and a --reason")
    if person not in lines:
        raise StudyError(f"nobody to be paid is named {person!r}")
    line = lines[person]
    if line.payment in ("sent", "confirmed"):
        raise StudyError(f"{person}: the payment is already {line.payment}, so the decision can no longer be changed")
    connection.execute(
        insert(Decision).values(
            session_id=line.session_id,
            tier="pay",
            rule=f"{DECIDED}{by.strip()}",
            verdict=verdict,
            reason=reason.strip(),
            at=step.now,
        )
    )
    return line
