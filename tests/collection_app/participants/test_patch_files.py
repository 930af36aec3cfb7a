"""Threat 9: a patch that was cut off, exchanged or lost is given to nobody, and everybody who runs the study knows."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from bapps_builder.images.image_files import encode_png
from bapps_builder.patch_sets.patch_set import PatchSet, read_patch_set
from collection_app import create_app
from collection_app.admin.passwords import password_hash
from collection_app.commands import bapps_collect
from collection_app.commands.bapps_collect import collect
from collection_app.database.connections import read, write
from collection_app.participants import patch_files
from collection_app.participants.patch_files import check_patches, patches_of
from collection_app.reporting.status import status
from collection_app.settings import Settings
from collection_app.studies.damaged_images import damaged_images
from collection_app.studies.presets import as_toml, preset

KEY = "k" * 40
PASSWORD = "a password of some length"


@pytest.fixture
def patches(tmp_path: Path, small_set: PatchSet) -> PatchSet:
    """A patch set of one's own to damage."""
    shutil.copytree(small_set.folder, tmp_path / "patches")
    return read_patch_set(tmp_path / "patches")


@pytest.fixture
def here(engine: Engine, place: Any, patches: PatchSet) -> Any:
    return place(engine, preset("paper-2afc", sentinels={}, training={}), patches)


