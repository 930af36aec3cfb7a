"""Prolific's interface for programs: everybody's submissions, approving one, and paying a bonus."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import urllib3

from collection_app.platforms.platform import PlatformError, PlatformRefusal

_PAGE = 100
_MOST_PAGES = 1000
# Statuses after which the request may have been done all the same.
_UNCLEAR = (408, 409, 429)
_THEIR_ID = re.compile(r"[0-9a-f]{24}")
_SOMEBODY_WAITS = urllib3.Timeout(connect=3, read=5)
_NUMBERED = re.compile(r"/(?=[^/]*[0-9])(?!v1/)[^/]+/")


class ProlificApi:
    """Requests to Prolific, none of which is sent twice by itself."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url.rstrip("/"), token
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5, read=30))

    def submissions(self, study_id: str) -> Iterator[dict[str, Any]]:
        """Every submission of a study: id, participant_id, status."""
        for page in range(1, _MOST_PAGES + 1):
            fields = {"study": study_id, "page": str(page), "page_size": str(_PAGE)}
            results = self._ask("GET", "/api/v1/submissions/", fields=fields).get("results", [])
            yield from results
            if len(results) < _PAGE:
                return

    def submission(self, submission_id: str) -> dict[str, Any]:
        """One submission: id, participant or participant_id, study_id, status; empty if there is none of this id."""
        # An id that Prolific would never make may be called malformed instead of absent.
        absent = (404,) if _THEIR_ID.fullmatch(submission_id) else (400, 404)
        path = f"/api/v1/submissions/{quote(submission_id, safe='')}/"
        return self._ask("GET", path, absent=absent, timeout=_SOMEBODY_WAITS)

    def approve(self, submission_id: str) -> None:
        """Approve a submission, if it is not approved yet: its reward is paid."""
        path = f"/api/v1/submissions/{quote(submission_id, safe='')}/"
        if str(self._ask("GET", path).get("status", "")).upper() != "APPROVED":
            self._ask("POST", f"{path}transition/", json={"action": "APPROVE"})

    def set_up_bonus(self, study_id: str, submission_id: str, amount: str) -> str:
        """Write down a bonus, such as "1.50" in the study's currency; gives its id. Nothing is paid by it."""
        body = {"study_id": study_id, "csv_bonuses": f"{submission_id},{amount}"}
        reply = self._ask("POST", "/api/v1/submissions/bonus-payments/", json=body)
        if not reply.get("id"):
            raise PlatformError("POST submissions/bonus-payments: the reply names no bonus")
        return str(reply["id"])

    def pay_bonus(self, bonus_id: str) -> None:
        """Pay a bonus that was set up. Again pays again: never repeat it without having looked."""
        self._ask("POST", f"/api/v1/bulk-bonus-payments/{quote(bonus_id, safe='')}/pay/")

    def _ask(self, method: str, path: str, *, absent: tuple[int, ...] = (), **more: Any) -> dict[str, Any]:
        """Give the reply's object, or an empty one where the status is among those of `absent`."""
        # Errors name what was asked, and nobody: they are stored beside a payment.
        what = f"{method} {_NUMBERED.sub('/.../', path)}"
        try:
            reply = self._pool.request(
                method, self._url + path, headers={"Authorization": f"Token {self._token}"}, redirect=False, **more
            )
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            raise PlatformRefusal(f"{self._url} cannot be reached") from error
        except urllib3.exceptions.HTTPError as error:
            raise PlatformError(f"{what}: {type(error).__name__}") from error
        if reply.status in absent:
            return {}
        if 400 <= reply.status < 500 and reply.status not in _UNCLEAR:
            raise PlatformRefusal(f"{what}: {reply.status}")
        if not 200 <= reply.status < 300:
            raise PlatformError(f"{what}: {reply.status}")
        try:
            content = reply.json() if reply.data else {}
        except ValueError as error:
            raise PlatformError(f"{what}: the reply is no JSON") from error
        return content if isinstance(content, dict) else {}


class ProlificPayer:
    """Pays the people of one study there; see `platform.Payer`."""

    def __init__(self, api: ProlificApi, study_id: str) -> None:
        self._api, self._study_id = api, study_id

    def approve(self, submission_id: str) -> None:
        """Approve the submission."""
        self._api.approve(submission_id)

    def set_up(self, submission_id: str, amount_minor: int) -> str:
        """Set up a bonus."""
        amount = f"{amount_minor // 100}.{amount_minor % 100:02d}"
        return self._api.set_up_bonus(self._study_id, submission_id, amount)

    def pay(self, reference: str) -> None:
        """Pay a bonus."""
        self._api.pay_bonus(reference)
