"""Patches on the screen are the patches of the study, each pixel k by k device pixels: compared in screenshots."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import text

from bapps_builder.images import decode_image
from bapps_builder.patchset import pixel_digest
from collection_app.database import read

RATIOS = (0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3)
WIDTHS = (361, 533, 1001, 1279)
SIDE = 64
# Of each canvas that can be seen, where its corner is in device pixels, and how many device pixels a pixel gets.
PLACES = """() => [...document.querySelectorAll("section:not([hidden]) .holder canvas")].map((canvas) => {
  const place = canvas.getBoundingClientRect();
  return [place.left * devicePixelRatio, place.top * devicePixelRatio, canvas.width / 64];
})"""


def screen(person: Any, *, ratio: float, width: int, height: int) -> NDArray[np.uint8]:
    """Give the page another monitor and window, as a zoom or a second screen does; and look at it."""
    devtools = person.page.context.new_cdp_session(person.page)
    metrics = {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": False}
    devtools.send("Emulation.setDeviceMetricsOverride", metrics)
    person.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    png = devtools.send("Page.captureScreenshot", {"format": "png"})["data"]
    assert person.page.evaluate("devicePixelRatio") == pytest.approx(ratio)
    return decode_screenshot(png)


def decode_screenshot(base64_png: str) -> NDArray[np.uint8]:
    import base64
    import io

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


def test_2afc_patches_are_exact_at_every_ratio_and_width(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    found = study("2afc")
    somebody = person(f"{found.address}/?id=looker", "mouse")
    somebody.until("question")
    items = read(found.engine, lambda c: c.execute(text("SELECT ref, p0, p1 FROM item")).all())
    trials = {frozenset(item) for item in items}
    scales: list[int] = []
    for ratio in RATIOS:
        for width in WIDTHS:
            shot = screen(somebody, ratio=ratio, width=width, height=777)
            patches = patches_on(somebody, shot)
            # The address of a patch is the hash of its pixels: these are the very three of one item.
            assert frozenset(pixel_digest(patch) for patch, _ in patches) in trials, (ratio, width)
            assert len({k for _, k in patches}) == 1
            scales.append(patches[0][1])
    assert len(set(scales)) > 3
    # The answer says what was on the screen when it was given.
    somebody.act()
    (answer,) = found.answers("looker")
    assert answer.device_pixel_ratio == 3
    assert answer.scale == scales[-1]


def test_jnd_patches_are_exact(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    exposure = {"first_ms": 10_000, "gap_ms": 0, "second_ms": 10_000}
    found = study("jnd", exposure=exposure, display={"size": 300})
    somebody = person(f"{found.address}/?id=looker", "mouse")
    somebody.until("gate")
    somebody.press("#gate-go")
    somebody.page.wait_for_timeout(2000)  # the cross is gone, the first patch is there
    shas = set(read(found.engine, lambda c: c.execute(text("SELECT p0 FROM item UNION SELECT p1 FROM item")).scalars()))
    for ratio, width in ((0.9, 533), (1.25, 361), (1.5, 1001)):
        shot = screen(somebody, ratio=ratio, width=width, height=777)
        ((patch, k),) = patches_on(somebody, shot)
        assert pixel_digest(patch) in shas
        assert k == round(300 * ratio / SIDE)


def test_examples_are_drawn_on_the_grid_too(
    study: Callable[..., Any], person: Callable[..., Any], example_folder: Any
) -> None:
    found = study("2afc")
    somebody = person(f"{found.address}/?id=reader", "mouse", viewport={"width": 1001, "height": 1100})
    somebody.until("instructions")
    somebody.page.wait_for_timeout(300)
    shot = screen(somebody, ratio=1, width=1001, height=1100)
    names = ("noise-little", "reference", "noise-much")
    wanted = [decode_image((example_folder / f"{name}.png").read_bytes(), name=name) for name in names]
    for (patch, k), example in zip(patches_on(somebody, shot), wanted, strict=True):
        assert k == 2
        np.testing.assert_array_equal(patch, example)
