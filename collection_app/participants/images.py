"""Patches, by names that tell nothing: in a trial an opaque one, which only that trial has, and else the hash of their
pixels (in sessions that began before there were opaque ones, and on the admin pages).
"""

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from collection_app.participants.patch_files import patch_png, patch_pngs
from collection_app.participants.trial_pictures import trial_picture
from collection_app.signing import PictureNames
from collection_app.web.http_errors import Stop
from collection_app.web.logs import log_request
from collection_app.web.security_headers import HEADERS
from collection_app.web.served_study import running

_PREFIX = "/images"
blueprint = Blueprint("images", __name__, url_prefix=_PREFIX)

_ROUTE = f"{_PREFIX}/<name>"  # as the log calls it
_NAME = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(rf"{_PREFIX}/({_NAME.pattern})")
# When the picture was given out, signed: an answer brings it back, also where a browser had the picture stored.
PROOF = "Picture-Proof"
_CACHED = {"Cache-Control": "private, max-age=31536000, immutable"}


@blueprint.get("/<name>")
def image(name: str) -> ResponseReturnValue:
    """Give a patch as PNG. The path comes from the database, never from the address."""
    if not _NAME.fullmatch(name):
        raise Stop(404, "not_found", "no such image")
    run = running()
    data = _named(run.engine, run.pictures, name)
    return Response(data, mimetype="image/png", headers=_CACHED | {PROOF: run.pictures.proof(name, run.clock())})


class QuickImages:
    """A WSGI app that gives the patches that are there, and leaves all else to another.

    People ask for three images an answer: of all that a server does, this is done most often, and the work that
    Flask does for any request would be nearly all of it.
    """

    def __init__(self, app: Any, engine: Engine, pictures: PictureNames, clock: Callable[[], int]) -> None:
        self._app, self._engine, self._pictures, self._clock = app, engine, pictures, clock

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Handle one request."""
        began = time.perf_counter()
        address = _ADDRESS.fullmatch(environ.get("PATH_INFO", ""))
        if not address or environ["REQUEST_METHOD"] != "GET":
            return self._app(environ, start_response)
        try:
            data = _named(self._engine, self._pictures, address[1])
        except (Stop, SQLAlchemyError):  # the app finds the same, and says so
            return self._app(environ, start_response)
        content = {"Content-Type": "image/png", "Content-Length": str(len(data))}
        content[PROOF] = self._pictures.proof(address[1], self._clock())
        start_response("200 OK", list((content | _CACHED | HEADERS).items()))
        log_request("GET", _ROUTE, 200, began)
        return [data]


def _named(engine: Engine, pictures: PictureNames, name: str) -> bytes:
    return trial_picture(engine, pictures, name, patch_pngs) or patch_png(engine, name)
