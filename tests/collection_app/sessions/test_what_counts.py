"""What counts of a session: threats 3, 4, 5 and 17 of bots, and of screens that cannot show what they must."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from sqlalchemy import Engine, select, update

from bapps_builder.answers.answer_table import read_answers
from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.database.connections import migrate, open_database, read, write
from collection_app.database.models import Answer, Assignment, Decision, Event, Item, Participant, Session
from collection_app.payments.pay_lines import Line, pay_lines
from collection_app.rehearsal.simulated_people import SeededEntropy
from collection_app.reporting.export import UNDER_WAY, export
from collection_app.sessions import judging
from collection_app.sessions.allocation import counted_places
from collection_app.sessions.answering import own_ms
from collection_app.sessions.erasure import erase
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
from collection_app.sessions.judging import NOT_REACHED, UNFINISHED, Came, Judged, by_chance, judge
from collection_app.sessions.steps import Step, judge_silent, lapse
from collection_app.settings import Settings
from collection_app.signing import PictureNames
from collection_app.studies.presets import preset
from collection_app.studies.study import Exposure, Study

KEY = "a signing key that is long enough for tests"
START_MS = 1_700_000_000_000
FRAME = 1000 / 60
GOOD = {"first_ms": 60 * FRAME, "gap_ms": 15 * FRAME, "second_ms": 60 * FRAME, "frame_ms": FRAME}
TERMS = {"terms": {"pay": 4.0, "currency": "GBP", "turned_away_pay": 0.2}}
PAIRS = preset(
    "paper-jnd",
    items_per_session=12,
    sentinels={"rules": [{"check": "identical", "count": 6, "at_least": 5}]},
    training={},
    **TERMS,
)
CHOICES = preset(
    "paper-2afc",
    items_per_session=12,
    sentinels={"rules": [{"check": "obvious", "count": 8, "at_least": 7}]},
    training={},
    **TERMS,
)


class Browser:
    """A program that takes part as a browser would, and looks up what is right; each lie is a test's own."""

    def __init__(self, app: Any, engine: Engine, clock: list[int]) -> None:
        self.client, self.engine, self.clock = app.test_client(), engine, clock
        body = {"key": uuid.uuid4().hex, "parameters": {"id": uuid.uuid4().hex}}
        arrived = self.client.post("/api/arrivals", json=body).json
        self.bearer = {"Authorization": f"Bearer {arrived['token']}"}
        start = {"consent_sha256": arrived["consent_sha256"], "device": {"refresh_hz": 60}}
        self.client.post("/api/start", json=start, headers=self.bearer)
        self.jnd = arrived["task"] == "jnd"
        newest = select(Session.id).order_by(Session.id.desc()).limit(1)
        self.id = read(engine, lambda c: c.scalar(newest))

    def trials(self) -> list[dict[str, Any]]:
        return self.client.get("/api/trials?limit=1000", headers=self.bearer).json["trials"]

    def right(self) -> dict[int, str]:
        """The right choice of each sentinel, as the browser names it."""
        query = select(Assignment.slot, Assignment.side, Item.expected).join(Item)
        rows = read(self.engine, lambda c: c.execute(query.where(Assignment.session_id == self.id, Item.expected > "")))
        other = {"left": "right", "right": "left"}
        words = {"same": "same", "different": "different"}
        return {r.slot: words.get(r.expected) or (r.side if r.expected == "p1" else other[r.side]) for r in rows}

    def proofs(self, trial: dict[str, Any]) -> list[str]:
        names = [trial[role] for role in ("reference", "left", "right") if trial[role]]
        return [self.client.get(f"/images/{name}").headers["Picture-Proof"] for name in names]

    def made(self, trial: dict[str, Any], choice: str, *, proofs: list[str] | None = None, **lies: Any) -> Any:
        shown = GOOD if self.jnd else {}
        return {
            "id": str(uuid.uuid4()),
            "slot": trial["slot"],
            "attempt": trial["attempt"],
            "choice": choice,
            "reaction_ms": 900.0,
            "answered_at": self.clock[0],
            "input": "mouse",
            "pictures": self.proofs(trial) if proofs is None else proofs,
            **shown,
            **lies,
        }

    def send(self, *answers: Any) -> Any:
        return self.client.post("/api/answers", json={"answers": answers}, headers=self.bearer).json

    def answer(self, trial: dict[str, Any], choice: str, *, seconds: float = 3.5, **lies: Any) -> Any:
        made = self.made(trial, choice, **lies)
        self.clock[0] += round(1000 * seconds)
        return self.send(made)

    def answer_all(self, **lies: Any) -> "Browser":
        right, word = self.right(), "same" if self.jnd else "left"
        while trials := self.trials():
            for trial in trials:
                if self.answer(trial, right.get(trial["slot"], word), **lies)["over"]:
                    return self
        return self

    def finish(self) -> dict[str, Any]:
        return self.client.post("/api/finish", headers=self.bearer).json

    def state(self) -> dict[str, Any]:
        return self.client.get("/api/session", headers=self.bearer).json

    def answers(self) -> list[Any]:
        query = select(Answer, Assignment.slot).join(Assignment).where(Assignment.session_id == self.id)
        return list(read(self.engine, lambda c: c.execute(query.order_by(Assignment.slot, Answer.attempt)).all()))

    def excluded(self) -> str:
        return read(self.engine, lambda c: c.scalar(select(Session.excluded).filter_by(id=self.id))) or ""

    def decision(self) -> str:
        query = select(Decision.verdict).where(Decision.session_id == self.id, Decision.tier == "pay")
        return read(self.engine, lambda c: c.scalars(query.order_by(Decision.id)).all())[-1]


