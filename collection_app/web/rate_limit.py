"""How often one address may arrive, or try a password.

No address is kept: only its HMAC, under a key that lives in memory for a day.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from threading import Lock

_DAY_MS = 86_400_000
_MINUTE_MS = 60_000
# With more addresses than this in a minute, the oldest are forgotten: memory stays bounded.
_MOST = 100_000


class RateLimit:
    """A bucket of tries for each address, refilled at a steady rate; one for each process."""

    def __init__(self, per_minute: int, clock: Callable[[], int]) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._lock = Lock()
        self._key, self._day = secrets.token_bytes(32), -1
        self._buckets: dict[bytes, tuple[float, int]] = {}

    def allows(self, address: str) -> bool:
        """Count a try from an address; tell whether it is within the limit. 0 a minute is no limit."""
        if not self._per_minute:
            return True
        now = self._clock()
        with self._lock:
            if now // _DAY_MS != self._day:
                self._key, self._day = secrets.token_bytes(32), now // _DAY_MS
                self._buckets.clear()
            name = self._name(address)
            tokens, before = self._buckets.pop(name, (float(self._per_minute), now))
            elapsed = max(0, now - before)  # a clock may be set back
            tokens = min(self._per_minute, tokens + elapsed * self._per_minute / _MINUTE_MS)
            self._buckets[name] = (max(tokens - 1, 0.0), now)  # put last: the first is the oldest
            if len(self._buckets) > _MOST:
                del self._buckets[next(iter(self._buckets))]
            return tokens >= 1

    def give_back(self, address: str) -> None:
        """Count the last try from an address no longer."""
        if not self._per_minute:
            return
        with self._lock:
            name = self._name(address)
            if name in self._buckets:
                tokens, before = self._buckets[name]
                self._buckets[name] = (min(self._per_minute, tokens + 1), before)

    def _name(self, address: str) -> bytes:
        return hmac.new(self._key, address.encode(), hashlib.sha256).digest()[:16]
