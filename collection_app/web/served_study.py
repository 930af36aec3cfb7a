"""What every request needs of the study that is served, in one place on the app."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event

from flask import current_app
from sqlalchemy import Engine

from collection_app.reporting.status import Status
from collection_app.sessions.block_limit import BlockLimit
from collection_app.sessions.steps import Step
from collection_app.signing import Entropy, PictureNames, Tokens
from collection_app.studies.picture_sizes import USUAL, Size
from collection_app.studies.study import Study
from collection_app.web.rate_limit import RateLimit

_EXTENSION = "bapps-collect"


def wall_clock() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Running:
    """A study that is being served.

    Attributes
    ----------
    figures : callable
        Gives how far the study is, or was half a minute ago at most; see `latest`.
    clock : callable
        Gives milliseconds since 1970; a virtual one in simulations.
    entropy : callable
        Gives random bytes; a seeded generator's in simulations.
    marks_key : str
        Under which networks and browsers become HMACs.
    block_limit : BlockLimit or None
        How much sessions from one network may hold; None where somebody vouches for who arrives.
    platform_token : str
        Speaks for the study's author at the platform; without one, nothing is asked.
    platform_secret : str
        Shared with the platform, which signs its messages with it; without one, none are taken.
    largest : sequence of sizes
        Of its pictures; see `picture_sizes`.
    simulated : bool
        Whether everybody is a program, and everything made of it says so.
    least_room_mb : int
        Megabytes that the disk of an SQLite file must have left.
    somebody_asks : Event
        Set when the platform is to be asked about arrivals now.
    """

    study: Study
    study_id: int
    engine: Engine
    tokens: Tokens
    pictures: PictureNames
    limit: RateLimit
    figures: Callable[[], Status]
    clock: Callable[[], int] = wall_clock
    entropy: Entropy = secrets.token_bytes
    marks_key: str = field(default="", repr=False)
    block_limit: BlockLimit | None = None
    platform_token: str = field(default="", repr=False)
    platform_secret: str = field(default="", repr=False)
    largest: Sequence[Size] = (USUAL,)
    simulated: bool = False
    least_room_mb: int = 0
    somebody_asks: Event = field(default_factory=Event)

    @property
    def is_of_lab(self) -> bool:
        """Whether everybody comes by the lab's word, or is a program: networks, which rooms share, tell nothing."""
        return self.simulated or self.study.platform.vouching(self.platform_token) == "lab"

    def step(self) -> Step:
        """What a step of a session taken now is given."""
        return Step(self.study, self.study_id, self.clock(), self.entropy)


def set_running(extensions: dict[str, object], running: Running) -> None:
    """Put it on an app, by the app's `extensions`."""
    extensions[_EXTENSION] = running


def running() -> Running:
    """What the current app serves."""
    return current_app.extensions[_EXTENSION]
