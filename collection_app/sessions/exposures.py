"""Which attempt at an item is the answer: pure rules about exposures, times and repeats.

A bad exposure is repeated once, as attempt 2 of the same assignment. The last attempt with a valid exposure
is the answer; if none is valid, the item goes to somebody else.

What a browser says of its own times is believed as far as the device check and the server's clock allow.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from collection_app.signing import ROLES
from collection_app.studies.study import Display, Exposure

State = Literal["open", "answered", "spoiled"]
BAD_EXPOSURE = "bad exposure"
# Answers that a browser which shows pictures to a person does not give.
SLOW_FRAMES = "frames slower than the device check found"
NOT_FETCHED = "answered without having fetched its pictures"
TOO_EARLY = "answered earlier after its pictures than it says"
NOT_LOOKED = "answered without having looked at all three pictures"
MARKS = (SLOW_FRAMES, NOT_FETCHED, TOO_EARLY, NOT_LOOKED)
# How much slower frames may come than in the device check, where they are never quite even.
_SLOWER = 1.25
# Without a device check, or a slowest screen in the study.
_SLOWEST_HZ = 20.0
# Room for what clocks and networks do to times, in milliseconds.
_SLACK_MS = 250.0


@dataclass(frozen=True)
class Shown:
    """What the browser measured of a JND exposure: times in milliseconds, None where it could not."""

    first_ms: float | None
    gap_ms: float | None
    second_ms: float | None
    frame_ms: float | None
    focus_lost: bool

    @property
    def total_ms(self) -> float:
        """How long all of it took, as far as it was measured."""
        return sum(time or 0.0 for time in (self.first_ms, self.gap_ms, self.second_ms))


def is_valid(shown: Shown, wanted: Exposure, *, dropped: int = 0) -> bool:
    """Tell whether every time was within so many frames of the wanted one, with the page in focus."""
    times = (shown.first_ms, shown.gap_ms, shown.second_ms)
    if shown.focus_lost or shown.frame_ms is None or None in times or dropped > wanted.most_dropped:
        return False
    slack = wanted.tolerance_frames * shown.frame_ms
    targets = (wanted.first_ms, wanted.gap_ms, wanted.second_ms)
    return all(abs(time - target) <= slack for time, target in zip(times, targets, strict=True) if time is not None)


def has_looked(measured: Mapping[str, Any], display: Display) -> bool:
    """Tell whether all three pictures were looked at, each long enough, in no more time than the answer took.

    Side by side they are seen together, and nothing is measured; where the browser may choose, it says which.
    """
    layout = measured.get("layout")
    if display.layout != "in-place" and layout != "in-place":
        return True
    counts = [measured.get(f"{name}_looks") or 0 for name in ROLES]
    times = [measured.get(f"{name}_look_ms") or 0.0 for name in ROLES]
    has_seen_all = min(counts) >= 1 and min(times) >= display.least_look_ms
    return layout == "in-place" and has_seen_all and sum(times) <= measured["reaction_ms"] + _SLACK_MS


def slowest_frame_ms(device: str | None, least_hz: float) -> float:
    """The longest time between frames that is believed of a device: as its check found it, or as the study allows."""
    allowed = 1.1 * 1000 / (least_hz or _SLOWEST_HZ)
    refresh_hz = json.loads(device).get("refresh_hz") if device else None
    return (
        min(allowed, _SLOWER * 1000 / refresh_hz) if isinstance(refresh_hz, int | float) and refresh_hz > 0 else allowed
    )


def too_early(own_ms: float, *, fetched_at: int, now: int) -> bool:
    """Tell whether an answer came sooner after its pictures than the time that it says it took.

    A clock that was set back in between tells nothing.
    """
    return 0 <= now - fetched_at < own_ms - _SLACK_MS


def ahead_of_time(own_ms: Sequence[float], at: Sequence[int], *, began: int) -> int:
    """Count the answers that came before the time had passed that they and those before them say they took.

    Parameters
    ----------
    own_ms : sequence of float
        What each answer says that it took, in the order of coming.
    at : sequence of int
        When each came by the server's clock; many come at once after a lost connection.
    began : int
        When the session did.
    """
    total, count = 0.0, 0
    for own, when in zip(own_ms, at, strict=True):
        total += own
        count += when - began < total - _SLACK_MS
    return count


def the_answer(valid: Mapping[int, bool]) -> int | None:
    """The number of the attempt that counts, given each attempt's validity."""
    return max((attempt for attempt, is_valid in valid.items() if is_valid), default=None)


def state(valid: Mapping[int, bool], *, allowed: int) -> State:
    """What attempts make of an assignment that may be shown `allowed` times."""
    if any(valid.values()):
        return "answered"
    return "spoiled" if len(valid) >= allowed else "open"
