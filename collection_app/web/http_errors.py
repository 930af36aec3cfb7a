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
    def stop(error: Stop) -> ResponseReturnValue:
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return _problem(error.status, error.error, str(error), headers=headers)

    @app.errorhandler(Refused)
    def refused(error: Refused) -> ResponseReturnValue:
        return _problem(409, error.code, str(error), slots=error.slots)

    @app.errorhandler(AlreadyStarted)
    def already_started(_error: AlreadyStarted) -> ResponseReturnValue:
        message = "this id has started the study already, in another browser or window; go on there, or ask us"
        return _problem(409, "already_started", message)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> ResponseReturnValue:
        headers = dict(error.get_headers()) if error.code == 405 else {}
        others = {"Allow": headers["Allow"]} if "Allow" in headers else {}
        return _problem(error.code or 500, error.name.lower().replace(" ", "_"), error.name, headers=others)

    @app.errorhandler(DBAPIError)
    @app.errorhandler(PoolTimeout)
    def unavailable(error: SQLAlchemyError) -> ResponseReturnValue:
        # Nothing was committed, or it is not known: the browser sends the same again, which is harmless.
        LOGGER.error("database", exc_info=error)
        return _problem(503, "unavailable", "the server cannot store anything now", headers={"Retry-After": "2"})

    @app.errorhandler(Exception)
    def defect(error: Exception) -> ResponseReturnValue:
        LOGGER.error("defect", exc_info=error)
        return _problem(500, "defect", "something is wrong on our side")


def _problem(
    status: int, error: str, message: str, *, slots: tuple[int, ...] = (), headers: dict[str, str] | None = None
) -> ResponseReturnValue:
    problem = Problem(error=error, message=message, contact=running().study.contact, slots=list(slots))
    return jsonify(problem.model_dump(mode="json")), status, {"Cache-Control": "no-store", **(headers or {})}
