"""Whether an answer can be what a person saw: times, proofs that pictures came, and devices; threats 5 and 17."""

from typing import Any

import numpy as np
import pytest
from played_sessions import CHOICES, FRAME, GOOD, KEY, PAIRS
from sqlalchemy import select, update

from collection_app.database.connections import read, write
from collection_app.database.models import Assignment, Event, Session
from collection_app.sessions import judging
from collection_app.sessions.answering import own_ms
from collection_app.sessions.exposures import (
    BAD_EXPOSURE,
    NOT_FETCHED,
    SLOW_FRAMES,
    TOO_EARLY,
    Shown,
    ahead_of_time,
    is_valid,
    slowest_frame_ms,
    too_early,
)
from collection_app.signing import PictureNames
from collection_app.studies.study import Exposure, Study


def test_nobody_takes_longer_to_react_than_the_server_saw() -> None:
    assert judging._reaction_ms(900.0, None, 5000) == 900  # not known when the pictures were fetched
    assert judging._reaction_ms(900.0, 5001, 5000) == 900  # a clock was set back
    assert judging._reaction_ms(900.0, 5000, 5000) == 0
    assert judging._reaction_ms(900.0, 4500, 5000) == 500
    assert judging._reaction_ms(900.0, 2400, 5000) == 900


def test_no_claim_about_frames_makes_a_short_exposure_good(served_study: Any) -> None:
    """Threat 5: 0, 0 and 5 ms were good with frames of a million."""
    server = served_study(PAIRS)
    browser = server.visit()
    trials = browser.trials()
    claims = [
        {"first_ms": 0.0, "gap_ms": 0.0, "second_ms": 5.0, "frame_ms": 1e6},
        {"first_ms": 900.0, "frame_ms": 80.0},
        {"second_ms": 1040.0},
        {"second_ms": 960.0},
        {"dropped_frames": 7},
        {"frame_ms": None},
    ]
    for trial, lies in zip(trials, claims, strict=False):
        assert browser.answer(trial, "same", **lies)["receipts"][0]["repeat"]
    reasons = [answer.reason for answer in browser.answers()]
    assert reasons == [SLOW_FRAMES] * 2 + [BAD_EXPOSURE] * 4


@pytest.mark.parametrize("study", [PAIRS, CHOICES], ids=["jnd", "2afc"])
def test_an_answer_needs_pictures_and_time(served_study: Any, study: Study) -> None:
    server = served_study(Study.model_validate(study.model_dump() | {"rules": {"most_bad": 0}}))
    browser = server.visit()
    trials = browser.trials()
    word = "same" if study.task == "jnd" else "left"
    stolen = browser.proofs(trials[5])
    forged = [proof[:-1] + ("0" if proof[-1] != "0" else "1") for proof in browser.proofs(trials[1])]
    told = {
        0: {"proofs": []},
        1: {"proofs": forged},
        2: {"proofs": stolen},
        3: {"proofs": browser.proofs(trials[3])[1:]},
        4: {"reaction_ms": 9000.0},
        5: {"seconds": 0.1},
        6: {},
    }
    for slot, lies in told.items():
        browser.answer(trials[slot], word, **lies)
    found = [answer.reason for answer in browser.answers()]
    assert found == [NOT_FETCHED] * 4 + [TOO_EARLY] * 2 + [""]
    states = select(Assignment.state).where(Assignment.session_id == browser.id).order_by(Assignment.slot)
    bad = "open" if study.task == "jnd" else "spoiled"  # a pair is shown once more
    assert read(server.engine, lambda c, s=states: c.scalars(s).all())[:7] == [bad] * 6 + ["answered"]


@pytest.mark.parametrize(("study", "seconds"), [(PAIRS, 0.64), (CHOICES, 0.2)], ids=["jnd", "2afc"])
def test_a_session_faster_than_its_own_exposures_is_not_used(served_study: Any, study: Study, seconds: float) -> None:
    """Threat 5: 210 trials that take 9.6 minutes were answered in half a second."""
    server = served_study(study)
    browser = server.visit()
    proofs = {trial["slot"]: browser.proofs(trial) for trial in browser.trials()}
    server.clock[0] += 8000  # every picture was there early: no single answer comes too soon
    for trial in browser.trials():
        choice = browser.right().get(trial["slot"], "same" if study.task == "jnd" else "left")
        browser.answer(trial, choice, seconds=seconds, proofs=proofs[trial["slot"]])
    assert browser.finish()["outcome"] == "complete"
    assert browser.excluded().startswith("its own time (")
    assert not any(answer.use for answer in browser.answers())
    assert server.paid().look


def test_answers_that_come_all_at_once_after_a_lost_connection_are_good(served_study: Any) -> None:
    server = served_study(PAIRS)
    browser = server.visit()
    made = []
    for trial in browser.trials():
        made.append(browser.made(trial, "same"))
        server.clock[0] += 3200
    assert {receipt["status"] for receipt in browser.send(*made)["receipts"]} == {"stored"}
    assert browser.finish()["outcome"] == "complete"
    assert (browser.excluded(), browser.decision()) == ("", "approve")


def test_a_clock_that_is_set_back_costs_nobody_an_answer(served_study: Any) -> None:
    server = served_study(PAIRS)
    browser = server.visit()
    trials = browser.trials()
    proofs = [browser.proofs(trial) for trial in trials]
    for number, (trial, proof) in enumerate(zip(trials, proofs, strict=True)):
        if number == 9:
            server.clock[0] -= 3_600_000
        browser.answer(trial, "same", proofs=proof)
    assert browser.finish()["outcome"] == "complete"
    assert (browser.excluded(), browser.decision()) == ("", "approve")


