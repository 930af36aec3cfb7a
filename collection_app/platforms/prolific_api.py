"""Prolific's interface for programs: everybody's submissions, approving one, and paying a bonus."""

from collections.abc import Iterator
from typing import Any

import urllib3

from bapps_builder.errors import BappsError

_PAGE = 100
_MOST_PAGES = 1000


class PlatformError(BappsError):
    """A platform that does not answer as it should; whether it did what was asked is not known."""


class PlatformRefusal(PlatformError):
    """A platform that did not do what was asked, and says so, or was never reached."""


class ProlificApi:
    """Requests to Prolific, none of which is sent twice by itself."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url.rstrip("/"), token
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5, read=30))

    def submissions(self, study_id: str) -> Iterator[dict[str, Any]]:
        """Every submission of a study: id, participant_id, status."""
        for page in range(1, _MOST_PAGES + 1):
            fields = {"study": study_id, "page": str(page), "page_size": str(_PAGE)}
            found = self._ask("GET", "/api/v1/submissions/", fields=fields).get("results", [])
            yield from found
            if len(found) < _PAGE:
                return

    def approve(self, submission_id: str) -> None:
        """Approve a submission: its reward is paid. Again does no harm."""
        self._ask("POST", f"/api/v1/submissions/{submission_id}/transition/", json={"action": "APPROVE"})

    def set_up_bonus(self, study_id: str, submission_id: str, amount: str) -> str:
        """Write down a bonus, such as "1.50" in the study's currency; gives its id. Nothing is paid by it."""
        body = {"study_id": study_id, "csv_bonuses": f"{submission_id},{amount}"}
        return str(self._ask("POST", "/api/v1/submissions/bonus-payments/", json=body)["id"])

    def pay_bonus(self, bonus_id: str) -> None:
        """Pay a bonus that was set up. Again pays again: never repeat it without having looked."""
        self._ask("POST", f"/api/v1/bulk-bonus-payments/{bonus_id}/pay/")

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Token {self._token}"}
        try:
            reply = self._pool.request(method, self._url + path, headers=headers, redirect=False, **more)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            raise PlatformRefusal(f"{self._url} cannot be reached") from error
        except urllib3.exceptions.HTTPError as error:
            raise PlatformError(f"{method} {path}: {type(error).__name__}") from error
        if 400 <= reply.status < 500 and reply.status not in (408, 409, 429):
            raise PlatformRefusal(f"{method} {path}: {reply.status} {reply.data[:200].decode(errors='replace')}")
        if not 200 <= reply.status < 300:
            raise PlatformError(f"{method} {path}: {reply.status}")
        try:
            content = reply.json() if reply.data else {}
        except ValueError as error:
            raise PlatformError(f"{method} {path}: the reply is no JSON") from error
        return content if isinstance(content, dict) else {}
