"""The JSON interface that the pages, and simulated people, talk to: /api/...

Who holds a session's token speaks for it; there are no cookies, so no other site can make a browser speak.
"""

import json
from typing import Any, TypeVar

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, Row, bindparam, func, select

from collection_app.database.connections import read, write
from collection_app.database.models import Assignment, Session
from collection_app.operations.arrival_checks import is_arriving, wait_for_platform
from collection_app.platforms.platform import ArrivalError, CannotTell, Ended, Redirect
from collection_app.platforms.platform import Form as LeavingForm
from collection_app.sessions.answering import bad_run, given_of, in_order_of_items, lock_session, record, touch
from collection_app.sessions.arrival import arrive
from collection_app.sessions.declining import NO_CONSENT
from collection_app.sessions.steps import (
    OPEN_STATES,
    TRIES,
    Refused,
    check,
    end_unsuitable,
    finish,
    note_device,
    spoil,
    start,
    tries,
    withdraw,
)
from collection_app.sessions.trials import images_of, open_trials
from collection_app.signing import Picture, PictureNames, digest, mark
from collection_app.studies.picture_sizes import USUAL
from collection_app.studies.study import Study
from collection_app.web.address_blocks import block_of
from collection_app.web.http_errors import Stop
from collection_app.web.messages import (
    AnswerReceipt,
    Answers,
    Arrival,
    Chosen,
    Comprehension,
    Device,
    Display,
    ExposureTimes,
    Form,
    Question,
    Receipts,
    SessionState,
    Size,
    Spoiled,
    Start,
    Trial,
    Trials,
    Withdrawal,
)
from collection_app.web.served_study import Running, running

blueprint = Blueprint("api", __name__, url_prefix="/api")

M = TypeVar("M", bound=BaseModel)
_MOST_TRIALS = 1000
_SESSION = select(Session).where(Session.public_id == bindparam("public_id"))
_TRIALS = select(func.count(), func.count().filter(Assignment.state == "open")).where(
    Assignment.session_id == bindparam("session_id")
)


@blueprint.post("/arrivals")
def post_arrival() -> ResponseReturnValue:
    """Open a session for a visitor, or give theirs back to who has its key or submission."""
    run, arrival, address = running(), _body(Arrival), request.remote_addr or ""
    if not run.limit.allows(address):
        raise Stop(429, "too_many", "too many arrivals from your network; try again in a minute", retry_after=60)
    try:
        visitor = run.study.platform.visitor(arrival.parameters, digest(arrival.key))
    except CannotTell as error:
        run.limit.give_back(address)  # nothing was written, and a page that waits for the platform tries often
        raise Stop(503, "unchecked", str(error), retry_after=10) from error
    except ArrivalError as error:
        raise Stop(409, "parameters", str(error)) from error
    if visitor is None:
        return _reply(
            SessionState(
                token="",
                state="preview",
                outcome=None,
                code=None,
                redirect=None,
                submit=None,
                trials=0,
                answered=0,
                comprehension=None,
                proof="",
                **_of_study(run),
            )
        )

    def work(connection: Connection) -> SessionState:
        session = arrive(
            connection,
            run.step(),
            visitor=visitor,
            key=arrival.key,
            simulated=run.simulated,
            block=None if run.is_of_lab else mark(run.marks_key, "block", block_of(address)),
            browser=mark(run.marks_key, "browser", arrival.browser) if arrival.browser else None,
        )
        return _state(connection, run, session)

    state = write(run.engine, work)
    is_arriving(run)
    return _reply(state)


@blueprint.get("/session")
def get_session() -> ResponseReturnValue:
    """Give the state of the token's session."""
    run, public_id = running(), _session_id()
    return _reply(read(run.engine, lambda connection: _state(connection, run, _row(connection, public_id))))


@blueprint.post("/comprehension")
def post_comprehension() -> ResponseReturnValue:
    """Try the comprehension check."""
    run, public_id, choice = running(), _session_id(), _body(Chosen)
    wait_for_platform(run, public_id)

    def work(connection: Connection) -> SessionState:
        session = check(connection, run.step(), public_id=public_id, choices=choice.choices)
        return _state(connection, run, session)

    return _reply(write(run.engine, work))


