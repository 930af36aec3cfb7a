"""A real browser, studies that are really served, and somebody who goes through the pages.

Whatever is waited for is waited for by looking at the page; a slow machine makes these tests slow, not red.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from sqlalchemy import Engine, Row, text

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.database.connections import migrate, open_database, read, write
from collection_app.server.serving import served
from collection_app.settings import Settings
from collection_app.studies.installation import install
from collection_app.studies.presets import preset

QUIET = ["background-networking", "component-update", "sync", "quic", "default-apps"]
FLAGS = ["--no-sandbox", "--no-first-run", "--force-color-profile=srgb", *(f"--disable-{name}" for name in QUIET)]
PATIENCE_S = 60
CONTACT = "the study team, study@example.org"
SMALL: dict[str, dict[str, Any]] = {
    "2afc": {
        "items_per_session": 3,
        "sentinels": {"rules": [{"check": "obvious", "count": 1, "at_least": 0}]},
        "training": {"obvious": 1},
    },
    # A busy machine drops frames: all but the worst exposures pass here, so that a session has one course.
    "jnd": {
        "items_per_session": 2,
        "sentinels": {"rules": [{"check": "identical", "count": 1, "at_least": 0}]},
        "training": {"different": 1},
        "exposure": {"first_ms": 100, "gap_ms": 100, "second_ms": 100, "tolerance_frames": 10, "most_dropped": 1000},
    },
}
# What is to be done now: the name of a page, or of the part of a trial.
STATE = """() => {
  const page = document.body.dataset.page ?? "loading";
  const sees = (selector) => document.querySelector(selector)?.checkVisibility({ visibilityProperty: true });
  if (page === "device") return sees("#device-next:enabled, #device-again") ? "device" : "busy";
  if (page !== "trials") return page;
  if (sees("#gate")) return "gate";
  if (sees("#next")) return "next";
  if (sees("[data-looking] [data-look]:enabled")) return "look";
  return sees("[data-asking] [data-choice]:enabled") ? "question" : "busy";
}"""


@pytest.fixture(scope="session")
def flags() -> list[str]:
    """How chromium is started."""
    return FLAGS


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's chromium; for one module, since Playwright holds the thread's event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Served:
    """A study at an address."""

    address: str
    engine: Engine

    def answers(self, name: str) -> list[Row]:
        """All answers of somebody, by slot and attempt, with their trial."""
        asked = text(
            "SELECT answer.*, assignment.slot, assignment.side, assignment.state, item.role, item.expected FROM answer "
            "JOIN assignment ON assignment.id = answer.assignment_id JOIN item ON item.id = assignment.item_id "
            "JOIN identity ON identity.participant_id = assignment.participant_id "
            "WHERE identity.external_id = :name ORDER BY slot, attempt"
        )
        return list(read(self.engine, lambda c: c.execute(asked, {"name": name}).all()))

    def sent(self, name: str, count: int = 1) -> list[Row]:
        """The answers of somebody, once there are so many: they are sent in the background."""
        until = time.monotonic() + PATIENCE_S
        while len(found := self.answers(name)) < count:
            assert time.monotonic() < until, f"{len(found)} answers of {name}, expected {count}"
            time.sleep(0.02)
        return found

    def first_closer(self, name: str) -> str:
        """On which side somebody's first trial, which is practice, has the patch that is closer."""
        asked = text(
            "SELECT assignment.side, item.expected FROM assignment JOIN item ON item.id = assignment.item_id "
            "JOIN identity ON identity.participant_id = assignment.participant_id "
            "WHERE identity.external_id = :name AND assignment.slot = 0"
        )
        side, expected = read(self.engine, lambda c: c.execute(asked, {"name": name}).one())
        return side if expected == "p1" else {"left": "right", "right": "left"}[side]

    def session(self, name: str) -> Row:
        """The session of somebody."""
        asked = text(
            "SELECT session.* FROM session JOIN identity USING (participant_id) WHERE identity.external_id = :name"
        )
        return read(self.engine, lambda c: c.execute(asked, {"name": name}).one())


@pytest.fixture(scope="module")
def study(
    tmp_path_factory: pytest.TempPathFactory, make_set: Callable[..., PatchSet]
) -> Iterator[Callable[..., Served]]:
    """Serve a small study, in this process, while the module's tests run."""
    with ExitStack() as stack:

        def begin(task: str = "2afc", sizes: Sequence[tuple[int, int]] = ((64, 64),), **settings: Any) -> Served:
            folder = tmp_path_factory.mktemp("study")
            made = preset(f"paper-{task}", **{"contact": CONTACT, **SMALL[task], **settings})
            patches = make_set(folder / "patches", task=task, count=12, sizes=sizes)
            engine = open_database(f"sqlite:///{folder}/study.sqlite")
            migrate(engine)
            write(engine, lambda c: install(c, made, [patches], folder=folder / "images"))
            app = create_app(made, engine, key="k" * 40, settings=Settings(arrivals_per_minute=0))
            stack.callback(engine.dispose)
            return Served(stack.enter_context(served(app, Settings(port=0))), engine)

        yield begin


