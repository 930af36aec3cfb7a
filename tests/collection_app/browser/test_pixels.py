"""Patches on the screen are the patches of the study, each pixel k by k device pixels: compared in screenshots."""

import base64
import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser
from sqlalchemy import text

from bapps_builder.images.image_files import decode_image
from bapps_builder.patch_sets.patch_set import pixel_digest
from collection_app.database.connections import read

# Half of them each time, the others with the slow tests.
RATIOS = (0.9, 1.25, 1.5, 2)
MORE_RATIOS = (0.8, 1, 1.1, 3)
WIDTHS = (533, 777, 1001, 1279)
SIDE = 64
# Of each canvas that can be seen, where its corner is in device pixels, and how many device pixels a pixel gets.
PLACES = """() => [...document.querySelectorAll("section:not([hidden]) .holder canvas")].map((canvas) => {
  const place = canvas.getBoundingClientRect();
  return [place.left * devicePixelRatio, place.top * devicePixelRatio, canvas.width / 64];
})"""


@pytest.fixture(scope="module")
def found(study: Callable[..., Any]) -> Any:
    return study("2afc")


@pytest.fixture
def on_screen(chromium: Browser, flags: list[str], person: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Somebody at a screen with a device pixel ratio of its own, as an operating system gives it.

    The ratio that a context of Playwright emulates is none of the browser's layout: it snaps to CSS pixels there.
    """
    with ExitStack() as stack:

        def come(address: str, ratio: float) -> Any:
            kind = chromium.browser_type
            as_wide = [*flags, f"--force-device-scale-factor={ratio}", "--window-size=1400,1000"]
            screen = kind.launch(executable_path=shutil.which("chromium"), args=as_wide)
            stack.callback(screen.close)
            return person(address, "mouse", context=screen.new_context(no_viewport=True))

        yield come


def screen(somebody: Any, *, ratio: float, width: int, height: int = 800) -> NDArray[np.uint8]:
    """Give the browser another window, and look at it."""
    devtools = somebody.page.context.new_cdp_session(somebody.page)
    window = devtools.send("Browser.getWindowForTarget")["windowId"]
    devtools.send("Browser.setWindowBounds", {"windowId": window, "bounds": {"width": width, "height": height}})
    somebody.page.wait_for_timeout(300)
    png = devtools.send("Page.captureScreenshot", {"format": "png"})["data"]
    assert somebody.page.evaluate("devicePixelRatio") == pytest.approx(ratio)
    assert somebody.page.evaluate("innerWidth") == pytest.approx(width, abs=4)
    return decode_screenshot(png)


def decode_screenshot(base64_png: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(base64.b64decode(base64_png))) as picture:
        return np.array(picture.convert("RGB"))


def patches_on(person: Any, shot: NDArray[np.uint8]) -> list[tuple[NDArray[np.uint8], int]]:
    """The patches of a screenshot, at one pixel for each of theirs, once all k x k agree; with k."""
    found = []
    for left, top, scale in person.page.evaluate(PLACES):
        assert left == pytest.approx(round(left), abs=0.02)
        assert top == pytest.approx(round(top), abs=0.02)
        k = int(scale)
        shown = shot[round(top) : round(top) + SIDE * k, round(left) : round(left) + SIDE * k]
        patch = shown[::k, ::k]
        np.testing.assert_array_equal(shown, np.kron(patch, np.ones((k, k, 1), np.uint8)))
        found.append((patch, k))
    return found


@pytest.mark.parametrize("ratio", [*RATIOS, *(pytest.param(ratio, marks=pytest.mark.slow) for ratio in MORE_RATIOS)])
def test_2afc_patches_are_exact(found: Any, on_screen: Callable[..., Any], ratio: float) -> None:
    somebody = on_screen(f"{found.address}/?id=looker-{ratio}", ratio)
    somebody.until("question")
    items = read(found.engine, lambda c: c.execute(text("SELECT ref, p0, p1 FROM item")).all())
    trials = {frozenset(item) for item in items}
    scales: list[int] = []
    for width in WIDTHS:
        patches = patches_on(somebody, screen(somebody, ratio=ratio, width=width))
        # The address of a patch is the hash of its pixels: these are the very three of one item.
        assert frozenset(pixel_digest(patch) for patch, _ in patches) in trials, width
        assert len({k for _, k in patches}) == 1
        scales.append(patches[0][1])
    assert scales == sorted(scales)
    # The answer says what was on the screen when it was given.
    somebody.act()
    (answer,) = found.sent(f"looker-{ratio}")
    assert answer.device_pixel_ratio == pytest.approx(ratio)
    assert answer.scale == scales[-1]


def test_jnd_patches_are_exact(study: Callable[..., Any], on_screen: Callable[..., Any]) -> None:
    exposure = {"first_ms": 10_000, "gap_ms": 0, "second_ms": 10_000}
    found = study("jnd", exposure=exposure, display={"size": 300})
    somebody = on_screen(f"{found.address}/?id=looker", 1.25)
    somebody.until("gate")
    somebody.press("#gate-go")
    somebody.page.wait_for_timeout(2500)  # the cross is gone, the first patch is there
    shas = set(read(found.engine, lambda c: c.execute(text("SELECT p0 FROM item UNION SELECT p1 FROM item")).scalars()))
    for width in (533, 1001):
        ((patch, k),) = patches_on(somebody, screen(somebody, ratio=1.25, width=width))
        assert pixel_digest(patch) in shas
        assert k == round(300 * 1.25 / SIDE)


def test_examples_are_drawn_on_the_grid_too(found: Any, on_screen: Callable[..., Any], example_folder: Any) -> None:
    somebody = on_screen(f"{found.address}/?id=reader", 1.25)
    somebody.until("instructions")
    shot = screen(somebody, ratio=1.25, width=1001, height=1100)
    names = ("noise-little", "reference", "noise-much")
    wanted = [decode_image((example_folder / f"{name}.png").read_bytes(), name=name) for name in names]
    for (patch, _), example in zip(patches_on(somebody, shot), wanted, strict=True):
        np.testing.assert_array_equal(patch, example)
