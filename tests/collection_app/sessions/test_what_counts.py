"""What counts of a session, and what is paid: threats 3, 4 and 17 of bots, and of screens."""

from pathlib import Path
from typing import Any

import pytest
from played_sessions import CHOICES, PAIRS
from scipy.stats import binom
from sqlalchemy import select

from bapps_builder.answers.answer_table import read_answers
from collection_app.database.connections import read, write
from collection_app.database.models import Participant
from collection_app.reporting.export import UNDER_WAY, export
from collection_app.sessions.erasure import erase
from collection_app.sessions.exposures import (
    BAD_EXPOSURE,
)
from collection_app.sessions.judging import NOT_REACHED, UNFINISHED, Came, Judged, by_chance, judge
from collection_app.sessions.steps import judge_silent
from collection_app.studies.presets import preset
from collection_app.studies.study import Study


@pytest.mark.parametrize("study", [PAIRS, CHOICES], ids=["jnd", "2afc"])
def test_who_answers_as_asked_is_used_and_paid(served_study: Any, study: Study) -> None:
    server = served_study(study)
    browser = server.visit().answer_all()
    assert browser.finish()["outcome"] == "complete"
    assert all(answer.use for answer in browser.answers())
    assert (browser.excluded(), browser.decision()) == ("", "approve")
    line = server.paid()
    assert (line.verdict, line.amount_minor, line.look) == ("approve", 400, False)


def test_exposures_reported_bad_one_after_another_end_a_session_as_unsuitable(served_study: Any) -> None:
    """Threat 3: 210 of them gave the code of a complete session, and full pay."""
    server = served_study(PAIRS)
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


def test_who_spoils_without_a_run_of_them_does_not_complete_either(served_study: Any) -> None:
    server = served_study(PAIRS)
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


def test_a_spoiled_sentinel_is_not_right(served_study: Any) -> None:
    browser = served_study(PAIRS).visit()
    spoilt = list(browser.right())[:2]
    while trials := browser.trials():
        for trial in trials:
            lies = {"second_ms": 1500.0} if trial["slot"] in spoilt else {}
            browser.answer(trial, "same", **lies)
    assert browser.finish()["outcome"] == "incomplete"  # 16 of 18 are valid, but 5 of 6 must be right
    assert "sentinels identical>=5 of 6 (4 right, 0 wrong, 2 not seen)" in browser.excluded()


@pytest.mark.parametrize("keep", [False, True])
def test_leaving_before_any_sentinel_is_of_no_use(served_study: Any, keep: bool) -> None:
    """Threat 4: test items answered at random, sentinels left; no sentinel seen is NaN, which no rule was broken by."""
    server = served_study(Study.model_validate(CHOICES.model_dump() | {"rules": {"keep_unfinished": keep}}))
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


def test_an_unfinished_session_counts_up_to_the_last_sentinel_passed_where_a_study_keeps_it(served_study: Any) -> None:
    sentinels = {"rules": [{"check": "obvious", "count": 10, "at_least": 8}]}
    kept = {"rules": {"keep_unfinished": True}, "sentinels": sentinels}
    server = served_study(Study.model_validate(CHOICES.model_dump() | kept))
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


def test_chance_is_the_binomials() -> None:
    assert by_chance(0, 0) == 1
    for seen, right in ((5, 5), (6, 6), (15, 12), (40, 29)):
        assert by_chance(seen, right) == pytest.approx(binom.sf(right - 1, seen, 0.5))
    assert by_chance(5, 5) > 0.02 > by_chance(6, 6)


def test_marked_answers_are_looked_at_before_pay(served_study: Any) -> None:
    server = served_study(CHOICES)
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
    served_study: Any, spoilt: int, verdict: str
) -> None:
    """Threat 3, in part: a fifth of the exposures may be bad in a complete session, and nobody looked."""
    server = served_study(PAIRS)
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


@pytest.mark.parametrize(("lost", "used"), [(2, True), (3, False)])
def test_a_rule_decides_about_answers_given_while_the_page_was_left(served_study: Any, lost: int, used: bool) -> None:
    """Threat 17: 2AFC answers with lost focus counted, and nothing could be said about them."""
    server = served_study(Study.model_validate(CHOICES.model_dump() | {"rules": {"use": ["away<=0.2"]}}))
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
def test_leaving_before_the_end_is_no_way_round_the_rules_of_pay(served_study: Any, way: str) -> None:
    """Answers at once, all but the last, and away: for nearly full pay, and nobody looked."""
    server = served_study(HASTY)
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


def test_a_person_who_withdraws_is_paid_for_the_part_without_a_look(served_study: Any) -> None:
    server = served_study(HASTY)
    browser = server.visit()
    for trial in browser.trials()[:10]:
        browser.answer(trial, "left")
    browser.client.post("/api/withdraw", json={"reason": "withdrawn"}, headers=browser.bearer)
    line = server.paid()
    assert (line.verdict, line.amount_minor, line.look) == ("pro rata", 200, False)


@pytest.mark.parametrize("with_answers", [False, True])
def test_who_is_erased_midway_leaves_no_answer_that_nobody_judged(served_study: Any, with_answers: bool) -> None:
    server = served_study(CHOICES)
    browser = server.visit()
    for trial in browser.trials()[:15]:
        browser.answer(trial, "left")
    name = read(server.engine, lambda c: c.scalar(select(Participant.pseudonym)))
    write(server.engine, lambda c: erase(c, server.step(), person=str(name), with_answers=with_answers))
    assert not any(answer.use for answer in browser.answers())
    assert server.filled() == 0


def test_answers_of_a_session_under_way_are_exported_as_not_used(served_study: Any, tmp_path: Path) -> None:
    server = served_study(CHOICES)
    under_way, done = server.visit(), server.visit().answer_all()
    for trial in under_way.trials()[:15]:
        under_way.answer(trial, "left")
    done.finish()
    read(server.engine, lambda c: export(c, server.study, server.study_id, path=tmp_path / "answers.csv"))
    table = read_answers(tmp_path / "answers.csv")
    assert set(table[~table["use"]]["reason"]) == {UNDER_WAY}
    assert (table["use"].sum(), (~table["use"]).sum()) == (20, 15)


def test_what_was_left_breaking_a_rule_is_used_once_the_session_is_complete_and_keeps_it(served_study: Any) -> None:
    sentinels = {"rules": [{"check": "obvious", "count": 10, "at_least": 8}]}
    kept = {"rules": {"keep_unfinished": True, "use": ["fast<=0.9"]}, "sentinels": sentinels}
    browser = (server := served_study(Study.model_validate(CHOICES.model_dump() | kept))).visit()
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
