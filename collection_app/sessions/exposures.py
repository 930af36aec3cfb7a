"""Which attempt at an item is the answer: pure rules about exposures and repeats.

A bad exposure is repeated once, as attempt 2 of the same assignment. The last attempt with a valid exposure
is the answer; if none is valid, the item goes to somebody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from collection_app.studies.study import Exposure

State = Literal["open", "answered", "spoiled"]


@dataclass(frozen=True)
class Shown:
    """What the browser measured of a JND exposure: times in milliseconds, None where it could not."""

    first_ms: float | None
    gap_ms: float | None
    second_ms: float | None
    frame_ms: float | None
    focus_lost: bool


def is_valid(shown: Shown, wanted: Exposure) -> bool:
    """Tell whether every time was within so many frames of the wanted one, with the page in focus."""
    times = (shown.first_ms, shown.gap_ms, shown.second_ms)
    if shown.focus_lost or shown.frame_ms is None or None in times:
        return False
    slack = wanted.tolerance_frames * shown.frame_ms
    targets = (wanted.first_ms, wanted.gap_ms, wanted.second_ms)
    return all(abs(time - target) <= slack for time, target in zip(times, targets, strict=True) if time is not None)


def the_answer(valid: Mapping[int, bool]) -> int | None:
    """The number of the attempt that counts, given each attempt's validity."""
    return max((attempt for attempt, is_valid in valid.items() if is_valid), default=None)


def state(valid: Mapping[int, bool], *, allowed: int) -> State:
    """What attempts make of an assignment that may be shown `allowed` times."""
    if any(valid.values()):
        return "answered"
    return "spoiled" if len(valid) >= allowed else "open"
