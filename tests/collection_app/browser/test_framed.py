"""A whole session in a frame of another site's page, where the browser lets the study keep no cookies, or nothing."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask, request
from playwright.sync_api import Browser

from collection_app.server.serving import served
from collection_app.settings import Settings

PATIENCE_S = 60
# A browser that forbids cookies in frames: whoever touches them there fails.
NO_COOKIES = """if (self !== top) {
  const refused = () => { throw new DOMException("cookies are blocked", "SecurityError"); };
  Object.defineProperty(Document.prototype, "cookie", { get: refused, set: refused });
}"""
# One that forbids everything that would outlive the page.
NO_STORAGE = """if (self !== top) {
  const refused = { get() { throw new DOMException("storage is blocked", "SecurityError"); } };
  for (const name of ["indexedDB", "localStorage", "sessionStorage", "caches"]) {
    Object.defineProperty(self, name, refused);
  }
}"""


@dataclass
class Shown:
    """The platform: its page has the study in a frame, and it is told when somebody is done."""

    address: str = ""
    study: str = ""
    submitted: list[dict[str, str]] = field(default_factory=list)

    def app(self) -> Flask:
        app = Flask("platform")

        @app.get("/work")
        def work() -> str:
            assignment, person = request.args["assignment"], request.args["person"]
            ids = f"assignmentId={assignment}&amp;workerId={person}&amp;hitId=h&amp;turkSubmitTo={self.address}"
            frame = f'<iframe name="study" width="1100" height="700" src="{self.study}/?{ids}"></iframe>'
            return f"<!doctype html><html lang=en><title>Work</title>{frame}</html>"

        @app.post("/mturk/externalSubmit")
        def submit() -> str:
            self.submitted.append(request.form.to_dict())
            return "<!doctype html><html lang=en><title>Thanks</title>Thanks</html>"

        return app


@pytest.fixture
def platform(study: Callable[..., Any]) -> Iterator[tuple[Shown, Any]]:
    """A platform at localhost, which to a browser is another site than the study's 127.0.0.1."""
    shown = Shown()
    with served(shown.app(), Settings(port=0)) as address:
        shown.address = address.replace("127.0.0.1", "localhost")
        found = study(platform={"name": "mturk", "submit_to": [shown.address], "framed_by": [shown.address]})
        shown.study = found.address
        yield shown, found


@pytest.mark.parametrize("forbidden", [NO_COOKIES, NO_COOKIES + NO_STORAGE], ids=["cookies", "cookies and storage"])
def test_a_whole_session_in_a_frame(
    platform: tuple[Shown, Any], chromium: Browser, person: Callable[..., Any], forbidden: str
) -> None:
    shown, found = platform
    context = chromium.new_context(viewport={"width": 1200, "height": 800})
    context.add_init_script(forbidden)
    replies: list[Any] = []

    def note(reply: Any) -> None:
        replies.append(reply)

    context.on("response", note)
    somebody = person(f"{shown.address}/work?assignment=a1&person=ann", "mouse", context=context)
    page, somebody.page = somebody.page, somebody.page.frame("study")
    while somebody.state() != "done":
        somebody.act()

    session = found.session("ann")
    assert (session.state, session.outcome, session.submission_id) == ("complete", "complete", "a1")
    assert len({answer.slot for answer in found.answers("ann")}) == 5
    with page.expect_response(f"{shown.address}/mturk/externalSubmit"):
        somebody.press("#departure [type=submit]")
    assert shown.submitted == [{"assignmentId": "a1", "code": session.code, "outcome": "complete"}]

    ours = [reply for reply in replies if reply.url.startswith(found.address)]
    assert len(ours) > 20
    assert [reply.url for reply in ours if "set-cookie" in reply.headers] == []
    assert [reply.url for reply in ours if "cookie" in reply.request.headers] == []
    assert context.cookies() == []


def test_only_the_platform_may_show_the_study(
    platform: tuple[Shown, Any], study: Callable[..., Any], person: Callable[..., Any]
) -> None:
    shown, _ = platform
    shown.study = study().address  # one that knows of no frames
    somebody = person(f"{shown.address}/work?assignment=a2&person=bob")
    # The browser puts a page of its own in the frame's place, and for a moment there is no frame at all.
    deadline = time.monotonic() + PATIENCE_S
    while not any(frame.url.startswith("chrome-error:") for frame in somebody.page.frames):
        assert time.monotonic() < deadline, [frame.url for frame in somebody.page.frames]
        somebody.page.wait_for_timeout(50)
        somebody.page.wait_for_timeout(50)