class Server:
    """A study that is served, at a time that tests set."""

    def __init__(self, engine: Engine, study: Study, study_id: int) -> None:
        self.engine, self.study, self.study_id, self.clock = engine, study, study_id, [START_MS]
        settings = Settings(arrivals_per_minute=0)
        # The same sentinels, sides and order are drawn in every run.
        self.app = create_app(
            study, engine, key=KEY, settings=settings, clock=lambda: self.clock[0], entropy=SeededEntropy(5)
        )

    def visit(self) -> Browser:
        return Browser(self.app, self.engine, self.clock)

    def step(self) -> Step:
        return Step(self.study, self.study_id, self.clock[0], lambda count: b"x" * count)

    def lapse(self) -> None:
        self.clock[0] += 25 * 3_600_000
        write(self.engine, lambda c: lapse(c, self.step(), silent_since=self.clock[0] - 1))

    def paid(self) -> Line:
        return read(self.engine, lambda c: pay_lines(c, self.step()))[-1]

    def filled(self) -> int:
        rows = read(self.engine, lambda c: counted_places(c, self.study_id))
        assert all(row.filled == row.counted <= row.quota for row in rows)
        return sum(row.filled for row in rows)


@pytest.fixture
def serve(tmp_path: Path, place: Any, small_set: PatchSet, jnd_set: PatchSet) -> Iterator[Any]:
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
    migrate(engine)

    def begin(study: Study) -> Server:
        here = place(engine, study, jnd_set if study.task == "jnd" else small_set)
        return Server(engine, study, here.installed.study_id)

    yield begin
    engine.dispose()


@pytest.mark.parametrize("study", [PAIRS, CHOICES], ids=["jnd", "2afc"])
def test_who_answers_as_asked_is_used_and_paid(serve: Any, study: Study) -> None:
    server = serve(study)
    browser = server.visit().answer_all()
    assert browser.finish()["outcome"] == "complete"
    assert all(answer.use for answer in browser.answers())
    assert (browser.excluded(), browser.decision()) == ("", "approve")
    line = server.paid()
    assert (line.verdict, line.amount_minor, line.look) == ("approve", 400, False)


def test_exposures_reported_bad_one_after_another_end_a_session_as_unsuitable(serve: Any) -> None:
    """Threat 3: 210 of them gave the code of a complete session, and full pay."""
    server = serve(PAIRS)
    browser = server.visit()
    trials = browser.trials()
    for trial in trials[:7]:
        assert not browser.answer(trial, "same", second_ms=1500.0)["over"]
    assert browser.answer(trials[7], "same", second_ms=1500.0)["over"]
    state = browser.state()
    assert (state["state"], state["outcome"], bool(state["code"])) == ("incomplete", "unsuitable_device", True)
    assert browser.trials() == []
    late = browser.answer(trials[8], "same")
    assert (late["over"], late["receipts"][0]["status"]) == (True, "refused")
    assert browser.finish()["outcome"] == "unsuitable_device"
    assert {answer.reason for answer in browser.answers()} == {BAD_EXPOSURE}
    assert server.filled() == 0
    line = server.paid()
    assert (line.outcome, line.verdict, line.amount_minor) == ("unsuitable_device", "pro rata", 20)


