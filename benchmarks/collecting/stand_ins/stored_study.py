"""A study in which 500,000 answers are stored already, written straight into the tables, for benchmarks to serve."""

import time
from pathlib import Path
from typing import Any

from collect import patch_set
from sqlalchemy import Connection, text

from collection_app.database.connections import migrate, open_database, write
from collection_app.studies.installation import freeze, install
from collection_app.studies.presets import as_toml, preset

STORED, OPEN_ITEMS, TRIALS = 500_000, 30_000, 100
STUDY = preset("paper-2afc", training={}, rules={"server_time": False})
_HOUR_MS = 3_600_000

# One statement for both databases: numbers from 0 to :top.
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :top) "


def fill(connection: Connection, now: int) -> None:
    """Store 500,000 answers of 5,000 sessions: 100,000 items full, 30,000 that nobody has seen, 300 as installed."""
    sessions, full = STORED // TRIALS, STORED // 5
    digits = "substr('00000000000000000000000000000000', 1, 32 - length(CAST(i AS VARCHAR))) || CAST(i AS VARCHAR)"
    per_ms = (7 * 24 * _HOUR_MS) // sessions  # they came over a week, the last an hour ago
    began = f"(:now - 169 * {_HOUR_MS} + i * {per_ms})"

    def run(statement: str, top: int, **values: Any) -> None:
        connection.execute(text(statement), {"top": top - 1, **values})

    run(
        "INSERT INTO item (id, study_id, role, set_name, name, check_name, expected, ref, p0, p1, quota, filled, "
        f"p1_left, priority) {_NUMBERS} SELECT 1000000 + i, 1, 'test', old.set_name || '-' || CAST(i % 6 AS VARCHAR), "
        "'many-' || CAST(i AS VARCHAR), '', '', old.ref, old.p0, old.p1, 5, CASE WHEN i < :full THEN 5 ELSE 0 END, "
        "CASE WHEN i >= :full THEN 0 WHEN i % 2 = 0 THEN 3 ELSE 2 END, (i * 7919) % 100003 FROM n "
        "JOIN item AS old ON old.id = (SELECT min(id) FROM item WHERE role = 'test') + i % 300",
        full + OPEN_ITEMS,
        full=full,
    )
    run(
        f"INSERT INTO participant (id, study_id, pseudonym) {_NUMBERS} SELECT 1000000 + i, 1, {digits} FROM n", sessions
    )
    run(
        "INSERT INTO session (id, public_id, participant_id, number, platform, arrival_sha256, state, outcome, seed, "
        f"simulated, arrived_at, started_at, finished_at, seen_at) {_NUMBERS} SELECT 1000000 + i, {digits}, "
        f"1000000 + i, 0, 'local', {digits}, 'complete', 'complete', 0, TRUE, {began}, {began}, {began} + 400000, "
        f"{began} + 400000 FROM n",
        sessions,
        now=now,
    )
    run(
        "INSERT INTO assignment (id, session_id, participant_id, item_id, slot, side, state, holds) "
        f"{_NUMBERS} SELECT 1000000 + i, 1000000 + i / {TRIALS}, 1000000 + i / {TRIALS}, 1000000 + i % :full, "
        f"i % {TRIALS}, CASE WHEN (i / :full + i) % 2 = 0 THEN 'left' ELSE 'right' END, 'answered', TRUE FROM n",
        STORED,
        full=full,
    )
    run(
        "INSERT INTO answer (id, assignment_id, attempt, choice, valid, use, reason, reaction_ms, input, focus_lost, "
        f"answered_at, submitted_at) {_NUMBERS} SELECT '0000' || {digits}, 1000000 + i, 1, 'p0', TRUE, TRUE, '', 900, "
        f"'keyboard', FALSE, 0, :now - 169 * {_HOUR_MS} + (i / {TRIALS}) * {per_ms} + (i % {TRIALS}) * 4000 FROM n",
        STORED,
        now=now,
    )
    for tier, rule, verdict in (
        ("use", "sentinels obvious>=14 of 15", "used"),
        ("pay", "part taken", "approve"),
    ):
        run(
            f"INSERT INTO decision (session_id, tier, rule, verdict, reason, at) {_NUMBERS} "
            "SELECT 1000000 + i, :tier, :rule, :verdict, '15 right, 0 wrong', :now FROM n",
            sessions,
            tier=tier,
            rule=rule,
            verdict=verdict,
            now=now,
        )


def prepared(folder: Path, url: str, kind: str) -> None:
    """Make the study with its stored answers, if it is not there from an earlier run."""
    done = folder / f"{kind}.done"
    (folder / "study.toml").write_text(as_toml(STUDY))
    if done.exists():
        return
    began, engine = time.perf_counter(), open_database(url)
    migrate(engine)
    patches = folder / f"patches-{kind}"
    items = patch_set(patches, 300)
    write(engine, lambda c: install(c, STUDY, [items], folder=folder / f"images-{kind}"))
    now = time.time_ns() // 1_000_000
    write(engine, lambda c: freeze(c, STUDY, now, simulated=True))
    write(engine, lambda c: fill(c, now))
    if kind == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in ("pace", "item"):  # generated ids are past the ones above
                connection.execute(text(f"VACUUM ANALYZE {table}"))
            connection.execute(text("VACUUM ANALYZE"))
            for table in ("participant", "session", "assignment", "item"):
                connection.execute(text(f"SELECT setval('{table}_id_seq', 9000000)"))
    else:
        write(engine, lambda c: c.execute(text("ANALYZE")))
    engine.dispose()
    done.touch()
    print(f"{kind}: {STORED} answers stored in {time.perf_counter() - began:.0f} s", flush=True)
