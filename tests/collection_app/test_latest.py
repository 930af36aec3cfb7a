"""What is kept for a while: never older than its limit, made by one at a time, and seldom waited for."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from collection_app.latest import Latest

PATIENCE_S = 30


class Clock:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


class Maker:
    """Makes 1, 2, 3, ..., as soon as it may."""

    def __init__(self) -> None:
        self.made, self.may = 0, Event()
        self.may.set()

    def __call__(self) -> int:
        assert self.may.wait(PATIENCE_S)
        self.made += 1
        return self.made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def latest(clock: Clock, maker: Maker) -> Latest[int]:
    return Latest(maker, clock=clock, keep_ms=10_000)


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_until_a_tenth_of_its_limit_it_is_the_same(latest: Latest[int], clock: Clock) -> None:
    assert latest() == 1
    clock.now += 999
    assert latest() == 1


def test_past_a_tenth_of_its_limit_the_next_is_made_by_one_while_nobody_waits(
    latest: Latest[int], clock: Clock, maker: Maker
) -> None:
    latest()
    maker.may.clear()
    clock.now += 1_000
    assert [latest() for _ in range(5)] == [1] * 5
    maker.may.set()
    wait_for(lambda: latest() == 2)
    assert maker.made == 2


def test_past_its_limit_all_wait_for_one(latest: Latest[int], clock: Clock, maker: Maker) -> None:
    latest()
    clock.now += 10_000
    maker.may.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(latest) for _ in range(8)]
        time.sleep(0.1)
        assert not any(one.done() for one in asked)
        maker.may.set()
        assert {one.result(PATIENCE_S) for one in asked} == {2}


def test_a_clock_that_was_set_back_makes_it_anew(latest: Latest[int], clock: Clock) -> None:
    latest()
    clock.now -= 1
    assert latest() == 2


def test_without_a_limit_each_call_makes_one(clock: Clock, maker: Maker) -> None:
    live = Latest(maker, clock=clock, keep_ms=0)
    assert [live(), live(), live()] == [1, 2, 3]


def test_what_fails_in_the_background_is_logged_and_tried_again(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    fails = [False, True, True, False]

    def make() -> str:
        if fails.pop(0):
            raise RuntimeError("the database is away")
        return "made"

    latest = Latest(make, clock=clock, keep_ms=10_000)
    latest()
    clock.now += 6_000
    assert latest() == "made"
    wait_for(lambda: "the database is away" in caplog.text)
    clock.now += 4_000
    wait_for(lambda: not latest._turn.locked())
    with pytest.raises(RuntimeError):
        latest()
    assert latest() == "made"
