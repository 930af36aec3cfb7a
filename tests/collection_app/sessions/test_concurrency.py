"""Two hundred people at once, against two real server processes, on both databases."""

import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.database.connections import open_database, read
from collection_app.database.models import Assignment, Participant, Session
from collection_app.rehearsal.client import Client, Problem
from collection_app.sessions.allocation import counted_places
from collection_app.studies.presets import preset

AT_ONCE = 200
STUDY = preset(
    "paper-2afc",
    items_per_session=3,
    sentinels={"rules": [{"check": "obvious", "count": 1, "at_least": 0}]},
    training={},
    rules={"server_time": False},
)


def at_once(addresses: list[str], work: Callable[[Client, int], Any]) -> list[Any]:
    """What each of 200 clients gets that all begin at the same moment; a Problem is given back."""
    barrier = Barrier(AT_ONCE)

    def one(number: int) -> Any:
        client = Client(addresses[number % len(addresses)])
        barrier.wait()
        try:
            return work(client, number)
        except Problem as problem:
            return problem.error
        finally:
            client.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


@pytest.fixture
def addresses(serve: Any, small_set: PatchSet) -> list[str]:
    return serve(STUDY, small_set, processes=2)


def test_200_at_once_with_one_id_one_key_and_ids_of_their_own(addresses: list[str], database_url: str) -> None:
    key = uuid.uuid4().hex

    def same_id(client: Client, number: int) -> Any:
        return client.post("/api/arrivals", {"key": uuid.uuid4().hex, "parameters": {"id": "one"}})["state"]

    def same_key(client: Client, number: int) -> Any:
        return client.post("/api/arrivals", {"key": key, "parameters": {"id": "two"}})["state"]

    def own_id(client: Client, number: int) -> Any:
        session = client.post("/api/arrivals", {"key": uuid.uuid4().hex, "parameters": {"id": f"person-{number}"}})
        consent = {"consent_sha256": session["consent_sha256"]}
        return client.post("/api/start", consent, token=session["token"])["state"]

    assert Counter(at_once(addresses, same_id)) == {"arrived": 1, "already_started": AT_ONCE - 1}
    assert Counter(at_once(addresses, same_key)) == {"arrived": AT_ONCE}
    # 12 items with 5 places each, 3 items a session: twenty people get some, nobody is turned away too early.
    assert Counter(at_once(addresses, own_id)) == {"started": 20, "turned away": AT_ONCE - 20}

    engine = open_database(database_url)
    rows = read(engine, lambda c: counted_places(c, 1))
    assert [(row.filled, row.counted) for row in rows] == [(5, 5)] * 12
    assert all(row.p1_left in (2, 3) for row in rows)
    sessions = read(engine, lambda c: c.scalar(select(func.count()).select_from(Session)))
    people = read(engine, lambda c: c.scalar(select(func.count()).select_from(Participant)))
    assert sessions == people == AT_ONCE + 2
    by_session = read(
        engine, lambda c: c.scalars(select(func.count()).select_from(Assignment).group_by(Assignment.session_id)).all()
    )
    assert by_session == [4] * 20
    engine.dispose()
