"""Patches by the hash of their pixels, the only address they have: it names neither set nor distortion."""

import re
from pathlib import Path

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from collection_app.database import read
from collection_app.models import Image
from collection_app.problems import Stop
from collection_app.running import running

blueprint = Blueprint("images", __name__, url_prefix="/images")

_HASH = re.compile(r"[0-9a-f]{64}")


@blueprint.get("/<sha256>")
def image(sha256: str) -> ResponseReturnValue:
    """Give a patch as PNG. The path comes from the database, never from the address."""
    if not _HASH.fullmatch(sha256):
        raise Stop(404, "not_found", "no such image")
    path = read(
        running().engine, lambda connection: connection.scalar(select(Image.path).where(Image.sha256 == sha256))
    )
    if path is None:
        raise Stop(404, "not_found", "no such image")
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Stop(503, "image_missing", "this image cannot be read now", retry_after=5) from error
    return Response(data, mimetype="image/png", headers={"Cache-Control": "public, max-age=31536000, immutable"})
