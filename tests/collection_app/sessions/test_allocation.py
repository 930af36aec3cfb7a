"""The allocator as a state machine: any order of arrivals, answers, silence, exclusions and withdrawals."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import delete, insert, select, update

from collection_app.database.connections import migrate, open_database, write
from collection_app.database.models import Assignment, Item, Participant, Session
from collection_app.database.models import Study as StudyRow
from collection_app.sessions.allocation import (
    counted_places,
    give_up_expired,
    release,
    take_again,
    take_items,
    wait_for_turn,
)

ITEMS, QUOTA, LEASE = 6, 3, 100


def make_tables(engine: Any) -> int:
    """A study of a few items, with neither images nor settings."""

    def work(connection: Any) -> int:
        connection.execute(delete(StudyRow))
        row = {"name": "s", "version": 1, "settings": "{}", "settings_sha256": "", "items_sha256": "", "salt": b"0"}
        study = connection.execute(insert(StudyRow).values(row).returning(StudyRow.id)).scalar_one()
        base = {"study_id": study, "role": "test", "set_name": "s", "check_name": "", "expected": "", "quota": QUOTA}
        images = {"p0": "", "p1": "", "filled": 0, "p1_left": 0, "priority": 0}
        connection.execute(insert(Item), [{**base, **images, "name": str(i)} for i in range(ITEMS)])
        return study

    return write(engine, work)


class Allocation(RuleBasedStateMachine):
    """Compares the counters with a model in plain Python: who holds which item, on which side, until when."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.engine = open_database(f"sqlite:///{Path(self.folder.name)}/a.sqlite")
        migrate(self.engine)
        self.study = make_tables(self.engine)
        self.rng = np.random.default_rng(0)
        self.now = 0
        self.people: list[int] = []
        # assignment id: [item, side, session, state, holds]
        self.model: dict[int, list[Any]] = {}
        self.leases: dict[int, int] = {}
        self.of_person: dict[int, set[int]] = {}

    def teardown(self) -> None:
        self.engine.dispose()
        self.folder.cleanup()

    def places(self) -> dict[int, int]:
        held = [entry[0] for entry in self.model.values() if entry[4]]
        return {item: held.count(item) for item in set(held)}

    @rule(wanted=st.integers(1, ITEMS), again=st.booleans())
    def arrive(self, wanted: int, again: bool) -> None:
        """Somebody new, or somebody who was there, takes the least filled items they have not seen."""

        def work(connection: Any) -> None:
            wait_for_turn(connection, self.study)
            if again and self.people:
                person = self.people[len(self.people) // 2]
            else:
                values = {"study_id": self.study, "pseudonym": str(len(self.people))}
                person = connection.execute(insert(Participant).values(values).returning(Participant.id)).scalar_one()
                self.people.append(person)
            number = len(self.leases)
            values = {"public_id": str(number), "participant_id": person, "number": number, "platform": "local"}
            values |= {"arrival_sha256": str(number), "state": "started", "seed": 0, "simulated": True}
            values |= {"arrived_at": 0, "seen_at": 0, "lease_until": self.now + LEASE}
            session = connection.execute(insert(Session).values(values).returning(Session.id)).scalar_one()
            before, seen = self.places(), self.of_person.setdefault(person, set())
            taken = take_items(connection, self.study, participant_id=person, wanted=wanted, fewest=1, rng=self.rng)
            open_items = [item for item in self.items(connection) if before.get(item, 0) < QUOTA and item not in seen]
            levels = sorted(before.get(item, 0) for item in open_items)
            assert sorted(before.get(place.item_id, 0) for place in taken) == levels[:wanted]
            assert {place.item_id for place in taken} <= set(open_items)
            for slot, place in enumerate(taken):
                values = {"session_id": session, "participant_id": person, "item_id": place.item_id, "slot": slot}
                values |= {"side": place.side, "state": "open", "holds": True}
                made = connection.execute(insert(Assignment).values(values).returning(Assignment.id)).scalar_one()
                self.model[made] = [place.item_id, place.side, session, "open", True]
                seen.add(place.item_id)
            self.leases[session] = self.now + LEASE

        write(self.engine, work)

    def items(self, connection: Any) -> list[int]:
        return list(connection.scalars(select(Item.id).where(Item.study_id == self.study)))

    @precondition(lambda self: any(entry[3] == "open" for entry in self.model.values()))
    @rule(pick=st.integers(0, 1000))
    def answer(self, pick: int) -> None:
        """An answer arrives, in time or late."""
        still_open = [name for name, entry in self.model.items() if entry[3] == "open"]
        name = still_open[pick % len(still_open)]
        entry = self.model[name]

        def work(connection: Any) -> None:
            connection.execute(update(Assignment).where(Assignment.id == name).values(state="answered"))
            if not entry[4]:
                same_side = [e for e in self.model.values() if e[4] and e[0] == entry[0] and e[1] == entry[1]]
                room = self.places().get(entry[0], 0) < QUOTA and len(same_side) < (QUOTA + 1) // 2
                row = connection.execute(select(Assignment).where(Assignment.id == name)).one()
                assert take_again(connection, row) == room
                entry[4] = room
            entry[3] = "answered"

        write(self.engine, work)

    @precondition(lambda self: self.leases)
    @rule(pick=st.integers(0, 1000))
    def exclude(self, pick: int) -> None:
        """All places of a session are given back; twice does no harm."""
        session = list(self.leases)[pick % len(self.leases)]
        names = [name for name, entry in self.model.items() if entry[2] == session]
        write(self.engine, lambda c: release(c, names))
        write(self.engine, lambda c: release(c, names))
        for name in names:
            self.model[name][4] = False

    @rule(passed=st.integers(1, 2 * LEASE))
    def wait(self, passed: int) -> None:
        """Time passes, and the places of silent sessions are given back."""
        self.now += passed
        write(self.engine, lambda c: give_up_expired(c, self.study, self.now))
        for session, until in self.leases.items():
            if until < self.now:
                for entry in self.model.values():
                    if entry[2] == session and entry[3] == "open":
                        entry[4] = False

    @invariant()
    def counters_are_right(self) -> None:
        """filled is what is held, never more than the quota, and no more than half of it on a side."""
        rows = write(self.engine, lambda c: counted_places(c, self.study))
        held = self.places()
        for row in rows:
            left = sum(e[4] and e[0] == row.id and e[1] == "left" for e in self.model.values())
            assert row.filled == row.counted == held.get(row.id, 0) <= QUOTA
            assert row.p1_left == row.counted_left == left <= (QUOTA + 1) // 2
            assert row.filled - left <= (QUOTA + 1) // 2


TestAllocation = Allocation.TestCase
TestAllocation.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
