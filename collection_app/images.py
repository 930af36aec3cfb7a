"""Patches by the hash of their pixels, the only address they have: it names neither set nor distortion."""

import re
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine, select

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
    try:
        data = Path(_path(running().engine, sha256)).read_bytes()
    except OSError as error:
        raise Stop(503, "image_missing", "this image cannot be read now", retry_after=5) from error
    return Response(data, mimetype="image/png", headers={"Cache-Control": "public, max-age=31536000, immutable"})


@lru_cache(maxsize=50_000)  # some 15 MB
def _path(engine: Engine, sha256: str) -> str:
    """Where an image is, which never changes: remembered, since people ask for three images an answer."""
    path = read(engine, lambda connection: connection.scalar(select(Image.path).where(Image.sha256 == sha256)))
    if path is None:
        raise Stop(404, "not_found", "no such image")
    return path
