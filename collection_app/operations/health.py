"""/healthz: whether what this server acknowledges is safe."""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from collection_app.database.connections import durability, read
from collection_app.errors import StudyError
from collection_app.studies.installation import find
from collection_app.web.messages import Health
from collection_app.web.served_study import running

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def health() -> ResponseReturnValue:
    """Check that the database answers, holds the study, and keeps what it commits."""
    run = running()

    def work(connection: Connection) -> list[str]:
        find(connection, run.study)
        return [f"{f.name} is {f.found}, not {f.wanted}" for f in durability(connection) if not f.right]

    try:
        problems = read(run.engine, work)
    except (SQLAlchemyError, StudyError) as error:
        problems = [f"the database does not answer as it should: {type(error).__name__}"]
    found = Health(status="failing" if problems else "ok", problems=problems)
    return found.model_dump(mode="json"), 503 if problems else 200, {"Cache-Control": "no-store"}
