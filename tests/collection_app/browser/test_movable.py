"""Pictures larger than their room: a part of each is shown, the same of all, exact, moved and enlarged alike."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from screens import PLACES, decode_screenshot, screen
from sqlalchemy import text

from bapps_builder.images.image_files import read_image
from collection_app.database.connections import read

WIDTH, HEIGHT = 700, 520
# At every ratio of these three parts have room abreast in it, and no whole picture.
WINDOW = {"width": 800, "height": 640}
RATIO = 1.25
PLAIN: dict[str, Any] = {"training": {}, "sentinels": {"rules": []}, "items_per_session": 2}


@pytest.fixture(scope="module")
def large(study: Callable[..., Any]) -> Any:
    return study("2afc", sizes=((WIDTH, HEIGHT),), display={"layout": "side-by-side"}, **PLAIN)


def trios(engine: Any) -> list[list[NDArray[np.uint8]]]:
    """Reference and both candidates of every item, whole, from the files of the study."""
    paths = dict(read(engine, lambda c: [tuple(row) for row in c.execute(text("SELECT sha256, path FROM image"))]))
    rows = read(engine, lambda c: c.execute(text("SELECT ref, p0, p1 FROM item")).all())
    return [[read_image(Path(paths[name])) for name in row] for row in rows]


def corners(part: NDArray[np.uint8], image: NDArray[np.uint8]) -> set[tuple[int, int]]:
    """Where in an image a part of it lies, looked for at every place: x and y of its corner."""
    height, width, _ = part.shape
    rows, columns = image.shape[0] - height + 1, image.shape[1] - width + 1
    fits = np.ones((rows, columns), bool)
    for y, x in ((0, 0), (height // 2, width // 2), (height - 1, width - 1), (0, width - 1), (height - 1, 0)):
        fits &= (image[y : y + rows, x : x + columns] == part[y, x]).all(axis=2)
    found = zip(*np.nonzero(fits), strict=True)
    return {(int(x), int(y)) for y, x in found if (image[y : y + height, x : x + width] == part).all()}


def parts_on(somebody: Any, shot: NDArray[np.uint8], k: int) -> list[NDArray[np.uint8]]:
    """What is shown, at one pixel for each of a picture's, once all k x k agree."""
    parts = []
    for left, top, across, down in somebody.page.evaluate(PLACES):
        assert (left, top) == (pytest.approx(round(left), abs=0.02), pytest.approx(round(top), abs=0.02))
        shown = shot[round(top) : round(top) + down, round(left) : round(left) + across]
        assert shown.shape == (down, across, 3)
        parts.append(shown[::k, ::k])
        np.testing.assert_array_equal(shown, np.kron(parts[-1], np.ones((k, k, 1), np.uint8)))
    return parts


def test_all_three_move_and_grow_alike(large: Any, on_screen: Callable[..., Any]) -> None:
    somebody = on_screen(f"{large.address}/?id=mover", RATIO)
    somebody.until("consent", "device")
    screen(somebody, ratio=RATIO, **WINDOW)
    somebody.until("instructions")
    assert somebody.page.is_visible("[data-of-layout='movable'] >> nth=0")
    somebody.until("question")
    page, items = somebody.page, trios(large.engine)

    def seen(k: int = 1) -> tuple[tuple[int, int], tuple[int, int]]:
        """Corner and size of the part that is shown of each of the three."""
        parts = parts_on(somebody, screen(somebody, ratio=RATIO, **WINDOW), k)
        assert len(parts) == 3
        for item in items:
            for left, right in ((1, 2), (2, 1)):
                images = (item[left], item[0], item[right])
                same = set.intersection(*(corners(p, i) for p, i in zip(parts, images, strict=True)))
                if same:
                    (corner,) = same
                    return corner, (parts[0].shape[1], parts[0].shape[0])
        raise AssertionError("no item has such parts at one place")

    # The middle first, at 1:1.
    (x, y), (width, height) = seen()
    assert (x, y) == (pytest.approx((WIDTH - width) / 2, abs=1), pytest.approx((HEIGHT - height) / 2, abs=1))
    assert (width, height) < (WIDTH, HEIGHT)
    # An arrow key moves by an eighth of the part, and is no answer here.
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert seen()[0] == (pytest.approx(x - width / 8, abs=1), pytest.approx(y - height / 8, abs=1))
    assert somebody.state() == "question"
    (x, y), _ = seen()
    # A drag moves by as many device pixels as the mouse has gone, and is no answer either.
    box = page.locator(".candidate .holder").first.bounding_box()
    at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] - 20, at[1] - 12, steps=2)
    page.mouse.up()
    assert seen()[0] == (pytest.approx(x + 20 * RATIO, abs=1), pytest.approx(y + 12 * RATIO, abs=1))
    assert somebody.state() == "question"
    # Two for one, round the same middle.
    (x, y), _ = seen()
    page.keyboard.press("+")
    (x2, y2), half = seen(k=2)
    assert half == (width // 2, height // 2)
    assert (x2 + half[0] / 2, y2 + half[1] / 2) == (
        pytest.approx(x + width / 2, abs=1),
        pytest.approx(y + height / 2, abs=1),
    )
    page.click("[data-zoom='1']")
    assert page.inner_text("[data-zoom-level]") == "3 ×"
    page.keyboard.press("-")
    page.keyboard.press("-")
    page.keyboard.press("-")
    # Never beyond the edges.
    for _ in range(12):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    assert seen()[0] == (WIDTH - width, HEIGHT - height)
    page.keyboard.press("f")
    (answer,) = large.sent("mover")
    assert (answer.scale, answer.most_scale, answer.layout) == (1, 3, "side-by-side")
    # Of a path from the middle to a corner: more than one part, and not all.
    assert width * height / (WIDTH * HEIGHT) < answer.part_seen < 1


def test_in_place_each_shows_the_same_part(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    found = study("2afc", sizes=((WIDTH, HEIGHT),), display={"layout": "in-place"}, **PLAIN)
    somebody = person(f"{found.address}/?id=looker", "mouse", viewport={"width": 500, "height": 560})
    somebody.until("look")
    page, items = somebody.page, trios(found.engine)
    holder = page.locator("[data-reference] .holder")
    box = holder.bounding_box()
    at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] + 30, at[1], steps=3)
    page.mouse.up()
    assert page.get_attribute("[data-look='reference']", "aria-pressed") == "true"  # a drag is no tap
    places = []
    for key in "123":
        page.keyboard.press(key)
        page.wait_for_timeout(300)
        (part,) = parts_on(somebody, _shot(page), 1)
        places.append({place for item in items for image in item for place in corners(part, image)})
    ((x, _),) = set.intersection(*places)
    assert x == pytest.approx((WIDTH - part.shape[1]) / 2 - 30, abs=1)
    somebody.until("question")
    page.keyboard.press("j")
    (answer,) = found.sent("looker")
    assert (answer.layout, answer.valid, answer.most_scale) == ("in-place", True, 1)
    assert 0 < answer.part_seen < 1


