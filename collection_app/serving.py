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

    def close() -> None:
        # The loop ends when nothing is left in its map; only the loop's own thread may take it away.
        cast(Any, server.trigger).pull_trigger(lambda: wasyncore.close_all(channels))

    def run() -> None:
        server.run()
        server.task_dispatcher.shutdown()

    return Listening(f"http://{host}:{port}", run, close)


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
