"""Threats 8, 9, 11 and 12 in the page: old browsers, lost pictures, databases that die, proxies that refuse."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Route
from sqlalchemy import text

from collection_app.database.connections import read
from collection_app.platforms.platform import CannotTell
from collection_app.platforms.prolific import Prolific

CODES = {"complete": "COMPLETE", "unsuitable_device": "UNSUITABLE"}
# What came after Safari 15.4, Firefox 102 and Chromium 100, and was used once.
YOUNG = "delete AbortSignal.any; delete AbortSignal.timeout; delete Array.prototype.toSorted;"
OLD = "delete AbortSignal.prototype.throwIfAborted;"
FORBIDDEN = "Object.defineProperty(window, 'indexedDB', { get() { throw new Error('forbidden'); } });"
# `dies()` closes what was opened, as iOS does to a page that was long in the background; `fails()` for good.
MORTAL = """
  const opened = [], open = indexedDB.open.bind(indexedDB);
  IDBFactory.prototype.open = function (...asked) {
    const request = open(...asked);
    request.addEventListener("success", () => opened.push(request.result));
    return request;
  };
  window.dies = () => opened.forEach((one) => one.close());
  window.fails = () => { IDBDatabase.prototype.transaction = () => { throw new Error("connection lost"); }; };
"""


@pytest.fixture(scope="module")
def found(study: Callable[..., Any]) -> Any:
    return study("2afc", outcomes=CODES)


@pytest.fixture
def visitor(chromium: Browser, person: Callable[..., Any], found: Any) -> Callable[..., Any]:
    """Somebody whose browser runs a script before the pages' own."""

    def come(name: str, script: str) -> Any:
        context = chromium.new_context()
        context.add_init_script(script)
        return person(f"{found.address}/?id={name}", "mouse", context)

    return come


def finish(somebody: Any) -> str:
    while somebody.state() != "done":
        somebody.act()
    return somebody.page.inner_text("#code")


def test_threat_8_a_browser_without_what_is_young_takes_part(found: Any, visitor: Callable[..., Any]) -> None:
    assert finish(visitor("young", YOUNG)) == "COMPLETE"
    assert [answer.slot for answer in found.answers("young")] == list(range(5))


@pytest.mark.parametrize("unreadable", [False, True], ids=["runs modules", "cannot read them"])
def test_threat_8_an_old_browser_ends_in_the_device_check(
    found: Any, chromium: Browser, person: Callable[..., Any], unreadable: bool
) -> None:
    name, context = f"old-{unreadable}", chromium.new_context()
    context.add_init_script(OLD)
    if unreadable:
        context.route("**/study/main.js", lambda route: route.fulfill(body="a?.?b", content_type="text/javascript"))
    somebody = person(f"{found.address}/?id={name}", "mouse", context)
    assert somebody.state() == "device"
    assert "This browser is too old" in somebody.page.inner_text("#device-verdict")
    assert not somebody.page.is_visible("#agree")
    assert not somebody.page.is_visible("#device-next")
    somebody.press("#device-leave")
    assert somebody.state("done") == "done"
    assert somebody.page.inner_text("#code") == "UNSUITABLE"
    session = found.session(name)
    assert (session.outcome, session.started_at, session.consent_sha256) == ("unsuitable_device", None, None)
    if unreadable:
        assert len(somebody.errors) == 1
        somebody.errors.clear()


def test_threat_11_without_a_database_reloads_lose_nothing(visitor: Callable[..., Any]) -> None:
    somebody = visitor("forbidden", FORBIDDEN)
    somebody.until("device")
    somebody.reload()
    assert somebody.state() == "device"  # consent was given
    somebody.until("question")
    somebody.reload()
    somebody.state("welcome")
    code = finish(somebody)
    assert code == "COMPLETE"
    somebody.reload()
    assert somebody.state("done") == "done"
    assert somebody.page.inner_text("#code") == code


@pytest.mark.parametrize("how", ["dies", "fails"])
def test_threat_11_a_database_that_dies_midway_costs_no_answer(
    found: Any, visitor: Callable[..., Any], how: str
) -> None:
    somebody = visitor(how, MORTAL)
    somebody.until("question")
    somebody.page.evaluate(f"{how}()")
    assert finish(somebody) == "COMPLETE"
    assert somebody.answered == 5  # nothing was asked again
    assert [answer.slot for answer in found.answers(how)] == list(range(5))


