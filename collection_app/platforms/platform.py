"""What a platform is to the server: it reads who arrived, and says where a session leads when it ends.

A platform is a frozen record of settings, the table `[platform]` of a study file, with the methods below. Adding
one is adding a file beside this one with a subclass of `Platform` in it; the registry finds it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import BaseModel, Field

from bapps_builder.errors import BappsError

Outcome = Literal["complete", "incomplete", "no_consent", "failed_checks", "no_work", "unsuitable_device", "withdrawn"]
# Who vouches for the ids of arrivals: the lab, which gave out the links; the platform, which signed the address; the
# platform, when it is asked; or nobody, so that ids can be made up.
Vouching = Literal["lab", "signature", "answer", "nobody"]


class ArrivalError(ValueError):
    """An arrival without what its platform always sends; the message is shown to the visitor."""


class CannotTell(ArrivalError):
    """An arrival of which it cannot be told now whether it is to be believed; the browser asks again."""


class Forged(Exception):
    """A message that does not come from the platform, or is too old to be believed."""


class PlatformError(BappsError):
    """A platform that does not answer as it should; whether it did what was asked is not known."""


class PlatformRefusal(PlatformError):
    """A platform that did not do what was asked, and says so, or was never reached."""


class Payer(Protocol):
    """Pays people through their platform. All methods raise PlatformRefusal or PlatformError."""

    def approve(self, submission_id: str) -> None:
        """Pay a submission in full. Again does no harm."""
        ...

    def set_up(self, submission_id: str, amount_minor: int) -> str:
        """Write down a partial payment, in hundredths, that `pay` pays by the name given. Again does no harm."""
        ...

    def pay(self, reference: str) -> None:
        """Pay what was set up. Again may pay again."""
        ...


@dataclass(frozen=True)
class Visitor:
    """Who arrived.

    Attributes
    ----------
    external_id : str
        The platform's id of the person.
    submission_id : str or None
        The platform's id of this taking part: arriving with it again resumes the session.
    kept : mapping of str to str
        Parameters of the address that the departure will need.
    """

    external_id: str
    submission_id: str | None = None
    kept: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """A session that has ended: its outcome, its completion code, and what was known of its visitor."""

    outcome: Outcome
    code: str
    submission_id: str | None = None
    kept: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Redirect:
    """The person's browser goes to an address."""

    url: str


@dataclass(frozen=True)
class Form:
    """The person's browser posts a form to an address, and so leaves."""

    action: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Submission:
    """What a platform says of somebody's taking part.

    Attributes
    ----------
    submission_id, external_id : str
    state : str
        In the platform's own words.
    over : bool
        Whether the person has left by it: what they were still to answer goes to others.
    """

    submission_id: str
    external_id: str
    state: str
    over: bool


@dataclass(frozen=True)
class Event:
    """A message of a platform: its own id, when it was sent (milliseconds since 1970), and what it says, if anything.

    The same id may come twice.
    """

    id: str
    sent_at: int
    submission: Submission | None


class Platform(BaseModel, ABC, frozen=True, extra="forbid"):
    """What the server asks of a platform. A subclass sets `name` to a Literal, and adds its own settings."""

    name: str = Field(description="of the platform")

    @property
    def frame_ancestors(self) -> tuple[str, ...]:
        """Origins that may show the study's pages in a frame."""
        return ()

    @property
    def form_targets(self) -> tuple[str, ...]:
        """Origins that a page may post a form to when it leaves."""
        return ()

    @abstractmethod
    def visitor(self, parameters: Mapping[str, str], arrival: str) -> Visitor | None:
        """Read who arrived from the parameters of the address; `arrival` is the hash of the browser's own key.

        None is somebody who only looks: they see the first page, and nothing is made or taken for them.

        Raises
        ------
        ArrivalError
            If a parameter is missing or not to be believed.
        """

    def vouching(self, token: str) -> Vouching:
        """Who vouches for the ids of arrivals; `token` speaks for the study's author there, and may be empty."""
        del token
        return "nobody"

    def knows(self, token: str, *, submission_id: str, external_id: str) -> bool:
        """Ask the platform whether this is a submission of this person; where `vouching` is by its "answer".

        Raises
        ------
        PlatformError
            If it does not answer as it should.
        """
        raise PlatformError(f"{self.name} cannot be asked about {submission_id!r} of {external_id!r}")

    @abstractmethod
    def departure(self, ended: Ended) -> Redirect | Form | None:
        """Where the last page leads, or None where it only shows the code."""

    def problems(self, codes: Mapping[str, str]) -> list[str]:
        """What keeps a study from being served on this platform, given the completion code of each outcome."""
        del codes
        return []

    def event(self, headers: Mapping[str, str], body: bytes, *, secret: str, now: int) -> Event:
        """Read a message that the platform sent to /webhooks; `secret` is shared with it, `now` in milliseconds.

        Raises
        ------
        Forged
            If it is not the platform's.
        """
        raise Forged(f"{self.name} sends no messages")

    def submissions(self, token: str) -> Iterable[Submission]:
        """Ask the platform for the state of everybody's taking part; `token` speaks for the study's author there.

        Raises
        ------
        PlatformError
            If it does not answer as it should.
        """
        del token
        return ()

    def payer(self, token: str) -> Payer | None:
        """Who pays through the platform's interface for programs, if it has one."""
        del token
        return None
