"""Threat 1: ids that somebody made up, and one person with several. Over HTTP, with a stand-in for the platform."""

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from prolific_stand_in import TOKEN, Prolific
from sqlalchemy import Engine, func, select, update

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.database.connections import read, write
from collection_app.database.models import Answer, Assignment, Session
from collection_app.operations.arrival_checks import ask_about_arrivals, begin_arrival_checks
from collection_app.payments.pay_lines import Line, Verdict, decide, pay_lines
from collection_app.payments.sending import payable
from collection_app.platforms import platform_of
from collection_app.platforms.platform import PlatformError
from collection_app.reporting.status import status
from collection_app.server.serving import served
from collection_app.sessions.allocation import counted_places
from collection_app.sessions.erasure import erase
from collection_app.sessions.likeness import SAME_BROWSER, SAME_DEVICE, Sitting, alike
from collection_app.sessions.vouching import MADE_UP
from collection_app.settings import Settings
from collection_app.studies.installation import freeze
from collection_app.studies.presets import preset
from collection_app.studies.study import Outcomes, Study
from collection_app.web.address_blocks import block_of, home_of
from collection_app.web.served_study import running

KEY = "a signing key that is long enough for tests"
NOW = 1_800_000_000_000
HERE, THERE = "203.0.113.5", "198.51.100.5"
CODES = {name: f"CODE-{name.upper().replace('_', '-')}" for name in Outcomes.model_fields}


@pytest.fixture
def prolific() -> Iterator[tuple[Prolific, str]]:
    side = Prolific()
    with served(side.app(), Settings(port=0)) as url:
        yield side, url


class Site:
    """A study with 240 places (12 items, 20 answers each) in sessions of 4, at a time that tests set."""

    def __init__(self, engine: Engine, place: Any, patches: PatchSet, *, platform: Any, **settings: Any) -> None:
        self.engine, self.now = engine, NOW
        self.study: Study = preset(
            "paper-2afc",
            items_per_session=4,
            answers_per_item={"val": 20},
            sentinels={},
            training={},
            rules={"server_time": False},
            outcomes=CODES,
            platform=platform,
        )
        self.place = place(engine, self.study, patches)
        live = Settings(arrivals_per_minute=0, **settings)
        self.app = create_app(self.study, engine, key=KEY, settings=live, clock=lambda: self.now)
        self.client: Any = self.app.test_client()
        with self.app.app_context():
            self.run = running()

    def arrive(self, name: str, *, address: str = HERE, browser: str | None = None) -> dict[str, Any]:
        parameters = {"PROLIFIC_PID": name, "STUDY_ID": "study", "SESSION_ID": f"sub-{name}", "id": name}
        body = {"key": uuid.uuid4().hex, "parameters": parameters, "browser": browser}
        reply = self.client.post("/api/arrivals", json=body, environ_base={"REMOTE_ADDR": address})
        assert reply.status_code == 200, reply.text
        return reply.json

    def send(self, path: str, session: dict[str, Any], body: Any) -> Any:
        return self.client.post(path, json=body, headers={"Authorization": f"Bearer {session['token']}"})

    def post(self, path: str, session: dict[str, Any], body: Any) -> dict[str, Any]:
        """As the page does, again until the platform has been asked, which a running server does by itself."""
        for _ in range(5):
            reply = self.send(path, session, body)
            if reply.status_code != 503 or reply.json["error"] != "asking":
                break
            self.now += 16_000
            self.check()
        assert reply.status_code == 200, reply.text
        return reply.json

    def start(self, name: str, device: Any = None, **how: Any) -> dict[str, Any]:
        session = self.arrive(name, **how)
        consent = {"consent_sha256": session["consent_sha256"], "device": device or {}}
        return self.post("/api/start", session, consent)

    def answer(self, session: dict[str, Any]) -> None:
        base = {"choice": "left", "reaction_ms": 700.0, "answered_at": 1, "input": "mouse"}
        answers = [{**base, "id": str(uuid.uuid4()), "slot": slot} for slot in range(session["trials"])]
        self.post("/api/answers", session, {"answers": answers})

    def complete(self, name: str, **how: Any) -> dict[str, Any]:
        session = self.start(name, **how)
        self.answer(session)
        return self.post("/api/finish", session, {})

    def held(self) -> int:
        return sum(row.filled for row in read(self.engine, lambda c: counted_places(c, self.run.study_id)))

    def used(self) -> int:
        of_use = select(func.count()).select_from(Answer).join(Assignment).where(Answer.use)
        return read(self.engine, lambda c: c.scalars(of_use).one())

    def check(self) -> int:
        return ask_about_arrivals(self.run)

    def lines(self) -> dict[str, Line]:
        self.now += 48 * 3_600_000
        return {line.external_id: line for line in read(self.engine, lambda c: pay_lines(c, self.run.step()))}


