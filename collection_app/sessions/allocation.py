"""Who gets which items: the only file that changes `item.filled`, `item.p1_left` and `assignment.holds`.

The quota rule. filled(item) counts the assignments that hold a place of it: those whose answer is used (or not
yet decided about), and those of a live lease without an answer. It never exceeds the quota, as the database
itself checks. A place is given back when a lease expires, both exposures were bad, or an answer is excluded; an
answer that comes after its place was given away takes one again if there is one, on its side, and else is kept
unused.

Allocators follow one another (PostgreSQL: an advisory lock; SQLite: BEGIN IMMEDIATE), so that none finds too
few items because another one has just locked them. Rows that somebody else is changing are skipped, unless too few
are left then: nobody is told that there is no work because of a lock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import BigInteger, Connection, Row, String, and_, bindparam, case, func, not_, select, text, update

from collection_app.database.models import Assignment, Item, Participant, Session, table_of

_LOCK = 0x6261707073  # "bapps", the first half of the advisory lock; the study is the second
_PRIORITIES = 2**31
_AT_A_TIME = 1000
# The statements of arriving and starting, built once: building one takes longer than running it.
_TURN = select(func.pg_advisory_xact_lock(bindparam("lock", type_=BigInteger)))
_UNSEEN = not_(
    select(1).where(Assignment.participant_id == bindparam("participant_id"), Assignment.item_id == Item.id).exists()
)
_WANTING = (
    select(Item.id, Item.filled, Item.p1_left)
    .where(Item.study_id == bindparam("study_id"), Item.filled < Item.quota, _UNSEEN)
    .order_by(Item.filled, Item.priority)
    .limit(bindparam("wanted"))
)
_FREE_WANTING, _ALL_WANTING = _WANTING.with_for_update(skip_locked=True), _WANTING.with_for_update()
_TAKE = (
    update(table_of(Item))
    .where(Item.id == bindparam("of"))
    .values(filled=Item.filled + 1, p1_left=Item.p1_left + bindparam("left"), priority=bindparam("next_priority"))
)
# The patch that those of an item are compared with: in JND the first.
REFERENCE = func.coalesce(Item.ref, Item.p0)
_REFERENCES = select(REFERENCE).where(Item.id.in_(bindparam("ids", expanding=True)))
_CHECKS = (
    select(Item.id, REFERENCE.label("reference"))
    .where(
        Item.study_id == bindparam("study_id"),
        # As text, so that the databases see that the index of these few is meant, and look at no test item.
        text("item.role <> 'test'"),
        Item.check_name == bindparam("check"),
        Item.name.startswith(bindparam("named", type_=String())),
        _UNSEEN,
    )
    .order_by(Item.id)
)
_SHOWN = select(func.count(Assignment.id)).where(Assignment.item_id == Item.id).scalar_subquery()
_TIMES_SHOWN = select(_SHOWN).where(Item.id.in_(bindparam("ids", expanding=True))).order_by(Item.id)
_EXPIRED = (
    select(Session.id)
    .join(Participant)
    .where(
        Participant.study_id == bindparam("study_id"),
        Session.state.in_(("started", "lapsed")),
        Session.lease_until < bindparam("now"),
    )
    # A session that is answering at this moment is not silent.
    .with_for_update(skip_locked=True, of=Session)
)


@dataclass(frozen=True)
class Place:
    """An item for a person, and on which side p1 is shown."""

    item_id: int
    side: str


def wait_for_turn(connection: Connection, study_id: int) -> None:
    """Until this transaction ends, no other allocates in this study."""
    if connection.dialect.name == "postgresql":
        connection.execute(_TURN, {"lock": (_LOCK << 20) + study_id})


def take_items(
    connection: Connection, study_id: int, *, participant_id: int, wanted: int, fewest: int, rng: np.random.Generator
) -> list[Place]:
    """Take a place of each of the least filled test items that a person has not seen.

    Gives fewer than wanted if there are no more, and none, taking none, if they are fewer than `fewest`. Call
    `wait_for_turn` before, in the same transaction.
    """
    sought = {"study_id": study_id, "participant_id": participant_id, "wanted": wanted}
    rows = connection.execute(_FREE_WANTING, sought).all()
    if len(rows) < wanted:
        rows = connection.execute(_ALL_WANTING, sought).all()
    if len(rows) < fewest:
        return []
    places = [Place(row.id, _side(row, rng)) for row in rows]
    _add(connection, places, rng)
    return places


def _side(item: Row, rng: np.random.Generator) -> str:
    """The side that fewer of the item's places show p1 on; by chance if they are equal."""
    left, right = item.p1_left, item.filled - item.p1_left
    if left == right:
        return "left" if rng.random() < 0.5 else "right"
    return "left" if left < right else "right"


def _add(connection: Connection, places: Sequence[Place], rng: np.random.Generator) -> None:
    if places:
        connection.execute(
            _TAKE,
            [
                {"of": place.item_id, "left": int(place.side == "left"), "next_priority": priority}
                for place, priority in zip(places, rng.integers(0, _PRIORITIES, len(places)).tolist(), strict=True)
            ],
        )


