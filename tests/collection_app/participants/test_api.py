"""The JSON interface: fuzzed against its own description, and everything it must refuse."""

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, text

from bapps_builder.images.image_files import decode_image
from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.database.connections import migrate, open_database, read, write
from collection_app.database.models import Study as StudyRow
from collection_app.participants.openapi import openapi
from collection_app.settings import Settings
from collection_app.studies.installation import install
from collection_app.studies.presets import preset
from collection_app.web.logs import LOGGER, JsonLines

KEY = "a signing key that is long enough for tests"
STUDY = preset(
    "paper-2afc",
    items_per_session=4,
    sentinels={"rules": [{"check": "obvious", "count": 1, "at_least": 0}]},
    training={"obvious": 1},
    rules={"server_time": False},
)


@pytest.fixture
def app(engine: Engine, place: Any, small_set: PatchSet) -> Flask:
    place(engine, STUDY, small_set)
    return create_app(STUDY, engine, key=KEY, settings=Settings(arrivals_per_minute=0))


@pytest.fixture
def client(app: Flask) -> Any:
    return app.test_client()


def arrive(client: Any, name: str = "somebody") -> dict[str, Any]:
    reply = client.post("/api/arrivals", json={"key": uuid.uuid4().hex, "parameters": {"id": name}})
    assert reply.status_code == 200, reply.text
    return reply.json


def bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['token']}"}


def start(client: Any, name: str = "somebody") -> dict[str, Any]:
    session = arrive(client, name)
    reply = client.post("/api/start", json={"consent_sha256": session["consent_sha256"]}, headers=bearer(session))
    assert reply.json["state"] == "started"
    return reply.json


def answer(slot: int, choice: str = "left", **more: Any) -> dict[str, Any]:
    base = {"id": str(uuid.uuid4()), "slot": slot, "choice": choice, "reaction_ms": 700.5, "answered_at": 1}
    return {**base, "input": "mouse", **more}


def test_a_session_from_arrival_to_code(client: Any) -> None:
    session = start(client)
    assert (session["trials"], session["answered"], session["code"]) == (6, 0, None)
    trials = client.get("/api/trials", headers=bearer(session)).json["trials"]
    assert [trial["slot"] for trial in trials] == list(range(6))
    assert [trial["training"] for trial in trials] == [True] + [False] * 5
    # Neither the role of an item nor the right answer is told before the answer.
    assert set(trials[0]) == {"slot", "attempt", "training", "reference", "left", "right", "width", "height"}
    for name in (trials[0]["reference"], trials[0]["left"]):
        image = client.get(f"/images/{name}")
        assert image.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert decode_image(image.data, name=name).shape == (64, 64, 3)

    missing = client.post("/api/finish", headers=bearer(session))
    assert (missing.status_code, missing.json["error"], missing.json["slots"]) == (409, "missing", list(range(6)))
    sent = [answer(trial["slot"], device_pixel_ratio=1.25, scale=4) for trial in trials]
    receipts = client.post("/api/answers", json={"answers": sent}, headers=bearer(session)).json["receipts"]
    assert [receipt["status"] for receipt in receipts] == ["stored"] * 6
    assert receipts[0]["expected"] in ("left", "right")
    assert {receipt["expected"] for receipt in receipts[1:]} == {""}
    again = client.post("/api/answers", json={"answers": sent}, headers=bearer(session)).json["receipts"]
    assert [receipt["status"] for receipt in again] == ["known"] * 6
    done = client.post("/api/finish", headers=bearer(session)).json
    assert (done["state"], done["outcome"], done["answered"]) == ("complete", "complete", 6)
    assert done["code"]
    assert client.get("/api/session", headers=bearer(session)).json["code"] == done["code"]
    assert client.get("/api/trials", headers=bearer(session)).json["trials"] == []


def test_an_image_has_the_headers_of_any_reply(client: Any) -> None:
    trial = client.get("/api/trials?limit=1", headers=bearer(start(client))).json["trials"][0]
    path = f"/images/{trial['left']}"
    quick, usual = client.get(path), client.head(path)  # past Flask, and through it
    assert (quick.status_code, usual.status_code) == (200, 200)
    proofs = [reply.headers.pop("Picture-Proof") for reply in (quick, usual)]  # with the time in them
    assert {len(proof) for proof in proofs} == {48}
    assert dict(quick.headers) == dict(usual.headers)
    assert quick.headers["X-Content-Type-Options"] == "nosniff"
    assert client.post(path).status_code == 405


def test_an_image_that_was_moved_is_found_once_its_study_is_installed_again(
    client: Any, engine: Engine, tmp_path: Path
) -> None:
    sha256 = read(engine, lambda c: c.scalar(text("SELECT min(p0) FROM item")))
    path = f"/images/{sha256}"
    before = client.get(path)
    assert before.status_code == 200
    (tmp_path / "moved.png").write_bytes(before.data)

    def move(to: Path) -> None:
        query = text("UPDATE image SET path = :to WHERE sha256 = :of")
        write(engine, lambda c: c.execute(query, {"to": str(to), "of": sha256}))

    move(tmp_path / "gone.png")
    reply = client.get(path)
    assert (reply.status_code, reply.json["error"]) == (503, "image_damaged")
    move(tmp_path / "moved.png")
    assert client.get(path).data == before.data


