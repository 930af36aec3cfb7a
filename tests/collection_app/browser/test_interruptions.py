"""Reloads, lost networks, closed pages, two tabs, strangers: nothing is lost, doubled or given to somebody else."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser
from sqlalchemy.exc import NoResultFound

CHECK = [{"question": "What do you choose?", "choices": ["The nicer one", "The one like the reference"], "right": 2}]


@pytest.fixture(scope="module")
def found(study: Callable[..., Any]) -> Any:
    return study("2afc")


def finish(somebody: Any) -> None:
    while somebody.state() != "done":
        somebody.act()


def each_slot_once(found: Any, name: str, slots: int = 5) -> None:
    assert [answer.slot for answer in found.answers(name)] == list(range(slots))


def test_a_reload_at_every_page(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    found = study("2afc", comprehension=CHECK)
    somebody = person(f"{found.address}/?id=reloader", "mouse")

    def stays(state: str) -> None:
        somebody.state(state)
        somebody.reload()
        somebody.state(state)

    for state in ("consent", "device", "instructions"):
        stays(state)
        somebody.act()
    stays("check")
    somebody.page.check("#check input[value='1']")
    somebody.press("#check [type=submit]")
    stays("instructions")  # one more try, after reading again
    somebody.act()
    assert somebody.page.is_visible("#check-wrong")
    somebody.page.check("#check input[value='2']")
    somebody.press("#check [type=submit]")
    somebody.state("gate")
    for before in ("gate", "next", "question", "question"):
        somebody.until(before)
        done = len(found.sent("reloader", somebody.answered))
        somebody.reload()
        somebody.state("welcome")
        assert f"{done} of 5" in somebody.page.inner_text("#welcome-text")
        somebody.act()
        somebody.state("gate")
        somebody.act()
        if somebody.state() == "question":
            somebody.act()
    finish(somebody)
    code = somebody.page.inner_text("#code")
    stays("done")
    assert somebody.page.inner_text("#code") == code
    each_slot_once(found, "reloader")


def test_two_failed_tries_end_with_their_outcome(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    found = study("2afc", comprehension=CHECK, outcomes={"failed_checks": "FAILED"})
    somebody = person(f"{found.address}/?id=hasty", "mouse")
    for _ in range(2):
        somebody.until("check")
        somebody.page.check("#check input[value='1']")
        somebody.press("#check [type=submit]")
        somebody.state("instructions", "done")
    assert somebody.page.inner_text("#code") == "FAILED"
    assert found.session("hasty").outcome == "failed_checks"


def answer_offline(somebody: Any, seconds: float) -> None:
    """Go offline in the middle, answer what is there, and stay so for a while."""
    somebody.until("gate")
    somebody.act()
    somebody.until("next")
    somebody.act()
    somebody.act()
    somebody.state("question")
    somebody.page.wait_for_timeout(500)  # coming pictures are fetched ahead
    somebody.page.context.set_offline(True)
    began = time.monotonic()
    somebody.act()
    somebody.state("question")
    assert somebody.page.inner_text("#waiting") == "Waiting to send: 1"
    somebody.act()
    somebody.page.wait_for_timeout(max(0, 1000 * (seconds - (time.monotonic() - began))))
    assert somebody.page.inner_text("#waiting") == "Waiting to send: 2"


@pytest.mark.parametrize("seconds", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_offline_in_the_middle(found: Any, person: Callable[..., Any], seconds: int) -> None:
    name = f"offline-{seconds}"
    somebody = person(f"{found.address}/?id={name}")
    answer_offline(somebody, seconds)
    assert len(found.answers(name)) == 1
    somebody.page.context.set_offline(False)
    finish(somebody)
    each_slot_once(found, name)
    assert not somebody.page.is_visible("#waiting")


def test_a_page_that_is_closed_with_answers_waiting(found: Any, person: Callable[..., Any]) -> None:
    somebody = person(f"{found.address}/?id=crashed")
    somebody.until("next")
    somebody.act()
    somebody.page.route("**/api/answers", lambda route: route.abort())
    for _ in range(3):  # the gate, two answers
        somebody.act()
    somebody.page.close()
    assert len(found.answers("crashed")) == 1
    again = person(f"{found.address}/?id=crashed", context=somebody.page.context)
    again.state("welcome")
    finish(again)
    each_slot_once(found, "crashed")


def test_a_reply_that_is_lost_after_the_commit(found: Any, person: Callable[..., Any]) -> None:
    somebody = person(f"{found.address}/?id=lossy")
    lost = []

    def lose(route: Any) -> None:
        route.fetch()
        lost.append(route)
        route.abort() if len(lost) % 2 else route.fallback()

    somebody.page.route("**/api/answers", lose)
    finish(somebody)
    assert lost
    each_slot_once(found, "lossy")


def test_after_two_minutes_there_is_a_receipt(found: Any, person: Callable[..., Any]) -> None:
    somebody = person(f"{found.address}/?id=stuck")
    somebody.until("next")
    somebody.act()
    somebody.page.route("**/api/answers", lambda route: route.abort())
    somebody.act()
    somebody.act()
    somebody.state("question")
    # As if it had been answered three minutes ago.
    somebody.page.evaluate("""() => new Promise((resolve) => {
      const asked = indexedDB.open("bapps-collect");
      asked.onsuccess = () => {
        const answers = asked.result.transaction("answers", "readwrite").objectStore("answers");
        answers.getAll().onsuccess = ({ target }) => {
          const [answer] = target.result;
          answer.sent.answered_at -= 180000;
          answers.put(answer).onsuccess = resolve;
        };
      };
    })""")
    somebody.page.wait_for_selector("#stuck:not([hidden])")
    assert "study@example.org" in somebody.page.inner_text("#stuck")
    with somebody.page.expect_download() as download:
        somebody.page.click("#stuck-save")
    receipt = json.loads(download.value.path().read_text())
    assert [answer["slot"] for answer in receipt["answers"]] == [1]
    assert receipt["proof"]
    somebody.page.unroute("**/api/answers")
    finish(somebody)
    assert not somebody.page.is_visible("#stuck")
    each_slot_once(found, "stuck")


def test_two_tabs(found: Any, person: Callable[..., Any]) -> None:
    first = person(f"{found.address}/?id=tabs", "mouse")
    first.until("question")
    second = person(f"{found.address}/?id=tabs", "mouse", context=first.page.context)
    second.state("welcome")
    first.state("inactive")
    second.until("question")
    first.press("#inactive-here")
    first.state("welcome")
    second.state("inactive")
    second.page.keyboard.press("f")  # a tab that rests takes no answer
    finish(first)
    each_slot_once(found, "tabs")


def test_somebody_else_with_the_same_id(found: Any, person: Callable[..., Any]) -> None:
    somebody = person(f"{found.address}/?id=taken")
    somebody.until("question")
    other = person(f"{found.address}/?id=taken")
    assert other.state() == "problem"
    said = other.page.inner_text("main")
    assert "Already started" in said
    assert "study@example.org" in said
    finish(somebody)
    each_slot_once(found, "taken")


def test_the_same_submission_resumes_in_another_browser(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    platform = {"name": "prolific"}
    found = study("2afc", platform=platform, outcomes=dict.fromkeys(OUTCOMES, "CODE"))
    address = f"{found.address}/?PROLIFIC_PID={'a' * 24}&STUDY_ID={'b' * 24}&SESSION_ID={'c' * 24}"
    somebody = person(address)
    somebody.until("next")
    other = person(address)
    assert other.state() == "welcome"
    finish(other)
    each_slot_once(found, "a" * 24)
    with other.page.expect_request("https://app.prolific.com/**") as asked:
        other.page.click("#departure button")
    assert asked.value.url == "https://app.prolific.com/submissions/complete?cc=CODE"


OUTCOMES = ("complete", "no_consent", "failed_checks", "no_work", "unsuitable_device", "withdrawn")


@pytest.mark.parametrize("at", ["consent", "instructions", "gate", "question"])
def test_withdrawing_anywhere(found: Any, person: Callable[..., Any], at: str) -> None:
    name = f"leaves-{at}"
    somebody = person(f"{found.address}/?id={name}", "mouse")
    somebody.until(at)
    somebody.press("#withdraw")
    somebody.press("#withdraw-back")
    somebody.state(at)
    somebody.press("#withdraw")
    somebody.press("#withdraw-confirm")
    somebody.state("done")
    assert "You have stopped" in somebody.page.inner_text("main")
    assert found.session(name).outcome == "withdrawn"
    assert not any(answer.use for answer in found.answers(name))


def test_declining(found: Any, person: Callable[..., Any]) -> None:
    somebody = person(f"{found.address}/?id=declines", "mouse")
    somebody.state("consent")
    somebody.press("#decline")
    somebody.state("done")
    assert "declined" in somebody.page.inner_text("main")
    with pytest.raises(NoResultFound):  # threat 15: nothing is kept of them
        found.session("declines")
    somebody.reload()
    somebody.state("done")


KEPT = """async () => {
  const open = indexedDB.open("bapps-collect", 1);
  await new Promise((done) => { open.onsuccess = done; });
  const all = async (name) => {
    const asked = open.result.transaction([name]).objectStore(name).getAllKeys();
    await new Promise((done) => { asked.onsuccess = done; });
    return asked.result;
  };
  return [await all("kept"), await all("answers")];
}"""


def test_threat_15_the_browsers_key_goes_when_the_session_ends_and_the_code_stays(
    found: Any, person: Callable[..., Any]
) -> None:
    somebody = person(f"{found.address}/?id=keeps-no-key", "mouse")
    somebody.until("question")
    assert len(somebody.page.evaluate(KEPT)[0]) == 2  # the person's, and what the browser calls itself
    finish(somebody)
    code = somebody.page.inner_text("#code")
    assert code == found.session("keeps-no-key").code
    somebody.page.wait_for_timeout(500)  # it is shown first, and forgotten then
    assert somebody.page.evaluate(KEPT) == [[], []]
    somebody.reload()
    somebody.state("done")
    assert somebody.page.inner_text("#code") == code
    assert somebody.page.evaluate(KEPT) == [[], []]


def test_a_window_without_room_is_unsuitable(found: Any, chromium: Browser, person: Callable[..., Any]) -> None:
    somebody = person(f"{found.address}/?id=tiny", "mouse", viewport={"width": 200, "height": 200})
    somebody.until("device")
    assert somebody.page.is_disabled("#device-next")
    somebody.press("#device-leave")
    somebody.state("done")
    assert found.session("tiny").outcome == "unsuitable_device"


def test_an_address_without_its_id_says_so(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    found = study("2afc", platform={"name": "prolific"}, outcomes=dict.fromkeys(OUTCOMES, "CODE"))
    lost = person(f"{found.address}/")
    assert lost.state() == "problem"
    assert "address is not complete" in lost.page.inner_text("main")
