"""Pages as a screen has them: browsers with a pixel ratio of their own, and the pictures in screenshots."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

# Of each canvas that can be seen, where its corner is in device pixels, and how large it is.
PLACES = """() => [...document.querySelectorAll("section:not([hidden]) .holder canvas")]
  .filter((canvas) => canvas.checkVisibility())
  .map((canvas) => {
    const place = canvas.getBoundingClientRect();
    return [place.left * devicePixelRatio, place.top * devicePixelRatio, canvas.width, canvas.height];
  })"""


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


def patches_on(
    person: Any, shot: NDArray[np.uint8], sizes: Sequence[tuple[int, int]] = ((64, 64),)
) -> list[tuple[NDArray[np.uint8], int]]:
    """The pictures of a screenshot, whole, at one pixel for each of theirs, once all k x k agree; with k.

    Of `sizes`, which differ in shape, the one is meant that has the shape of what is seen.
    """
    found = []
    for left, top, across, down in person.page.evaluate(PLACES):
        assert left == pytest.approx(round(left), abs=0.02)
        assert top == pytest.approx(round(top), abs=0.02)
        ((width, height),) = [size for size in sizes if across * size[1] == down * size[0]]
        k, rest = divmod(across, width)
        assert (rest, down) == (0, k * height)
        shown = shot[round(top) : round(top) + down, round(left) : round(left) + across]
        assert shown.shape == (down, across, 3)  # nothing of it is beyond the window
        patch = shown[::k, ::k]
        np.testing.assert_array_equal(shown, np.kron(patch, np.ones((k, k, 1), np.uint8)))
        found.append((patch, k))
    return found
