"""Who may see the admin pages: whoever knows the password, for twelve hours in one browser.

The cookie is signed, for /admin alone, out of reach of scripts and never sent from another site. It holds when it
was given and for which password, so that a new password ends every login. A second one, that stays, says that this
browser has logged in before: its tries are counted apart from those of its address.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask, Request, Response, current_app, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy.exc import SQLAlchemyError

from collection_app.admin.login_delays import count_try, forget_tries
from collection_app.admin.passwords import is_password
from collection_app.database.connections import write
from collection_app.signing import digest, mark
from collection_app.web.address_blocks import home_of
from collection_app.web.http_errors import Stop
from collection_app.web.logs import LOGGER
from collection_app.web.rate_limit import RateLimit
from collection_app.web.served_study import running

PATH = "/admin"
LOGIN_HOURS = 12
# Tries at the password from all addresses together, since each costs the server some 60 ms.
ALL_TRIES_PER_MINUTE = 120
KNOWN_DAYS = 90
_KNOWN = "bapps_admin_known"
_DAY_MS = 86_400_000
_EXTENSION = "bapps-collect-admin"
_SINCE, _FOR, _FORM = "since", "for", "form"


@dataclass(frozen=True)
class Access:
    """The hash of the password, empty if there is none, and what tries at it are counted and signed with."""

    password_hash: str
    key: str = field(repr=False)
    together: RateLimit

    @property
    def known_browsers(self) -> URLSafeTimedSerializer:
        """Signs the cookies of browsers that have logged in with today's password."""
        return URLSafeTimedSerializer(self.key, salt=f"known browser {digest(self.password_hash)}")


class _Cookie(SecureCookieSessionInterface):
    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Nothing outside the admin pages, where browsers do not send the cookie: no request of people looks for it."""
        return super().open_session(app, request) if request.path.startswith(PATH) else None

    def get_cookie_secure(self, app: Flask) -> bool:
        """Only over TLS, if it was given over TLS."""
        del app
        return request.is_secure


def protect(app: Flask, *, key: str, password_hash: str, clock: Callable[[], int]) -> None:
    """Set up an app for logging in to its admin pages."""
    app.secret_key = key
    app.session_interface = _Cookie()
    app.config.update(
        SESSION_COOKIE_NAME="bapps_admin",
        SESSION_COOKIE_PATH=PATH,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
    )
    app.extensions[_EXTENSION] = Access(password_hash, key, RateLimit(ALL_TRIES_PER_MINUTE, clock))


def _access() -> Access:
    return current_app.extensions[_EXTENSION]


def has_password() -> bool:
    """Whether anybody can log in at all."""
    return bool(_access().password_hash)


def _known_browser() -> str | None:
    """The name of this browser if it has logged in before, lately and with today's password."""
    try:
        browser = _access().known_browsers.loads(request.cookies.get(_KNOWN, ""), max_age=KNOWN_DAYS * 86_400)
    except BadData:
        return None
    return browser if isinstance(browser, str) else None


def _source() -> str:
    run, known = running(), _known_browser()
    if known:
        return mark(_access().key, f"login to {run.study_id}", f"browser {known}")
    today = run.clock() // _DAY_MS
    return mark(f"{_access().key} {today}", f"login to {run.study_id}", home_of(request.remote_addr or ""))


def seconds_to_wait() -> int:
    """Count a try at the password; gives how many seconds are left until this browser may try, and 0 if it may now."""
    run, source = running(), _source()
    try:
        waiting = write(run.engine, lambda c: count_try(c, source, now=run.clock()))
    except SQLAlchemyError:  # a full disk is no reason to keep the administrator out, but tries are still counted
        waiting = 0
    if not waiting and not _known_browser() and not _access().together.allows(""):
        waiting = 60_000
    return -(-waiting // 1000)


def log_in(password: str) -> bool:
    """Log this browser in, if the password is right."""
    if not is_password(_access().password_hash, password):
        return False
    run, source = running(), _source()
    try:
        write(run.engine, lambda c: forget_tries(c, source))
    except SQLAlchemyError as error:
        LOGGER.error("database", exc_info=error)
    session.clear()
    session[_SINCE], session[_FOR] = running().clock(), digest(_access().password_hash)
    return True


def remember_browser(response: Response) -> Response:
    """Give a browser that has just logged in the cookie by which its tries are counted apart."""
    response.set_cookie(
        _KNOWN,
        _access().known_browsers.dumps(_known_browser() or secrets.token_hex(16)),
        max_age=KNOWN_DAYS * 86_400,
        path=f"{PATH}/login",
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )
    return response


def log_out() -> None:
    """Forget that this browser is logged in."""
    session.clear()


def logged_in() -> bool:
    """Whether this browser logged in lately, with the password of today."""
    since = session.get(_SINCE)
    return (
        has_password()
        and isinstance(since, int)
        and 0 <= running().clock() - since < LOGIN_HOURS * 3_600_000
        and hmac.compare_digest(session.get(_FOR, ""), digest(_access().password_hash))
    )


def form_token() -> str:
    """What every form of this browser must send back: another site cannot know it."""
    if _FORM not in session:
        session[_FORM] = secrets.token_urlsafe(16)
    return session[_FORM]


def check_form() -> None:
    """Stop a request that does not come from a form of ours."""
    known = session.get(_FORM, "")
    if not known or not hmac.compare_digest(known.encode(), request.form.get("form_token", "").encode()):
        raise Stop(403, "form", "this form is too old, or not ours; open the page again")
