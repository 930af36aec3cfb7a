"""Pictures of any size: what a study knows of them, and what a browser is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select, update

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.database.connections import read, write
from collection_app.database.models import Item
from collection_app.studies.picture_sizes import largest_sizes, note_sizes, uncovered
from collection_app.studies.presets import preset

SIZES = ((64, 64), (96, 80), (50, 120))
STUDY = preset(
    "paper-2afc",
    items_per_session=6,
    sentinels={"rules": [{"check": "obvious", "count": 3, "at_least": 1}]},
    training={"obvious": 1},
)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=12))
def test_uncovered_sizes_are_those_that_no_other_is_as_large_as(sizes: list[tuple[int, int]]) -> None:
    kept = [a for a in set(sizes) if not any(b != a and b[0] >= a[0] and b[1] >= a[1] for b in sizes)]
    assert uncovered(sizes) == sorted(kept, reverse=True)


@pytest.fixture
def mixed(tmp_path: Path, engine: Engine, place: Callable[..., Any], make_set: Callable[..., PatchSet]) -> Any:
    return place(engine, STUDY, make_set(tmp_path / "set", sizes=SIZES))


def sizes_of_items(engine: Engine) -> list[tuple[int | None, int | None]]:
    rows = read(engine, lambda c: c.execute(select(Item.width, Item.height).order_by(Item.id)).all())
    return [(row.width, row.height) for row in rows]


def begin(mixed: Any) -> tuple[dict[str, Any], list[dict[str, Any]], Any]:
    client: Any = create_app(mixed.study, mixed.engine, key="k" * 40).test_client()
    session = client.post("/api/arrivals", json={"key": "a" * 32, "parameters": {"id": "somebody"}}).json
    bearer = {"Authorization": f"Bearer {session['token']}"}
    client.post("/api/start", json={"consent_sha256": session["consent_sha256"]}, headers=bearer)
    return session, client.get("/api/trials?limit=1000", headers=bearer).json["trials"], client


def test_a_browser_is_told_how_large_pictures_are(mixed: Any) -> None:
    session, trials, client = begin(mixed)
    assert session["display"]["largest"] == [{"width": 96, "height": 80}, {"width": 50, "height": 120}]
    assert {(trial["width"], trial["height"]) for trial in trials} == set(SIZES)
    for trial in trials:
        files = [client.get(f"/images/{trial[role]}").data for role in ("reference", "left", "right")]
        seen = {tuple(int.from_bytes(png[at : at + 4], "big") for at in (16, 20)) for png in files}
        assert seen == {(trial["width"], trial["height"])}
        # All of one size are as long, whatever is on them, and hardly longer than their pixels.
        assert {len(png) for png in files} == {trial["height"] * (1 + 3 * trial["width"]) + 512}


def test_sizes_of_a_study_from_before_are_read_from_its_files(mixed: Any) -> None:
    known = sizes_of_items(mixed.engine)
    assert set(known) == set(SIZES)
    write(mixed.engine, lambda c: c.execute(update(Item).values(width=None, height=None)))
    study_id = mixed.installed.study_id
    assert read(mixed.engine, lambda c: largest_sizes(c, study_id)) == [(64, 64)]
    write(mixed.engine, lambda c: note_sizes(c, study_id))
    assert sizes_of_items(mixed.engine) == known


def test_a_lost_file_from_before_is_passed_over(mixed: Any, tmp_path: Path) -> None:
    write(mixed.engine, lambda c: c.execute(update(Item).values(width=None, height=None)))
    for role in ("ref", "p0", "p1"):
        (tmp_path / "set" / role / "000001.png").unlink()
        (tmp_path / "set" / role / "000002.png").write_bytes(b"cut off")
    _, trials, _ = begin(mixed)
    assert len(trials) == 10
    assert sizes_of_items(mixed.engine).count((None, None)) == 2
