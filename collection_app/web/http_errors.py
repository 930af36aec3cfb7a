"""Every way a request can fail, as JSON with a name for programs and a sentence for people."""

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from collection_app.sessions.arrival import AlreadyStarted
from collection_app.sessions.steps import Refused
from collection_app.web.logs import LOGGER
from collection_app.web.messages import Problem
from collection_app.web.served_study import running


class Stop(Exception):
    """A request that ends here with a status."""

    def __init__(self, status: int, error: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.error, self.retry_after = status, error, retry_after


def answer_problems(app: Flask) -> None:
    """Turn what the views raise into replies."""

    @app.errorhandler(Stop)
    def stop(found: Stop) -> ResponseReturnValue:
        headers = {} if found.retry_after is None else {"Retry-After": str(found.retry_after)}
        return _problem(found.status, found.error, str(found), headers=headers)

    @app.errorhandler(Refused)
    def refused(found: Refused) -> ResponseReturnValue:
        return _problem(409, found.code, str(found), slots=found.slots)

    @app.errorhandler(AlreadyStarted)
    def already_started(_found: AlreadyStarted) -> ResponseReturnValue:
        message = "this id has started the study already, in another browser or window; go on there, or ask us"
        return _problem(409, "already_started", message)

    @app.errorhandler(HTTPException)
    def http(found: HTTPException) -> ResponseReturnValue:
        headers = dict(found.get_headers()) if found.code == 405 else {}
        kept = {"Allow": headers["Allow"]} if "Allow" in headers else {}
        return _problem(found.code or 500, found.name.lower().replace(" ", "_"), found.name, headers=kept)

    @app.errorhandler(DBAPIError)
    @app.errorhandler(PoolTimeout)
    def unavailable(found: SQLAlchemyError) -> ResponseReturnValue:
        # Nothing was committed, or it is not known: the browser sends the same again, which is harmless.
        LOGGER.error("database", exc_info=found)
        return _problem(503, "unavailable", "the server cannot store anything now", headers={"Retry-After": "2"})

    @app.errorhandler(Exception)
    def defect(found: Exception) -> ResponseReturnValue:
        LOGGER.error("defect", exc_info=found)
        return _problem(500, "defect", "something is wrong on our side")


def _problem(
    status: int, error: str, message: str, *, slots: tuple[int, ...] = (), headers: dict[str, str] | None = None
) -> ResponseReturnValue:
    problem = Problem(error=error, message=message, contact=running().study.contact, slots=list(slots))
    return jsonify(problem.model_dump(mode="json")), status, {"Cache-Control": "no-store", **(headers or {})}
