"""What no part of this server can do anything with, refused before any part sees it."""

import json
from itertools import chain

from flask import Flask, request

from collection_app.web.http_errors import Stop

NUL = "\0"


def refuse_nul(app: Flask) -> None:
    """Answer 400 to a NUL in the address or in JSON: PostgreSQL stores none, however often it is asked to."""

    @app.before_request
    def look() -> None:
        texts = chain([request.path], *request.args.items(multi=True))
        if any(NUL in part for part in texts) or _holds_nul(request.get_data()):
            raise Stop(400, "invalid", "the request holds the character NUL, which cannot be stored")


def _holds_nul(body: bytes) -> bool:
    if b"\\u0000" not in body and NUL.encode() not in body:
        return False
    try:
        content = json.loads(body)
    except ValueError:  # no JSON: whoever reads it says so
        return False
    return NUL in json.dumps(content, ensure_ascii=False).replace("\\\\", "").replace("\\u0000", NUL)
