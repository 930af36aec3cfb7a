"""A value that takes long to make, kept for a while, so that who looks at it seldom waits.

Whoever asks gets what there is, and once it is a tenth as old as it may get has the next one made in the background;
past the limit they wait. It is made by one at a time, however many ask.
"""

from collections.abc import Callable
from threading import Lock, Thread
from typing import Generic, TypeVar

from collection_app.logs import LOGGER

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
        No value is given that was begun longer ago; with 0 each call makes one.
    """

    def __init__(self, make: Callable[[], T], *, clock: Callable[[], int], keep_ms: float) -> None:
        self._make, self._clock, self._keep = make, clock, keep_ms
        self._turn = Lock()
        self._found: tuple[int, T] | None = None

    def __call__(self) -> T:
        """Give the value."""
        found = self._not_older_than(self._keep)
        if found is None:
            with self._turn:
                found = self._not_older_than(self._keep) or self._made()
        elif self._not_older_than(_RENEWED * self._keep) is None and self._turn.acquire(blocking=False):
            Thread(target=self._make_next, name="latest", daemon=True).start()
        return found[1]

    def _not_older_than(self, limit: float) -> tuple[int, T] | None:
        found = self._found
        # A clock that was set back says nothing of an age.
        return found if found and 0 <= self._clock() - found[0] < limit else None

    def _made(self) -> tuple[int, T]:
        began = self._clock()
        self._found = found = began, self._make()
        return found

    def _make_next(self) -> None:
        try:
            self._made()
        except Exception as error:  # whoever asks after the limit makes it, and is told
            LOGGER.error("figures could not be summed up", exc_info=error)
        finally:
            self._turn.release()
