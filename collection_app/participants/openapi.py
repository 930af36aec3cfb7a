"""The description of the JSON interface, made from the very models that check it: /api/openapi.json."""

from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from collection_app.web.messages import (
    Answers,
    Arrival,
    Chosen,
    Device,
    Health,
    Problem,
    Receipts,
    SessionState,
    Spoiled,
    Start,
    Taken,
    Trials,
    Withdrawal,
)

blueprint = Blueprint("openapi", __name__, url_prefix="/api")

_WHAT = {
    400: "The request is not as described.",
    404: "There is no such thing.",
    403: "The message is not the platform's, or too old.",
    401: "No valid session token.",
    409: "Not possible in the present state; `error` says why.",
    413: "The request is too large.",
    429: "Too many arrivals.",
    503: "Nothing can be stored now, or the platform has not answered yet; send the same again later.",
}


@blueprint.get("/openapi.json")
def description() -> ResponseReturnValue:
    """Give the description."""
    return openapi()


def openapi() -> dict[str, Any]:
    """Describe the interface as OpenAPI 3.1."""
    models = (
        Answers,
        Arrival,
        Chosen,
        Device,
        Health,
        Problem,
        Receipts,
        SessionState,
        Spoiled,
        Start,
        Taken,
        Trials,
        Withdrawal,
    )
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "bapps-collect", "version": "1"},
        "paths": {
            "/api/arrivals": {"post": _operation("Arrive", SessionState, Arrival, token=False, also=(429,))},
            "/api/session": {"get": _operation("See the session", SessionState)},
            "/api/comprehension": {"post": _operation("Try the comprehension check", SessionState, Chosen)},
            "/api/start": {"post": _operation("Consent, and get trials", SessionState, Start)},
            "/api/device": {"post": _operation("Say that the display has changed", SessionState, Device)},
            "/api/trials": {"get": {**_operation("Get the next trials", Trials, also=(400,)), "parameters": [limit]}},
            "/api/answers": {"post": _operation("Send answers", Receipts, Answers)},
            "/api/spoiled": {"post": _operation("Give up trials without pictures", SessionState, Spoiled)},
            "/api/finish": {"post": _operation("Finish, and get the completion code", SessionState)},
            "/api/withdraw": {"post": _operation("Withdraw", SessionState, Withdrawal)},
            "/images/{name}": {"get": _image()},
            "/webhooks/{platform}": {"post": _webhook()},
            "/healthz": {
                "get": {
                    "summary": "Whether what is acknowledged is safe",
                    "responses": {"200": _content("All is well.", Health), "503": _content("It is not.", Health)},
                }
            },
        },
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    summary: str,
    reply: type[BaseModel],
    body: type[BaseModel] | None = None,
    *,
    token: bool = True,
    also: tuple[int, ...] = (),
) -> dict[str, Any]:
    statuses = {400, 409, 503, *also, *((401,) if token else ()), *((413,) if body else ())}
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {
            "200": _content("Done.", reply),
            **{str(status): _content(_WHAT[status], Problem) for status in sorted(statuses)},
        },
    }
    if token:
        operation["security"] = [{"session": []}]
    if body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _reference(body)}}}
    return operation


def _image() -> dict[str, Any]:
    """A patch, by the name that a trial gives."""
    return {
        "summary": "Get a patch",
        "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {
            "200": {"description": "The patch.", "content": {"image/png": {}}},
            **{str(status): _content(_WHAT[status], Problem) for status in (400, 404, 503)},
        },
    }


def _webhook() -> dict[str, Any]:
    """A message of the platform, in its own form."""
    return {
        "summary": "Take a message of the platform",
        "parameters": [{"name": "platform", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {
            "200": _content("Taken.", Taken),
            **{str(status): _content(_WHAT[status], Problem) for status in (400, 403, 404, 413, 503)},
        },
    }


def _content(what: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": what, "content": {"application/json": {"schema": _reference(model)}}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
