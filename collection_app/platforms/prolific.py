"""Prolific: ids in the address, signed if the study asks for it; a code for every outcome; webhooks, or asking.

Facts from docs.prolific.com: signed addresses carry `prolific_token`, a JWT by one of Prolific's published keys
whose claim `prolific` holds the ids; a webhook carries base64(HMAC-SHA256(secret, timestamp + body)).
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import jwt
from pydantic import Field

from collection_app.platforms.platform import (
    ArrivalError,
    CannotTell,
    Ended,
    Event,
    Forged,
    Platform,
    Redirect,
    Submission,
    Visitor,
    Vouching,
)
from collection_app.platforms.prolific_api import ProlificApi, ProlificPayer
from collection_app.platforms.published_keys import PublishedKeys

ISSUER = "https://www.prolific.com"
_IDS = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
# A message older than this, or from the future, may be a recorded one.
_FRESH_MS = 5 * 60_000
# What else an address holds is made up: asked about it, a server in front may refuse the request, which tells nothing.
_AN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# States after which somebody is not coming back.
_OVER = frozenset({"RETURNED", "TIMED-OUT", "REJECTED", "SCREENED OUT"})


class Prolific(Platform, frozen=True):
    """Prolific."""

    name: Literal["prolific"] = Field(default="prolific", description="people who come from prolific.com")
    study_id: str = Field(
        default="", max_length=64, description="of the study there: others' arrivals are refused; needed to ask and pay"
    )
    signed_for: str = Field(
        default="",
        max_length=200,
        description="origin of the study's pages, such as https://study.example.org: only addresses that Prolific "
        "signed for it are let in; empty: any",
    )
    unsigned_reason: str = Field(
        default="",
        max_length=500,
        description="why `signed_for` is empty, so that anybody can make up an id; without a reason `serve` refuses",
    )
    completion: str = Field(
        default="https://app.prolific.com/submissions/complete",
        pattern=r"^https?://[^\s{}]+$",
        description="where people go with their code",
    )
    api: str = Field(default="https://api.prolific.com", pattern=r"^https?://[^\s{}]+$", description="where to ask")

    def visitor(self, parameters: Mapping[str, str], arrival: str) -> Visitor:
        """Who is named by PROLIFIC_PID, for the submission SESSION_ID; if signed, by what was signed alone."""
        del arrival
        ids = self._signed(parameters.get("prolific_token", "")) if self.signed_for else parameters
        for name in _IDS:
            if not isinstance(ids.get(name), str) or not ids[name]:
                raise ArrivalError(f"{name} is missing from the address; open the study from Prolific")
        if self.study_id and ids["STUDY_ID"] != self.study_id:
            raise ArrivalError("this address belongs to another study; open this one from Prolific")
        return Visitor(ids["PROLIFIC_PID"], ids["SESSION_ID"])

    def departure(self, ended: Ended) -> Redirect:
        """Prolific's completion page, with the code of the outcome."""
        return Redirect(f"{self.completion}?cc={quote(ended.code, safe='')}")

    def problems(self, codes: Mapping[str, str]) -> list[str]:
        """Ids must not be made up without anybody having thought of it; and Prolific knows only the codes that were
        written into its study, so none can be made at random.
        """
        unsigned = []
        if not self.signed_for and not self.unsigned_reason.strip():
            unsigned.append(
                "platform.signed_for: anybody can make up the ids of an unsigned address; turn on secure addresses on "
                "Prolific and name the origin of the study's pages, or say in platform.unsigned_reason why not"
            )
        missing = unsigned + [
            f"outcomes.{outcome}: fill in the code from the Prolific study" for outcome, c in codes.items() if not c
        ]
        double = sorted({code for code in codes.values() if code and list(codes.values()).count(code) > 1})
        return missing + [
            f"outcomes: {code} is the code of two outcomes; Prolific could not tell them" for code in double
        ]

    def vouching(self, token: str) -> Vouching:
        """Prolific's signature, or what it answers to who has a token."""
        return "signature" if self.signed_for else "answer" if token else "nobody"

    def knows(self, token: str, *, submission_id: str, external_id: str) -> bool:
        """Whether Prolific has this submission, of this person, to this study."""
        if not _AN_ID.fullmatch(submission_id):
            return False
        submission = ProlificApi(self.api, token).submission(submission_id)
        return (
            submission.get("id") == submission_id
            and submission.get("participant_id", submission.get("participant", external_id)) == external_id
            and (not self.study_id or submission.get("study_id", self.study_id) == self.study_id)
        )

    def event(self, headers: Mapping[str, str], body: bytes, *, secret: str, now: int) -> Event:
        """Read a webhook: what is signed is the timestamp and the body, and the timestamp must be of now."""
        timestamp = headers.get("X-Prolific-Request-Timestamp", "")
        signature = base64.b64encode(hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).digest())
        if not hmac.compare_digest(signature, headers.get("X-Prolific-Request-Signature", "").encode()):
            raise Forged("the signature is wrong")
        sent_at = _milliseconds(timestamp)
        if abs(now - sent_at) > _FRESH_MS:
            raise Forged("the message is too old")
        name = headers.get("X-Event-Id", "")
        if not 0 < len(name) <= 128:
            raise Forged("the message has no id")
        return Event(name, sent_at, _submission(body))

    def submissions(self, token: str) -> Iterable[Submission]:
        """Everybody's submission to the study, as Prolific has it now."""
        if not self.study_id:
            return
        for row in ProlificApi(self.api, token).submissions(self.study_id):
            yield _of(str(row.get("id", "")), str(row.get("participant_id", "")), str(row.get("status", "")))

    def payer(self, token: str) -> ProlificPayer | None:
        """Approves submissions and pays bonuses, for a study whose id there is known."""
        return ProlificPayer(ProlificApi(self.api, token), self.study_id) if self.study_id and token else None

    @cached_property
    def signing_keys(self) -> PublishedKeys:
        """Prolific's public keys."""
        return PublishedKeys(f"{self.api}/.well-known/study/jwks.json")

    def _signed(self, token: str) -> Mapping[str, Any]:
        """The ids in a token, if Prolific signed it for this study's pages, and not too long ago."""
        audiences = [self.signed_for, f"{self.signed_for}/", urlsplit(self.signed_for).hostname or ""]
        try:
            key = self.signing_keys.key_of(token).key
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=audiences,
                issuer=ISSUER,
                options={"require": ["exp", "aud", "iss"]},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise CannotTell("Prolific's signature cannot be checked now; try again in a minute") from error
        except jwt.PyJWTError as error:
            raise ArrivalError(
                "this address is not signed by Prolific, or too old; open the study from there"
            ) from error
        ids = claims.get("prolific")
        return ids if isinstance(ids, dict) else {}


def _milliseconds(timestamp: str) -> int:
    try:
        return round(float(timestamp) * 1000)
    except (ValueError, OverflowError) as error:  # of nan and inf too
        raise Forged("the time of the message is none") from error


def _submission(body: bytes) -> Submission | None:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise Forged("the message is no JSON") from error
    if not isinstance(message, dict) or message.get("event_type") != "submission.status.change":
        return None
    return _of(
        str(message.get("resource_id", "")), str(message.get("participant_id", "")), str(message.get("status", ""))
    )


def _of(submission_id: str, external_id: str, state: str) -> Submission:
    """A submission by Prolific's word for its state, which is spelt with spaces, dashes or underscores."""
    state = state.upper().replace("_", " ").replace("TIMED OUT", "TIMED-OUT")[:32]
    return Submission(submission_id, external_id, state, state in _OVER)