def test_the_right_choice_of_a_training_item_is_that_of_its_own_images(client: Any) -> None:
    session = start(client)
    trial = client.get("/api/trials?limit=1", headers=bearer(session)).json["trials"][0]
    receipt = client.post("/api/answers", json={"answers": [answer(0)]}, headers=bearer(session)).json["receipts"][0]
    pixels = {
        side: decode_image(client.get(f"/images/{trial[side]}").data, name=side).astype(float)
        for side in ("reference", "left", "right")
    }
    error = {side: abs(pixels[side] - pixels["reference"]).mean() for side in ("left", "right")}
    assert error[receipt["expected"]] == min(error.values())


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer x", "Basic abc", "Bearer " + "x" * 5000])
def test_a_session_needs_a_token_signed_here(client: Any, token: str) -> None:
    for method, path in (("get", "/api/session"), ("get", "/api/trials"), ("post", "/api/finish")):
        reply = getattr(client, method)(path, headers={"Authorization": token})
        assert (reply.status_code, reply.json["error"]) == (401, "token")


def test_a_forged_token_is_none(client: Any) -> None:
    good = arrive(client)["token"]
    head, _, signature = good.rpartition(".")
    forged = head + "." + ("A" if signature[0] != "A" else "B") + signature[1:]
    assert client.get("/api/session", headers={"Authorization": f"Bearer {forged}"}).status_code == 401
    assert client.get("/api/session", headers={"Authorization": f"Bearer {good}"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["../study.sqlite", "..%2f..%2fetc%2fpasswd", "%2e%2e/x", "0" * 64, "A" * 64, "/etc/passwd", "0" * 63]
)
def test_no_path_from_outside_reaches_the_file_system(client: Any, path: str) -> None:
    reply = client.get(f"/images/{path}")
    assert reply.status_code in (404, 308)
    assert b"root:" not in reply.data


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"id": "not-a-uuid"}, "answers.0.id"),
        ({"slot": -1}, "answers.0.slot"),
        ({"slot": "0"}, "answers.0.slot"),
        ({"attempt": 3}, "answers.0.attempt"),
        ({"choice": "p1"}, "answers.0.choice"),
        ({"reaction_ms": -1}, "answers.0.reaction_ms"),
        ({"input": "voice"}, "answers.0.input"),
        ({"extra": 1}, "answers.0.extra"),
        ({"scale": 10**30}, "answers.0.scale"),
    ],
)
def test_a_wrong_answer_is_named(client: Any, change: dict[str, Any], where: str) -> None:
    session = start(client)
    reply = client.post("/api/answers", json={"answers": [answer(0) | change]}, headers=bearer(session))
    assert reply.status_code == 400
    assert reply.json["message"].startswith(f"{where}: ")
    assert reply.json["contact"] == STUDY.contact


@pytest.mark.parametrize(
    "sent",
    [
        {"key": "0" * 32, "parameters": {"id": "a\0b"}},
        {"key": "0" * 32, "parameters": {"a\0": "b"}},
        {"key": "0" * 32, "parameters": {"id": "\\\0"}},
    ],
)
def test_threat_12_a_nul_is_refused_at_the_door(client: Any, sent: Any) -> None:
    for asked in (
        client.post("/api/arrivals", json=sent),
        client.post("/api/start", json={"consent_sha256": "0", "device": sent}, headers=bearer(arrive(client))),
        client.get("/?id=a%00b"),
        client.get("/api/session%00"),
        client.get("/admin/sessions?state=%00"),
    ):
        assert (asked.status_code, asked.json["error"]) == (400, "invalid"), asked.text
        assert "NUL" in asked.json["message"]


def test_a_text_about_nul_is_none(client: Any) -> None:
    assert arrive(client, "a\\u0000b")["state"] == "arrived"  # a backslash, and letters


def test_requests_have_a_largest_size(app: Any) -> None:
    reply = app.test_client().post("/api/arrivals", data=b" " * 300_000)
    assert (reply.status_code, reply.json["error"]) == (413, "request_entity_too_large")


def test_arrivals_are_limited_for_each_address(engine: Engine, place: Any, small_set: PatchSet) -> None:
    place(engine, STUDY, small_set)
    now = [0]
    app: Any = create_app(STUDY, engine, key=KEY, settings=Settings(arrivals_per_minute=2), clock=lambda: now[0])

    def statuses(address: str, count: int) -> list[int]:
        bodies = [{"key": uuid.uuid4().hex, "parameters": {"id": uuid.uuid4().hex}} for _ in range(count)]
        where = {"REMOTE_ADDR": address}
        return [app.test_client().post("/api/arrivals", json=b, environ_base=where).status_code for b in bodies]

    assert statuses("10.0.0.1", 3) == [200, 200, 429]
    assert statuses("10.0.0.2", 1) == [200]
    now[0] += 30_000
    assert statuses("10.0.0.1", 2) == [200, 429]


