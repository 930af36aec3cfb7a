"""What is kept for a while: never older than its limit, made by one at a time, and seldom waited for."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread
from typing import Any

import pytest

from collection_app.web.background_value import Latest

PATIENCE_S = 30


class Clock:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


class Maker:
    """Makes 1, 2, 3, ..., as soon as it may, unless it is to fail."""

    def __init__(self) -> None:
        self.made, self.may = 0, Event()
        self.may.set()
        self.fails: list[Exception] = []
        self.takes: Callable[[], None] = lambda: None

    def __call__(self) -> int:
        assert self.may.wait(PATIENCE_S)
        self.takes()
        if self.fails:
            raise self.fails.pop(0)
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


@pytest.fixture
def all_ask(latest: Latest[int], maker: Maker, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Future[int]]]:
    """Lets eight ask at once, who all wait, and then lets it be made."""
    waiting = []

    class Counted(Future[int]):
        def result(self, timeout: float | None = None) -> int:
            waiting.append(self)
            return super().result(timeout)

    monkeypatch.setattr("collection_app.web.background_value.Future", Counted)

    def ask() -> list[Future[int]]:
        maker.may.clear()
        waiting.clear()
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(latest) for _ in range(8)]
            wait_for(lambda: len(waiting) == 7)  # and one makes it
            assert not any(one.done() for one in asked)
            maker.may.set()
        return asked

    return ask


@pytest.mark.parametrize("takes_ms", [0, 20_000])
def test_past_its_limit_all_wait_for_one_however_long_it_takes(
    latest: Latest[int], all_ask: Any, clock: Clock, maker: Maker, takes_ms: int
) -> None:
    latest()
    clock.now += 10_000
    maker.takes = lambda: setattr(clock, "now", clock.now + takes_ms)
    assert {one.result() for one in all_ask()} == {2}
    assert maker.made == 2


def test_all_who_wait_get_the_one_error(latest: Latest[int], all_ask: Any, maker: Maker) -> None:
    maker.fails = [RuntimeError("the database is away")]
    errors = {one.exception() for one in all_ask()}
    assert [str(error) for error in errors] == ["the database is away"]
    assert latest() == 1


def test_where_there_can_be_no_more_threads_the_one_who_asks_makes_it(
    latest: Latest[int], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    latest()

    def refuse(self: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", refuse)
    clock.now += 5_000
    assert [latest(), latest()] == [1, 2]


def test_a_clock_that_was_set_back_makes_it_anew(latest: Latest[int], clock: Clock) -> None:
    latest()
    clock.now -= 1
    assert latest() == 2


def test_without_a_limit_each_call_makes_one(clock: Clock, maker: Maker) -> None:
    live = Latest(maker, clock=clock, keep_ms=0)
    assert [live(), live(), live()] == [1, 2, 3]


def test_what_fails_in_the_background_is_logged_and_tried_again(
    latest: Latest[int], clock: Clock, maker: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    latest()
    maker.fails = [RuntimeError("the database is away"), RuntimeError("and still is")]
    clock.now += 6_000
    assert latest() == 1
    wait_for(lambda: "the database is away" in caplog.text)
    clock.now += 4_000
    with pytest.raises(RuntimeError, match="and still is"):
        latest()
    assert latest() == 2
