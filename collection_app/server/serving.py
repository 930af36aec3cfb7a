"""A server that listens: waitress, in this process."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any, cast

from flask import Flask
from waitress import wasyncore
from waitress.server import TcpWSGIServer, create_server

from collection_app.settings import Settings


@dataclass(frozen=True)
class Listening:
    """A server whose port is open; `run` serves until `close` is called, from any thread."""

    address: str
    run: Callable[[], None]
    close: Callable[[], None]


def listen(app: Flask, settings: Settings) -> Listening:
    """Open the port."""
    opened = socket.create_server((settings.host, settings.port), backlog=1024)
    channels: dict[int, Any] = {}
    made = create_server(
        app,
        map=channels,
        sockets=[opened],
        threads=settings.threads,
        ident=None,
        clear_untrusted_proxy_headers=False,  # see `proxies`
        max_request_body_size=settings.largest_request,
    )
    server = cast(TcpWSGIServer, made)  # as it is for a single socket
    host, port = opened.getsockname()[:2]

    def end() -> None:
        server.task_dispatcher.shutdown()  # first: a thread that is answering still uses the channels
        wasyncore.close_all(channels)  # the loop ends when nothing is left in its map

    stop, stopped = socket.socketpair()
    _Hangup(stopped, channels, end)
    return Listening(f"http://{host}:{port}", server.run, stop.close)


class _Hangup(wasyncore.dispatcher):
    """Calls `then` in the loop's own thread when the other end of the socket is closed.

    Waitress' own trigger cannot carry this: a loop that is awake already would close it while it is being pulled.
    """

    def __init__(self, ours: socket.socket, channels: dict[int, Any], then: Callable[[], None]) -> None:
        super().__init__(ours, map=channels)
        self._then = then

    def writable(self) -> bool:
        return False

    def handle_read(self) -> None:
        self._then()


@contextmanager
def served(app: Flask, settings: Settings) -> Iterator[str]:
    """Serve in a thread while the block runs; gives the address."""
    server = listen(app, settings)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server.address
    finally:
        server.close()
        thread.join()
