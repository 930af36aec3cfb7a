"""Patches on the screen are the patches of the study, each pixel k by k device pixels: compared in screenshots."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from screens import patches_on, screen
from sqlalchemy import text

from bapps_builder.images.image_files import decode_image
from bapps_builder.patch_sets.patch_set import pixel_digest
from collection_app.database.connections import read

# Half of them each time, the others with the slow tests.
RATIOS = (0.9, 1.25, 1.5, 2)
MORE_RATIOS = (0.8, 1, 1.1, 3)
WIDTHS = (533, 777, 1001, 1279)
SIDE = 64


@pytest.fixture(scope="module")
def found(study: Callable[..., Any]) -> Any:
    return study("2afc")


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
