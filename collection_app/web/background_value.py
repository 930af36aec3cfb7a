"""A value that takes long to make, kept for a while, so that who looks at it seldom waits.

Whoever asks gets what there is, and once it is a tenth as old as it may get has the next one made in the background;
past the limit they wait. However many ask, one is made at a time, and all who wait get it, or its error.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Generic, TypeVar

from collection_app.web.logs import LOGGER

T = TypeVar("T")
# With several processes, each is asked only now and then: what it has must be good until then.
_RENEWED = 0.1


class Latest(Generic[T]):
    """The latest value, called to get it.

    Parameters
    ----------
    make : callable
        Makes the value; called in the thread that asks or in one of its own.
    clock : callable
        Gives milliseconds.
    keep_ms : float
        For how long after it was begun a value is given; with 0 to those alone who asked before it was done.
    renewed : float
        At what share of that time who asks has the next one made in the background; 1: never.
    """

    def __init__(
        self, make: Callable[[], T], *, clock: Callable[[], int], keep_ms: float, renewed: float = _RENEWED
    ) -> None:
        self._make, self._clock, self._keep, self._renewed = make, clock, keep_ms, renewed * keep_ms
        self._lock = Lock()
        self._latest: tuple[int, T] | None = None
        self._coming: Future[T] | None = None

    def __call__(self) -> T:
        """Give the value."""
        latest = self._younger_than(self._keep)
        if latest is None:
            return self._awaited()
        if self._younger_than(self._renewed) is None:
            self._renew()
        return latest[1]

    def _younger_than(self, limit: float) -> tuple[int, T] | None:
        value_and_time = self._latest
        # A clock that was set back says nothing of an age.
        return value_and_time if value_and_time and 0 <= self._clock() - value_and_time[0] < limit else None

    def _awaited(self) -> T:
        with self._lock:
            if latest := self._younger_than(self._keep):  # it has come meanwhile
                return latest[1]
            coming, mine = (self._coming, False) if self._coming else (Future(), True)
            self._coming = coming
        if mine:
            self._fulfil(coming)
        return coming.result()

    def _renew(self) -> None:
        with self._lock:
            if self._coming or self._younger_than(self._renewed):
                return
            coming = self._coming = Future()
        try:
            Thread(target=self._fulfil_and_log, args=(coming,), name="latest", daemon=True).start()
        except RuntimeError:  # there can be no more threads
            self._fulfil_and_log(coming)

    def _fulfil(self, coming: Future[T]) -> None:
        began = self._clock()
        try:
            value = self._make()
        except BaseException as error:
            with self._lock:
                self._coming = None
            coming.set_exception(error)
        else:
            with self._lock:
                self._latest, self._coming = (began, value), None
            coming.set_result(value)

    def _fulfil_and_log(self, coming: Future[T]) -> None:
        self._fulfil(coming)
        if error := coming.exception():
            LOGGER.error("figures could not be summed up", exc_info=error)
