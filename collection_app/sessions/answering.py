"""Recording answers so that none is lost, doubled or given to somebody else.

An answer's id is made in the browser. A receipt is worth something only after the commit of the transaction
it was made in: the caller answers the browser then, never before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update

from collection_app.database.models import Answer, Assignment, Item, Session, table_of
from collection_app.sessions.allocation import release, take_again
from collection_app.sessions.exposures import (
    BAD_EXPOSURE,
    NOT_FETCHED,
    NOT_LOOKED,
    SLOW_FRAMES,
    TOO_EARLY,
    Shown,
    has_looked,
    is_valid,
    slowest_frame_ms,
    state,
    the_answer,
    too_early,
)
from collection_app.signing import ROLES, Picture, PictureNames
from collection_app.studies.study import Study

LATE = "late: others had answered the item by then"
SUPERSEDED = "superseded by a later attempt"
# The statements of the busiest path, built once.
_SESSION = select(Session).where(Session.public_id == bindparam("public_id")).with_for_update()
_TRIAL = (
    select(Assignment, Item.role, Item.expected, Item.ref)
    .join(Item)
    .where(Assignment.session_id == bindparam("session_id"), Assignment.slot == bindparam("slot"))
)
_ATTEMPTS = select(Answer).where(
    or_(Answer.id == bindparam("answer_id"), Answer.assignment_id == bindparam("assignment_id"))
)
# Of answers that came together, in the order in which the browser says they were given.
_LAST = (
    select(Answer.valid)
    .join(Assignment)
    .where(Assignment.session_id == bindparam("session_id"))
    .order_by(Answer.submitted_at.desc(), table_of(Answer).c.answered_at.desc(), Assignment.slot.desc())
    .limit(bindparam("most"))
)
_INSERT = insert(table_of(Answer))
_SET_STATE = update(table_of(Assignment)).where(Assignment.id == bindparam("of")).values(state=bindparam("found"))
_TOUCH = (
    update(table_of(Session))
    .where(Session.id == bindparam("of"))
    .values(lease_until=bindparam("until"), seen_at=bindparam("now"))
)
# The share of a lease, half a minute of half an hour, that may be missing of it.
_HARDLY = 1 / 60
# What decides about an answer: which it is, and how its item was shown.
_DECIDING = ("id", "slot", "attempt", "choice")
_SHOWN = [one.name for one in fields(Shown)]
# States of a session in which answers are taken.
OPEN_STATES = ("started", "lapsed")


@dataclass(frozen=True)
class Given:
    """An answer as it comes from the browser; `measured` are further columns of `Answer`.

    Attributes
    ----------
    proofs : sequence of str
        That the pictures were given out, not yet looked at.
    """

    id: str
    slot: int
    attempt: int
    choice: str
    shown: Shown
    measured: Mapping[str, Any] = field(default_factory=dict)
    proofs: Sequence[str] = ()


def given_of(sent: Mapping[str, Any]) -> Given:
    """Sort what the browser sent into what decides about an answer and what was measured beside it."""
    content = dict(sent)
    shown, proofs = Shown(**{name: content.pop(name) for name in _SHOWN}), content.pop("pictures")
    return Given(**{name: content.pop(name) for name in _DECIDING}, shown=shown, measured=content, proofs=proofs)


@dataclass(frozen=True)
class Receipt:
    """What became of an answer.

    Attributes
    ----------
    status : "stored", "known" or "refused"
        Stored now; stored before, by the same id; or nothing was stored.
    problem : str
        Why it was refused.
    repeat : bool
        The exposure was bad: show the item once more, as attempt 2.
    expected : str
        The right choice of a training item, as the browser names choices.
    bad : bool
        Whether it was stored now and is not valid.
    """

    id: str
    status: Literal["stored", "known", "refused"]
    problem: str = ""
    repeat: bool = False
    expected: str = ""
    bad: bool = False


def lock_session(connection: Connection, public_id: str) -> Row | None:
    """Give a session's row, locked until this transaction ends, or None if there is none."""
    return connection.execute(_SESSION, {"public_id": public_id}).one_or_none()


def touch(connection: Connection, study: Study, *, session: Row, now: int) -> None:
    """Note that a session is alive: its lease starts anew, unless it has hardly begun.

    With every answer it would be a row and its places in two indexes to write each time.
    """
    lease = round(study.lease_minutes * 60_000)
    if session.lease_until is None or now + lease - session.lease_until >= _HARDLY * lease:
        connection.execute(_TOUCH, {"of": session.id, "until": now + lease, "now": now})


def in_order_of_items(connection: Connection, *, session: Row, slots: Sequence[int]) -> list[int]:
    """Give the positions of some slots in the order of their items, the one that all who change items keep to."""
    if len(slots) < 2:
        return list(range(len(slots)))
    query = select(Assignment.slot, Assignment.item_id).where(Assignment.session_id == session.id)
    items = {row.slot: row.item_id for row in connection.execute(query.where(Assignment.slot.in_(set(slots))))}
    return sorted(range(len(slots)), key=lambda position: items.get(slots[position], 0))


