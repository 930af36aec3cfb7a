"""How much of a study one network may have where nobody vouches for who arrives: made-up ids come from few places."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from collection_app.database.models import Assignment, Item, Participant, Session
from collection_app.sessions.vouching import UNKNOWN


@dataclass(frozen=True)
class BlockLimit:
    """Sessions from one block of addresses may hold a share of the places, and so many people may take part anyway."""

    share: float
    people: int


def is_full(connection: Connection, study_id: int, *, block: str, limit: BlockLimit, wanted: int) -> bool:
    """Whether a block of addresses, as its HMAC, may not have so many places more."""
    of_block = (Session.block == block, Session.started_at.is_not(None))
    of_study = Participant.study_id == study_id
    people = connection.scalar(
        select(func.count(Session.participant_id.distinct()))
        .join(Participant)
        .where(of_study, *of_block, func.coalesce(Session.vouched, "") != UNKNOWN)
    )
    if (people or 0) < limit.people:
        return False
    of_test = select(func.sum(Item.quota)).where(Item.study_id == study_id, Item.role == "test")
    places = int(connection.scalar(of_test) or 0)
    count = connection.scalar(
        select(func.count())
        .select_from(Assignment)
        .join(Session)
        .join(Participant, Participant.id == Session.participant_id)
        .where(of_study, *of_block, Assignment.holds)
    )
    return (count or 0) + wanted > limit.share * places