def test_a_session_begun_before_needs_no_proof(served_study: Any) -> None:
    server = served_study(PAIRS)
    browser = server.visit()
    write(server.engine, lambda c: c.execute(update(Session).values(guarded=False)))
    browser.answer_all(proofs=[], seconds=0.01)
    assert browser.finish()["outcome"] == "complete"
    assert all(answer.use for answer in browser.answers())


def test_a_proof_is_of_one_picture_and_time() -> None:
    names = PictureNames(KEY)
    proof = names.proof("a" * 64, 12_345)
    assert names.given_at("a" * 64, ["0" * 48, proof]) == 12_345
    assert names.given_at("b" * 64, [proof]) is None
    assert names.given_at("a" * 64, [f"{0:016x}{proof[16:]}"]) is None
    assert PictureNames(KEY + "x").given_at("a" * 64, [proof]) is None


def test_times_that_a_device_may_have() -> None:
    assert slowest_frame_ms('{"refresh_hz": 60}', 50) == pytest.approx(1.25 * 1000 / 60)
    assert slowest_frame_ms('{"refresh_hz": 60}', 59) == pytest.approx(1.1 * 1000 / 59)
    assert slowest_frame_ms('{"refresh_hz": 0.001}', 50) == pytest.approx(22)
    for device in (None, "{}", '{"refresh_hz": "fast"}', '{"refresh_hz": 0}'):
        assert slowest_frame_ms(device, 0) == pytest.approx(55)
    assert is_valid(Shown(1000, 250, 1000, FRAME, False), Exposure(most_dropped=2), dropped=2)
    assert not is_valid(Shown(1000, 250, 1000, FRAME, False), Exposure(most_dropped=2), dropped=3)
    assert own_ms(PAIRS, Shown(1000, 250, 1000, FRAME, False), 400) == 2650
    assert own_ms(CHOICES, Shown(None, None, None, None, False), 400) == 400


@pytest.mark.parametrize(("elapsed", "early"), [(0, True), (600, True), (650, False), (1000, False), (-1, False)])
def test_an_answer_is_too_early_before_its_own_time(elapsed: int, early: bool) -> None:
    assert too_early(900, fetched_at=10_000, now=10_000 + elapsed) == early


def test_who_is_ahead_of_time_is_counted() -> None:
    assert ahead_of_time([], [], began=0) == 0
    steady = 1000 * np.arange(1, 9)
    assert ahead_of_time([1000.0] * 8, steady.tolist(), began=0) == 0
    assert ahead_of_time([1000.0] * 8, [8000] * 8, began=0) == 0  # all at once, in their own time
    assert ahead_of_time([1000.0] * 8, [1000] * 8, began=0) == 7
    assert ahead_of_time([2000.0] * 8, steady.tolist(), began=0) == 8


def test_the_device_check_that_counts_is_the_last(served_study: Any) -> None:
    """Threat 17: a later mode of 30 frames a second only widened the tolerance."""
    server = served_study(PAIRS)
    browser = server.visit()
    trials = browser.trials()
    slow = {name: 30 * round(value / 30) for name, value in GOOD.items()} | {"frame_ms": 1000 / 30}
    browser.answer(trials[0], "same", **slow)
    for device, slot in (({"refresh_hz": 120}, 1), ({"refresh_hz": 30}, 2)):
        reply = browser.client.post("/api/device", json={"device": device}, headers=browser.bearer)
        assert reply.json["state"] == "started"
        browser.answer(trials[slot], "same", **(GOOD if slot == 1 else slow))
    assert {answer.reason for answer in browser.answers()} == {SLOW_FRAMES}  # least_hz is 50, whatever a check says
    browser.client.post("/api/device", json={"device": {"refresh_hz": 60}}, headers=browser.bearer)
    assert not browser.answer(trials[3], "same")["receipts"][0]["repeat"]


def test_no_browser_fills_the_database_with_device_checks(served_study: Any) -> None:
    server = served_study(PAIRS)
    browser = server.visit()

    def report(**device: Any) -> None:
        reply = browser.client.post("/api/device", json={"device": device}, headers=browser.bearer)
        assert reply.json["state"] == "started"

    def noted() -> list[str]:
        query = select(Event.detail).where(Event.session_id == browser.id, Event.kind == "device").order_by(Event.id)
        return list(read(server.engine, lambda c: c.scalars(query).all()))

    for _ in range(3):
        report(refresh_hz=60)  # as when it started: nothing has changed
    assert noted() == []
    report(refresh_hz=120)
    report(refresh_hz=120)
    report(refresh_hz=60)
    assert noted() == ['{"refresh_hz": 120}', '{"refresh_hz": 60}']
    for number in range(100):
        report(refresh_hz=61 + number)
    assert len(noted()) == 50
    kept = read(server.engine, lambda c: c.scalar(select(Session.device).filter_by(id=browser.id)))
    assert kept == '{"refresh_hz": 160}'  # the last is what exposures are judged by, noted or not


@pytest.mark.parametrize("rate", [10**400, 1e300])
def test_a_frame_rate_that_no_screen_has_is_refused_and_breaks_no_answer(served_study: Any, rate: float) -> None:
    """A whole number beyond all floats was stored, and every answer after it ended in an error of ours."""
    browser = served_study(PAIRS).visit()
    sent = browser.client.post("/api/device", json={"device": {"refresh_hz": rate}}, headers=browser.bearer)
    assert sent.status_code == 400
    browser.answer(browser.trials()[0], "same")
    assert browser.answers()[0].reason == ""