def test_who_spoils_without_a_run_of_them_does_not_complete_either(serve: Any) -> None:
    server = serve(PAIRS)
    browser, count = server.visit(), 0
    while trials := browser.trials():
        for trial in trials:
            count += 1
            lies = {} if count % 4 == 0 else {"second_ms": 1500.0}
            browser.answer(trial, browser.right().get(trial["slot"], "same"), **lies)
    done = browser.finish()
    assert (done["state"], done["outcome"]) == ("incomplete", "incomplete")
    assert "valid answers>=0.8" in browser.excluded()
    assert not any(answer.use for answer in browser.answers())
    line = server.paid()
    assert (line.verdict, line.look) == ("pro rata", True)
    assert line.amount_minor < 250


def test_a_spoiled_sentinel_is_not_right(serve: Any) -> None:
    browser = serve(PAIRS).visit()
    spoilt = list(browser.right())[:2]
    while trials := browser.trials():
        for trial in trials:
            lies = {"second_ms": 1500.0} if trial["slot"] in spoilt else {}
            browser.answer(trial, "same", **lies)
    assert browser.finish()["outcome"] == "incomplete"  # 16 of 18 are valid, but 5 of 6 must be right
    assert "sentinels identical>=5 of 6 (4 right, 0 wrong, 2 not seen)" in browser.excluded()


@pytest.mark.parametrize("keep", [False, True])
def test_leaving_before_any_sentinel_is_of_no_use(serve: Any, keep: bool) -> None:
    """Threat 4: test items answered at random, sentinels left; no sentinel seen is NaN, which no rule was broken by."""
    server = serve(Study.model_validate(CHOICES.model_dump() | {"rules": {"keep_unfinished": keep}}))
    browser = server.visit()
    sentinels = browser.right()
    for trial in browser.trials():
        if trial["slot"] not in sentinels:
            browser.answer(trial, "left")
    server.lapse()
    assert len(browser.answers()) == 12
    assert not any(answer.use for answer in browser.answers())
    assert server.filled() == 0


def test_what_cannot_be_known_keeps_no_rule() -> None:
    study = preset("paper-2afc", sentinels={}, rules={"use": ["sentinels>=0.5"], "pay": ["side<=0.9"]})
    for answers in ([], [Judged("test", "", "p0", "", "", slot, 900.0) for slot in range(5)]):
        found = judge(study, answers, Came(5, 5), finished=True)
        told = {one.rule: one.verdict for one in found.verdicts}
        assert told["sentinels>=0.5"] == "excluded"
        assert told["part taken"] == "review"


@pytest.mark.parametrize(("passed", "used"), [(1, False), (2, True), (3, True)])
def test_sentinels_without_an_answer_are_not_right_in_the_end(passed: int, used: bool) -> None:
    """Four were to be shown, three were answered; half of four are needed."""
    sentinels = {"rules": [{"check": "obvious", "count": 4, "at_least": 1}]}
    study = preset("paper-2afc", sentinels=sentinels, rules={"use": ["sentinels>=0.5"], "pay": []})
    answers = [
        Judged("sentinel", "obvious", "p0" if slot < passed else "p1", "p0", "left", slot, 900.0) for slot in range(3)
    ]
    found = judge(study, answers, Came(4, 4, sentinels=4), finished=True)
    told = {one.rule: (one.verdict, one.reason) for one in found.verdicts}
    assert told["sentinels>=0.5"] == ("used" if used else "excluded", f"sentinels {passed / 4:g}")


def test_an_unfinished_session_counts_up_to_the_last_sentinel_passed_where_a_study_keeps_it(serve: Any) -> None:
    sentinels = {"rules": [{"check": "obvious", "count": 10, "at_least": 8}]}
    kept = {"rules": {"keep_unfinished": True}, "sentinels": sentinels}
    server = serve(Study.model_validate(CHOICES.model_dump() | kept))
    browser = server.visit()
    right = browser.right()
    trials, wrong = browser.trials(), {"left": "right", "right": "left"}
    ninth = sorted(right)[8]
    for trial in trials[:-1]:
        slot = trial["slot"]
        # The last sentinel before leaving is failed: nobody knows since when there was no looking.
        choice = right.get(slot, "left")
        browser.answer(trial, wrong[choice] if slot > ninth and slot in right else choice)
    server.lapse()
    for answer in browser.answers():
        assert (answer.use, answer.reason) == ((True, "") if answer.slot <= ninth else (False, NOT_REACHED))
    assert server.filled() == sum(slot not in right for slot in range(ninth + 1))


