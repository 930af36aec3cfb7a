"""Keys that a platform publishes to check its signatures by; nobody waits long for keys that cannot be had."""

import time
from threading import Lock

import jwt

_KEPT_SECONDS = 86_400
_PATIENCE_SECONDS = 5
# Longer than it takes where the keys are here; who waits holds a thread.
_TURN_SECONDS = 0.5
# After the platform did not answer nobody asks it for so long.
_PAUSE_SECONDS = 10


class PublishedKeys:
    """The keys at an address, asked for once a day, by one thread at a time."""

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, lifespan=_KEPT_SECONDS, timeout=_PATIENCE_SECONDS)
        self._turn = Lock()
        self._failed_at = -float("inf")

    def key_of(self, token: str) -> jwt.PyJWK:
        """The key that a token says it is signed with.

        Raises
        ------
        jwt.PyJWKClientConnectionError
            If that cannot be told now.
        jwt.PyJWTError
            If there is none.
        """
        if not self._turn.acquire(timeout=_TURN_SECONDS):
            raise jwt.PyJWKClientConnectionError("somebody else is waiting for the keys")
        try:
            if time.monotonic() - self._failed_at < _PAUSE_SECONDS:
                raise jwt.PyJWKClientConnectionError("the keys could not be had a moment ago")
            return self._key(token)
        finally:
            self._turn.release()

    def _key(self, token: str) -> jwt.PyJWK:
        try:
            return self._client.get_signing_key_from_jwt(token)
        except jwt.PyJWKClientConnectionError:
            self._failed_at = time.monotonic()
            raise