def record(
    connection: Connection,
    study: Study,
    *,
    session: Row,
    given: Given,
    now: int,
    pictures: PictureNames | None = None,
) -> Receipt:
    """Store one answer of a session, whose row is locked in this transaction.

    `pictures` made the names of the session's pictures; without it, none are known to have been fetched.
    """
    assignment = connection.execute(_TRIAL, {"session_id": session.id, "slot": given.slot}).one_or_none()
    if assignment is None:
        return Receipt(given.id, "refused", f"no trial {given.slot} in this session")
    rows = connection.execute(_ATTEMPTS, {"answer_id": given.id, "assignment_id": assignment.id}).all()
    if problem := _problem(given, assignment, rows, study):
        return Receipt(given.id, "refused", problem)
    before = {row.attempt: row for row in rows if row.assignment_id == assignment.id}
    valid = {attempt: row.valid for attempt, row in before.items()}
    known = any(row.id == given.id for row in rows)
    if not known:
        if session.state not in OPEN_STATES:
            return Receipt(given.id, "refused", f"the session is {session.state}")
        fetched_at = _fetched_at(session, assignment, given, pictures)
        fault = _fault(study, session, given, fetched_at=fetched_at, now=now)
        valid[given.attempt] = not fault
        use, reason = _verdict(connection, session, assignment, given, valid=valid, before=before, fault=fault)
        choice = study.task_module.stored(given.choice, assignment.side)
        decided = {
            "choice": choice,
            "valid": not fault,
            "use": use,
            "reason": reason,
            "fetched_at": fetched_at,
            "submitted_at": now,
        }
        _insert(connection, given, assignment, decided)
        if (found := state(valid, allowed=study.task_module.attempts)) != assignment.state:
            connection.execute(_SET_STATE, {"of": assignment.id, "found": found})
            if found == "spoiled":
                release(connection, [assignment.id])
    return Receipt(
        given.id,
        "known" if known else "stored",
        repeat=state(valid, allowed=study.task_module.attempts) == "open",
        expected=study.task_module.said(assignment.expected, assignment.side) if assignment.role == "training" else "",
        bad=not known and not valid[given.attempt],
    )


def _fetched_at(session: Row, assignment: Row, given: Given, pictures: PictureNames | None) -> int | None:
    """When the last of a trial's pictures was given out; None unless the answer proves it of all of them."""
    if pictures is None:
        return None
    roles = ROLES if assignment.ref else ROLES[1:]
    names = [pictures.name(Picture(session.id, assignment.slot, role), session.public_id) for role in roles]
    times = [pictures.given_at(name, given.proofs) for name in names]
    proof_times = [time for time in times if time is not None]
    return max(proof_times) if len(proof_times) == len(times) else None


def _fault(study: Study, session: Row, given: Given, *, fetched_at: int | None, now: int) -> str:
    """Why an answer is not valid, or nothing."""
    if session.guarded and study.rules.server_time:
        if fetched_at is None:
            return NOT_FETCHED
        if too_early(own_ms(study, given.shown, given.measured["reaction_ms"]), fetched_at=fetched_at, now=now):
            return TOO_EARLY
    if study.task_module.looked and not has_looked(given.measured, study.display):
        return NOT_LOOKED
    if not study.task_module.timed:
        return ""
    slowest = slowest_frame_ms(session.device, study.display.least_hz)
    if session.guarded and given.shown.frame_ms is not None and given.shown.frame_ms > slowest:
        return SLOW_FRAMES
    good = is_valid(given.shown, study.exposure, dropped=given.measured.get("dropped_frames") or 0)
    return "" if good else BAD_EXPOSURE


def own_ms(study: Study, shown: Shown, reaction_ms: float) -> float:
    """How long an answer says that it took, from the first picture to the press."""
    return reaction_ms + (shown.total_ms if study.task_module.timed else 0.0)


def bad_run(connection: Connection, study: Study, *, session: Row) -> bool:
    """Tell whether the last answers of a session were all bad, so many of them that it must end."""
    most = study.rules.most_bad
    last = connection.scalars(_LAST, {"session_id": session.id, "most": most}).all() if most else []
    return len(last) == most > 0 and not any(last)


def _problem(given: Given, assignment: Row, rows: Sequence[Row], study: Study) -> str:
    """Why an answer cannot be stored, or nothing."""
    if given.choice not in (words := study.task_module.choices):
        return f"the choice must be {' or '.join(words)}, got {given.choice}"
    if given.attempt > study.task_module.attempts:
        return f"there is no attempt {given.attempt} in this task"
    for row in rows:
        same_place = (row.assignment_id, row.attempt) == (assignment.id, given.attempt)
        if row.id == given.id:
            same = same_place and row.choice == study.task_module.stored(given.choice, assignment.side)
            return "" if same else "another answer has this id"
        if same_place:
            return "this attempt was answered already, with another id"
    return ""


def _verdict(
    connection: Connection,
    session: Row,
    assignment: Row,
    given: Given,
    *,
    valid: Mapping[int, bool],
    before: Mapping[int, Row],
    fault: str,
) -> tuple[bool, str]:
    """Whether a new answer is used, and why not; what was said of an earlier attempt it replaces is said of it."""
    counts = the_answer(valid)
    if counts != given.attempt:
        return False, fault or SUPERSEDED
    if earlier := the_answer({attempt: row.valid for attempt, row in before.items()}):
        replaced = before[earlier]
        connection.execute(update(Answer).where(Answer.id == replaced.id).values(use=False, reason=SUPERSEDED))
        return replaced.use, replaced.reason
    if session.excluded:
        return False, session.excluded
    if assignment.role != "test" or assignment.holds or take_again(connection, assignment):
        return True, ""
    return False, LATE


def _insert(connection: Connection, given: Given, assignment: Row, decided: Mapping[str, Any]) -> None:
    connection.execute(
        _INSERT,
        {
            "id": given.id,
            "assignment_id": assignment.id,
            "attempt": given.attempt,
            **asdict(given.shown),
            **given.measured,
            **decided,
        },
    )