@blueprint.post("/start")
def post_start() -> ResponseReturnValue:
    """Note consent, and draw the session's trials."""
    run, public_id, agreement = running(), _session_id(), _body(Start)
    wait_for_platform(run, public_id)

    def work(connection: Connection) -> SessionState:
        session = start(
            connection,
            run.step(),
            public_id=public_id,
            consent_sha256=agreement.consent_sha256,
            device=json.dumps(agreement.device, sort_keys=True),
            consented_at=agreement.consented_at,
            block_limit=run.block_limit,
        )
        return _state(connection, run, session)

    return _reply(write(run.engine, work))


@blueprint.post("/device")
def post_device() -> ResponseReturnValue:
    """Note what a repeated device check found: by it the exposures from now on are judged."""
    run, public_id, message = running(), _session_id(), _body(Device)

    def work(connection: Connection) -> SessionState:
        device = json.dumps(message.device, sort_keys=True)
        return _state(connection, run, note_device(connection, run.step(), public_id=public_id, device=device))

    return _reply(write(run.engine, work))


@blueprint.get("/trials")
def get_trials() -> ResponseReturnValue:
    """Give the next trials of the session: those without an answer, then those to repeat."""
    run, public_id = running(), _session_id()
    text = request.args.get("limit", "20")
    limit = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    if set(request.args) - {"limit"} or not 1 <= limit <= _MOST_TRIALS:
        raise Stop(400, "invalid", f"the query may hold a limit from 1 to {_MOST_TRIALS}, and nothing else")

    def work(connection: Connection) -> Trials:
        session = _row(connection, public_id)
        if session.state not in OPEN_STATES:
            return Trials(trials=[])
        rows = open_trials(connection, session_id=session.id, limit=limit)
        return Trials(trials=[_trial(row, session, run.pictures) for row in rows])

    return _reply(read(run.engine, work))


@blueprint.post("/answers")
def post_answers() -> ResponseReturnValue:
    """Store answers, all in one transaction, and say so after it was committed."""
    run, public_id, batch = running(), _session_id(), _body(Answers)
    answers = [given_of(answer.model_dump()) for answer in batch.answers]

    def work(connection: Connection) -> Receipts:
        session = lock_session(connection, public_id)
        if session is None:
            raise Refused("unknown", "this session is not known here")
        now = run.clock()
        order = in_order_of_items(connection, session=session, slots=[one.slot for one in answers])
        by_position = {
            i: record(connection, run.study, session=session, given=answers[i], now=now, pictures=run.pictures)
            for i in order
        }
        receipts = [by_position[i] for i in range(len(answers))]
        over = session.state not in OPEN_STATES
        if any(receipt.status == "stored" for receipt in receipts):
            touch(connection, run.study, session=session, now=now)
            if any(receipt.bad for receipt in receipts) and bad_run(connection, run.study, session=session):
                end_unsuitable(connection, run.step(), session=session)
                over = True
        messages = [
            AnswerReceipt(**{name: getattr(one, name) for name in AnswerReceipt.model_fields}) for one in receipts
        ]
        return Receipts(receipts=messages, over=over)

    return _reply(write(run.engine, work))


@blueprint.post("/spoiled")
def post_spoiled() -> ResponseReturnValue:
    """Give up trials whose pictures the browser cannot have: they go to others, and the session goes on without."""
    run, public_id, given_up = running(), _session_id(), _body(Spoiled)

    def work(connection: Connection) -> SessionState:
        session = spoil(connection, run.step(), public_id=public_id, slots=given_up.slots)
        return _state(connection, run, session)

    return _reply(write(run.engine, work))


@blueprint.post("/finish")
def post_finish() -> ResponseReturnValue:
    """End the session and give its completion code, if every answer is committed."""
    run, public_id = running(), _session_id()
    wait_for_platform(run, public_id)

    def work(connection: Connection) -> SessionState:
        return _state(connection, run, finish(connection, run.step(), public_id=public_id))

    return _reply(write(run.engine, work))


@blueprint.post("/withdraw")
def post_withdrawal() -> ResponseReturnValue:
    """End the session without using its answers."""
    run, public_id, withdrawal = running(), _session_id(), _body(Withdrawal)
    wait_for_platform(run, public_id)

    def work(connection: Connection) -> SessionState:
        if withdrawal.reason == NO_CONSENT and _found(connection, public_id) is None:
            return _declined(run, public_id, withdrawal)  # asked again, because the first answer was lost
        session = withdraw(connection, run.step(), public_id=public_id, reason=withdrawal.reason)
        return _state(connection, run, session)

    return _reply(write(run.engine, work))


