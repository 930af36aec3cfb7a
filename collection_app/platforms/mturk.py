"""MTurk's way, which others copied: the study in a frame of the platform's page, and a form posted to it at the end.

Amazon closed Mechanical Turk on 2026-09-30; this serves systems that speak its protocol (assignmentId, hitId,
workerId and turkSubmitTo in the address, externalSubmit at the end), and replays of old studies. Cookies may be
blocked in a frame; none are used.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from collection_app.platforms.platform import ArrivalError, Ended, Form, Platform, Visitor

PREVIEW = "ASSIGNMENT_ID_NOT_AVAILABLE"
# Outcomes of people who did something to be paid for; the others are asked to return the work.
SUBMITTED = ("complete", "incomplete", "failed_checks", "withdrawn")

Origin = Annotated[str, StringConstraints(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$", max_length=200)]


class MTurk(Platform, frozen=True):
    """A platform that shows the study in a frame of its own page."""

    name: Literal["mturk"] = Field(default="mturk", description="in a frame, with preview and externalSubmit")
    submit_to: tuple[Origin, ...] = Field(
        default=("https://www.mturk.com", "https://workersandbox.mturk.com"),
        description="origins that turkSubmitTo may name; any other is refused",
    )
    framed_by: tuple[Origin, ...] = Field(
        default=("https://worker.mturk.com", "https://workersandbox.mturk.com"),
        description="origins that may show the study in a frame",
    )

    @property
    def frame_ancestors(self) -> tuple[str, ...]:
        """See `framed_by`."""
        return self.framed_by

    @property
    def form_targets(self) -> tuple[str, ...]:
        """See `submit_to`."""
        return self.submit_to

    def visitor(self, parameters: Mapping[str, str], arrival: str) -> Visitor | None:
        """Who is named by workerId, for the submission assignmentId; a preview is nobody."""
        del arrival
        assignment = parameters.get("assignmentId", "")
        if assignment == PREVIEW:
            return None
        target = parameters.get("turkSubmitTo", "").rstrip("/")
        if target not in self.submit_to:
            raise ArrivalError("the address names no place to submit to that this study knows; open it from its page")
        for name in ("workerId", "assignmentId"):
            if not parameters.get(name):
                raise ArrivalError(f"{name} is missing from the address; open the study from the platform's page")
        return Visitor(parameters["workerId"], assignment, {"turkSubmitTo": target})

    def departure(self, ended: Ended) -> Form | None:
        """The platform's form, with the code and the outcome beside the assignment."""
        target = ended.kept.get("turkSubmitTo")
        if ended.outcome not in SUBMITTED or ended.submission_id is None or target not in self.submit_to:
            return None
        fields = {"assignmentId": ended.submission_id, "code": ended.code, "outcome": ended.outcome}
        return Form(f"{target}/mturk/externalSubmit", fields)
