"""What was read not long ago, up to so many bytes of it: what was used longest ago goes first."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class RecentlyRead(Generic[K, V]):
    """Values by their keys, of limited size together; safe from several threads.

    Parameters
    ----------
    most_bytes : int
        How much is kept. What alone is more than that is not.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most, self._bytes = most_bytes, 0
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        """What is kept under a key, or None."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value of so many bytes, and let go of what there is no more room for."""
        with self._lock:
            _, before = self._kept.pop(key, (value, 0))
            self._kept[key] = value, size
            self._bytes += size - before
            while self._bytes > self._most:
                _, (_, size_of_oldest) = self._kept.popitem(last=False)
                self._bytes -= size_of_oldest
