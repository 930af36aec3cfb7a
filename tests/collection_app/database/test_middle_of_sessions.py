"""An older database with sessions in the middle gets the columns of answers that were added since, and they go on."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect, text

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.database.connections import migrate, open_database, read, write
from collection_app.settings import Settings
from collection_app.studies.presets import preset

START_MS = 1_700_000_000_000
BEFORE = "0015"  # the version before answers said how their pictures were laid out
LOOKED = {"layout": "in-place", "reaction_ms": 1000.0}
LOOKED |= {f"{name}_looks": 1 for name in ("reference", "left", "right")}
LOOKED |= {f"{name}_look_ms": 300.0 for name in ("reference", "left", "right")}


def columns_of(engine: Engine) -> set[str]:
    return {column["name"] for column in inspect(engine).get_columns("answer")}


def go_back(engine: Engine, scratch: Path) -> set[str]:
    """Take from the answers what has been added since, as if it had never been; give the names of the columns."""
    old = open_database(f"sqlite:///{scratch}")
    migrate(old, BEFORE)
    added = columns_of(engine) - columns_of(old)
    old.dispose()
    for name in sorted(added):
        write(engine, lambda c, name=name: c.execute(text(f"ALTER TABLE answer DROP COLUMN {name}")))
    write(engine, lambda c: c.execute(text(f"UPDATE alembic_version SET version_num = '{BEFORE}'")))
    return added


def answer(slot: int, **measured: Any) -> dict[str, Any]:
    given = {"id": str(uuid.UUID(int=slot + 1)), "slot": slot, "choice": "left", "reaction_ms": 900.0}
    return {**given, "input": "mouse", "answered_at": START_MS, **measured}


def test_a_session_in_the_middle_goes_on(
    engine: Engine, place: Callable[..., Any], small_set: PatchSet, tmp_path: Path
) -> None:
    study = preset("paper-2afc", items_per_session=5, sentinels={"rules": []}, training={}, rules={})
    begun = place(engine, study, small_set)

    def clients() -> Any:
        settings = Settings(arrivals_per_minute=0)
        return create_app(study, engine, key="k" * 40, settings=settings, clock=lambda: begun.now).test_client()

    client = clients()
    reply = client.post("/api/arrivals", json={"key": "a" * 32, "parameters": {"id": "somebody"}}).json
    speaks = {"Authorization": f"Bearer {reply['token']}"}
    client.post("/api/start", json={"consent_sha256": reply["consent_sha256"]}, headers=speaks)
    before = client.get("/api/trials?limit=1000", headers=speaks).json["trials"]
    assert len(before) == 5

    def pictures(name: str) -> str:
        return client.get(f"/images/{name}").headers["Picture-Proof"]

    def send(slots: range, **measured: Any) -> list[str]:
        proofs = {slot: [pictures(before[slot][role]) for role in ("reference", "left", "right")] for slot in slots}
        begun.now += 10_000
        sent = {"answers": [answer(slot, pictures=proofs[slot], **measured) for slot in slots]}
        receipts = client.post("/api/answers", json=sent, headers=speaks).json["receipts"]
        return [receipt["status"] for receipt in receipts]

    assert send(range(2)) == ["stored"] * 2
    assert go_back(engine, tmp_path / "old.sqlite") >= {"layout", "reference_looks", "right_look_ms"}
    migrate(engine)
    client = clients()
    after = client.get("/api/trials?limit=1000", headers=speaks).json["trials"]
    assert after == before[2:]
    # An answer sent again is known; a page loaded before says nothing of layouts, and one loaded since does.
    assert send(range(2)) == ["known"] * 2
    assert send(range(2, 3)) == ["stored"]
    assert send(range(3, 5), **LOOKED) == ["stored"] * 2
    done = client.post("/api/finish", headers=speaks).json
    assert (done["outcome"], bool(done["code"])) == ("complete", True)
    asked = text(
        "SELECT slot, layout, left_looks, valid FROM answer JOIN assignment ON assignment.id = assignment_id ORDER BY 1"
    )
    stored = read(engine, lambda c: [tuple(row) for row in c.execute(asked)])
    assert [row[:3] for row in stored] == [
        *((slot, None, None) for slot in range(3)),
        *((slot, "in-place", 1) for slot in (3, 4)),
    ]
    assert all(row[3] for row in stored)