@pytest.fixture
def unsigned(engine: Engine, place: Any, small_set: PatchSet) -> Site:
    return Site(engine, place, small_set, platform={"name": "prolific", "unsigned_reason": "a test"})


@pytest.fixture
def asked(engine: Engine, place: Any, small_set: PatchSet, prolific: tuple[Prolific, str]) -> tuple[Site, Prolific]:
    side, url = prolific
    platform = {"name": "prolific", "study_id": "study", "unsigned_reason": "a test", "api": url}
    return Site(engine, place, small_set, platform=platform, platform_token=TOKEN), side


def known(side: Prolific, name: str, **changes: str) -> None:
    row = {"id": f"sub-{name}", "participant_id": name, "study_id": "study", "status": "ACTIVE"}
    side.submissions[f"sub-{name}"] = row | changes


def test_threat_1_made_up_ids_from_one_network_get_a_fifth_of_the_places(unsigned: Site) -> None:
    ends = [unsigned.complete(f"made-up-{i}", address=f"203.0.113.{i}") for i in range(12)]
    assert {end["outcome"] for end in ends} == {"complete"}  # 48 of 240 places, and 12 people
    more = [unsigned.start(f"more-{i}", address=f"203.0.113.{99 + i}") for i in range(20)]
    assert {(one["outcome"], one["code"]) for one in more} == {("no_work", CODES["no_work"])}
    assert unsigned.held() == 48
    assert unsigned.start("a real person", address=THERE)["trials"] == 4  # others find work


def test_threat_1_so_many_people_of_one_network_may_take_part_however_small_the_study(
    engine: Engine, place: Any, small_set: PatchSet
) -> None:
    platform = {"name": "generic", "id_parameter": "id"}
    site = Site(engine, place, small_set, platform=platform, block_share=0.01, block_people=10)
    states = [site.start(f"person-{i}")["state"] for i in range(12)]
    assert states == ["started"] * 10 + ["turned away"] * 2


@pytest.mark.parametrize(
    ("platform", "settings"),
    [({"name": "local"}, {}), ({"name": "generic", "id_parameter": "id"}, {"block_share": 1})],
)
def test_a_lab_room_shares_an_address(
    engine: Engine, place: Any, small_set: PatchSet, platform: Any, settings: Any
) -> None:
    site = Site(engine, place, small_set, platform=platform, **settings)
    assert {site.start(f"person-{i}")["state"] for i in range(20)} == {"started"}
    if platform == {"name": "local"}:
        assert not any(line.look for line in site.lines().values())
        assert set(read(engine, lambda c: c.scalars(select(Session.block)).all())) == {None}


def test_no_address_is_stored(unsigned: Site) -> None:
    unsigned.start("ann")
    dump = read(unsigned.engine, lambda c: repr(c.execute(select(Session)).all()))
    assert "203.0.113" not in dump
    block = read(unsigned.engine, lambda c: c.scalars(select(Session.block)).one())
    assert block is not None
    assert len(block) == 32
    write(unsigned.engine, lambda c: erase(c, unsigned.run.step(), person="ann", with_answers=False))
    assert read(unsigned.engine, lambda c: c.execute(select(Session.block, Session.browser)).one()) == (None, None)


