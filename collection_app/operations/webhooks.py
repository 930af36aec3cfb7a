"""Messages of the platform: POST /webhooks/NAME. Believed only if signed, and fresh; acted on once."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from collection_app.database.connections import write
from collection_app.platforms.platform import Forged
from collection_app.sessions.submissions import take_message
from collection_app.web.http_errors import Stop
from collection_app.web.messages import Taken
from collection_app.web.served_study import running

blueprint = Blueprint("webhooks", __name__)


@blueprint.post("/webhooks/<platform>")
def webhook(platform: str) -> ResponseReturnValue:
    """Take a message. One that was taken before is acknowledged, and nothing is done."""
    run, body = running(), request.get_data()
    if platform != run.study.platform.name or not run.platform_secret:
        raise Stop(404, "not_found", "no messages are taken here")
    try:
        message = run.study.platform.event(dict(request.headers), body, secret=run.platform_secret, now=run.clock())
    except Forged as error:
        raise Stop(403, "forged", str(error)) from error
    text = body.decode(errors="replace").replace("\0", "")
    new = write(run.engine, lambda connection: take_message(connection, run.step(), message, body=text))
    return Taken(status="taken" if new else "known").model_dump(), 200, {"Cache-Control": "no-store"}
