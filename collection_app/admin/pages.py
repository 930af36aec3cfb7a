"""The pages for the people who run a study, under /admin: they show everything and change nothing.

People appear under their pseudonyms; who they are on their platform is not shown here.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from collection_app.admin.admin_access import (
    PATH,
    check_form,
    form_token,
    has_password,
    log_in,
    log_out,
    logged_in,
    remember_browser,
    seconds_to_wait,
)
from collection_app.database.connections import read, view
from collection_app.reporting.export import dictionary as dictionary_text
from collection_app.reporting.export import export_pieces
from collection_app.reporting.queries import failed_exposures, item_named
from collection_app.reporting.queries import item as find_item
from collection_app.reporting.queries import items as list_items
from collection_app.reporting.queries import pay as list_pay
from collection_app.reporting.queries import session as find_session
from collection_app.reporting.queries import sessions as list_sessions
from collection_app.reporting.status import Status
from collection_app.studies.study import Study
from collection_app.web.http_errors import Stop
from collection_app.web.served_study import running

blueprint = Blueprint("admin", __name__, url_prefix=PATH)

T = TypeVar("T")
STATES = ("arrived", "started", "complete", "lapsed", "withdrawn", "turned away", "incomplete")
ROLES = ("test", "sentinel", "training")
_KINDS = {"csv": "text/csv", "csv.gz": "application/gzip", "parquet": "application/vnd.apache.parquet"}
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@blueprint.before_request
def _only_who_knows_the_password() -> ResponseReturnValue | None:
    if request.endpoint == "admin.login" or logged_in():
        return None
    return redirect(url_for("admin.login"), 303)


@blueprint.after_request
def _guard(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


@blueprint.context_processor
def _for_all_pages() -> dict[str, object]:
    return {"study": running().study, "form_token": form_token, "simulated_app": running().simulated}


@blueprint.app_template_filter("grouped")
def grouped(number: float) -> str:
    """Give a number with its thousands apart: 48 211."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


@blueprint.app_template_filter("time")
def utc(milliseconds: int | None) -> str:
    """Give a time in UTC, to the second."""
    if milliseconds is None:
        return "\N{EN DASH}"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


@blueprint.app_template_filter("percent")
def percent(share: float) -> str:
    """Give a share as a percentage: 79.8%, and 100% only where nothing is missing."""
    shown = f"{100 * share:.1f}"
    return ">99.9%" if shown == "100.0" and share < 1 else f"{shown}%".replace("100.0%", "100%")


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """Ask for the password."""
    problem, code = "", 200
    if request.method == "POST":
        check_form()
        if waiting := seconds_to_wait():
            problem = f"Too many wrong tries; wait {waiting} seconds, or run `bapps-collect unlock` on the server."
            return render_template("admin/login.html", problem=problem), 429, {"Retry-After": str(waiting)}
        if log_in(request.form.get("password", "")):
            return remember_browser(make_response(redirect(url_for("admin.overview"), 303)))
        problem, code = "This is not the password.", 403
    return render_template("admin/login.html", problem=problem, has_password=has_password()), code


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """Forget this browser."""
    check_form()
    log_out()
    return redirect(url_for("admin.login"), 303)


@blueprint.get("/")
def overview() -> ResponseReturnValue:
    """Show how far the study is."""
    figures = running().figures()
    return render_template("admin/overview.html", figures=figures, hours_left=hours_left(running().study, figures))


def hours_left(study: Study, figures: Status) -> float | None:
    """How long the missing answers take at the present rate; None where nobody answers."""
    checks = sum(rule.count for rule in study.sentinels.rules)
    per_hour = 60 * figures.rate * study.items_per_session / (study.items_per_session + checks)
    missing = figures.wanted - figures.filled + figures.under_way
    return missing / per_hour if per_hour else None