@pytest.mark.parametrize(("count", "seen", "passed", "used"), [(8, 8, 8, True), (10, 10, 9, False), (10, 6, 6, True)])
def test_an_unfinished_session_needs_the_share_of_right_sentinels_that_a_whole_one_does(
    count: int, seen: int, passed: int, used: bool
) -> None:
    """All must be right here; nine of ten are so by chance in 1% of cases, which alone would do."""
    sentinels = {"rules": [{"check": "obvious", "count": count, "at_least": count}]}
    study = Study.model_validate(CHOICES.model_dump() | {"rules": {"keep_unfinished": True}, "sentinels": sentinels})
    answers = [
        Judged("sentinel", "obvious", "p0" if slot < passed else "p1", "p0", "left", slot, 900.0)
        for slot in range(seen)
    ]
    found = judge(study, answers, Came(30, 30, sentinels=count), finished=False)
    assert [one.verdict for one in found.verdicts if one.rule == UNFINISHED] == ["used" if used else "excluded"]


def test_nobody_takes_longer_to_react_than_the_server_saw() -> None:
    assert judging._reaction_ms(900.0, None, 5000) == 900  # not known when the pictures were fetched
    assert judging._reaction_ms(900.0, 5001, 5000) == 900  # a clock was set back
    assert judging._reaction_ms(900.0, 5000, 5000) == 0
    assert judging._reaction_ms(900.0, 4500, 5000) == 500
    assert judging._reaction_ms(900.0, 2400, 5000) == 900


def test_chance_is_the_binomials() -> None:
    assert by_chance(0, 0) == 1
    for seen, right in ((5, 5), (6, 6), (15, 12), (40, 29)):
        assert by_chance(seen, right) == pytest.approx(binom.sf(right - 1, seen, 0.5))
    assert by_chance(5, 5) > 0.02 > by_chance(6, 6)


def test_no_claim_about_frames_makes_a_short_exposure_good(serve: Any) -> None:
    """Threat 5: 0, 0 and 5 ms were good with frames of a million."""
    server = serve(PAIRS)
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
def test_an_answer_needs_pictures_and_time(serve: Any, study: Study) -> None:
    server = serve(Study.model_validate(study.model_dump() | {"rules": {"most_bad": 0}}))
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


def test_marked_answers_are_looked_at_before_pay(serve: Any) -> None:
    server = serve(CHOICES)
    browser = server.visit()
    right = browser.right()
    for number, trial in enumerate(browser.trials()):
        choice = right.get(trial["slot"], "left")
        tests = [t for t in range(20) if t not in right]
        browser.answer(trial, choice, proofs=[] if trial["slot"] in tests[:2] else None)
        assert number < 20
    assert browser.finish()["outcome"] == "complete"  # 18 of 20 are valid
    assert browser.decision() == "review"
    assert "2 of 20 answers as no browser gives them" in server.paid().reasons


@pytest.mark.parametrize(("spoilt", "verdict"), [(0, "approve"), (1, "approve"), (2, "review")])
def test_a_complete_session_that_leaves_out_trials_is_looked_at_before_pay(
    serve: Any, spoilt: int, verdict: str
) -> None:
    """Threat 3, in part: a fifth of the exposures may be bad in a complete session, and nobody looked."""
    server = serve(PAIRS)
    browser = server.visit()
    out = [trial["slot"] for trial in browser.trials() if trial["slot"] not in browser.right()][:spoilt]
    while trials := browser.trials():
        for trial in trials:
            browser.answer(trial, "same", **({"second_ms": 1500.0} if trial["slot"] in out else {}))
    assert browser.finish()["outcome"] == "complete"  # at least 16 of 18 are valid
    assert browser.decision() == verdict
    assert (f"{spoilt} of 18 trials without a valid answer" in server.paid().reasons) is (verdict == "review")


