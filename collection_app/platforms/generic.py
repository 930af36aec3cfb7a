"""Any panel that puts an id in the address and takes people back by an address or a code.

CloudResearch Connect (id_parameter = "participantId"), SONA (keep = ["survey_code"] and an address with
{survey_code}), or a panel of one's own.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from collection_app.platforms.platform import ArrivalError, Ended, Platform, Redirect, Visitor

_ALWAYS = ("code", "outcome")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

Parameter = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]


def _placeholders(template: str) -> list[str]:
    if any(sign in _PLACEHOLDER.sub("", template) for sign in "{}"):
        raise ValueError(f"braces may only hold the name of what is filled in, got {template!r}")
    return _PLACEHOLDER.findall(template)


def _address(template: str) -> str:
    """Check that a template leads to one host, whatever is filled in."""
    if not template:
        return template
    parts = urlsplit(template)
    host = parts.netloc.partition(":")[0]
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise ValueError(f"got the address {template!r}, needs one that begins with https://")
    if not host or any(sign in parts.netloc for sign in "{}@\\"):
        raise ValueError(f"the host must be written out, got {template!r}")
    _placeholders(template)
    return template


Address = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_address)]


class Addresses(BaseModel):
    """Where people go after each outcome; an empty one only shows the code."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    complete: Address = Field(default="", description="all answers are committed")
    incomplete: Address = Field(default="", description="too few valid answers or sentinels right; empty: of complete")
    no_consent: Address = Field(default="", description="consent was declined")
    failed_checks: Address = Field(default="", description="the comprehension check was failed twice")
    no_work: Address = Field(default="", description="nothing was left to do")
    unsuitable_device: Address = Field(default="", description="the screen cannot show the patches")
    withdrawn: Address = Field(default="", description="the person withdrew")


class Generic(Platform, frozen=True):
    """A panel that sends an id in the address."""

    name: Literal["generic"] = Field(default="generic", description="any panel that sends an id in the address")
    id_parameter: Parameter = Field(default="participant", description="parameter that holds the person's id")
    submission_parameter: Parameter | Literal[""] = Field(
        default="", description="parameter that holds the id of this taking part; coming with it again resumes"
    )
    keep: tuple[Parameter, ...] = Field(default=(), description="further parameters, for the addresses below")
    addresses: Addresses = Field(
        default_factory=Addresses, description="may hold {code}, {outcome} and any kept parameter"
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        for outcome, template in self.addresses.model_dump().items():
            for name in _placeholders(template):
                if name not in (*_ALWAYS, *self.keep):
                    names = ", ".join((*_ALWAYS, *self.keep))
                    raise ValueError(f"addresses.{outcome}: {{{name}}} is none of {names}; name it in keep")
        return self

    def visitor(self, parameters: Mapping[str, str], arrival: str) -> Visitor:
        """Who is named by the parameter."""
        del arrival
        needs = [self.id_parameter, *self.keep, *filter(None, [self.submission_parameter])]
        for name in needs:
            if not parameters.get(name):
                raise ArrivalError(f"{name} is missing in the address; open the study from the page that led here")
        submission = parameters[self.submission_parameter] if self.submission_parameter else None
        return Visitor(parameters[self.id_parameter], submission, {name: parameters[name] for name in self.keep})

    def departure(self, ended: Ended) -> Redirect | None:
        """The study author's address, with what is filled in percent-encoded, so that it stays what it is."""
        template: str = getattr(self.addresses, ended.outcome)
        if ended.outcome == "incomplete":
            template = template or self.addresses.complete
        values = {"code": ended.code, "outcome": ended.outcome, **ended.kept}
        if not template or any(name not in values for name in _placeholders(template)):
            return None  # who was erased has no parameters any more
        return Redirect(_PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), template))