def test_networks_are_what_costs_nothing_to_change_within() -> None:
    assert block_of("203.0.113.7") == block_of("203.0.113.200") != block_of("203.0.114.7")
    assert block_of("2001:db8:1:2::3") == block_of("2001:db8:1:9::1") != block_of("2001:db8:2::1")
    assert block_of("::ffff:203.0.113.7") == block_of("203.0.113.7")
    assert home_of("203.0.113.7") != home_of("203.0.113.8")
    assert home_of("2001:db8:1:2::3") == home_of("2001:db8:1:2:ffff::1") != home_of("2001:db8:1:3::3")
    assert block_of("") == ""


def test_threat_1_who_the_platform_does_not_know_is_found_and_gets_nothing(asked: tuple[Site, Prolific]) -> None:
    site, side = asked
    known(side, "ann")
    ann = site.start("ann")
    side.faults.append(("submissions", "fail"))  # so that the start does not find out already
    bob = site.start("bob")
    site.answer(bob)
    assert (site.held(), site.used()) == (8, 4)
    site.now += 31_000
    assert site.check() == 1  # ann was asked about when she began
    assert (site.held(), site.used()) == (8, 4)  # once is not enough
    site.now += 16_000
    assert site.check() == 1
    assert (site.held(), site.used()) == (4, 0)
    end = site.post("/api/finish", bob, {})
    assert (end["outcome"], end["code"], end["redirect"]) == ("unknown_submission", None, None)
    again = site.client.get("/api/session", headers={"Authorization": f"Bearer {bob['token']}"})
    assert (again.json["code"], "CODE-" in again.text) == (None, False)
    site.answer(ann)
    assert site.post("/api/finish", ann, {})["code"] == CODES["complete"]
    lines = site.lines()
    assert (lines["ann"].verdict, lines["ann"].look) == ("approve", False)
    assert (lines["bob"].verdict, lines["bob"].reasons, lines["bob"].look) == ("ask to return", MADE_UP, True)


@pytest.mark.parametrize("way", ["finish", "start", "no_consent", "unsuitable_device", "withdrawn"])
def test_threat_1_no_way_out_gives_a_code_to_somebody_made_up(asked: tuple[Site, Prolific], way: str) -> None:
    site, side = asked
    session = site.arrive("eve")
    if way in ("finish", "withdrawn"):  # as if nobody had been asked until now
        known(side, "eve")
        session = site.post("/api/start", session, {"consent_sha256": session["consent_sha256"]})
        site.answer(session)
        write(site.engine, lambda c: c.execute(update(Session).values(vouched=None, vouched_at=None)))
        side.submissions.clear()
    if way == "finish":
        session = site.post("/api/finish", session, {})
    elif way == "start":
        session = site.post("/api/start", session, {"consent_sha256": session["consent_sha256"]})
    else:
        session = site.post("/api/withdraw", session, {"reason": way})
    assert (session["outcome"], session["code"], session["redirect"]) == ("unknown_submission", None, None)
    assert site.held() == 0


@pytest.mark.parametrize("changes", [{"participant_id": "somebody else"}, {"study_id": "another study"}])
def test_threat_1_a_submission_of_somebody_else_or_to_another_study_is_not_known(
    asked: tuple[Site, Prolific], changes: dict[str, str]
) -> None:
    site, side = asked
    known(side, "eve", **changes)
    assert site.start("eve")["outcome"] == "unknown_submission"