def test_a_review_names_the_rules_that_were_broken_and_no_other() -> None:
    study = preset("paper-2afc", sentinels={}, rules={"use": [], "pay": []})
    answers = [Judged("test", "", "p0", "", "", slot, 900.0) for slot in range(50)]
    outcome = judge(study, answers, Came(100, 100), finished=True)
    assert [(one.rule, one.verdict) for one in outcome.verdicts] == [
        ("valid answers>=0.8", "excluded"),
        ("its own time", "used"),
        ("part taken", "review"),
    ]
    share, *reviews = outcome.verdicts[-1].reason.split("; ")
    assert share == "50 of 100 answered"
    assert [review.split(":")[0] for review in reviews] == ["valid answers>=0.8"]


@pytest.mark.parametrize(("without", "verdict"), [(5, "approve"), (6, "review")])
def test_more_than_one_trial_in_twenty_without_a_valid_answer_is_looked_at(without: int, verdict: str) -> None:
    study = preset("paper-2afc", sentinels={}, rules={"use": [], "pay": []})
    answers = [Judged("test", "", "p0", "", "", slot, 900.0) for slot in range(100 - without)]
    outcome = judge(study, answers, Came(100, 100), finished=True)
    assert (outcome.complete, outcome.verdicts[-1].verdict) == (True, verdict)


@pytest.mark.parametrize(("study", "seconds"), [(PAIRS, 0.64), (CHOICES, 0.2)], ids=["jnd", "2afc"])
def test_a_session_faster_than_its_own_exposures_is_not_used(serve: Any, study: Study, seconds: float) -> None:
    """Threat 5: 210 trials that take 9.6 minutes were answered in half a second."""
    server = serve(study)
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


def test_answers_that_come_all_at_once_after_a_lost_connection_are_good(serve: Any) -> None:
    server = serve(PAIRS)
    browser = server.visit()
    made = []
    for trial in browser.trials():
        made.append(browser.made(trial, "same"))
        server.clock[0] += 3200
    assert {receipt["status"] for receipt in browser.send(*made)["receipts"]} == {"stored"}
    assert browser.finish()["outcome"] == "complete"
    assert (browser.excluded(), browser.decision()) == ("", "approve")


def test_a_clock_that_is_set_back_costs_nobody_an_answer(serve: Any) -> None:
    server = serve(PAIRS)
    browser = server.visit()
    trials = browser.trials()
    proofs = [browser.proofs(trial) for trial in trials]
    for number, (trial, proof) in enumerate(zip(trials, proofs, strict=True)):
        if number == 9:
            server.clock[0] -= 3_600_000
        browser.answer(trial, "same", proofs=proof)
    assert browser.finish()["outcome"] == "complete"
    assert (browser.excluded(), browser.decision()) == ("", "approve")


def test_a_session_begun_before_needs_no_proof(serve: Any) -> None:
    server = serve(PAIRS)
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


def test_the_device_check_that_counts_is_the_last(serve: Any) -> None:
    """Threat 17: a later mode of 30 frames a second only widened the tolerance."""
    server = serve(PAIRS)
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


def test_no_browser_fills_the_database_with_device_checks(serve: Any) -> None:
    server = serve(PAIRS)
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


@pytest.mark.parametrize(("lost", "used"), [(2, True), (3, False)])
def test_a_rule_decides_about_answers_given_while_the_page_was_left(serve: Any, lost: int, used: bool) -> None:
    """Threat 17: 2AFC answers with lost focus counted, and nothing could be said about them."""
    server = serve(Study.model_validate(CHOICES.model_dump() | {"rules": {"use": ["away<=0.2"]}}))
    browser = server.visit()
    right = browser.right()
    tests = [slot for slot in range(20) if slot not in right]
    for trial in browser.trials():
        browser.answer(trial, right.get(trial["slot"], "left"), focus_lost=trial["slot"] in tests[:lost])
    assert browser.finish()["outcome"] == "complete"
    assert all(answer.use for answer in browser.answers()) is used
    assert sum(answer.focus_lost for answer in browser.answers()) == lost


HASTY = Study.model_validate(CHOICES.model_dump() | {"rules": {"use": ["fast<=0.1"], "pay": ["fast<=0.1"]}})


