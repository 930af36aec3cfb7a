"""Pictures of other sizes than 64x64: whole and exact where there is room, and refused in time where there is none."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from screens import patches_on, screen
from sqlalchemy import text

from bapps_builder.patch_sets.patch_set import pixel_digest
from collection_app.database.connections import read

# Of shapes that differ, so that a screenshot tells which one it shows.
SIZES = ((512, 512), (96, 64), (120, 200))
# One of them each time, the others with the slow tests.
RATIOS = (1.25,)
MORE_RATIOS = (0.8, 0.9, 1, 1.1, 1.5, 2, 3)
# In CSS pixels, three of 512x512 device pixels have room in this window at every ratio.
WINDOW = {"width": 2200, "height": 1100}


@pytest.fixture(scope="module")
def mixed(study: Callable[..., Any]) -> Any:
    # Nine of the 12 items show all three sizes; everybody gets nine only while each item has places for all of them.
    places = {"answers_per_item": dict.fromkeys(("train", "val"), len(RATIOS) + len(MORE_RATIOS))}
    return study("2afc", sizes=SIZES, training={}, sentinels={"rules": []}, items_per_session=9, **places)


@pytest.mark.parametrize("ratio", [*RATIOS, *(pytest.param(ratio, marks=pytest.mark.slow) for ratio in MORE_RATIOS)])
def test_pictures_of_any_size_are_exact_side_by_side(mixed: Any, on_screen: Callable[..., Any], ratio: float) -> None:
    name = f"looker-{ratio}"
    somebody = on_screen(f"{mixed.address}/?id={name}", ratio)
    somebody.until("consent", "device")
    screen(somebody, ratio=ratio, **WINDOW)
    items = {frozenset(row) for row in read(mixed.engine, lambda c: c.execute(text("SELECT ref, p0, p1 FROM item")))}
    seen: dict[tuple[int, ...], int] = {}
    while somebody.until("question", "done") == "question":
        patches = patches_on(somebody, screen(somebody, ratio=ratio, **WINDOW), SIZES)
        assert frozenset(pixel_digest(patch) for patch, _ in patches) in items
        seen[patches[0][0].shape] = patches[0][1]
        somebody.act()
    # The longer side comes nearest to 256 CSS pixels.
    assert seen == {(h, w, 3): max(1, round(256 * ratio / max(w, h))) for w, h in SIZES}
    stored = {(answer.scale, answer.device_pixel_ratio) for answer in mixed.sent(name, 9)}
    assert {scale for scale, _ in stored} == set(seen.values())


def test_a_jnd_session_at_256(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    found = study("jnd", sizes=((256, 256),), exposure={"first_ms": 800, "gap_ms": 100, "second_ms": 800})
    somebody = person(f"{found.address}/?id=someone", "touch", device_scale_factor=2)
    somebody.until("gate")
    somebody.press("#gate-go")
    somebody.page.wait_for_timeout(900)
    sizes = "[...document.querySelectorAll('section:not([hidden]) canvas')].map((c) => [c.width, c.height])"
    assert somebody.page.evaluate(sizes) == [[512, 512]]
    assert somebody.until("done") == "done"
    assert found.session("someone").outcome == "complete"
    assert {answer.scale for answer in found.answers("someone")} == {2}


def test_a_window_that_is_too_small_is_told_so_before_consent(
    study: Callable[..., Any], person: Callable[..., Any]
) -> None:
    found = study("jnd", sizes=((64, 64), (512, 480)))
    somebody = person(f"{found.address}/?id=small", viewport={"width": 500, "height": 900})
    assert somebody.state() == "device"
    has_width, has_height, width, height = map(int, re.findall(r"\d+", somebody.page.inner_text("#device-size")))
    assert (has_width, has_height) == (500, 900)
    # As large as it says is enough, and one pixel less is not.
    somebody.page.set_viewport_size({"width": width - 1, "height": height})
    somebody.press("#device-again")
    somebody.page.wait_for_selector(f"#device-size:text('{width - 1} ×')")
    somebody.page.set_viewport_size({"width": width, "height": height})
    somebody.press("#device-again")
    somebody.state("consent")
    somebody.page.set_viewport_size({"width": width, "height": height - 1})
    somebody.reload()
    assert somebody.state() == "device"
    somebody.press("#device-leave")
    somebody.state("done")
    somebody.page.wait_for_timeout(200)
    assert somebody.state() == "done"  # and nothing is asked after the end
    session = found.session("small")
    assert (session.outcome, session.consent_sha256, session.device) == ("unsuitable_device", None, None)
    assert somebody.page.inner_text("#code") == session.code
    assert read(found.engine, lambda c: c.execute(text("SELECT count(*) FROM assignment")).scalar()) == 0
