"""The life of a session that has arrived: start, finish or withdraw. Each step is one transaction and harmless to
repeat.

arrived ── start ──> started ── finish ──> complete, or incomplete
   │                    │ │└─ silent too long ─> lapsed ─ (goes on as started)
   │                    │ └── exposures bad, one after another ──> incomplete
   └── turned away      └── withdraw ──> withdrawn

Nothing is taken from the quotas before consent is given.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from collection_app.database.models import Assignment, Decision, Event, Participant, Session, table_of
from collection_app.sessions.allocation import give_up_expired, release, wait_for_turn
from collection_app.sessions.answering import OPEN_STATES, lock_session, touch
from collection_app.sessions.block_limit import BlockLimit, is_full
from collection_app.sessions.declining import NO_CONSENT, forget_declined
from collection_app.sessions.judging import exclude_session, judge_session, outcome_of
from collection_app.sessions.trials import draw_trials
from collection_app.signing import Entropy
from collection_app.studies.study import Study

# Outcomes that a browser may report before it starts.
TURNED_AWAY = (NO_CONSENT, "failed_checks", "unsuitable_device")
WITHDRAWN, INCOMPLETE = "withdrawn", "incomplete"
_LAPSED_AT_ONCE = 20
# Changes of a device that are noted in a session.
_MOST_DEVICES = 50
# Of the comprehension check, as events are named.
PASSED, FAILED, TRIES = "check passed", "check failed", 2
# Statements are built once: building one takes longer than running it.
_CONSENT = (
    update(table_of(Session))
    .where(Session.id == bindparam("of"))
    .values(consent_sha256=bindparam("said"), device=bindparam("on_device"))
)
_STARTED = (
    update(table_of(Session)).where(Session.id == bindparam("of")).values(state="started", started_at=bindparam("now"))
)
_ASSIGN = insert(table_of(Assignment))
_ENDED = (
    update(table_of(Session))
    .where(Session.id == bindparam("of"))
    .values(
        state=bindparam("ends_as"),
        outcome=bindparam("comes_to"),
        code=bindparam("with_code"),
        finished_at=bindparam("now"),
        seen_at=bindparam("now"),
        lease_until=None,
    )
)
_MISSING = (
    select(Assignment.slot)
    .where(Assignment.session_id == bindparam("session_id"), Assignment.state == "open")
    .order_by(Assignment.slot)
)
_OPEN_IDS = select(Assignment.id).where(Assignment.session_id == bindparam("session_id"), Assignment.state == "open")
_SILENT = (
    select(Session.id)
    .join(Participant)
    .where(
        Participant.study_id == bindparam("study_id"),
        Session.state == "started",
        Session.seen_at < bindparam("silent_since"),
    )
    .order_by(Session.seen_at)
    .with_for_update(skip_locked=True, of=Session)
)
_SOME_SILENT = _SILENT.limit(bindparam("most"))
_NOTE = insert(table_of(Event))


class Refused(Exception):
    """A step that cannot be taken now; `code` is for programs, the message for people."""

    def __init__(self, code: str, message: str, slots: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.slots = tuple(slots)


@dataclass(frozen=True)
class Step:
    """What every step of a session is given.

    Attributes
    ----------
    study : Study
    study_id : int
        Of its row.
    now : int
        Milliseconds since 1970.
    entropy : callable
    """

    study: Study
    study_id: int
    now: int
    entropy: Entropy


def tries(connection: Connection, session_id: int) -> tuple[bool, int]:
    """Whether a session has passed the comprehension check, and how often it has failed it."""
    counts = connection.execute(
        select(Event.kind, func.count().label("times"))
        .where(Event.session_id == session_id, Event.kind.in_((PASSED, FAILED)))
        .group_by(Event.kind)
    )
    times = {row.kind: row.times for row in counts}
    return PASSED in times, times.get(FAILED, 0)


def check(connection: Connection, step: Step, *, public_id: str, choices: Sequence[int]) -> Row:
    """Note a try at the comprehension check; the second failure ends the session with "failed_checks".

    Raises
    ------
    Refused
        If there is not a choice for each question.
    """
    session = _session(connection, public_id)
    passed, failed = tries(connection, session.id)
    if session.state != "arrived" or passed:
        return session
    right = [question.right for question in step.study.comprehension]
    if len(choices) != len(right):
        raise Refused("choices", f"got {len(choices)} choices, needs {len(right)}")
    note(connection, step, session_id=session.id, kind=PASSED if list(choices) == right else FAILED)
    if list(choices) != right and failed + 1 >= TRIES:
        return _end(connection, step, session=session, state="turned away", outcome="failed_checks")
    return _session(connection, public_id)


def start(
    connection: Connection,
    step: Step,
    *,
    public_id: str,
    consent_sha256: str,
    device: str,
    consented_at: int | None = None,
    block_limit: BlockLimit | None = None,
) -> Row:
    """Note consent and give the session its trials: training first, then test items and sentinels shuffled.

    With too few items left, or as many at others of the visitor's network as `block_limit` allows, the session ends
    here with the outcome "no_work".

    Raises
    ------
    Refused
        If the consent is to another text than the study's, or the comprehension check is not passed.
    """
    wait_for_turn(connection, step.study_id)
    session = _session(connection, public_id)
    if session.state != "arrived":  # asked again, because the first answer was lost
        return session
    if consent_sha256 != step.study.consent_digest:
        raise Refused("consent", "the consent text has changed; read it again")
    if step.study.comprehension and not session.simulated and not tries(connection, session.id)[0]:
        raise Refused("comprehension", "the comprehension check comes first")
    connection.execute(_CONSENT, {"of": session.id, "said": consent_sha256, "on_device": device})
    said = consent_sha256 if consented_at is None else f"{consent_sha256} at {consented_at} by the browser's clock"
    note(connection, step, session_id=session.id, kind="consent", detail=said)
    tidy(connection, step)
    if (
        block_limit
        and session.block
        and is_full(
            connection, step.study_id, block=session.block, limit=block_limit, wanted=step.study.items_per_session
        )
    ):
        note(connection, step, session_id=session.id, kind="network full", detail=f"{block_limit.share:.0%} of places")
        return _end(connection, step, session=session, state="turned away", outcome="no_work")
    trials = draw_trials(
        connection,
        step.study,
        step.study_id,
        participant_id=session.participant_id,
        first=session.number == 0,
        rng=np.random.default_rng(session.seed),
    )
    if not trials:
        return _end(connection, step, session=session, state="turned away", outcome="no_work")
    connection.execute(
        _ASSIGN,
        [
            {
                "session_id": session.id,
                "participant_id": session.participant_id,
                "item_id": place.item_id,
                "slot": slot,
                "side": place.side,
                "state": "open",
                "holds": holds,
            }
            for slot, (place, holds) in enumerate(trials)
        ],
    )
    connection.execute(_STARTED, {"of": session.id, "now": step.now})
    touch(connection, step.study, session=session, now=step.now)
    note(connection, step, session_id=session.id, kind="started", detail=f"{len(trials)} trials")
    return _session(connection, public_id)


def spoil(connection: Connection, step: Step, *, public_id: str, slots: Sequence[int]) -> Row:
    """Give up trials of a session that its browser has no pictures for; those that have an answer keep it."""
    session = _session(connection, public_id)
    if session.state not in OPEN_STATES:
        return session
    of_session = (Assignment.session_id == session.id, Assignment.slot.in_(slots), Assignment.state == "open")
    given_up = connection.execute(select(Assignment.id, Assignment.slot).where(*of_session)).all()
    ids = [row.id for row in given_up]
    connection.execute(update(Assignment).where(Assignment.id.in_(ids)).values(state="spoiled"))
    release(connection, ids)
    for row in given_up:
        note(connection, step, session_id=session.id, kind="no picture", detail=f"trial {row.slot}")
    touch(connection, step.study, session=session, now=step.now)
    return session


def note_device(connection: Connection, step: Step, *, public_id: str, device: str) -> Row:
    """Keep what the device check found when it was repeated in a session under way, and note each change of it.

    What is found again writes nothing, and of very many changes the first are noted: no browser fills the database.
    """
    session = _session(connection, public_id)
    if session.state in OPEN_STATES and device != session.device:
        connection.execute(update(Session).where(Session.id == session.id).values(device=device))
        noted = select(func.count()).where(Event.session_id == session.id, Event.kind == "device")
        if connection.scalars(noted).one() < _MOST_DEVICES:
            note(connection, step, session_id=session.id, kind="device", detail=device)
    return _session(connection, public_id)


def finish(connection: Connection, step: Step, *, public_id: str) -> Row:
    """End a session whose every trial is answered: judge it and make its completion code.

    With too few valid answers or sentinels right it ends as "incomplete".

    Raises
    ------
    Refused
        If an answer is missing ("missing", with the slots), or the session was never started or withdrawn.
    """
    session = _session(connection, public_id)
    if session.state in ("complete", INCOMPLETE, "turned away"):
        return session
    if session.state not in OPEN_STATES:
        raise Refused("over", f"the session is {session.state}")
    missing = connection.scalars(_MISSING, {"session_id": session.id}).all()
    if missing:
        raise Refused("missing", f"{len(missing)} answers are missing", missing)
    complete = judge_session(connection, step.study, session_id=session.id, finished=True, now=step.now)
    came_to = "complete" if complete else INCOMPLETE
    return _end(connection, step, session=session, state=came_to, outcome=came_to)


def end_unsuitable(connection: Connection, step: Step, *, session: Row) -> Row:
    """End a session under way whose pictures cannot be shown as they must: what it has is judged as unfinished."""
    judge_session(connection, step.study, session_id=session.id, finished=False, now=step.now)
    release(connection, connection.scalars(_OPEN_IDS, {"session_id": session.id}).all())
    return _end(connection, step, session=session, state=INCOMPLETE, outcome="unsuitable_device")


def withdraw(connection: Connection, step: Step, *, public_id: str, reason: str) -> Row:
    """End a session at the person's wish, or because they may not start; its answers are kept and not used.

    `reason` is "withdrawn" or one of TURNED_AWAY, which are for sessions that have not started; but a screen may turn
    out to be unsuitable later too, see `end_unsuitable`. Of who declines nothing is kept but that somebody did: the row
    that is given is no longer there.
    """
    session = _session(connection, public_id)
    if session.state not in ("arrived", *OPEN_STATES):
        return session
    if session.state == "arrived":
        declined = reason == NO_CONSENT and tries(connection, session.id) == (False, 0)  # which comes first on the page
        ended = _end(connection, step, session=session, state="turned away", outcome=reason)
        if declined:
            forget_declined(connection, step.study_id, ended)
        return ended
    if reason == "unsuitable_device":
        return end_unsuitable(connection, step, session=session)
    # Whoever leaves is paid for the part as it was answered: with the same rules of pay as who is silent.
    pay = outcome_of(connection, step.study, session_id=session.id, finished=False).verdicts[-1]
    exclude_session(connection, session_id=session.id, reason=WITHDRAWN)
    connection.execute(
        insert(Decision).values(
            session_id=session.id,
            tier="pay",
            rule=pay.rule,
            verdict=pay.verdict,
            reason=f"withdrew; {pay.reason}",
            at=step.now,
        )
    )
    return _end(connection, step, session=session, state="withdrawn", outcome=WITHDRAWN)


def tidy(connection: Connection, step: Step) -> None:
    """Give back the places of expired leases, and judge some of the sessions that have been silent too long."""
    give_up_expired(connection, step.study_id, step.now)
    # Not all after a long night: everybody waits for this.
    judge_silent(connection, step, most=_LAPSED_AT_ONCE)


def judge_silent(connection: Connection, step: Step, *, most: int | None = None) -> None:
    """Judge the sessions that have been silent too long, though nobody may come any more who would have it done."""
    lapse(connection, step, silent_since=step.now - round(step.study.lapse_hours * 3_600_000), most=most)


def lapse(connection: Connection, step: Step, *, silent_since: int, most: int | None = None) -> None:
    """Judge the sessions under way that have been silent since a time, the longest first; they may still go on."""
    silent = _SILENT if most is None else _SOME_SILENT
    wanted = {"study_id": step.study_id, "silent_since": silent_since}
    lapsed = connection.scalars(silent, wanted if most is None else {**wanted, "most": most}).all()
    for session_id in lapsed:
        connection.execute(update(Session).where(Session.id == session_id).values(state="lapsed"))
        judge_session(connection, step.study, session_id=session_id, finished=False, now=step.now)
        note(connection, step, session_id=session_id, kind="lapsed")


def _session(connection: Connection, public_id: str) -> Row:
    session = lock_session(connection, public_id)
    if session is None:  # a signed token of a session that is not in this database
        raise Refused("unknown", "this session is not known here")
    return session


def _end(connection: Connection, step: Step, *, session: Row, state: str, outcome: str) -> Row:
    code = step.study.outcomes.code(outcome) or base64.b32encode(step.entropy(5)).decode()
    ended = {"of": session.id, "ends_as": state, "comes_to": outcome, "with_code": code, "now": step.now}
    connection.execute(_ENDED, ended)
    note(connection, step, session_id=session.id, kind=outcome)
    return _session(connection, session.public_id)


def note(connection: Connection, step: Step, *, session_id: int, kind: str, detail: str = "") -> None:
    """Put an event into the history of a session."""
    connection.execute(_NOTE, {"session_id": session_id, "kind": kind, "detail": detail, "at": step.now})