def test_who_was_made_up_does_not_take_the_place_of_the_person(asked: tuple[Site, Prolific]) -> None:
    site, side = asked
    parameters = {"PROLIFIC_PID": "ann", "STUDY_ID": "study", "SESSION_ID": "made-up"}
    site.client.post("/api/arrivals", json={"key": uuid.uuid4().hex, "parameters": parameters})
    for _ in range(3):
        assert site.check() == 1
        site.now += 16_000
    known(side, "ann")
    assert site.complete("ann")["code"] == CODES["complete"]


def test_threat_1_a_platform_that_cannot_be_reached_says_nothing_about_anybody(asked: tuple[Site, Prolific]) -> None:
    site, side = asked
    side.faults.append(("submissions", "fail"))
    known(side, "ann")
    session = site.complete("ann")
    assert (session["outcome"], session["code"]) == ("complete", CODES["complete"])
    line = site.lines()["ann"]
    assert (line.verdict, line.look, payable(line)) == ("approve", True, False)
    assert "could not be asked" in line.reasons
    assert site.check() == 1  # asked again until there is an answer
    assert not site.lines()["ann"].look
    write(site.engine, lambda c: c.execute(update(Session).values(vouched="unreachable", vouched_at=None)))
    del side.submissions["sub-ann"]
    assert site.check() == 1
    assert (site.lines()["ann"].look, site.used()) == (True, 4)  # a doubt is looked at too
    assert site.check() == 1
    assert (site.lines()["ann"].verdict, site.used(), site.held()) == ("ask to return", 0, 0)


@pytest.mark.parametrize("decided", [False, True])
def test_who_is_found_to_be_made_up_is_no_longer_counted_as_to_be_paid(
    asked: tuple[Site, Prolific], decided: bool
) -> None:
    site, side = asked
    side.faults.append(("submissions", "fail"))
    site.complete("eve")

    def suggested() -> dict[str, int]:
        return read(site.engine, lambda c: status(c, site.run.study_id, now=site.now)).pay

    assert suggested() == {"approve": 1}
    if decided:
        step, lines = site.run.step(), site.lines()
        write(site.engine, lambda c: decide(c, step, lines, person="eve", verdict="approve", by="Kim", reason="known"))
    for _ in range(2):
        site.now += 31_000
        site.check()
    assert read(site.engine, lambda c: c.scalar(select(Session.vouched))) == "unknown"
    assert suggested() == ({"approve": 1} if decided else {"ask to return": 1})


def test_every_verdict_may_be_decided(unsigned: Site) -> None:
    """The longest did not fit on PostgreSQL."""
    unsigned.complete("ann")
    for verdict in get_args(Verdict):
        step, lines = unsigned.run.step(), unsigned.lines()
        write(
            unsigned.engine,
            lambda c, s=step, n=lines, v=verdict: decide(c, s, n, person="ann", verdict=v, by="Kim", reason="looked"),
        )
        assert unsigned.lines()["ann"].verdict == verdict


def test_an_outage_is_met_once_and_not_by_everybody(asked: tuple[Site, Prolific]) -> None:
    site, side = asked
    for number in range(12):
        site.arrive(f"person-{number}")
    side.faults += [("submissions", "fail")] * 12
    assert site.check() == 12
    assert len(side.asked) == 4
    assert site.check() == 0  # not before half a minute is over
    site.now += 31_000
    side.faults.clear()
    assert site.check() == 12


def test_a_submission_that_the_platform_hears_of_late_turns_nobody_away(asked: tuple[Site, Prolific]) -> None:
    """It was turned away for good by one reply, at the moment of arrival."""
    site, side = asked
    session = site.arrive("ann")
    body = {"consent_sha256": session["consent_sha256"]}
    assert site.check() == 1
    held = site.send("/api/start", session, body)
    assert (held.status_code, held.json["error"], held.headers["Retry-After"]) == (503, "asking", "2")
    assert (site.check(), site.held()) == (0, 0)  # not again at once, and no place is held meanwhile
    known(side, "ann")
    site.now += 16_000
    assert site.check() == 1
    assert site.post("/api/start", session, body)["trials"] == 4
    assert len(side.asked) == 2