def _body(model: type[M]) -> M:
    try:
        return model.model_validate_json(request.get_data())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise Stop(400, "invalid", f"{where}: {first['msg']}") from error


def _session_id() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    public_id = running().tokens.session_of(token) if scheme == "Bearer" else None
    if public_id is None:
        raise Stop(401, "token", "no valid session token; open the study's address again")
    return public_id


def _found(connection: Connection, public_id: str) -> Row | None:
    return connection.execute(_SESSION, {"public_id": public_id}).one_or_none()


def _row(connection: Connection, public_id: str) -> Row:
    session = _found(connection, public_id)
    if session is None:
        raise Refused("unknown", "this session is not known here")
    return session


def _state(connection: Connection, run: Running, session: Row) -> SessionState:
    trials, still_open = connection.execute(_TRIALS, {"session_id": session.id}).one()
    kept = json.loads(session.kept) if session.kept else {}
    ended = Ended(session.outcome, session.code, session.submission_id, kept) if session.code else None
    return SessionState(
        token=run.tokens.sign(session.public_id),
        state=session.state,
        outcome=session.outcome,
        code=session.code,
        **_departure(run, ended),
        trials=trials,
        answered=trials - still_open,
        comprehension=_comprehension(connection, run.study, session),
        proof=run.tokens.prove(session.public_id),
        **_of_study(run),
    )


def _declined(run: Running, public_id: str, withdrawal: Withdrawal) -> SessionState:
    """The end of a session that was declined: of it nothing is left but the token, and what the browser says again."""
    try:
        visitor = run.study.platform.visitor(withdrawal.parameters, "")
    except ArrivalError:
        visitor = None
    code = run.study.outcomes.no_consent or run.entropy(5).hex().upper()
    ended = Ended(NO_CONSENT, code, visitor.submission_id if visitor else None, visitor.kept if visitor else {})
    return SessionState(
        token=run.tokens.sign(public_id),
        state="turned away",
        outcome=NO_CONSENT,
        code=code,
        **_departure(run, ended),
        trials=0,
        answered=0,
        comprehension=None,
        proof=run.tokens.prove(public_id),
        **_of_study(run),
    )


def _departure(run: Running, ended: Ended | None) -> dict[str, Any]:
    """Where the platform sends somebody who has ended: an address, or a form."""
    leaving = run.study.platform.departure(ended) if ended else None
    form = Form(action=leaving.action, fields=dict(leaving.fields)) if isinstance(leaving, LeavingForm) else None
    return {"redirect": leaving.url if isinstance(leaving, Redirect) else None, "submit": form}


def _of_study(run: Running) -> dict[str, Any]:
    study = run.study
    return {
        "title": study.title,
        "contact": study.contact,
        "consent": study.consent_text,
        "consent_sha256": study.consent_digest,
        "task": study.task,
        "exposure": ExposureTimes(**study.exposure.model_dump(include=set(ExposureTimes.model_fields))),
        "display": Display(**study.display.model_dump(), largest=[Size(width=w, height=h) for w, h in run.largest]),
    }


def _comprehension(connection: Connection, study: Study, session: Row) -> Comprehension | None:
    """The check without its right choices."""
    if not study.comprehension:
        return None
    passed, failed = tries(connection, session.id)
    asked = [Question(question=one.question, choices=list(one.choices)) for one in study.comprehension]
    return Comprehension(questions=asked, passed=passed, tries_left=TRIES - failed)


def _trial(row: Row, session: Row, pictures: PictureNames) -> Trial:
    images = images_of(row)
    width, height = (row.width, row.height) if row.width else USUAL
    if session.guarded:
        images = {role: pictures.name(Picture(session.id, row.slot, role), session.public_id) for role in images}
    return Trial(
        slot=row.slot,
        attempt=2 if row.repeat else 1,
        training=row.role == "training",
        reference=images.get("reference"),
        left=images["left"],
        right=images["right"],
        width=width,
        height=height,
    )


def _reply(message: BaseModel) -> ResponseReturnValue:
    return message.model_dump(mode="json"), 200, {"Cache-Control": "no-store"}
