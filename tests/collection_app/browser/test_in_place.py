"""2AFC in place: three pictures at one spot, exact, changed without a flash, and all looked at before an answer."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from screens import PLACES, patches_on, screen
from sqlalchemy import text

from bapps_builder.images.image_files import read_image
from bapps_builder.patch_sets.patch_set import pixel_digest
from collection_app.database.connections import read

SIDE = 512
RATIOS = (0.8,)
MORE_RATIOS = (0.9, 1, 1.1, 1.25, 1.5, 2, 3)
LAPTOP = {"viewport": {"width": 1280, "height": 720}}


@pytest.fixture(scope="module")
def large(study: Callable[..., Any]) -> Any:
    return study("2afc", sizes=((SIDE, SIDE),), display={"layout": "in-place"}, training={})


@pytest.mark.parametrize("by", ["keyboard", "mouse", "touch"])
def test_a_whole_session(large: Any, person: Callable[..., Any], by: str) -> None:
    options = {"device_scale_factor": 2} if by == "touch" else LAPTOP
    somebody = person(f"{large.address}/?id={by}", by, **options)
    seen = []
    while somebody.state() != "done":
        seen.append(somebody.act())
    assert seen[:6] == ["consent", "device", "instructions", "gate", "look", "question"]
    assert large.session(by).outcome == "complete"
    answers = large.answers(by)
    assert {(answer.layout, answer.valid, answer.scale) for answer in answers} == {("in-place", 1, 1)}
    for answer in answers:
        assert (answer.reference_looks, answer.left_looks, answer.right_looks) == (2, 1, 1)
        times = (answer.reference_look_ms, answer.left_look_ms, answer.right_look_ms)
        assert min(times) >= 200
        assert sum(times) == pytest.approx(answer.reaction_ms, abs=1)


def test_nobody_can_answer_before_all_three_were_looked_at(large: Any, person: Callable[..., Any]) -> None:
    somebody = person(f"{large.address}/?id=hasty", **LAPTOP)
    somebody.until("look")
    for keys in ("fj", "2fj", "2fj"):
        for key in keys:
            somebody.page.keyboard.press(key)
        somebody.page.wait_for_timeout(300)
        assert somebody.state("look") == "look"
    assert large.answers("hasty") == []
    somebody.page.keyboard.press("3")
    somebody.state("question")


@pytest.mark.parametrize("ratio", [*RATIOS, *(pytest.param(ratio, marks=pytest.mark.slow) for ratio in MORE_RATIOS)])
def test_each_picture_is_exact(large: Any, on_screen: Callable[..., Any], ratio: float) -> None:
    somebody = on_screen(f"{large.address}/?id=looker-{ratio}", ratio)
    somebody.until("consent", "device")
    screen(somebody, ratio=ratio, width=1400, height=1000)
    somebody.until("look")
    seen = []
    for key in "123":
        somebody.page.keyboard.press(key)
        shot = screen(somebody, ratio=ratio, width=1400, height=1000)
        ((patch, k),) = patches_on(somebody, shot, ((SIDE, SIDE),))
        assert k == max(1, round(256 * ratio / SIDE))
        seen.append(pixel_digest(patch))
    items = read(large.engine, lambda c: c.execute(text("SELECT ref, p0, p1 FROM item")).all())
    assert any(seen[0] == ref and set(seen[1:]) == {p0, p1} for ref, p0, p1 in items)


def test_pictures_change_without_a_flash(large: Any, person: Callable[..., Any]) -> None:
    """Every frame that the browser makes while they change shows one of the three, whole."""
    somebody = person(f"{large.address}/?id=flicker", **LAPTOP)
    somebody.until("look")
    page = somebody.page
    ((left, top, *_),) = page.evaluate(PLACES)
    clip = {"x": left, "y": top, "width": SIDE, "height": SIDE}

    def cut(png: bytes) -> np.ndarray:
        with Image.open(io.BytesIO(png)) as picture:
            return np.array(picture.convert("RGB"))

    known = set()
    for key in "123":
        page.keyboard.press(key)
        page.wait_for_timeout(100)
        known.add(cut(page.screenshot(clip=clip)).tobytes())
    assert len(known) == 3
    frames: list[bytes] = []
    devtools = page.context.new_cdp_session(page)

    def keep(frame: dict[str, Any]) -> None:
        frames.append(base64.b64decode(frame["data"]))
        devtools.send("Page.screencastFrameAck", {"sessionId": frame["sessionId"]})

    devtools.on("Page.screencastFrame", keep)
    devtools.send("Page.startScreencast", {"format": "png", "everyNthFrame": 1})
    for _ in range(5):
        for key in "123":
            page.keyboard.press(key)
            page.wait_for_timeout(30)
    devtools.send("Page.stopScreencast")
    x, y = round(left), round(top)
    shown = [cut(frame)[y : y + SIDE, x : x + SIDE].tobytes() for frame in frames]
    assert len(set(shown)) >= 2
    assert set(shown) <= known


def test_auto_takes_the_layout_that_has_room(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    found = study("2afc", sizes=((SIDE, SIDE),), training={}, items_per_session=1, sentinels={"rules": []})
    for name, width, layout in (("wide", 1700, "side-by-side"), ("narrow", 1200, "in-place")):
        somebody = person(f"{found.address}/?id={name}", viewport={"width": width, "height": 850})
        somebody.until("instructions")
        assert somebody.page.is_visible("[data-of-layout='in-place'] >> nth=0") == (layout == "in-place")
        while somebody.state() != "done":
            somebody.act()
        assert {answer.layout for answer in found.answers(name)} == {layout}


def test_the_instructions_show_an_example_in_place(
    large: Any, person: Callable[..., Any], example_folder: Path
) -> None:
    somebody = person(f"{large.address}/?id=reader", "mouse", **LAPTOP)
    somebody.until("instructions")
    page = somebody.page
    page.wait_for_timeout(300)
    for name, label in (("noise-little", "A"), ("noise-much", "B"), ("reference", "Reference")):
        page.click(f".examples:visible .look >> text={label}")
        page.wait_for_timeout(100)
        page.mouse.move(0, 0)
        with Image.open(io.BytesIO(page.screenshot())) as picture:
            shot = np.array(picture.convert("RGB"))
        ((patch, k),) = patches_on(somebody, shot)
        assert k == 2
        np.testing.assert_array_equal(patch, read_image(example_folder / f"{name}.png"))
        assert page.get_attribute(".examples:visible .holder", "aria-label") == label
        pressed = page.locator(".examples:visible [aria-pressed=true]").all_inner_texts()
        assert pressed == [label]