def test_who_was_made_up_is_found_within_a_minute(asked: tuple[Site, Prolific]) -> None:
    site, side = asked
    site.arrive("eve")
    arrived_at, state = site.now, select(Session.state)
    while read(site.engine, lambda c: c.scalar(state)) == "arrived":
        site.check()
        site.now += 5000  # as often as a running server does
    assert site.now - arrived_at <= 60_000
    assert len(side.asked) == 3


def test_a_platform_that_hangs_holds_up_no_thread(
    engine: Engine, place: Any, small_set: PatchSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each start waited for it for 8 s, in one of the few threads that answer everybody."""
    platform = {"name": "prolific", "study_id": "study", "unsigned_reason": "a test", "api": "http://127.0.0.1:9"}
    site = Site(engine, place, small_set, platform=platform, platform_token=TOKEN)
    asks, answer = threading.Event(), threading.Event()

    def hangs(*_: object, **__: object) -> bool:
        asks.set()
        assert answer.wait(30)
        raise PlatformError("too late")

    monkeypatch.setattr(type(site.study.platform), "knows", hangs)
    ended = begin_arrival_checks(site.app, every_seconds=30)
    try:
        sessions = [site.arrive(f"person-{number}") for number in range(20)]
        assert asks.wait(20)  # arriving is enough for it
        for session in sessions:
            reply = site.send("/api/start", session, {"consent_sha256": session["consent_sha256"]})
            assert (reply.status_code, reply.json["error"]) == (503, "asking")
    finally:
        answer.set()
        ended.set()
        _to_the_end_of("arrivals", site)
    assert [site.post("/api/start", one, {"consent_sha256": one["consent_sha256"]})["trials"] for one in sessions] == (
        [4] * 20
    )


def _to_the_end_of(name: str, site: Site) -> None:
    site.run.somebody_asks.set()
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join()


def test_a_reply_that_nobody_thought_of_holds_nobody_up(
    asked: tuple[Site, Prolific], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, _ = asked

    def fails(*_: object, **__: object) -> bool:
        raise KeyError("id")

    monkeypatch.setattr(type(site.study.platform), "knows", fails)
    assert site.complete("ann")["code"] == CODES["complete"]
    assert site.lines()["ann"].look


def test_a_running_server_asks_by_itself(asked: tuple[Site, Prolific]) -> None:
    site, side = asked
    known(side, "ann")
    ended = begin_arrival_checks(site.app, every_seconds=30)
    site.arrive("ann")  # it is woken by whoever arrives
    word = select(Session.vouched)
    for _ in range(200):
        if read(site.engine, lambda c: c.scalar(word)) is not None:
            break
        time.sleep(0.05)
    ended.set()
    _to_the_end_of("arrivals", site)
    assert read(site.engine, lambda c: c.scalar(word)) == "known"
    assert side.asked == ["GET /api/v1/submissions/sub-ann/"]


def test_nobody_asks_about_signed_addresses_or_in_rehearsals(engine: Engine, place: Any, small_set: PatchSet) -> None:
    prolific = platform_of("prolific")
    assert (prolific.vouching(""), prolific.vouching("token")) == ("nobody", "answer")
    assert platform_of({"name": "prolific", "signed_for": "https://a.org"}).vouching("token") == "signature"
    assert {platform_of(name).vouching("token") for name in ("generic", "mturk")} == {"nobody"}
    platform = {"name": "prolific", "api": "http://127.0.0.1:9"}
    site = Site(engine, place, small_set, platform=platform, platform_token=TOKEN, rehearsal=True)
    assert site.complete("ann")["code"]


def test_whether_addresses_are_signed_may_change_while_a_study_is_served(unsigned: Site) -> None:
    changed = unsigned.study.model_dump() | {"platform": {"name": "prolific", "signed_for": "https://a.org"}}
    assert write(unsigned.engine, lambda c: freeze(c, Study.model_validate(changed), NOW)) == unsigned.run.study_id


DEVICE = {"screen_width": 1920, "screen_height": 1080, "engine": "firefox", "refresh_hz": 60.01}


def test_threat_1_one_browser_with_two_ids_is_looked_at_first(unsigned: Site) -> None:
    mark = uuid.uuid4().hex
    for name, address, browser in (("ann", HERE, mark), ("bea", THERE, mark), ("cat", THERE, uuid.uuid4().hex)):
        assert unsigned.complete(name, address=address, browser=browser)["code"] == CODES["complete"]
        unsigned.now += 3_600_000
    lines = unsigned.lines()
    assert {name: line.look for name, line in lines.items()} == {"ann": True, "bea": True, "cat": False}
    assert {line.verdict for line in lines.values()} == {"approve"}  # never rejected by a rule
    assert SAME_BROWSER in lines["ann"].reasons
    assert not payable(lines["ann"])
    alone = read(unsigned.engine, lambda c: pay_lines(c, unsigned.run.step(), [lines["ann"].session_id]))
    assert alone == [lines["ann"]]  # whichever lines are asked for
    step, why = unsigned.run.step(), "a couple, one computer"
    write(unsigned.engine, lambda c: decide(c, step, lines, person="ann", verdict="approve", by="Kim", reason=why))
    assert not unsigned.lines()["ann"].look


def test_threat_1_one_device_in_one_network_at_one_time_is_looked_at_first(unsigned: Site) -> None:
    ann = unsigned.start("ann", DEVICE)
    bea = unsigned.start("bea", {**DEVICE, "refresh_hz": 59.97}, address="203.0.113.9")
    unsigned.start("cat", {**DEVICE, "screen_width": 1280})
    unsigned.start("dan", DEVICE, address=THERE)
    unsigned.now += 60_000
    for session in (ann, bea):
        unsigned.answer(session)
        unsigned.post("/api/finish", session, {})
    unsigned.now += 3_600_000
    unsigned.start("eli", DEVICE)  # the same room, an hour later
    found = {name for name, line in unsigned.lines().items() if SAME_DEVICE in line.reasons}
    assert found == {"ann", "bea"}


def test_sessions_are_alike_only_beside_other_people() -> None:
    one = Sitting(1, 1, "b", "n", "d", 0, 10)
    assert alike([one]) == {}
    assert alike([one, Sitting(2, 1, "b", "n", "d", 5, 9)]) == {}  # the person's own other session
    assert alike([one, Sitting(2, 2, None, None, None, 5, 9)]) == {}
    assert alike([one, Sitting(2, 2, "c", "n", "d", 10, 12)]) == {}
    assert alike([one, Sitting(2, 2, "c", "n", "d", 9, 12)]) == {1: SAME_DEVICE, 2: SAME_DEVICE}
    assert alike([one, Sitting(2, 2, "b", "m", "e", None, 12)]) == {1: SAME_BROWSER, 2: SAME_BROWSER}


@pytest.mark.parametrize("made_up", ["<script>", "../submissions", "1" * 4000, "a/b", "é"])
def test_threat_1_what_no_platform_calls_a_submission_is_not_even_asked_about(
    asked: tuple[Site, Prolific], made_up: str
) -> None:
    """A server in front that refuses such a request would make the platform look unreachable, and give a code."""
    site, side = asked
    body = {"key": uuid.uuid4().hex, "parameters": {"PROLIFIC_PID": "eve", "STUDY_ID": "study", "SESSION_ID": made_up}}
    session = site.client.post("/api/arrivals", json=body).json
    end = site.post("/api/start", session, {"consent_sha256": session["consent_sha256"]})
    assert (end["outcome"], end["code"]) == ("unknown_submission", None)
    assert not side.asked