def take_checks(
    connection: Connection,
    study_id: int,
    *,
    participant_id: int,
    check: str,
    wanted: int | None,
    rng: np.random.Generator,
    named: str = "",
    seen: set[str] | None = None,
    as_often: Sequence[int] = (),
) -> list[Place]:
    """Draw items of one check (None: all of them) that a person has not seen; half of them on each side.

    Parameters
    ----------
    named : str
        How their names begin.
    seen : set of str, optional
        Hashes of references: those of the items drawn are none of them, and are added.
    as_often : sequence of int
        How often test items were shown: as often as one each of these, drawn at random, were those that come first.
    """
    sought = {"study_id": study_id, "participant_id": participant_id, "check": check, "named": named}
    query = _CHECKS.add_columns(_SHOWN.label("shown")) if as_often else _CHECKS
    rows = connection.execute(query, sought).all()
    drawn = [rows[i] for i in rng.permutation(len(rows))]
    if as_often:
        drawn = _matched(drawn, rng.permutation(as_often))
    if seen is not None:
        # Those whose reference is seen come last; the pool is made so large that they are not needed.
        fresh, others = [], []
        for row in drawn:
            (others if row.reference in seen or len(fresh) == wanted else fresh).append(row)
            seen |= {row.reference} if fresh and fresh[-1] is row else set()
        drawn = fresh + others
    items = [row.id for row in drawn[:wanted]]
    sides = rng.permutation(np.arange(len(items)) % 2)
    return [Place(item, "left" if side else "right") for item, side in zip(items, sides, strict=True)]


def _matched(rows: Sequence[Row], times: np.ndarray) -> list[Row]:
    """Order rows so that one shown as often as each of `times`, or nearest to it, comes before the others."""
    times_shown = np.array([float(row.shown) for row in rows])
    first: list[int] = []
    for target in times[: len(rows)].tolist():
        first.append(int(np.abs(times_shown - target).argmin()))
        times_shown[first[-1]] = np.inf
    return [rows[i] for i in (*first, *np.flatnonzero(np.isfinite(times_shown)).tolist())]


def times_shown(connection: Connection, places: Sequence[Place]) -> list[int]:
    """How often some items were shown until now."""
    return list(connection.scalars(_TIMES_SHOWN, {"ids": [place.item_id for place in places]}))


def references(connection: Connection, places: Sequence[Place]) -> set[str]:
    """The hashes of the patches that those of some items are compared with."""
    return set(connection.scalars(_REFERENCES, {"ids": [place.item_id for place in places]}))


def release(connection: Connection, assignments: Iterable[int]) -> None:
    """Give back the places that some assignments hold."""
    # In one order always, so that two who give back do not wait for each other; and a statement has a longest list.
    ids = sorted(assignments)
    released: list[Row] = []
    for first in range(0, len(ids), _AT_A_TIME):
        released += connection.execute(
            update(Assignment)
            .where(Assignment.id.in_(ids[first : first + _AT_A_TIME]), Assignment.holds)
            .values(holds=False)
            .returning(Assignment.item_id, Assignment.side)
        ).all()
    if released:
        connection.execute(
            update(Item)
            .where(Item.id == bindparam("of"))
            .values(filled=Item.filled - 1, p1_left=Item.p1_left - bindparam("left")),
            [{"of": row.item_id, "left": int(row.side == "left")} for row in sorted(released, key=lambda r: r.item_id)],
        )


def take_again(connection: Connection, assignment: Row) -> bool:
    """Take a place for an answer that comes after its own was given back; tell whether there was one."""
    left = int(assignment.side == "left")
    of_side = Item.p1_left if left else Item.filled - Item.p1_left
    update_result = connection.execute(
        update(Item)
        .where(Item.id == assignment.item_id, Item.filled < Item.quota, 2 * of_side + 2 <= Item.quota + 1)
        .values(filled=Item.filled + 1, p1_left=Item.p1_left + left)
    )
    if update_result.rowcount:
        connection.execute(update(Assignment).where(Assignment.id == assignment.id).values(holds=True))
    return bool(update_result.rowcount)


def give_up_expired(connection: Connection, study_id: int, now: int) -> int:
    """Give back the unanswered places of sessions whose lease has expired; the sessions themselves go on."""
    expired = connection.scalars(_EXPIRED, {"study_id": study_id, "now": now}).all()
    open_ids: list[int] = []
    for first in range(0, len(expired), _AT_A_TIME):
        some = expired[first : first + _AT_A_TIME]
        still_open = and_(Assignment.session_id.in_(some), Assignment.state == "open", Assignment.holds)
        open_ids += connection.scalars(select(Assignment.id).where(still_open)).all()
        connection.execute(update(Session).where(Session.id.in_(some)).values(lease_until=None))
    release(connection, open_ids)
    return len(open_ids)


def counted_places(connection: Connection, study_id: int) -> list[Row]:
    """Count places anew from the assignments: (item id, quota, filled, p1_left, counted, counted left), to check."""
    return list(
        connection.execute(
            select(
                Item.id,
                Item.quota,
                Item.filled,
                Item.p1_left,
                func.coalesce(func.sum(case((Assignment.holds, 1), else_=0)), 0).label("counted"),
                func.coalesce(func.sum(case((and_(Assignment.holds, Assignment.side == "left"), 1), else_=0)), 0).label(
                    "counted_left"
                ),
            )
            .outerjoin(Assignment, Assignment.item_id == Item.id)
            .where(Item.study_id == study_id, Item.role == "test")
            .group_by(Item.id)
            .order_by(Item.id)
        )
    )
