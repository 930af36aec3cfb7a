"""The trials of a session: drawing them when it starts, and giving those that are still to be answered."""

import numpy as np
from sqlalchemy import Connection, Row, bindparam, select

from collection_app.database.models import Answer, Assignment, Item
from collection_app.sessions.allocation import Place, take_checks, take_items
from collection_app.studies.sentinels import TRAINING
from collection_app.studies.study import Study

_TRIED = select(Answer.assignment_id).where(Answer.assignment_id == Assignment.id).exists()
_OPEN = (
    select(Assignment.slot, Assignment.side, Item.role, Item.ref, Item.p0, Item.p1, _TRIED.label("repeat"))
    .join(Item)
    .where(Assignment.session_id == bindparam("session_id"), Assignment.state == "open")
    .order_by("repeat", Assignment.slot)
    .limit(bindparam("most"))
)


def draw_trials(
    connection: Connection, study: Study, study_id: int, *, participant_id: int, rng: np.random.Generator
) -> list[tuple[Place, bool]]:
    """Take a session's trials, in their order, each with whether it holds a place; none if too few are left.

    Training comes first, then test items and sentinels shuffled.
    """
    items = take_items(
        connection,
        study_id,
        participant_id=participant_id,
        wanted=study.items_per_session,
        fewest=study.fewest_items,
        rng=rng,
    )
    if not items:
        return []

    def checks(check: str, wanted: int | None) -> list[tuple[Place, bool]]:
        found = take_checks(connection, study_id, participant_id=participant_id, check=check, wanted=wanted, rng=rng)
        return [(place, False) for place in found]

    mixed = [(place, True) for place in items]
    for rule in study.sentinels.rules:
        mixed += checks(rule.check, rule.count)
    shuffled = [mixed[i] for i in rng.permutation(len(mixed))]
    # The pool of training items is one session's, so a person who comes again gets none.
    return [*checks(TRAINING, None), *shuffled]


def images_of(row: Row) -> dict[str, str]:
    """The hashes of a trial's images by the role each has there, from its item's row and `side`."""
    left, right = (row.p1, row.p0) if row.side == "left" else (row.p0, row.p1)
    found = {"left": left, "right": right}
    return {"reference": row.ref, **found} if row.ref else found


def open_trials(connection: Connection, *, session_id: int, limit: int) -> list[Row]:
    """The next trials of a session with their images: those never shown in their order, then repeats."""
    return list(connection.execute(_OPEN, {"session_id": session_id, "most": limit}))