@pytest.mark.parametrize("way", ["withdrawn", "silent"])
def test_leaving_before_the_end_is_no_way_round_the_rules_of_pay(serve: Any, way: str) -> None:
    """Answers at once, all but the last, and away: for nearly full pay, and nobody looked."""
    server = serve(HASTY)
    browser = server.visit()
    for trial in browser.trials()[:-1]:
        browser.answer(trial, "left", seconds=0.01, reaction_ms=5.0)
    if way == "withdrawn":
        browser.client.post("/api/withdraw", json={"reason": way}, headers=browser.bearer)
    server.clock[0] += 48 * 3_600_000  # and nobody arrives who would have the silent judged
    line = server.paid()
    assert (line.verdict, line.amount_minor, line.look) == ("pro rata", 380, True)
    write(server.engine, lambda c: judge_silent(c, server.step()))
    assert "fast 1" in server.paid().reasons
    assert not any(answer.use for answer in browser.answers())


def test_a_person_who_withdraws_is_paid_for_the_part_without_a_look(serve: Any) -> None:
    server = serve(HASTY)
    browser = server.visit()
    for trial in browser.trials()[:10]:
        browser.answer(trial, "left")
    browser.client.post("/api/withdraw", json={"reason": "withdrawn"}, headers=browser.bearer)
    line = server.paid()
    assert (line.verdict, line.amount_minor, line.look) == ("pro rata", 200, False)


@pytest.mark.parametrize("with_answers", [False, True])
def test_who_is_erased_midway_leaves_no_answer_that_nobody_judged(serve: Any, with_answers: bool) -> None:
    server = serve(CHOICES)
    browser = server.visit()
    for trial in browser.trials()[:15]:
        browser.answer(trial, "left")
    name = read(server.engine, lambda c: c.scalar(select(Participant.pseudonym)))
    write(server.engine, lambda c: erase(c, server.step(), person=str(name), with_answers=with_answers))
    assert not any(answer.use for answer in browser.answers())
    assert server.filled() == 0


def test_answers_of_a_session_under_way_are_exported_as_not_used(serve: Any, tmp_path: Path) -> None:
    server = serve(CHOICES)
    under_way, done = server.visit(), server.visit().answer_all()
    for trial in under_way.trials()[:15]:
        under_way.answer(trial, "left")
    done.finish()
    read(server.engine, lambda c: export(c, server.study, server.study_id, path=tmp_path / "answers.csv"))
    table = read_answers(tmp_path / "answers.csv")
    assert set(table[~table["use"]]["reason"]) == {UNDER_WAY}
    assert (table["use"].sum(), (~table["use"]).sum()) == (20, 15)


def test_what_was_left_breaking_a_rule_is_used_once_the_session_is_complete_and_keeps_it(serve: Any) -> None:
    sentinels = {"rules": [{"check": "obvious", "count": 10, "at_least": 8}]}
    kept = {"rules": {"keep_unfinished": True, "use": ["fast<=0.9"]}, "sentinels": sentinels}
    browser = (server := serve(Study.model_validate(CHOICES.model_dump() | kept))).visit()
    right, trials = browser.right(), browser.trials()
    # Seven sentinels and half of the test items, whatever was drawn: all are fast now, and half are in the end.
    tests = [trial["slot"] for trial in trials if trial["slot"] not in right]
    before = {*sorted(right)[:7], *tests[:6]}
    for trial in trials:
        if trial["slot"] in before:
            browser.answer(trial, right.get(trial["slot"], "left"), reaction_ms=5.0)
    server.lapse()
    assert browser.excluded() == "fast<=0.9 (fast 1)"
    for trial in trials:
        if trial["slot"] not in before:
            browser.answer(trial, right.get(trial["slot"], "left"))
    assert (browser.finish()["outcome"], browser.excluded()) == ("complete", "")
    assert all(answer.use for answer in browser.answers())
    assert server.filled() == 12


@pytest.mark.parametrize("rate", [10**400, 1e300])
def test_a_frame_rate_that_no_screen_has_is_refused_and_breaks_no_answer(serve: Any, rate: float) -> None:
    """A whole number beyond all floats was stored, and every answer after it ended in an error of ours."""
    browser = serve(PAIRS).visit()
    sent = browser.client.post("/api/device", json={"device": {"refresh_hz": rate}}, headers=browser.bearer)
    assert sent.status_code == 400
    browser.answer(browser.trials()[0], "same")
    assert browser.answers()[0].reason == ""
