"""What must not go wrong when locks, clocks and people are against it."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.database.connections import read, write
from collection_app.database.models import Item, Session
from collection_app.platforms.platform import Visitor
from collection_app.sessions.allocation import counted_places, release
from collection_app.sessions.answering import Given, in_order_of_items, lock_session, record
from collection_app.sessions.arrival import arrive
from collection_app.sessions.erasure import close, erase
from collection_app.sessions.exposures import Shown
from collection_app.sessions.steps import Refused, finish, start
from collection_app.sessions.trials import open_trials
from collection_app.signing import TOKEN_SECONDS, Tokens
from collection_app.studies.presets import preset
from collection_app.web.rate_limit import RateLimit

STUDY = preset(
    "paper-2afc",
    items_per_session=12,
    fewest_items=12,
    sentinels={},
    training={},
    lease_minutes=1,
    rules={"server_time": False},
)


@pytest.fixture
def here(engine: Engine, place: Any, small_set: PatchSet) -> Any:
    return place(engine, STUDY, small_set)


def arrives(here: Any, name: str, key: str | None = None) -> Any:
    key = key or uuid.uuid4().hex
    return write(here.engine, lambda c: arrive(c, here.step(), visitor=Visitor(name), key=key, simulated=False))


def starts(here: Any, public_id: str) -> Any:
    consent = STUDY.consent_digest
    return write(here.engine, lambda c: start(c, here.step(), public_id=public_id, consent_sha256=consent, device="{}"))


def test_nobody_is_told_that_there_is_no_work_because_somebody_else_holds_a_lock(here: Any) -> None:
    session = arrives(here, "ann")
    with ThreadPoolExecutor(1) as pool:
        with here.engine.begin() as other:
            other.execute(update(Item).where(Item.role == "test").values(priority=Item.priority))
            started = pool.submit(starts, here, session.public_id)
            time.sleep(0.3)
            assert not started.done()
        assert started.result().state == "started"


def test_any_number_of_places_can_be_given_back_at_once(here: Any) -> None:
    write(here.engine, lambda c: release(c, range(1, 70_000)))  # more than a statement may have parameters


def test_late_answers_to_the_same_items_in_opposite_orders_do_not_wait_for_each_other(here: Any) -> None:
    people = [starts(here, arrives(here, name).public_id) for name in "ab"]
    here.now += 120_000
    starts(here, arrives(here, "c").public_id)  # everybody's places are given back
    barrier, tries = Barrier(2), []

    def send(person: Any, backwards: bool) -> list[str]:
        slots = sorted(range(12), reverse=backwards)
        shown = Shown(None, None, None, None, False)
        measured = {"reaction_ms": 1.0, "input": "mouse", "answered_at": 0}
        given = [Given(str(uuid.uuid4()), slot, 1, "left", shown, measured) for slot in slots]

        def work(connection: Any) -> list[str]:
            tries.append(person.id)
            session = lock_session(connection, person.public_id)
            assert session is not None
            order = in_order_of_items(connection, session=session, slots=slots)
            return [record(connection, STUDY, session=session, given=given[i], now=here.now).status for i in order]

        barrier.wait()
        return write(here.engine, work)

    with ThreadPoolExecutor(2) as pool:
        stored = list(pool.map(send, people, (False, True)))
    assert stored == [["stored"] * 12] * 2
    assert len(tries) == 2  # no deadlock had to be broken
    assert all(row.filled == row.counted <= 5 for row in read(here.engine, lambda c: counted_places(c, 1)))


def test_a_token_of_a_server_whose_clock_is_ahead_is_good_and_an_old_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.time()
    for skew, good in ((3600, True), (-60, True), (-TOKEN_SECONDS - 60, False)):
        monkeypatch.setattr(time, "time", lambda skew=skew: now + skew)
        token = Tokens("k" * 32).sign("session")
        monkeypatch.undo()
        assert (Tokens("k" * 32).session_of(token) == "session") == good


def test_a_try_that_is_given_back_counts_no_longer_and_gives_no_more_than_there_were() -> None:
    limit = RateLimit(2, lambda: 10_000_000)
    limit.give_back("a")
    assert [limit.allows("a"), limit.allows("a"), limit.allows("a")] == [True, True, False]
    limit.give_back("a")
    assert [limit.allows("a"), limit.allows("a"), limit.allows("b")] == [True, False, True]


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    now = [10_000_000]
    limit = RateLimit(2, lambda: now[0])
    assert limit.allows("a")
    now[0] -= 3_600_000
    assert limit.allows("a")
    assert not limit.allows("a")
    now[0] += 30_000
    assert limit.allows("a")


def test_a_lease_survives_a_clock_that_is_set_back(here: Any) -> None:
    session = starts(here, arrives(here, "ann").public_id)
    here.now -= 3_600_000
    starts(here, arrives(here, "bob").public_id)
    assert [row.filled for row in read(here.engine, lambda c: counted_places(c, 1))] == [2] * 12
    assert len(read(here.engine, lambda c: open_trials(c, session_id=session.id, limit=99))) == 12


def test_who_had_begun_comes_back_to_a_closed_study_and_nobody_else_comes_in(here: Any) -> None:
    key = uuid.uuid4().hex
    first = arrives(here, "ann", key)
    write(here.engine, lambda c: close(c, here.step()))
    assert arrives(here, "ann", key).public_id == first.public_id
    with pytest.raises(Refused, match="this study is closed"):
        arrives(here, "bob")


@pytest.mark.parametrize("with_answers", [False, True])
def test_who_was_erased_goes_on_with_nothing_and_gets_no_code(here: Any, with_answers: bool) -> None:
    session = starts(here, arrives(here, "ann").public_id)
    write(here.engine, lambda c: erase(c, here.step(), person="ann", with_answers=with_answers))
    with pytest.raises(Refused, match="this session is not known here"):  # it has another name now
        write(here.engine, lambda c: finish(c, here.step(), public_id=session.public_id))
    row = read(here.engine, lambda c: c.execute(select(Session).where(Session.id == session.id)).one())
    assert (row.state, row.code, row.submission_id, row.kept, row.device) == ("withdrawn", None, None, None, None)
    assert [row.filled for row in read(here.engine, lambda c: counted_places(c, 1))] == [0] * 12


def test_after_a_long_night_the_silent_sessions_are_judged_some_at_a_time(
    engine: Engine, place: Any, make_set: Any, tmp_path: Any
) -> None:
    study = preset("paper-2afc", items_per_session=1, sentinels={}, training={}, answers_per_item={"val": 30})
    here = place(engine, study, make_set(tmp_path / "set", count=2))
    for number in range(25):
        session = arrives(here, str(number))
        write(
            engine,
            lambda c, s=session: start(
                c, here.step(), public_id=s.public_id, consent_sha256=study.consent_digest, device="{}"
            ),
        )
    here.now += 25 * 3_600_000
    states = []
    for name in ("x", "y"):
        session = arrives(here, name)
        write(
            engine,
            lambda c, s=session: start(
                c, here.step(), public_id=s.public_id, consent_sha256=study.consent_digest, device="{}"
            ),
        )
        states.append(read(engine, lambda c: c.scalars(select(Session.state)).all()).count("lapsed"))
    assert states == [20, 25]
    assert sum(row.filled for row in read(engine, lambda c: counted_places(c, 1))) == 2
