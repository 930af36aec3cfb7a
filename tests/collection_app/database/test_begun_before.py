"""A study begun with the version before goes on: its sessions keep their trials, sentinels and names of images."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, MetaData, Table, func, insert, select, text

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.database.connections import migrate, open_database, read, write
from collection_app.reporting.status import status
from collection_app.sessions.erasure import erase
from collection_app.sessions.steps import Step
from collection_app.settings import Settings
from collection_app.signing import Tokens, pseudonym
from collection_app.studies.study import Study

BEFORE = "0006"
KEY = "a signing key that is long enough for tests"
SALT = b"s" * 32
TRAINING, TEST, SENTINELS, QUOTA = 5, 85, 15, 5
TRIALS = TRAINING + TEST + SENTINELS
# How many trials of the session under way are answered when the new version comes.
ANSWERED = 40
START_MS = 1_700_000_000_000
_AT_A_TIME = 20
# `paper-2afc` as the version before wrote it into the database.
SETTINGS = Path(__file__).with_name("settings_before.json").read_text()


@dataclass
class Before:
    """A study of the version before, with sessions that are complete and a last one under way."""

    engine: Engine
    tables: dict[str, Table]
    sessions: int
    sent: list[dict[str, Any]]
    images: dict[str, Path]

    @property
    def last(self) -> int:
        return self.sessions


@pytest.fixture
def begun(database_url: str, small_set: PatchSet) -> Iterator[Any]:
    """Fill a database of the version before, a few sessions at a time."""
    engine = open_database(database_url)
    migrate(engine, BEFORE)
    known = MetaData()
    known.reflect(engine)

    def make(sessions: int) -> Before:
        tables = dict(known.tables)
        images = {i.digest(role): small_set.path(i, role) for i in small_set for role in ("ref", "p0", "p1")}
        items = max(-(-TEST * (sessions + 1) // QUOTA), 3 * TEST)
        write(engine, lambda c: _install(c, tables, small_set, items))
        for first in range(1, sessions, _AT_A_TIME):
            some = range(first, min(first + _AT_A_TIME, sessions))
            write(engine, lambda c, some=some: [_session(c, tables, n, items, complete=True) for n in some])
        write(engine, lambda c: _session(c, tables, sessions, items, complete=False))
        if engine.dialect.name == "postgresql":
            write(engine, _count_on)
        assignment, item = tables["assignment"], tables["item"]
        trials = (
            select(assignment.c.slot, assignment.c.side, item.c.role, item.c.expected, item.c.ref, item.c.p0, item.c.p1)
            .join_from(assignment, item, assignment.c.item_id == item.c.id)
            .where(assignment.c.session_id == sessions)
            .order_by(assignment.c.slot)
        )
        sent = read(engine, lambda c: [row._asdict() for row in c.execute(trials)])
        return Before(engine, tables, sessions, sent, images)

    yield make
    engine.dispose()


def _install(connection: Connection, tables: dict[str, Table], patches: PatchSet, items: int) -> None:
    hashes = {"settings_sha256": "", "items_sha256": ""}
    study = {"id": 1, "name": "my-study", "version": 1, "settings": SETTINGS, "salt": SALT, "frozen_at": START_MS}
    connection.execute(insert(tables["study"]).values(**study, **hashes))
    paths = {i.digest(role): str(patches.path(i, role)) for i in patches for role in ("ref", "p0", "p1")}
    connection.execute(insert(tables["image"]), [{"sha256": name, "path": path} for name, path in paths.items()])
    shown = [{role: i.digest(role) for role in ("ref", "p0", "p1")} for i in patches]
    test = {"role": "test", "set_name": "val/traditional", "check_name": "", "expected": "", "quota": QUOTA}
    check = {"role": "sentinel", "set_name": "", "check_name": "obvious", "expected": "p0", "quota": None}
    rows = [{**test, "id": n} for n in range(1, items + 1)]
    rows += [{**check, "id": items + n} for n in range(1, 4 * SENTINELS + 1)]
    training = {**check, "role": "training", "check_name": "training"}
    rows += [{**training, "id": items + 4 * SENTINELS + n} for n in range(1, TRAINING + 1)]
    counters = {"study_id": 1, "filled": 0, "p1_left": 0, "priority": 0}
    named = [{**counters, **row, "name": f"{row['id']:06d}", **shown[row["id"] % len(shown)]} for row in rows]
    connection.execute(insert(tables["item"]), named)


def _count_on(connection: Connection) -> None:
    """Let PostgreSQL number rows from the highest number that was given."""
    for table in ("participant", "session", "assignment", "event"):
        highest = f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
        connection.execute(text(highest))


def _session(connection: Connection, tables: dict[str, Table], number: int, items: int, *, complete: bool) -> None:
    """Store a session: training, then test items with a sentinel after every fifth or sixth, one a slot."""
    person = pseudonym(SALT, "local", f"person-{number}")
    connection.execute(insert(tables["participant"]).values(id=number, study_id=1, pseudonym=person))
    who = {"participant_id": number, "platform": "local", "external_id": f"person-{number}"}
    connection.execute(insert(tables["identity"]).values(**who))
    now = START_MS + 1000 * number
    facts: dict[str, Any] = {"state": "started", "lease_until": now + 10**9}
    if complete:
        facts = {"state": "complete", "outcome": "complete", "code": "CODE", "finished_at": now + TRIALS * 3000}
    session = {"id": number, "public_id": f"{number:032x}", "participant_id": number, "number": 0, "platform": "local"}
    session |= {"arrival_sha256": f"{number:064x}", "seed": number, "simulated": False, "device": "{}"}
    session |= {"consent_sha256": "", "arrived_at": now, "started_at": now, "seen_at": now}
    connection.execute(insert(tables["session"]).values(**session, **facts))
    connection.execute(insert(tables["event"]).values(session_id=number, kind="started", detail="", at=now))
    mine = [1 + (TEST * (number - 1) + n) % items for n in range(TEST)]
    sentinels = [items + 1 + (number + n) % (4 * SENTINELS) for n in range(SENTINELS)]
    mixed = mine.copy()
    for place, sentinel in enumerate(sentinels):
        mixed.insert(6 * place + 3, sentinel)
    trials = [*(items + 4 * SENTINELS + n for n in range(1, TRAINING + 1)), *mixed]
    answered = TRIALS if complete else ANSWERED
    base = {"session_id": number, "participant_id": number}
    connection.execute(
        insert(tables["assignment"]),
        [
            {
                **base,
                "id": number * 1000 + slot,
                "item_id": item,
                "slot": slot,
                "side": "left" if (slot + number) % 2 else "right",
                "state": "answered" if slot < answered else "open",
                "holds": False,
            }
            for slot, item in enumerate(trials)
        ],
    )
    given = {"attempt": 1, "choice": "p0", "valid": True, "use": True, "reason": "", "input": "mouse"}
    connection.execute(
        insert(tables["answer"]),
        [
            {
                **given,
                "id": str(uuid.UUID(int=number * 1000 + slot)),
                "assignment_id": number * 1000 + slot,
                "reaction_ms": 500.0 + slot,
                "focus_lost": False,
                "answered_at": now + slot * 3000,
                "submitted_at": now + slot * 3000,
            }
            for slot in range(answered)
        ],
    )


def goes_on(before: Before) -> None:
    """Bring the tables up, and let the last session go on to its end, and somebody new begin."""
    answers = before.tables["answer"]
    count = (before.sessions - 1) * TRIALS + ANSWERED
    assert read(before.engine, lambda c: c.scalar(select(func.count()).select_from(answers))) == count
    migrate(before.engine)
    study, now = Study.model_validate_json(SETTINGS), START_MS + 10_000_000
    settings = Settings(arrivals_per_minute=0)
    client: Any = create_app(study, before.engine, key=KEY, settings=settings, clock=lambda: now).test_client()
    speaks = {"Authorization": f"Bearer {Tokens(KEY).sign(f'{before.last:032x}')}"}
    session = client.get("/api/session", headers=speaks).json
    assert (session["state"], session["trials"], session["answered"]) == ("started", TRIALS, ANSWERED)

    # The same trials in the same order, by the names of images that its browser has fetched already.
    trials = client.get("/api/trials?limit=1000", headers=speaks).json["trials"]
    left = before.sent[ANSWERED:]
    assert [trial["slot"] for trial in trials] == [row["slot"] for row in left]
    for trial, row in zip(trials, left, strict=True):
        sides = (row["p1"], row["p0"]) if row["side"] == "left" else (row["p0"], row["p1"])
        assert (trial["reference"], trial["left"], trial["right"]) == (row["ref"], *sides)
    for name, path in before.images.items():
        assert client.get(f"/images/{name}").data == path.read_bytes()

    # Its sentinels are still those that it was given, and are judged by the choice expected then.
    assert sum(row["role"] == "sentinel" for row in before.sent) == SENTINELS
    for first in range(0, len(left), 50):
        sent = [_answer(row) for row in left[first : first + 50]]
        receipts = client.post("/api/answers", json={"answers": sent}, headers=speaks).json["receipts"]
        assert {receipt["status"] for receipt in receipts} == {"stored"}
    done = client.post("/api/finish", headers=speaks).json
    assert (done["state"], done["outcome"]) == ("complete", "complete")
    assert done["code"]
    decided = before.tables["decision"]
    rules = select(decided.c.rule, decided.c.verdict, decided.c.reason).where(decided.c.session_id == before.last)
    found = {row.rule: row for row in read(before.engine, lambda c: c.execute(rules).all())}
    sentinels = next(row for rule, row in found.items() if rule.startswith("sentinels obvious"))
    assert sentinels.verdict == "used"
    assert "15 right" in sentinels.reason
    assert read(before.engine, lambda c: c.scalar(select(func.count()).select_from(answers))) == count + len(left)
    figures = read(before.engine, lambda c: status(c, 1, now=now))
    assert figures.answers == count + len(left)
    assert figures.sessions == {"complete": before.sessions}

    # Who comes now gets names that tell nothing; who came before can still be forgotten by their id.
    reply = client.post("/api/arrivals", json={"key": "0" * 32, "parameters": {"id": "new"}}).json
    speaks = {"Authorization": f"Bearer {reply['token']}"}
    begun = {"consent_sha256": reply["consent_sha256"], "device": {}}
    assert client.post("/api/start", json=begun, headers=speaks).json["state"] == "started"
    trials = client.get("/api/trials?limit=1000", headers=speaks).json["trials"]
    names = {trial[role] for trial in trials for role in ("reference", "left", "right")}
    assert len(names) == 3 * len(trials)
    assert not names & before.images.keys()
    step = Step(study, 1, now, lambda count: uuid.uuid4().bytes[:count].ljust(count, b"x"))
    assert write(before.engine, lambda c: erase(c, step, person="person-1", with_answers=False)) == 1


def _answer(row: dict[str, Any]) -> dict[str, Any]:
    other = {"left": "right", "right": "left"}
    given = {"id": str(uuid.uuid4()), "slot": row["slot"], "reaction_ms": 900.0, "answered_at": START_MS}
    return {**given, "choice": other[row["side"]], "input": "mouse"}  # p0


def test_a_study_begun_before_this_version_goes_on(begun: Any) -> None:
    goes_on(begun(3))


@pytest.mark.long
def test_a_study_of_500_000_answers_begun_before_this_version_goes_on(begun: Any) -> None:
    sessions = -(-500_000 // TRIALS) + 1
    assert (sessions - 1) * TRIALS + ANSWERED >= 500_000
    goes_on(begun(sessions))
