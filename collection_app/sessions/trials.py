"""The trials of a session: drawing them when it starts, and giving those that are still to be answered."""

import numpy as np
from sqlalchemy import Connection, Row, bindparam, select

from collection_app.database.models import Answer, Assignment, Item
from collection_app.sessions.allocation import Place, references, take_checks, take_items, times_shown
from collection_app.sessions.arrangement import longest_gap, sentinel_positions
from collection_app.studies.sentinels import TRAINING
from collection_app.studies.study import Study

_TRIED = select(Answer.assignment_id).where(Answer.assignment_id == Assignment.id).exists()
_OPEN = (
    select(
        *(Assignment.slot, Assignment.side),
        *(Item.role, Item.ref, Item.p0, Item.p1, Item.width, Item.height),
        _TRIED.label("repeat"),
    )
    .join(Item)
    .where(Assignment.session_id == bindparam("session_id"), Assignment.state == "open")
    .order_by("repeat", Assignment.slot)
    .limit(bindparam("most"))
)


def draw_trials(
    connection: Connection, study: Study, study_id: int, *, participant_id: int, first: bool, rng: np.random.Generator
) -> list[tuple[Place, bool]]:
    """Take a session's trials, in their order, each with whether it holds a place; none if too few are left.

    Training comes first, if it is the `first` session of the person, then test items and sentinels mixed.
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

    seen = references(connection, items) if study.sentinels.apart else None
    often = times_shown(connection, items) if study.sentinels.as_often else ()

    def checks(check: str, wanted: int | None, named: str = "") -> list[Place]:
        of_person = {"participant_id": participant_id, "check": check, "wanted": wanted, "named": named}
        as_often = () if check == TRAINING else often
        return take_checks(connection, study_id, **of_person, rng=rng, seen=seen, as_often=as_often)

    sentinels = [place for rule in study.sentinels.rules for place in checks(rule.check, rule.count)]
    if not first:
        training = []
    elif study.sentinels.apart:
        wanted = study.practice
        training = [place for kind, count in wanted.items() if count for place in checks(TRAINING, count, f"{kind}-")]
    else:
        training = checks(TRAINING, None)
    sentinels = [sentinels[i] for i in rng.permutation(len(sentinels))]
    tests = iter([(items[i], True) for i in rng.permutation(len(items))])
    positions = sentinel_positions(len(items), len(sentinels), rng, gap=longest_gap(len(training)))
    at = dict(zip(positions, sentinels, strict=True))
    mixed = [(at[slot], False) if slot in at else next(tests) for slot in range(len(items) + len(sentinels))]
    return [*((place, False) for place in training), *mixed]


def images_of(row: Row) -> dict[str, str]:
    """The hashes of a trial's images by the role each has there, from its item's row and `side`."""
    left, right = (row.p1, row.p0) if row.side == "left" else (row.p0, row.p1)
    sides = {"left": left, "right": right}
    return {"reference": row.ref, **sides} if row.ref else sides


def open_trials(connection: Connection, *, session_id: int, limit: int) -> list[Row]:
    """The next trials of a session with their images: those never shown in their order, then repeats."""
    return list(connection.execute(_OPEN, {"session_id": session_id, "most": limit}))
