"""Whole sessions in a real browser, and what the database then holds."""

import json
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="module")
def studies(study: Callable[..., Any]) -> dict[str, Any]:
    return {task: study(task) for task in ("2afc", "jnd")}


@pytest.mark.parametrize("by", ["keyboard", "mouse", "touch"])
@pytest.mark.parametrize("task", ["2afc", "jnd"])
def test_a_whole_session(studies: dict[str, Any], person: Callable[..., Any], task: str, by: str) -> None:
    found = studies[task]
    somebody = person(f"{found.address}/?id={by}", by)
    seen = []
    while somebody.state() != "done":
        seen.append(somebody.act())
    assert seen[:4] == ["consent", "device", "instructions", "gate"]
    session = found.session(by)
    assert somebody.page.inner_text("#code") == session.code
    assert (session.state, session.outcome) == ("complete", "complete")

    answers = found.answers(by)
    slots = {answer.slot for answer in answers}
    assert slots == set(range(5 if task == "2afc" else 4))
    assert len(answers) == somebody.answered
    assert {answer.state for answer in answers} == {"answered"}
    assert {answer.input for answer in answers} == {by}
    assert {answer.device_pixel_ratio for answer in answers} == {1.0}
    assert all(answer.scale >= 1 for answer in answers)
    assert all(answer.reaction_ms > 0 for answer in answers)
    # What was chosen is what is stored: first and second of the buttons in turn, on the side it was shown.
    for number, answer in enumerate(sorted(answers, key=lambda answer: answer.answered_at)):
        first = number % 2 == 0
        words = {"2afc": ("p1", "p0") if answer.side == "left" else ("p0", "p1"), "jnd": ("same", "different")}
        assert answer.choice == words[task][0 if first else 1]
    if task == "jnd":
        for answer in answers:
            assert 1000 / 75 < answer.frame_ms < 1000 / 50
            assert answer.frames == round(answer.first_ms / answer.frame_ms) + round(answer.second_ms / answer.frame_ms)
            assert answer.dropped_frames >= 0
            assert answer.gap_ms > 0

    device = json.loads(session.device)
    assert device["cross_origin_isolated"] is True
    assert device["clock_resolution_ms"] <= 0.1
    assert device["pixel_exact"] is True
    assert 50 < device["refresh_hz"] < 75
    assert device["touch"] is (by == "touch")


@pytest.mark.parametrize("right", [True, False])
def test_practice_says_what_was_right(studies: dict[str, Any], person: Callable[..., Any], right: bool) -> None:
    found, name = studies["2afc"], f"learner-{right}"
    somebody = person(f"{found.address}/?id={name}")
    somebody.until("question")
    closer = found.first_closer(name)
    somebody.page.keyboard.press("f" if (closer == "left") == right else "j")
    somebody.until("next")
    (answer,) = found.sent(name)
    assert (answer.choice == answer.expected) == right
    said = somebody.page.inner_text("#prompt")
    assert said.startswith("Right.") if right else "closer to the reference" in said


def test_an_exposure_that_was_left_is_shown_once_more(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    # Without sentinels: where one comes is drawn, so whether this person passes it would be chance.
    found = study("jnd", sentinels={"rules": []})
    somebody = person(f"{found.address}/?id=distracted")
    somebody.until("next")
    somebody.act()
    somebody.until("gate")
    somebody.press("#gate-go")
    somebody.page.evaluate("() => dispatchEvent(new Event('blur'))")
    somebody.until("gate")  # having left, one is asked before going on
    assert "The page was left" in somebody.page.inner_text("#gate")
    while somebody.state() != "done":
        somebody.act()
    repeated = [answer for answer in found.answers("distracted") if answer.slot == 1]
    assert [(a.attempt, a.focus_lost, a.valid, a.use) for a in repeated] == [(1, 1, 0, 0), (2, 0, 1, 1)]
    assert repeated[0].reason == "bad exposure"


def test_exposures_that_are_bad_one_after_another_end_the_session(
    study: Callable[..., Any], person: Callable[..., Any]
) -> None:
    found = study("jnd", rules={"most_bad": 2}, training={})
    somebody = person(f"{found.address}/?id=unsteady")
    somebody.until("gate")
    somebody.press("#gate-go")
    somebody.page.evaluate("() => setInterval(() => dispatchEvent(new Event('blur')), 20)")
    while somebody.state() != "done":
        somebody.act()
    assert "could not be shown here" in somebody.page.inner_text("#done-text")
    session = found.session("unsteady")
    assert (session.state, session.outcome) == ("incomplete", "unsuitable_device")
    assert somebody.page.inner_text("#code") == session.code
    assert {answer.reason for answer in found.answers("unsteady")} == {"bad exposure"}


def test_the_screen_is_checked_again_when_it_has_changed(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    """Threat 17: what was checked once held for ever."""
    found = study("2afc", training={})
    somebody = person(f"{found.address}/?id=zooms")
    somebody.until("question")
    assert json.loads(found.session("zooms").device)["device_pixel_ratio"] == 1
    devtools = somebody.page.context.new_cdp_session(somebody.page)
    metrics = {"width": 1280, "height": 720, "deviceScaleFactor": 1.5, "mobile": False}
    devtools.send("Emulation.setDeviceMetricsOverride", metrics)
    somebody.act()
    assert somebody.state() == "device"
    somebody.act()
    assert somebody.until("gate", "device") == "gate"  # and one is asked before going on
    while somebody.state() != "done":
        somebody.act()
    session = found.session("zooms")
    assert session.outcome == "complete"
    assert json.loads(session.device)["device_pixel_ratio"] == 1.5
    assert [answer.device_pixel_ratio for answer in found.answers("zooms")][-1] == 1.5