class Person:
    """Somebody at a page, who uses keyboard, mouse or touch."""

    def __init__(self, page: Page, by: str = "keyboard") -> None:
        self.page, self.by, self.answered = page, by, 0
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def state(self, *wanted: str) -> str:
        """Wait until there is something to do, or one of some states; give it."""
        until = time.monotonic() + PATIENCE_S
        found = "busy"
        while time.monotonic() < until:
            found = self.page.evaluate(STATE)
            if found in wanted or (not wanted and found not in ("busy", "loading", "sending")):
                return found
            time.sleep(0.02)
        raise AssertionError(f"waited for {wanted or 'something to do'}, but the page is at {found}: {self.errors}")

    def press(self, selector: str) -> None:
        """Operate something."""
        if self.by == "touch":
            self.page.tap(selector)
        elif self.by == "mouse":
            self.page.click(selector)
        else:
            self.page.focus(selector)
            self.page.keyboard.press("Space")

    def act(self) -> str:
        """Do the next thing; give what it was."""
        state = self.state()
        match state:
            case "consent":
                self.press("#agree")
                self.press("#consent [type=submit]")
            case "device":
                # A busy machine may miss too many frames: then the page offers to measure again.
                self.press("#device-again" if self.page.is_disabled("#device-next") else "#device-next")
            case "instructions" | "welcome":
                self.press(f"#{state}-next")
            case "gate" | "next":
                self.press("#gate-go" if state == "gate" else "#next")
            case "look":
                self.look()
            case "question":
                self.choose()
        self._moved_on(state)
        return state

    def choose(self) -> None:
        """Answer: first, second, first, ... of the two; with each key in turn."""
        if self.by == "keyboard":
            self.page.keyboard.press(["f", "j", "ArrowLeft", "ArrowRight"][self.answered % 4])
        else:
            self.press(f"[data-choice]:enabled >> nth={self.answered % 2}")
        self.answered += 1

    def look(self) -> None:
        """In place: look at each picture once more, for longer than must be."""
        for which in (1, 2, 0):
            if self.by == "keyboard":
                self.page.keyboard.press(str(which + 1))
            else:
                self.press(f"[data-look] >> nth={which}")
            self.page.wait_for_timeout(250)

    def _moved_on(self, state: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while state not in ("done", "problem", "inactive") and self.page.evaluate(STATE) == state:
            assert time.monotonic() < until, f"still at {state}"
            time.sleep(0.01)

    def until(self, *states: str) -> str:
        """Act until the page is at a state."""
        while (state := self.state()) not in states:
            assert state not in ("done", "problem", "inactive"), f"expected {states}, got {state}"
            self.act()
        return state

    def reload(self) -> None:
        """Load the page again."""
        self.page.reload()


@pytest.fixture
def person(chromium: Browser) -> Iterator[Callable[..., Person]]:
    """Somebody with a browser of their own, at an address."""
    contexts: list[BrowserContext] = []
    everybody: list[Person] = []

    def come(address: str, by: str = "keyboard", context: BrowserContext | None = None, **options: Any) -> Person:
        touch = {"has_touch": True, "is_mobile": True, "viewport": {"width": 390, "height": 844}}
        options = {**(touch if by == "touch" else {}), **options}
        context = context or chromium.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(1000 * PATIENCE_S)
        found = Person(context.new_page(), by)
        everybody.append(found)
        found.page.goto(address)
        return found

    yield come
    for context in dict.fromkeys(contexts):
        context.close()
    assert [one.errors for one in everybody if one.errors] == []


@pytest.fixture
def on_screen(chromium: Browser, person: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Somebody at a screen with a device pixel ratio of its own, as an operating system gives it.

    The ratio that a context of Playwright emulates is none of the browser's layout: it snaps to CSS pixels there.
    """
    with ExitStack() as stack:

        def come(address: str, ratio: float) -> Any:
            kind = chromium.browser_type
            as_wide = [*FLAGS, f"--force-device-scale-factor={ratio}", "--window-size=1400,1000"]
            screen = kind.launch(executable_path=shutil.which("chromium"), args=as_wide)
            stack.callback(screen.close)
            return person(address, "mouse", context=screen.new_context(no_viewport=True))

        yield come


@pytest.fixture(scope="module")
def example_folder(repository: Path) -> Path:
    """The pictures of the instructions."""
    return repository / "collection_app" / "static" / "study" / "examples"
