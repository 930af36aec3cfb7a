"""Every page, as a person meets it: scanned by axe, and photographed for the documentation.

With BAPPS_SCREENSHOTS=docs/participants set, pictures of all pages are written there.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

QUESTION = {
    "question": "Which picture do you choose?",
    "choices": ["The nicer one", "The one more like the reference", "The brighter one"],
    "right": 2,
}
LOOKS = {
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

    def __init__(self, person: Any, name: str) -> None:
        self.person, self.name, self.seen = person, name, 0
        folder = os.environ.get("BAPPS_SCREENSHOTS")
        self.folder = Path(folder) if folder else None

    def look(self, what: str) -> None:
        page = self.person.page
        page.wait_for_timeout(300)  # until what slides has slid
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.seen += 1
            page.screenshot(path=self.folder / f"{self.name}-{self.seen:02d}-{what}.png", scale="css")
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
    walk = Walk(somebody, f"{task}-{look}")
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
    Walk(stranger, f"{task}-{look}").look("problem")


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
    Walk(somebody, "2afc-desktop").look("preview")