def test_logs_hold_neither_ids_nor_tokens_nor_addresses(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", LOGGER.name)
    session = start(client, "person-with-a-name")
    trial = client.get("/api/trials?limit=1", headers=bearer(session)).json["trials"][0]
    client.get(f"/images/{trial['left']}?secret=1")
    lines = [JsonLines().format(record) for record in caplog.records]
    assert [json.loads(line)["route"] for line in lines][-1] == "/images/<name>"
    text = "\n".join(lines)
    for secret in ("person-with-a-name", session["token"], "127.0.0.1", trial["left"], "secret"):
        assert secret not in text


def test_health_says_what_is_wrong(engine: Engine, place: Any, small_set: PatchSet) -> None:
    place(engine, STUDY, small_set)
    now = 1_800_000_000_000
    app = create_app(STUDY, engine, key=KEY, settings=Settings(health_seconds=5), clock=lambda: now)
    client: Any = app.test_client()
    assert client.get("/healthz").json == {"status": "ok", "problems": [], "seconds_ago": 0}
    command = "PRAGMA synchronous = NORMAL" if engine.dialect.name == "sqlite" else "SET synchronous_commit = off"
    raw = engine.raw_connection()  # the pool gives this connection out again
    raw.cursor().execute(command)
    raw.commit()
    raw.close()
    now += 4_999
    found = client.get("/healthz")
    assert (found.status_code, found.json["seconds_ago"]) == (200, 4.999)
    now += 1
    found = client.get("/healthz")
    assert found.status_code == 503
    assert found.json["problems"] in (["synchronous is 1, not 2"], ["synchronous_commit is off, not on"])


def test_however_often_health_is_asked_for_it_writes_once(app: Any, engine: Engine) -> None:
    """Each request was a durable write, without limit, for whoever knows the address."""
    written = select(StudyRow.written_at)
    for _ in range(20):
        assert app.test_client().get("/healthz").status_code == 200
    assert read(engine, lambda c: c.scalars(written).one()) == 1


def test_a_database_that_is_gone_is_503_and_nothing_is_acknowledged(app: Any, engine: Engine) -> None:
    session = start(app.test_client())
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE answer RENAME TO elsewhere"))
    reply = app.test_client().post("/api/answers", json={"answers": [answer(0)]}, headers=bearer(session))
    assert (reply.status_code, reply.json["error"], reply.headers["Retry-After"]) == (503, "unavailable", "2")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, small_set: PatchSet) -> Iterator[tuple[Any, str]]:
    """The description, tied to an app, and the token of a session that has begun."""
    folder = tmp_path_factory.mktemp("fuzz")
    engine = open_database(f"sqlite:///{folder}/study.sqlite")
    migrate(engine)
    write(engine, lambda c: install(c, STUDY, [small_set], folder=folder / "images"))
    app = create_app(STUDY, engine, key=KEY, settings=Settings(arrivals_per_minute=0))
    token = start(app.test_client())["token"]
    yield schemathesis.openapi.from_wsgi("/api/openapi.json", app), token
    engine.dispose()


@pytest.mark.parametrize(
    ("path", "method"), [(path, method) for path, methods in openapi()["paths"].items() for method in methods]
)
def test_no_input_breaks_the_description(fuzzed: tuple[Any, str], path: str, method: str) -> None:
    schema, token = fuzzed
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    seen = Counter()

    @given(data=st.data())
    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def fuzz(data: st.DataObject) -> None:
        operation = schema[path][method.upper()]
        case = data.draw(operation.as_strategy(generation_mode=data.draw(st.sampled_from(modes))))
        response = case.call_and_validate(headers={"Authorization": f"Bearer {token}"})
        seen[response.status_code] += 1

    fuzz()
    assert seen
    assert not any(status >= 500 for status in seen)


# What people look at, what Prometheus reads, and the description itself.
NOT_DESCRIBED = ("static", "task", "openapi", "pages", "admin", "prometheus")


def test_the_description_names_every_route(app: Flask) -> None:
    described = {(path, method) for path, operations in openapi()["paths"].items() for method in operations}
    routes = {
        (str(rule).replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint.partition(".")[0] not in NOT_DESCRIBED
    }
    assert described == routes


def test_reading_cannot_write(engine: Engine) -> None:
    from sqlalchemy.exc import DBAPIError

    if engine.dialect.name == "postgresql":
        with pytest.raises(DBAPIError):
            read(engine, lambda c: c.execute(text("CREATE TABLE x (y int)")))
