"""How far a study is: sums of counters, so that it is quick however many answers there are."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, cast, func, select

from collection_app.models import Item, Participant, Session


@dataclass(frozen=True)
class SetProgress:
    """Progress of one set: test items, those with all answers, answers wanted, and places filled."""

    name: str
    items: int
    done: int
    wanted: int
    filled: int


@dataclass(frozen=True)
class Status:
    """Progress of a study.

    Attributes
    ----------
    sets : tuple of SetProgress
    sessions : dict of state to number
    excluded : int
        Sessions whose answers are not used.
    simulated : int
        Sessions of programs.
    """

    sets: tuple[SetProgress, ...]
    sessions: dict[str, int]
    excluded: int
    simulated: int

    @property
    def filled(self) -> int:
        """Answers that count or are being given."""
        return sum(found.filled for found in self.sets)

    @property
    def wanted(self) -> int:
        """All answers that the study asks for."""
        return sum(found.wanted for found in self.sets)


def status(connection: Connection, study_id: int) -> Status:
    """Sum up a study."""
    sets = connection.execute(
        select(
            Item.set_name,
            func.count(),
            func.count().filter(Item.filled == Item.quota),
            # PostgreSQL sums to a decimal number.
            cast(func.sum(Item.quota), BigInteger),
            cast(func.sum(Item.filled), BigInteger),
        )
        .where(Item.study_id == study_id, Item.role == "test")
        .group_by(Item.set_name)
        .order_by(Item.set_name)
    ).all()
    sessions = connection.execute(
        select(
            Session.state,
            func.count(),
            func.count().filter(Session.excluded.is_not(None)),
            func.count().filter(Session.simulated),
        )
        .join(Participant)
        .where(Participant.study_id == study_id)
        .group_by(Session.state)
        .order_by(Session.state)
    ).all()
    return Status(
        sets=tuple(SetProgress(*row) for row in sets),
        sessions={row[0]: row[1] for row in sessions},
        excluded=sum(row[2] for row in sessions),
        simulated=sum(row[3] for row in sessions),
    )