@pytest.fixture
def client(here: Any) -> Any:
    settings = Settings(arrivals_per_minute=0, figures_seconds=0, health_seconds=0)
    hashed = password_hash(PASSWORD)
    return create_app(here.study, here.engine, key=KEY, settings=settings, password_hash=hashed).test_client()


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def exchange(path: Path) -> None:
    """Another picture under the same name, and its file as old as the one that was there."""
    before = path.stat()
    path.write_bytes(encode_png(np.full((64, 64, 3), 127, np.uint8)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def lose(path: Path) -> None:
    path.unlink()


def overview(client: Any) -> str:
    token = client.get("/admin/login").text.split('name="form_token" value="')[1].split('"')[0]
    client.post("/admin/login", data={"password": PASSWORD, "form_token": token})
    return client.get("/admin/").text


@pytest.mark.parametrize("served_before", [False, True])
@pytest.mark.parametrize("damage", [cut_off, exchange, lose])
def test_threat_9_a_damaged_patch_is_given_to_nobody_and_everybody_knows(
    here: Any, client: Any, patches: PatchSet, damage: Any, served_before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    item = patches[0]
    name, path = item.digest("p0"), patches.path(item, "p0")
    sound = path.read_bytes()
    if served_before:
        assert client.get(f"/images/{name}").status_code == 200
    damage(path)
    for _ in range(2):
        reply = client.get(f"/images/{name}")
        assert (reply.status_code, reply.json["error"]) == (503, "image_damaged")
        assert "immutable" not in reply.headers.get("Cache-Control", "")
    logged = [record.getMessage() for record in caplog.records if "image damaged" in record.getMessage()]
    assert logged[0].startswith(f"image damaged: {path}: ")
    health = client.get("/healthz")
    assert health.status_code == 503
    assert health.json["problems"] == [f"1 images are damaged: {path.name}"]
    assert str(path) in overview(client)
    found = read(here.engine, lambda c: status(c, here.installed.study_id, now=0))
    assert [image.path for image in found.damaged] == [str(path)]
    assert client.get(f"/images/{item.digest('p1')}").status_code == 200

    path.write_bytes(sound)
    reply = client.get(f"/images/{name}")
    assert (reply.status_code, reply.data) == (200, sound)
    assert client.get("/healthz").json["problems"] == []


def test_threat_9_the_pictures_of_a_trial_are_checked_too(here: Any, client: Any, patches: PatchSet) -> None:
    for item in patches:
        exchange(patches.path(item, "ref"))
    session = client.post("/api/arrivals", json={"key": "0" * 32, "parameters": {"id": "ann"}}).json
    speaks = {"Authorization": f"Bearer {session['token']}"}
    begun = {"consent_sha256": session["consent_sha256"], "device": {}}
    assert client.post("/api/start", json=begun, headers=speaks).status_code == 200
    trials = client.get("/api/trials", headers=speaks).json["trials"]
    for role in ("reference", "left", "right"):
        assert client.get(f"/images/{trials[0][role]}").status_code == 503
    for item in patches:
        path = patches.path(item, "ref")
        exchange(path)
        assert client.get(f"/images/{item.digest('ref')}").status_code == 503


def test_threat_9_serve_checks_every_image_when_it_starts(here: Any, patches: PatchSet) -> None:
    assert len(patches_of(here.engine, here.installed.study_id)) == 3 * 12
    assert check_patches(here.engine, here.installed.study_id) == 0
    bad = [patches.path(patches[number], "p1") for number in (3, 7)]
    sound = [path.read_bytes() for path in bad]
    cut_off(bad[0])
    exchange(bad[1])
    told: list[int] = []
    assert check_patches(here.engine, here.installed.study_id, advance=told.append) == 2
    assert sum(told) == 3 * 12
    assert [Path(image.path) for image in read(here.engine, damaged_images)] == sorted(bad)
    for path, data in zip(bad, sound, strict=True):
        path.write_bytes(data)
    assert check_patches(here.engine, here.installed.study_id) == 0
    assert read(here.engine, damaged_images) == ()


def test_threat_9_the_command_says_so(
    tmp_path: Path, patches: PatchSet, ready: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "study.toml"
    file.write_text(as_toml(preset("paper-2afc", name="study", **ready)))
    run = CliRunner()
    assert run.invoke(collect, ["init", str(file), "--patches", str(patches.folder)]).exit_code == 0
    exchange(patches.path(patches[0], "p0"))

    def stop(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(bapps_collect, "listen", stop)
    monkeypatch.setattr(bapps_collect, "write_logs", lambda: None)
    said = run.invoke(collect, ["serve", str(file), "--port", "0"]).stderr
    assert "1 images are damaged and will be given to nobody" in said
    found = json.loads(run.invoke(collect, ["status", str(file), "--json"]).stdout)
    assert [Path(image["path"]).name for image in found["damaged"]] == ["000000.png"]


def test_what_is_remembered_of_sound_files_is_bounded(
    here: Any, client: Any, patches: PatchSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patch_files, "_MOST", 5)
    patch_files._sound.clear()
    for item in patches:
        assert client.get(f"/images/{item.digest('p0')}").status_code == 200
        assert len(patch_files._sound) <= 5


def test_threat_10_health_says_no_when_a_write_fails(here: Any, client: Any) -> None:
    assert client.get("/healthz").status_code == 200
    refuse = {
        "sqlite": ["CREATE TRIGGER full BEFORE UPDATE ON study BEGIN SELECT RAISE(ABORT, 'disk full'); END"],
        "postgresql": [
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$",
            "CREATE TRIGGER full_disk BEFORE UPDATE ON study FOR EACH ROW EXECUTE FUNCTION full_disk()",
        ],
    }
    for statement in refuse[here.engine.dialect.name]:
        write(here.engine, lambda c, statement=statement: c.exec_driver_sql(statement))
    reply = client.get("/healthz")
    assert reply.status_code == 503
    assert "does not take and give as it should" in reply.json["problems"][0]


def test_threat_10_health_says_no_when_the_disk_has_little_room(
    engine: Engine, place: Any, small_set: PatchSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = place(engine, preset("paper-2afc", sentinels={}, training={}), small_set)
    client: Any = create_app(
        here.study, engine, key=KEY, settings=Settings(least_room_mb=300, health_seconds=0)
    ).test_client()
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=299 * 2**20))
    reply = client.get("/healthz")
    sqlite = engine.dialect.name == "sqlite"  # a database server looks after its own disk
    assert reply.status_code == (503 if sqlite else 200)
    assert reply.json["problems"] == (["the disk has 299 MB left, less than 300"] if sqlite else [])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=300 * 2**20))
    assert client.get("/healthz").status_code == 200
