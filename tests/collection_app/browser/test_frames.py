"""The arithmetic of frames, scales and queues in the scripts themselves, with times that are made up."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def ask(study: Callable[..., Any], chromium: Any) -> Callable[..., Any]:
    """Evaluate an expression with a module of a JND study's pages, `m`, and an argument, `x`."""
    page = chromium.new_page()
    page.goto(study("jnd").address)

    def evaluate(module: str, expression: str, argument: Any = None) -> Any:
        return page.evaluate(
            f"async (x) => {{ const m = await import('/{module}.js'); return {expression}; }}", argument
        )

    return evaluate


@pytest.mark.parametrize("hz", [30, 59.94, 60, 75, 120, 144, 240])
@pytest.mark.parametrize("missed", [0, 0.1, 0.5])
def test_the_period_is_found_though_frames_are_missed(ask: Callable[..., Any], hz: float, missed: float) -> None:
    rng = np.random.default_rng(0)
    frame = 1000 / hz
    ticks = np.arange(400) * frame + rng.normal(0, 0.05, 400)
    times = ticks[rng.random(400) >= missed][:240]
    assert ask("static/study/display/frames", "m.period(x)", times.tolist()) == pytest.approx(frame, rel=0.01)


def test_missed_frames_are_counted(ask: Callable[..., Any]) -> None:
    frame = 1000 / 60
    times = [k * frame for k in range(30) if k not in (4, 11, 12, 20)]
    assert ask("static/study/display/frames", "m.dropped(x, 1000 / 60)", times) == 4


@pytest.mark.parametrize(("wanted", "hz", "frames"), [(250, 60, 15), (250, 75, 19), (1000, 60, 60), (250, 144, 36)])
def test_the_nearest_frame_ends_an_exposure(ask: Callable[..., Any], wanted: float, hz: float, frames: int) -> None:
    """250 ms are 18.75 frames at 75 Hz: 19 it is."""
    expression = "[...Array(400).keys()].find((k) => m.isNearest(k * x[1], x[0], x[1]))"
    assert ask("static/study/display/frames", expression, [wanted, 1000 / hz]) == frames


def test_measures_of_a_jnd_trial(ask: Callable[..., Any]) -> None:
    frame = 1000 / 60
    onsets = [0, 30 * frame, 45 * frame, 60 * frame, 76 * frame]
    times = [k * frame for k in range(77) if k not in (50, 65)]
    found = ask(
        "tasks/jnd/static/task",
        "m.measured({onsets: x[0], times: x[1], period: 1000 / 60}, x[0][4] + 432.1)",
        [onsets, times],
    )
    assert found == {
        "reaction_ms": pytest.approx(432.1),
        "first_ms": pytest.approx(250),
        "gap_ms": pytest.approx(250),
        "second_ms": pytest.approx(16 * frame),
        "frame_ms": pytest.approx(frame),
        "frames": 31,
        "dropped_frames": 2,
    }


@pytest.mark.parametrize(
    ("room", "layout", "scale"),
    [
        ((1280, 600, 1), "row", 4),  # as near to 256 CSS pixels as can be
        ((1280, 600, 1.25), "row", 5),
        ((1280, 600, 0.8), "row", 3),
        ((360, 560, 1), "triangle", 2),
        ((360, 560, 3), "triangle", 6),
        ((100, 100, 1), "row", 0),
    ],
)
def test_the_layout_that_makes_patches_largest(
    ask: Callable[..., Any], room: tuple[float, float, float], layout: str, scale: int
) -> None:
    layouts = "{row: [3, 1], triangle: [2, 2]}"
    expression = (
        f"m.arrangeWhole({{width: 64, height: 64}}, {layouts}, "
        "{width: x[0], height: x[1], ratio: x[2], size: 256}, {beside: 40, below: 72})"
    )
    whole = {"layout": layout, "scale": scale, "view": {"width": 64, "height": 64}}
    assert ask("static/study/display/room", expression, list(room)) == whole


def test_waiting_doubles_up_to_half_a_minute(ask: Callable[..., Any]) -> None:
    assert ask("static/study/delivery/api", "[0, 1, 2, 10].map((tries) => m.backoff(tries, () => 0.5))") == [
        500,
        1000,
        2000,
        30_000,
    ]


def test_ids_are_random_uuids(ask: Callable[..., Any]) -> None:
    ids = ask("static/study/delivery/store", "Array.from({length: 1000}, m.randomId)")
    assert len(set(ids)) == 1000
    assert all(name[14] == "4" and name[19] in "89ab" for name in ids)


def test_a_device_is_judged(ask: Callable[..., Any]) -> None:
    good = {"timed": True, "fits": True, "magnified": False, "hz": 60, "missed": 0, "leastHz": 50}
    for change, faults in (
        ({}, []),
        ({"hz": 30}, ["rate"]),
        ({"hz": 30, "timed": False}, []),
        ({"missed": 0.5}, ["unsteady"]),
        ({"fits": False, "magnified": True}, ["small", "zoom"]),
        ({"hz": None}, ["rate"]),
    ):
        assert ask("static/study/display/device", "m.faults(x)", good | change) == faults


@pytest.mark.parametrize(("side", "kept"), [(64, 40), (512, 32), (2048, 2), (4000, 1)])
def test_pictures_are_fetched_ahead_within_a_budget_of_bytes(ask: Callable[..., Any], side: int, kept: int) -> None:
    trials = [{"width": side, "height": side, "reference": "x"}] * 40
    assert ask("static/study/display/images", "m.withinBudget(x).length", trials) == kept
