"""Who may see the admin pages: whoever knows the password, for twelve hours in one browser.

The cookie is signed, for /admin alone, out of reach of scripts and never sent from another site. It holds when it
was given and for which password, so that a new password ends every login.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, Request, current_app, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from collection_app.admin.passwords import is_password
from collection_app.signing import digest
from collection_app.web.http_errors import Stop
from collection_app.web.rate_limit import RateLimit
from collection_app.web.served_study import running

PATH = "/admin"
LOGIN_HOURS = 12
# Tries at the password: from one address, and from all together, since each costs the server some 60 ms.
TRIES_PER_MINUTE, ALL_TRIES_PER_MINUTE = 5, 120
_EXTENSION = "bapps-collect-admin"
_SINCE, _FOR, _FORM = "since", "for", "form"


@dataclass(frozen=True)
class Access:
    """The hash of the password, empty if there is none, and the limits of tries at it."""

    password_hash: str
    by_address: RateLimit
    together: RateLimit


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
    app.extensions[_EXTENSION] = Access(
        password_hash, RateLimit(TRIES_PER_MINUTE, clock), RateLimit(ALL_TRIES_PER_MINUTE, clock)
    )


def _access() -> Access:
    return current_app.extensions[_EXTENSION]


def has_password() -> bool:
    """Whether anybody can log in at all."""
    return bool(_access().password_hash)


def may_try() -> bool:
    """Count a try at the password from the visitor's address; tell whether it is within the limits."""
    return _access().by_address.allows(request.remote_addr or "") and _access().together.allows("")


def log_in(password: str) -> bool:
    """Log this browser in, if the password is right."""
    if not is_password(_access().password_hash, password):
        return False
    session.clear()
    session[_SINCE], session[_FOR] = running().clock(), digest(_access().password_hash)
    return True


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