def test_threat_9_a_picture_that_cannot_be_had_spoils_its_trial_alone(found: Any, person: Callable[..., Any]) -> None:
    somebody = person(f"{found.address}/?id=unlucky", "mouse")
    missing: list[str] = []
    asked: list[str] = []

    def trials(route: Route) -> None:
        reply = route.fetch()
        missing.extend(trial["left"] for trial in reply.json()["trials"] if trial["slot"] == 2)
        route.fulfill(response=reply)

    def image(route: Route) -> None:
        name = route.request.url.rsplit("/", 1)[1]
        asked.append(name)
        if name in missing:
            route.fulfill(status=503, body=json.dumps({"error": "image_missing"}), content_type="application/json")
        else:
            route.continue_()

    somebody.page.route("**/api/trials*", trials)
    somebody.page.route("**/images/*", image)
    assert finish(somebody) == "COMPLETE"
    assert asked.count(missing[0]) == 3
    assert [answer.slot for answer in found.answers("unlucky")] == [0, 1, 3, 4]
    spoiled = text("SELECT state, holds FROM assignment WHERE session_id = :id AND slot = 2")
    row = read(found.engine, lambda c: c.execute(spoiled, {"id": found.session("unlucky").id}).one())
    assert (row.state, bool(row.holds)) == ("spoiled", False)


def test_pictures_that_fail_while_the_study_is_away_are_waited_for(found: Any, person: Callable[..., Any]) -> None:
    somebody = person(f"{found.address}/?id=patient", "mouse")
    failed: list[str] = []

    def away(route: Route) -> None:
        if len(failed) < 20:
            failed.append(route.request.url)
            route.fulfill(status=502, body="<html>Bad Gateway</html>", content_type="text/html")
        else:
            route.continue_()

    somebody.until("gate")
    somebody.page.route(re.compile("/images/|/api/session"), away)
    somebody.reload()
    assert finish(somebody) == "COMPLETE"
    assert len(failed) == 20
    assert [answer.slot for answer in found.answers("patient")] == list(range(5))


@pytest.mark.parametrize("status", [413, 403])
def test_threat_12_what_a_proxy_refuses_is_told_and_not_waited_for(
    found: Any, chromium: Browser, person: Callable[..., Any], status: int
) -> None:
    context = chromium.new_context()
    body = "<html><body>Request Entity Too Large</body></html>"
    context.route("**/api/arrivals", lambda route: route.fulfill(status=status, body=body, content_type="text/html"))
    somebody = person(f"{found.address}/?id=refused-{status}", "mouse", context)
    assert somebody.state() == "problem"
    assert "did not let a request through" in somebody.page.inner_text("#problem-text")


def test_threat_12_answers_that_are_too_many_for_a_proxy_go_one_by_one(found: Any, person: Callable[..., Any]) -> None:
    somebody = person(f"{found.address}/?id=crowded", "mouse")
    held = [True]

    def answers(route: Route) -> None:
        sent = json.loads(route.request.post_data or "{}")["answers"]
        if held[0]:
            route.abort()
        elif len(sent) > 1:
            route.fulfill(status=413, body="too large", content_type="text/plain")
        else:
            route.continue_()

    somebody.until("question")
    somebody.page.route("**/api/answers", answers)
    while somebody.answered < 3:
        somebody.act()
    held[0] = False
    assert finish(somebody) == "COMPLETE"
    assert [answer.slot for answer in found.answers("crowded")] == list(range(5))


def test_a_platform_whose_keys_cannot_be_had_is_waited_for(
    study: Callable[..., Any], person: Callable[..., Any], chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page was refused as incomplete, though nothing was wrong with its address."""
    away = [True]

    def signed(platform: Prolific, token: str) -> dict[str, str]:
        if away[0]:
            raise CannotTell("the keys cannot be had")
        return {"PROLIFIC_PID": token, "STUDY_ID": "study", "SESSION_ID": "submission"}

    monkeypatch.setattr(Prolific, "_signed", signed)
    signed_study = study(
        "2afc", outcomes=CODES, platform={"name": "prolific", "signed_for": "https://study.example.org"}
    )
    context = chromium.new_context()
    context.add_init_script("const wait = setTimeout; window.setTimeout = (work, ms) => wait(work, Math.min(ms, 500));")
    somebody = person(f"{signed_study.address}/?prolific_token=ann", "mouse", context)
    somebody.page.wait_for_selector("#problem-text:text('cannot be checked just now')")
    somebody.page.wait_for_selector(":text('study@example.org'):visible")
    away[0] = False
    somebody.page.wait_for_selector("#consent [type=submit]")  # without a hand on the page
    assert finish(somebody) == "COMPLETE"
