"""The platform's messages: signed, fresh, taken once, erasable; and asking it, which comes to the same."""

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import psutil
import pytest
from prolific_stand_in import TOKEN, Prolific
from sqlalchemy import Engine, func, select

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.database.connections import read, write
from collection_app.database.models import Session, WebhookEvent
from collection_app.operations.platform_polling import begin_polling, is_due, poll, take_back
from collection_app.platforms.platform import PlatformError
from collection_app.server.serving import served
from collection_app.sessions.allocation import counted_places, give_up_expired
from collection_app.sessions.erasure import erase
from collection_app.settings import Settings
from collection_app.studies.presets import preset
from collection_app.web.served_study import running

SECRET = "shared with the platform"
NOW = 1_800_000_000_000
PLATFORM = {"name": "prolific", "study_id": "study"}


class Receiver:
    """A study on Prolific that takes messages, at a time that tests set."""

    def __init__(self, engine: Engine, place: Any, patches: PatchSet, api: str = "https://example.org") -> None:
        self.engine, self.now = engine, NOW
        study = preset(
            "paper-2afc",
            items_per_session=12,
            sentinels={},
            training={},
            rules={"server_time": False},
            platform={**PLATFORM, "api": api},
        )
        self.place = place(engine, study, patches)
        settings = Settings(arrivals_per_minute=0, platform_secret=SECRET)
        self.app = create_app(study, engine, key="k" * 40, settings=settings, clock=lambda: self.now)
        self.client: Any = self.app.test_client()

    def arrive(self, name: str) -> dict[str, str]:
        parameters = {"PROLIFIC_PID": name, "STUDY_ID": "study", "SESSION_ID": f"sub-{name}"}
        session = self.client.post("/api/arrivals", json={"key": uuid.uuid4().hex, "parameters": parameters}).json
        return {"Authorization": f"Bearer {session['token']}"}

    def start(self, name: str) -> dict[str, str]:
        who = self.arrive(name)
        consent = self.client.get("/api/session", headers=who).json["consent_sha256"]
        assert self.client.post("/api/start", json={"consent_sha256": consent}, headers=who).status_code == 200
        return who

    def send(self, name: str, state: str, *, event: str = "", path: str = "/webhooks/prolific", **broken: Any) -> Any:
        told = {"event_type": "submission.status.change", "resource_id": f"sub-{name}", "participant_id": name}
        body = json.dumps({**told, "status": state}).encode()
        timestamp = str(broken.get("timestamp", self.now // 1000))
        signed = hmac.new(broken.get("secret", SECRET).encode(), timestamp.encode() + body, hashlib.sha256).digest()
        headers = {
            "X-Prolific-Request-Timestamp": timestamp,
            "X-Prolific-Request-Signature": base64.b64encode(signed).decode(),
            "X-Event-Id": event or uuid.uuid4().hex,
        }
        headers |= broken.get("headers", {})
        return self.client.post(path, data=broken.get("body", body), headers=headers)

    def state(self, name: str) -> str | None:
        column = select(Session.platform_state).where(Session.submission_id == f"sub-{name}")
        return read(self.engine, lambda c: c.scalar(column))

    def filled(self) -> int:
        write(self.engine, lambda c: give_up_expired(c, self.place.installed.study_id, self.now))
        return sum(row.filled for row in read(self.engine, lambda c: counted_places(c, 1)))


@pytest.fixture
def receiver(engine: Engine, place: Any, small_set: PatchSet) -> Receiver:
    return Receiver(engine, place, small_set)


def kept(engine: Engine) -> list[Any]:
    return read(engine, lambda c: list(c.execute(select(WebhookEvent).order_by(WebhookEvent.id))))


def test_who_returns_the_work_frees_what_they_held_and_may_still_go_on(receiver: Receiver) -> None:
    who = receiver.start("ann")
    assert receiver.filled() == 12
    answer = {"id": str(uuid.uuid4()), "slot": 0, "choice": "left", "reaction_ms": 1.0, "answered_at": 1}
    post = {"answers": [{**answer, "input": "mouse"}]}
    receiver.client.post("/api/answers", json=post, headers=who)
    assert receiver.send("ann", "ACTIVE").json == {"status": "taken"}
    assert receiver.filled() == 12
    assert receiver.send("ann", "RETURNED").json == {"status": "taken"}
    assert receiver.state("ann") == "RETURNED"
    assert receiver.filled() == 1  # the answer given counts
    post["answers"][0] |= {"id": str(uuid.uuid4()), "slot": 1}
    assert receiver.client.post("/api/answers", json=post, headers=who).json["receipts"][0]["status"] == "stored"


def test_a_message_that_comes_twice_is_taken_once(receiver: Receiver) -> None:
    receiver.start("ann")
    assert receiver.send("ann", "RETURNED", event="e1").json == {"status": "taken"}
    receiver.now += 1000
    assert receiver.send("ann", "ACTIVE", event="e2").json == {"status": "taken"}
    assert receiver.send("ann", "RETURNED", event="e1").json == {"status": "known"}
    assert receiver.state("ann") == "ACTIVE"
    assert [row.id for row in kept(receiver.engine)] == ["e1", "e2"]


def test_a_replayed_message_under_a_new_id_does_not_turn_time_back(receiver: Receiver) -> None:
    receiver.start("ann")
    receiver.now += 60_000
    assert receiver.send("ann", "APPROVED").json == {"status": "taken"}
    # An older message, signed in its time, is recorded and sent again with an id of the attacker's.
    receiver.send("ann", "ACTIVE", event="replayed", timestamp=receiver.now // 1000 - 60)
    assert receiver.state("ann") == "APPROVED"
    receiver.now += 6 * 60_000
    late = receiver.send("ann", "ACTIVE", timestamp=receiver.now // 1000 - 301)
    assert (late.status_code, late.json["message"]) == (403, "the message is too old")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"secret": "another"}, "the signature is wrong"),
        ({"body": b'{"event_type": "submission.status.change"}'}, "the signature is wrong"),
        ({"headers": {"X-Prolific-Request-Signature": ""}}, "the signature is wrong"),
        ({"headers": {"X-Prolific-Request-Timestamp": "0"}}, "the signature is wrong"),
        ({"headers": {"X-Prolific-Request-Signature": "ü".encode().decode("latin-1")}}, "the signature is wrong"),
        ({"timestamp": "now"}, "the time of the message is none"),
        ({"timestamp": "inf"}, "the time of the message is none"),
        ({"timestamp": "nan"}, "the time of the message is none"),
        ({"timestamp": NOW // 1000 + 400}, "the message is too old"),
        ({"headers": {"X-Event-Id": ""}}, "the message has no id"),
        ({"headers": {"X-Event-Id": "x" * 129}}, "the message has no id"),
    ],
)
def test_a_forged_message_changes_nothing(receiver: Receiver, broken: dict[str, Any], message: str) -> None:
    receiver.start("ann")
    reply = receiver.send("ann", "RETURNED", **broken)
    assert (reply.status_code, reply.json["error"], reply.json["message"]) == (403, "forged", message)
    assert receiver.state("ann") is None
    assert kept(receiver.engine) == []


def test_messages_are_taken_only_where_they_are_expected(receiver: Receiver) -> None:
    assert receiver.send("ann", "RETURNED", path="/webhooks/mturk").status_code == 404
    silent: Any = create_app(
        receiver.place.study, receiver.engine, key="k" * 40, settings=Settings(arrivals_per_minute=0)
    ).test_client()
    receiver.client = silent
    assert receiver.send("ann", "RETURNED").status_code == 404  # without a secret nothing can be believed


def test_a_message_goes_with_the_person_it_is_about(receiver: Receiver) -> None:
    receiver.start("ann")
    receiver.send("ann", "ACTIVE", event="e1")
    receiver.send("stranger", "ACTIVE", event="e2")
    assert ["sub-ann" in row.body for row in kept(receiver.engine)] == [True, False]
    assert "stranger" not in str(kept(receiver.engine))
    write(receiver.engine, lambda c: erase(c, receiver.place.step(), person="ann", with_answers=False))
    assert "ann" not in str(kept(receiver.engine))
    receiver.send("ann", "RETURNED", event="e3")  # too late to be about anybody
    assert "ann" not in str(kept(receiver.engine))


def test_asking_comes_to_the_same(engine: Engine, place: Any, small_set: PatchSet) -> None:
    side = Prolific()
    with served(side.app(), Settings(port=0)) as url:
        receiver = Receiver(engine, place, small_set, url)
        receiver.start("ann")
        base = {"study_id": "study", "status": "RESERVED"}
        for name in [f"p{number}" for number in range(230)] + ["ann"]:  # three pages
            side.submissions[name] = {"id": f"sub-{name}", "participant_id": name, **base}
        with receiver.app.app_context():
            run = running()
        assert poll(run, TOKEN) == 1
        assert receiver.state("ann") == "RESERVED"
        side.submissions["ann"]["status"] = "TIMED_OUT"
        assert poll(run, TOKEN) == 1
        assert poll(run, TOKEN) == 0
        assert receiver.state("ann") == "TIMED-OUT"
        assert receiver.filled() == 0
        with pytest.raises(PlatformError, match="401"):
            poll(run, "wrong")
        side.submissions["ann"]["status"] = "RETURNED"
        side.faults = [("submissions", "fail")]  # it goes on after a failure
        settings = Settings(platform_token=TOKEN, poll_minutes=0.002)
        ended = begin_polling(receiver.app, settings)
        for _ in range(100):
            if receiver.state("ann") == "RETURNED":
                break
            receiver.now += 60_000
            time.sleep(0.1)
        ended.set()
        assert receiver.state("ann") == "RETURNED"
        time.sleep(0.3)  # the last question has been answered
    assert read(engine, lambda c: c.scalar(select(func.count()).select_from(WebhookEvent))) == 0


def test_of_all_that_look_at_once_one_asks(engine: Engine, place: Any, small_set: PatchSet) -> None:
    study_id = place(engine, preset("paper-2afc"), small_set).installed.study_id

    def asking(*times: int) -> int:
        """How many find that it is time, of those who look at once at these times."""
        barrier = Barrier(len(times))

        def look(now: int) -> bool:
            barrier.wait()
            return write(engine, lambda c: is_due(c, study_id, now=now, minutes=5))

        with ThreadPoolExecutor(len(times)) as pool:
            return sum(pool.map(look, times))

    assert asking(*range(NOW, NOW + 8)) == 1
    assert asking(*[NOW + 4 * 60_000] * 4) == 0
    assert asking(NOW + 5 * 60_000 - 2) == 1  # waited for five minutes, by a clock that is a little slow
    assert asking(NOW - 60 * 60_000, NOW - 60 * 60_000) == 1  # the clock was set back
    for at, others in ((NOW, 0), (NOW - 60 * 60_000, 1)):  # whoever got no answer takes back its own note alone
        write(engine, lambda c, at=at: take_back(c, study_id, at=at))
        assert asking(NOW - 60 * 60_000 + 1) == others


def test_whatever_fails_while_asking_another_may_ask_at_once(
    engine: Engine, place: Any, small_set: PatchSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = preset("paper-2afc")
    place(engine, study, small_set)
    asked, twice = [], Event()

    def broken(*_: object) -> int:
        asked.append(1)
        if len(asked) == 2:
            twice.set()
        raise TypeError("a list of submissions that is none")

    monkeypatch.setattr("collection_app.operations.platform_polling.poll", broken)
    app = create_app(study, engine, key="k" * 40, settings=Settings(rehearsal=True), clock=lambda: NOW)
    ended = begin_polling(app, Settings(platform_token=TOKEN, poll_minutes=0.001))
    assert twice.wait(30)  # though no time has passed
    ended.set()
    for thread in threading.enumerate():
        if thread.name == "polling":
            thread.join(30)


def test_another_process_asks_after_the_one_that_did_was_killed(
    serve: Callable[..., Any], small_set: PatchSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes, side = 0.05, Prolific()

    def asked() -> list[int]:
        return [(tmp_path / f"log-{number}").read_text().count('"polled"') for number in range(2)]

    def until(found: Callable[[], bool]) -> None:
        for _ in range(600):
            if found():
                return
            time.sleep(0.1)
        raise AssertionError(f"a minute has passed: {asked()}")

    with served(side.app(), Settings(port=0)) as url:
        monkeypatch.setenv("BAPPS_COLLECT_PLATFORM_TOKEN", TOKEN)
        monkeypatch.setenv("BAPPS_COLLECT_POLL_MINUTES", str(minutes))
        monkeypatch.setenv("BAPPS_COLLECT_REHEARSAL", "true")  # this study has no codes
        began = time.monotonic()
        serve(preset("paper-2afc", platform={**PLATFORM, "api": url}), small_set, processes=2)
        until(lambda: sum(asked()) >= 3)
        assert sum(asked()) <= 1 + (time.monotonic() - began) / (0.9 * 60 * minutes)
        before = asked()
        first = before.index(max(before))
        ours = [child for child in psutil.Process().children() if str(tmp_path) in " ".join(child.cmdline())]
        sorted(ours, key=psutil.Process.create_time)[first].kill()
        until(lambda: asked()[1 - first] > before[1 - first])
