"""Sending payments so that nobody is paid twice: a row a payment, created -> sent -> confirmed.

A row says `sent` before the platform is asked, and the row is committed then. What happens after - a lost reply, an
error of the platform, a kill - leaves it `sent`, and nothing here sends it again: a person looks at the platform, and
says with `settle` what they saw. Only approving a submission, which is harmless to repeat, is tried again.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from collection_app.database.connections import read, write
from collection_app.database.models import Payment
from collection_app.errors import StudyError
from collection_app.payments.pay_lines import Line
from collection_app.platforms.platform import Payer, PlatformError, PlatformRefusal
from collection_app.sessions.steps import Step


def payable(line: Line) -> bool:
    """Whether a line may be sent now, as far as it itself says."""
    return line.amount_minor > 0 and not line.look and bool(line.submission_id) and line.payment != "confirmed"


def key_of(step: Step, line: Line) -> str:
    """The idempotency key of a session's payment: a session has one, of whatever kind; what was written first stays."""
    text = f"{step.study.name}\0{step.study.version}\0{line.pay_id}"
    return line.key or hashlib.sha256(text.encode()).hexdigest()


def send(
    engine: Engine,
    step: Step,
    lines: Sequence[Line],
    payer: Payer,
    *,
    advance: Callable[[int], None] = lambda steps: None,
) -> Counter[str]:
    """Send what is payable; gives how many payments were confirmed, refused, and left unclear, by these words."""
    counts: Counter[str] = Counter()
    for line in lines:
        if payable(line):
            counts[_send_one(engine, step, line, payer)] += 1
        advance(1)
    return counts


def _send_one(engine: Engine, step: Step, line: Line, payer: Payer) -> str:
    key = key_of(step, line)
    row = write(engine, lambda c: _create(c, step, line, key))
    if row.state == "confirmed":
        return "confirmed"
    if row.state == "sent" and row.kind == "bonus":
        return "unclear"
    try:
        if row.kind == "bonus" and row.reference is None:
            reference = payer.set_up(line.submission_id, row.amount_minor)
            write(engine, lambda c: _change(c, key, "created", reference=reference))
        else:
            reference = row.reference
        if row.state == "created" and not write(engine, lambda c: _change(c, key, "created", state="sent")):
            return "unclear"  # somebody else is sending it at this moment
        if row.kind == "bonus":
            payer.pay(str(reference))
        else:
            payer.approve(line.submission_id)
    except PlatformRefusal as error:
        detail = str(error)
        # It was not paid, so what was set up is not needed; the next time it is set up anew.
        write(engine, lambda c: _change(c, key, None, state="created", reference=None, detail=detail))
        return "refused"
    except PlatformError as error:
        detail = str(error)
        write(engine, lambda c: _change(c, key, None, detail=detail))
        return "unclear"
    write(engine, lambda c: _change(c, key, "sent", state="confirmed", detail=""))
    return "confirmed"


def _create(connection: Connection, step: Step, line: Line, key: str) -> Row:
    """The row of a payment, made if there is none; what was written first stays."""
    of_dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        of_dialect(Payment)
        .values(
            idempotency_key=key,
            session_id=line.session_id,
            amount_minor=line.amount_minor,
            currency=line.currency,
            kind=line.kind,
            state="created",
            reference=None,
            detail="",
            at=step.now,
        )
        .on_conflict_do_nothing()
    )
    row = connection.execute(select(Payment).where(Payment.idempotency_key == key)).one()
    if row.state == "created" and row.reference is None:  # nothing was asked for yet: a later decision counts
        connection.execute(
            update(Payment)
            .where(Payment.idempotency_key == key, Payment.state == "created", Payment.reference.is_(None))
            .values(amount_minor=line.amount_minor, kind=line.kind)
        )
        row = connection.execute(select(Payment).where(Payment.idempotency_key == key)).one()
    return row


def _change(connection: Connection, key: str, state_before: str | None, **values: object) -> bool:
    """Change a row if it is in the state expected; tell whether it was."""
    statement = update(Payment).where(Payment.idempotency_key == key)
    if state_before is not None:
        statement = statement.where(Payment.state == state_before)
    return bool(connection.execute(statement.values(**values)).rowcount)


def unclear(engine: Engine) -> list[Row]:
    """Payments that were sent, and nobody knows what became of them."""
    waiting = select(Payment).where(Payment.state == "sent").order_by(Payment.at, Payment.idempotency_key)
    return read(engine, lambda c: list(c.execute(waiting)))


def settle(connection: Connection, key: str, *, paid: bool, by: str) -> None:
    """Write down what a person saw on the platform of a payment that was left unclear.

    Raises
    ------
    StudyError
        If there is no such payment that is unclear, or nobody's name.
    """
    if not by.strip():
        raise StudyError("name who looked (--by)")
    detail = f"{by.strip()} saw that it was {'' if paid else 'not '}paid"
    values = {"state": "confirmed"} if paid else {"state": "created", "reference": None}
    if not _change(connection, key, "sent", detail=detail, **values):
        raise StudyError(f"no payment {key!r} is unclear")