@blueprint.get("/sessions")
def sessions() -> ResponseReturnValue:
    """List sessions, the latest first."""
    state = _choice("state", STATES)
    page = _read(lambda c, study_id: list_sessions(c, study_id, state=state, after=_number("after")))
    return render_template(
        "admin/sessions.html", page=page, state=state, states=STATES, counts=running().figures().sessions
    )


@blueprint.get("/sessions/<int(max=999999999999):session_id>")
def session(session_id: int) -> ResponseReturnValue:
    """Show one session."""
    return render_template(
        "admin/session.html", detail=_or_404(_read(lambda c, study_id: find_session(c, study_id, session_id)))
    )


@blueprint.get("/exclusions")
def exclusions() -> ResponseReturnValue:
    """Show whose answers are not used, and why."""
    page = _read(lambda c, study_id: list_sessions(c, study_id, excluded=True, after=_number("after")))
    return render_template("admin/exclusions.html", page=page, figures=running().figures())


@blueprint.get("/pay")
def pay() -> ResponseReturnValue:
    """Show what each session is to be paid, and why."""
    step = running().step()
    page = _read(lambda c, _: list_pay(c, step, after=_number("after")))
    return render_template("admin/pay.html", page=page, figures=running().figures())


@blueprint.get("/exposures")
def exposures() -> ResponseReturnValue:
    """Show the exposures that failed."""
    return render_template("admin/exposures.html", rows=_read(failed_exposures), figures=running().figures())


@blueprint.get("/items")
def items() -> ResponseReturnValue:
    """List items with their images."""
    role, set_name, name = _choice("role", ROLES) or "test", _text("set"), _text("name")
    if name:
        item_id = _read(lambda c, study_id: item_named(c, study_id, name))
        if item_id is not None:
            return redirect(url_for("admin.item", item_id=item_id), 303)
    page = _read(lambda c, study_id: list_items(c, study_id, role=role, set_name=set_name, after=_number("after")))
    sets = [part.name for part in running().figures().sets]
    return render_template(
        "admin/items.html", page=page, role=role, roles=ROLES, set_name=set_name, sets=sets, missing=name or ""
    )


@blueprint.get("/items/<int(max=999999999999):item_id>")
def item(item_id: int) -> ResponseReturnValue:
    """Show one item with every answer."""
    return render_template(
        "admin/item.html", detail=_or_404(_read(lambda c, study_id: find_item(c, study_id, item_id)))
    )


@blueprint.get("/export.<kind>")
def export(kind: str) -> ResponseReturnValue:
    """Give all answers, a piece at a time."""
    if kind not in _KINDS:
        raise Stop(404, "not_found", f"an export ends in {', '.join(_KINDS)}")
    run = running()
    name = f"{run.study.name}-v{run.study.version}.{kind}"

    def pieces() -> Iterator[bytes]:
        with view(run.engine) as connection:
            yield from export_pieces(connection, run.study, run.study_id, name=name)

    return Response(pieces(), mimetype=_KINDS[kind], headers={"Content-Disposition": f'attachment; filename="{name}"'})


@blueprint.get("/dictionary.csv")
def dictionary() -> ResponseReturnValue:
    """Give what the columns of an export mean."""
    name = f"{running().study.name}-v{running().study.version}.dictionary.csv"
    return Response(
        dictionary_text(), mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _read(work: Callable[[Connection, int], T]) -> T:
    run = running()
    return read(run.engine, lambda connection: work(connection, run.study_id))


def _or_404(detail: T | None) -> T:
    if detail is None:
        raise Stop(404, "not_found", "this study has nothing of this number")
    return detail


def _choice(name: str, choices: tuple[str, ...]) -> str | None:
    return value if (value := request.args.get(name)) in choices else None


def _text(name: str) -> str | None:
    # A database holds no text with a zero byte, and PostgreSQL cannot be asked for one.
    return None if "\0" in (text := request.args.get(name, "").strip()) else text or None


def _number(name: str) -> int | None:
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
