"""The JSON interface from the other side: what a browser does, for simulated people and tests."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import urllib3
from numpy.typing import NDArray

from bapps_builder.errors import BappsError
from bapps_builder.images.image_files import decode_image

_TRIES = 30
_WORTH_REPEATING = frozenset({502, 503, 504})


class CollectionError(BappsError):
    """A server that does not answer as it should."""


class Problem(Exception):
    """A request that the server understood and did not do; `error` is its name for programs."""

    def __init__(self, status: int, content: dict[str, Any]) -> None:
        super().__init__(f"{status} {content.get('error')}: {content.get('message')}")
        self.status, self.error, self.content = status, content.get("error"), content


class Client:
    """Requests to a server; each is sent again until there is an answer, since all are harmless to repeat."""

    def __init__(self, url: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._url, self._pause = url.rstrip("/"), pause
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5, read=60))

    def get(self, path: str, *, token: str) -> dict[str, Any]:
        """Get JSON."""
        return self._json("GET", path, token=token, body=None)

    def post(self, path: str, body: dict[str, Any], *, token: str = "") -> dict[str, Any]:
        """Post JSON."""
        return self._json("POST", path, token=token, body=body)

    def image(self, name: str) -> tuple[NDArray[np.uint8], str]:
        """Get a patch, uint8 (H, W, 3), and the proof that it was given out."""
        data, proof = self.picture(name)
        return decode_image(data, name=name), proof

    def picture(self, name: str) -> tuple[bytes, str]:
        """Get a patch as it comes, and the proof that it was given out."""
        reply = self._send("GET", f"/images/{name}", {}, None)
        return reply.data, reply.headers.get("Picture-Proof", "")

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _json(self, method: str, path: str, *, token: str, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        reply = self._send(method, path, headers, body)
        if reply.status != 200:
            raise Problem(reply.status, reply.json())
        return reply.json()

    def _send(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None
    ) -> urllib3.BaseHTTPResponse:
        problem = ""
        for attempt in range(_TRIES):
            if attempt:
                self._pause(min(0.05 * 2**attempt, 2.0))
            try:
                reply = self._pool.request(method, self._url + path, headers=headers, json=body)
            except urllib3.exceptions.HTTPError as error:
                problem = type(error).__name__
                continue
            if reply.status not in _WORTH_REPEATING:
                return reply
            problem = f"status {reply.status}"
        raise CollectionError(f"{self._url}{path}: no answer after {_TRIES} tries, the last: {problem}")
