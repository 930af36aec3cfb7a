"""Every page, as a person and as an administrator meets it: scanned by axe, and photographed for the documentation.

With BAPPS_SCREENSHOTS=docs set, pictures of all pages are written to `participants` and `admin` there.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from sqlalchemy import select

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.admin.passwords import password_hash
from collection_app.database.connections import open_database, read
from collection_app.database.models import Session
from collection_app.rehearsal.rehearse import rehearse
from collection_app.rehearsal.simulated_people import Player
from collection_app.server.serving import served
from collection_app.settings import Settings
from collection_app.studies.presets import preset

PASSWORD = "correct horse battery staple"

QUESTION = {
    "question": "Which picture do you choose?",
    "choices": ["The nicer one", "The one more like the reference", "The brighter one"],
    "right": 2,
}
LOOKS: dict[str, Any] = {
    "desktop": {"viewport": {"width": 1120, "height": 720}, "color_scheme": "light"},
    "phone": {
        "viewport": {"width": 360, "height": 720},
        "color_scheme": "dark",
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 2,
    },
}


class Walk:
    """Goes from page to page; looks at each."""

    def __init__(self, page: Page, name: str, folder: str = "participants") -> None:
        self.page, self.name, self.seen = page, name, 0
        root = os.environ.get("BAPPS_SCREENSHOTS")
        self.folder = Path(root) / folder if root else None

    def look(self, what: str) -> None:
        page = self.page
        page.wait_for_timeout(300)  # until what slides has slid
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.seen += 1
            path = self.folder / f"{self.name}-{self.seen:02d}-{what}.png"
            page.screenshot(path=path, scale="css", full_page=self.folder.name == "admin")
        found = Axe().run(page)
        serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
        assert not serious, (what, [(one["id"], one["nodes"][0]["html"]) for one in serious])
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{what} is wider than the window"


@pytest.mark.parametrize("look", list(LOOKS))
@pytest.mark.parametrize("task", ["2afc", "jnd"])
def test_no_page_has_a_serious_fault(
    study: Callable[..., Any], person: Callable[..., Any], task: str, look: str
) -> None:
    asked = [QUESTION] if task == "2afc" else []
    found = study(task, comprehension=asked, exposure={"first_ms": 900, "gap_ms": 250, "second_ms": 900})
    somebody = person(f"{found.address}/?id={look}", "mouse", **LOOKS[look])
    walk = Walk(somebody.page, f"{task}-{look}")
    for page in ("consent", "device", "instructions"):
        somebody.until(page)
        walk.look(page)
        somebody.act()
    if asked:
        somebody.state("check")
        walk.look("check")
        somebody.page.check("#check input[value='2']")
        somebody.press("#check [type=submit]")
    somebody.until("gate")
    walk.look("gate")
    if task == "jnd":
        somebody.press("#gate-go")
        somebody.page.wait_for_selector("#gate", state="hidden")
        somebody.page.wait_for_timeout(750)
        walk.look("exposure")
    somebody.until("question")
    walk.look("question")
    # The sizes of what can be touched.
    for button in somebody.page.query_selector_all("button:visible"):
        box = button.bounding_box()
        assert box
        assert box["height"] >= 44, button.inner_text()
    somebody.until("next")
    walk.look("feedback")
    somebody.act()
    somebody.page.reload()
    somebody.state("welcome")
    walk.look("welcome")
    somebody.press("#withdraw")
    walk.look("withdraw")
    somebody.press("#withdraw-back")
    somebody.until("done")
    walk.look("done")
    stranger = person(f"{found.address}/?id={look}", "mouse", **LOOKS[look])
    stranger.state("problem")
    Walk(stranger.page, f"{task}-{look}").look("problem")


def test_focus_can_be_seen(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    found = study("2afc")
    somebody = person(f"{found.address}/?id=tabber")
    somebody.until("question")
    seen = set()
    for _ in range(6):
        somebody.page.keyboard.press("Tab")
        seen.add(
            somebody.page.evaluate("""() => {
              const style = getComputedStyle(document.activeElement);
              return [document.activeElement.dataset.choice ?? document.activeElement.id, style.outlineStyle,
                      parseFloat(style.outlineWidth) >= 2].join(" ");
            }""")
        )
    assert {"left solid true", "right solid true", "withdraw solid true"} <= seen


def test_a_preview_shows_the_first_page_and_takes_nothing(
    study: Callable[..., Any], person: Callable[..., Any]
) -> None:
    found = study("2afc", platform={"name": "mturk"})
    somebody = person(f"{found.address}/?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE")
    assert somebody.state() == "consent"
    assert somebody.page.is_visible("#preview")
    assert somebody.page.query_selector_all("#consent :enabled") == []
    Walk(somebody.page, "2afc-desktop").look("preview")


@pytest.mark.parametrize("look", list(LOOKS))
def test_no_page_of_large_pictures_has_a_serious_fault(
    study: Callable[..., Any], person: Callable[..., Any], look: str
) -> None:
    found = study("2afc", sizes=((512, 512),), display={"layout": "in-place"}, training={})
    somebody = person(f"{found.address}/?id={look}", "mouse", **LOOKS[look])
    walk = Walk(somebody.page, f"in-place-{look}")
    for page in ("device", "instructions", "look", "question"):
        somebody.until(page)
        walk.look(page)
    for button in somebody.page.query_selector_all("button:visible"):
        box = button.bounding_box()
        assert box
        assert box["height"] >= 44, button.inner_text()


def test_three_large_pictures_side_by_side(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    found = study("2afc", sizes=((512, 512),), training={})
    window = {"viewport": {"width": 1700, "height": 860}}
    somebody = person(f"{found.address}/?id=wide", "mouse", **window)
    somebody.until("question")
    Walk(somebody.page, "side-by-side-desktop").look("question")


PARTS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "desktop": ("in-place", 1024, LOOKS["desktop"]),
    "phone": (
        "side-by-side",
        512,
        {**LOOKS["phone"], "viewport": {"width": 390, "height": 844}, "device_scale_factor": 3},
    ),
}


@pytest.mark.parametrize("look", ["phone", pytest.param("desktop", marks=pytest.mark.slow)])
def test_no_page_of_parts_of_pictures_has_a_serious_fault(
    study: Callable[..., Any], person: Callable[..., Any], look: str
) -> None:
    layout, side, options = PARTS[look]
    found = study("2afc", sizes=((side, side),), display={"layout": layout}, training={})
    somebody = person(f"{found.address}/?id={look}", "mouse", **options)
    walk = Walk(somebody.page, f"parts-{look}")
    for page in ("device", "instructions", "question"):
        somebody.until(page)
        walk.look(page)
    for button in somebody.page.query_selector_all("button:visible"):
        box = button.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 44, button.inner_text()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= options["viewport"]["width"]
        assert box["y"] + box["height"] <= options["viewport"]["height"]


@pytest.fixture(scope="module")
def gone_through(tmp_path_factory: pytest.TempPathFactory, make_set: Callable[..., PatchSet]) -> Iterator[str]:
    """The address of a study in which people and programs took part, as its administrators see it."""
    folder = tmp_path_factory.mktemp("gone_through")
    study = preset(
        "2afc",
        title="How similar are these pictures?",
        items_per_session=20,
        answers_per_item={"val": 5},
        sentinels={"rules": [{"check": "graded", "count": 8, "at_least": 7}], "pool": 4, "as_often": True},
        training={"graded": 2},
        terms={"minutes": 3, "pay": 0.6, "currency": "GBP", "least_per_hour": 12.0, "turned_away_pay": 0.1},
    )
    engine = open_database(f"sqlite:///{folder}/study.sqlite")
    mix: dict[Player, float] = {"careful": 0.7, "random": 0.1, "fast-bot": 0.1, "early-leaver": 0.1}
    patches = make_set(folder / "patches", count=60)
    rehearse(study, [patches], engine, folder=folder / "images", mix=mix, seed=3, people=18, dropout=0.1, batch=10)
    now = max(read(engine, lambda c: c.scalars(select(Session.seen_at)).all())) + 60_000
    settings = Settings(port=0)
    app = create_app(
        study,
        engine,
        key="k" * 40,
        settings=settings,
        password_hash=password_hash(PASSWORD),
        clock=lambda: now,
        simulated=True,
    )
    with served(app, settings) as address:
        yield address
    engine.dispose()


@pytest.mark.parametrize("look", list(LOOKS))
def test_no_admin_page_has_a_serious_fault(chromium: Browser, gone_through: str, look: str) -> None:
    page = chromium.new_page(**LOOKS[look])
    page.goto(f"{gone_through}/admin/login")
    walk = Walk(page, look, "admin")
    walk.look("login")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_selector("[data-pause]:visible")
    walk.look("overview")
    for name in ("sessions", "items", "exclusions", "exposures", "pay"):
        page.goto(f"{gone_through}/admin/{name}")
        walk.look(name)
    for of, what in (("exclusions", "session"), ("items", "item")):
        page.goto(f"{gone_through}/admin/{of}")
        page.click(f"a[href*='/admin/{what}s/']")
        walk.look(what)
    page.close()
