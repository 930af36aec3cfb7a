"""Which sentinels a session gets and on which sides, and whose places come back when a lease has expired."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from sqlalchemy import insert, select, update

from collection_app.database.connections import migrate, open_database, write
from collection_app.database.models import Assignment, Item, Participant, Session, Study
from collection_app.sessions.allocation import _matched, give_up_expired, take_checks


def _study(connection: Any, name: str, *, sentinels: int) -> tuple[int, int]:
    """Ids of a new study with some sentinels, and of somebody in it."""
    row = {"name": name, "version": 1, "settings": "{}", "settings_sha256": "", "items_sha256": "", "salt": b"0"}
    study = connection.execute(insert(Study).values(row).returning(Study.id)).scalar_one()
    base = {"study_id": study, "role": "sentinel", "set_name": "s", "check_name": "obvious", "expected": "", "quota": 9}
    base |= {"filled": 0, "p1_left": 0, "priority": 0}
    rows = [{**base, "name": str(i), "p0": f"{i}a", "p1": f"{i}b"} for i in range(sentinels)]
    connection.execute(insert(Item), rows)
    values = {"study_id": study, "pseudonym": name}
    return study, connection.execute(insert(Participant).values(values).returning(Participant.id)).scalar_one()


def test_sentinels_show_p1_on_each_side_equally_often_in_an_order_that_chance_decides(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/a.sqlite")
    migrate(engine)

    def work(connection: Any) -> set[tuple[str, ...]]:
        study, person = _study(connection, "s", sentinels=8)
        orders = set()
        for seed in range(10):
            rng = np.random.default_rng(seed)
            sides = [
                place.side
                for place in take_checks(connection, study, participant_id=person, check="obvious", wanted=6, rng=rng)
            ]
            assert sorted(sides) == ["left"] * 3 + ["right"] * 3
            orders.add(tuple(sides))
        return orders

    assert len(write(engine, work)) > 3
    engine.dispose()


def test_sentinels_shown_as_often_as_test_items_come_first() -> None:
    rows = [SimpleNamespace(shown=shown) for shown in (0, 9, 3, 5, 4)]
    matched = _matched(cast(Any, rows), np.array([4, 8, 0]))
    assert [row.shown for row in matched] == [4, 9, 0, 3, 5]


def test_what_a_silent_session_holds_comes_back_in_its_own_study_alone(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/a.sqlite")
    migrate(engine)

    def work(connection: Any) -> tuple[list[int], list[bool]]:
        studies = []
        for number, name in enumerate(("first", "second")):
            study, person = _study(connection, name, sentinels=1)
            values = {"public_id": name, "participant_id": person, "number": number, "platform": "local", "seed": 0}
            values |= {"arrival_sha256": name, "state": "started", "simulated": True}
            values |= {"arrived_at": 0, "seen_at": 0, "lease_until": 10}
            session = connection.execute(insert(Session).values(values).returning(Session.id)).scalar_one()
            of_study = update(Item).where(Item.study_id == study).values(filled=1, p1_left=1).returning(Item.id)
            item = connection.execute(of_study).scalar_one()
            values = {"session_id": session, "participant_id": person, "item_id": item, "slot": 0, "side": "left"}
            connection.execute(insert(Assignment).values(values | {"state": "open", "holds": True}))
            studies.append(study)
        given = [give_up_expired(connection, studies[0], now=11)]
        holds = list(connection.scalars(select(Assignment.holds).order_by(Assignment.id)))
        given.append(give_up_expired(connection, studies[1], now=11))
        return given, holds

    assert write(engine, work) == ([1, 1], [False, True])
    engine.dispose()
