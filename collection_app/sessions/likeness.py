"""Which sessions of different ids may be one person's. Nobody is refused for it: a person looks before paying."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, or_, select

from collection_app.database.models import Participant, Session
from collection_app.sessions.vouching import UNKNOWN

SAME_BROWSER = "the same browser as another id"
SAME_DEVICE = "the same network and device as another id at the same time"
# What two devices that are alike have in common; what moves with a window or from one measurement to the next is not.
_LASTING = ("screen_width", "screen_height", "color_depth", "gamut", "high_dynamic_range", "touch", "engine")


@dataclass(frozen=True)
class Sitting:
    """A session as far as it can be told from others; times in milliseconds, `began` None if it never started."""

    session_id: int
    participant_id: int
    browser: str | None
    block: str | None
    device: str | None
    began: int | None
    ended: int


def device_of(described: str | None) -> str | None:
    """What stays the same in a description of a device, as JSON; None where there is none."""
    facts = json.loads(described) if described else None
    if not isinstance(facts, dict):
        return None
    return json.dumps([facts.get(name) for name in _LASTING])


def alike(sittings: Iterable[Sitting]) -> dict[int, str]:
    """Why each session may be of somebody who is here under another id too, by session id; most are not there."""
    browsers, devices = defaultdict(list), defaultdict(list)
    for one in sittings:
        if one.browser:
            browsers[one.browser].append(one)
        if one.block and one.device and one.began is not None:
            devices[one.block, one.device].append(one)
    found: dict[int, str] = {}
    for group in devices.values():
        found |= {one.session_id: SAME_DEVICE for one in group if any(_at_once(one, other) for other in group)}
    for group in browsers.values():
        if len({one.participant_id for one in group}) > 1:
            found |= {one.session_id: SAME_BROWSER for one in group}
    return found


def _at_once(one: Sitting, other: Sitting) -> bool:
    if one.participant_id == other.participant_id or one.began is None or other.began is None:
        return False
    return one.began < other.ended and other.began < one.ended


def alike_sessions(connection: Connection, study_id: int, only: Sequence[int] | Select) -> dict[int, str]:
    """`alike` for the sessions `only` of a study, beside all others of it."""
    marks = {
        column: select(column).where(Session.id.in_(only), column.is_not(None))
        for column in (Session.browser, Session.block)
    }
    rows = connection.execute(
        select(Session.id, Session.participant_id, Session.browser, Session.block, Session.device)
        .add_columns(Session.started_at, func.coalesce(Session.finished_at, Session.seen_at).label("ended"))
        .join(Participant)
        # An id that somebody made up gets nothing; it throws no doubt on the people beside it.
        .where(Participant.study_id == study_id, func.coalesce(Session.vouched, "") != UNKNOWN)
        .where(or_(*(column.in_(some) for column, some in marks.items())))
    )
    return alike(
        Sitting(row.id, row.participant_id, row.browser, row.block, device_of(row.device), row.started_at, row.ended)
        for row in rows
    )
