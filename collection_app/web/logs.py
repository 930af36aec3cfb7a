"""Logs: one JSON object a line, with the route and not the address asked for: no ids, tokens or addresses."""

import json
import logging
import sys
import time
from typing import TextIO

from flask import Flask, Response, g, request

from bapps_builder.files.private import private_stream

LOGGER = logging.getLogger("bapps.collect")
_FIELDS = "fields"


class JsonLines(logging.Formatter):
    """Write a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Give time, level, message and fields; of an error only its type and place."""
        content = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info and record.exc_info[0]:
            # The message of an error may hold what a person sent; its traceback's places do not.
            content["error"] = record.exc_info[0].__name__
            content["at"] = _places(record)
        return json.dumps(content, ensure_ascii=False)


def _places(record: logging.LogRecord) -> list[str]:
    places, step = [], record.exc_info[2] if record.exc_info else None
    while step:
        places.append(f"{step.tb_frame.f_globals.get('__name__')}:{step.tb_lineno}")
        step = step.tb_next
    return places[-8:]


def write_logs(stream: TextIO = sys.stderr) -> None:
    """Send this package's logs to a stream."""
    private_stream(stream)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def log(message: str, **fields: object) -> None:
    """Log something that happened."""
    LOGGER.info(message, extra={_FIELDS: fields})


def log_request(method: str, route: str, status: int, began: float) -> None:
    """Log a request that is answered now; `began` is of the clock `time.perf_counter`."""
    log("request", method=method, route=route, status=status, ms=round((time.perf_counter() - began) * 1000, 1))


def log_requests(app: Flask) -> None:
    """Log every request of an app."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        route = str(request.url_rule) if request.url_rule else "(none)"
        log_request(request.method, route, response.status_code, g.get("began", time.perf_counter()))
        return response