def _shot(page: Any) -> NDArray[np.uint8]:
    return decode_screenshot(base64.b64encode(page.screenshot()).decode())


def test_a_finger_moves_pictures_side_by_side_on_a_phone(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    found = study("2afc", sizes=((512, 512),), display={"layout": "side-by-side"}, **PLAIN)
    somebody = person(f"{found.address}/?id=finger", "touch", device_scale_factor=3)
    somebody.until("question")
    page = somebody.page
    whole = "[...document.querySelectorAll('.candidate canvas')].map((c) => c.toDataURL())"
    before = page.evaluate(whole)
    box = page.locator("[data-reference] .holder").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    devtools = page.context.new_cdp_session(page)
    for kind, far in (("touchStart", 0), ("touchMove", 20), ("touchMove", 40), ("touchEnd", None)):
        points = [] if far is None else [{"x": x - far, "y": y - far}]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    after = page.evaluate(whole)
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert page.evaluate("visualViewport.scale") == 1
    while somebody.state() != "done":
        somebody.act()
    assert found.session("finger").outcome == "complete"
    first, second = found.answers("finger")
    assert (first.layout, first.scale, first.most_scale) == ("side-by-side", 1, 1)
    assert 0 < second.part_seen < first.part_seen <= 1


def test_arrow_keys_answer_in_no_trial_where_they_move_pictures_in_some(
    study: Callable[..., Any], on_screen: Callable[..., Any]
) -> None:
    """They moved a large picture and answered the next, smaller one."""
    plain = {**PLAIN, "items_per_session": 6}
    mixed = study("2afc", sizes=((WIDTH, HEIGHT), (64, 64)), display={"layout": "side-by-side"}, **plain)
    somebody = on_screen(f"{mixed.address}/?id=arrows", 1)
    page, whole = somebody.page, set()
    page.set_viewport_size(WINDOW)
    somebody.until("instructions")
    arrows = page.eval_on_selector_all("[data-of-layout=whole]", "all => all.map((one) => one.checkVisibility())")
    assert arrows == [False] * 4
    while somebody.until("question", "done") == "question":
        whole.add(page.get_attribute("#stage", "data-movable") is None)
        asked = len(mixed.answers("arrows"))
        for key in ("ArrowRight", "ArrowLeft"):
            page.keyboard.press(key)
        page.wait_for_timeout(100)
        assert somebody.state() == "question"
        assert len(mixed.answers("arrows")) == asked
        assert page.locator("[data-choice] kbd:visible").all_inner_texts() == ["F", "J"]
        somebody.act()
    assert whole == {True, False}


def test_parts_that_were_used_are_told_of_though_the_window_grew_before_the_answer(
    study: Callable[..., Any], on_screen: Callable[..., Any]
) -> None:
    large = study("2afc", sizes=((WIDTH, HEIGHT),), display={"layout": "in-place"}, **{**PLAIN, "items_per_session": 1})
    somebody = on_screen(f"{large.address}/?id=grown", 1)
    somebody.page.set_viewport_size({"width": 500, "height": 500})
    somebody.until("question")
    for _ in range(3):
        somebody.page.keyboard.press("+")
    somebody.page.set_viewport_size({"width": 1200, "height": 1000})
    somebody.page.wait_for_selector("#stage:not([data-movable])")
    somebody.choose()
    (answer,) = large.sent("grown")
    assert (answer.scale, answer.most_scale, answer.part_seen) == (1, 4, 1)
