"""What a platform is to the server: it reads who arrived, and says where a session leads when it ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class ArrivalError(ValueError):
    """An arrival without what its platform always sends; the message is shown to the visitor."""


@dataclass(frozen=True)
class Visitor:
    """Who arrived.

    Attributes
    ----------
    external_id : str
        The platform's id of the person.
    submission_id : str or None
        The platform's id of this taking part: arriving with it again resumes the session.
    """

    external_id: str
    submission_id: str | None = None


class Platform(Protocol):
    """What the server asks of a platform."""

    name: str

    def visitor(self, parameters: Mapping[str, str], arrival: str) -> Visitor:
        """Read who arrived from the parameters of the address; `arrival` is the hash of the browser's own key.

        Raises
        ------
        ArrivalError
            If a parameter is missing.
        """
        ...

    def redirect(self, code: str) -> str | None:
        """Where the completion page leads with a code, or None where it only shows it."""
        ...
