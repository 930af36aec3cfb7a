"""A server that listens: waitress in this process, with a loop for many connections."""

import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import cast

from flask import Flask
from waitress import wasyncore
from waitress.server import TcpWSGIServer, create_server

from collection_app.server.event_loop import Channel, Connections
from collection_app.settings import Settings

# Files of this process that are no connections of visitors: the database, logs, pictures that are read.
_OF_OUR_OWN = 200
# Longer than people think between answers.
_IDLE_SECONDS = 60


@dataclass(frozen=True)
class Listening:
    """A server whose port is open; `run` serves until `close` is called, from any thread."""

    address: str
    run: Callable[[], None]
    close: Callable[[], None]


def listen(app: Flask, settings: Settings) -> Listening:
    """Open the port."""
    opened = socket.create_server((settings.host, settings.port), backlog=1024)
    connections = _files_for(settings.connections)
    channels = Connections(connections)
    either_server = create_server(
        app,
        map=channels,
        sockets=[opened],
        threads=settings.threads,
        ident=None,
        clear_untrusted_proxy_headers=False,  # see `proxies`
        max_request_body_size=settings.largest_request,
        connection_limit=connections + _OF_OUR_OWN,  # never reached: see `event_loop`
        channel_timeout=_IDLE_SECONDS,
        cleanup_interval=5,
    )
    server = cast(TcpWSGIServer, either_server)  # as it is for a single socket
    server.channel_class = Channel  # nobody has been accepted yet: that happens in `turn`
    host, port = opened.getsockname()[:2]

    def end() -> None:
        server.task_dispatcher.shutdown()  # first: a thread that is answering still uses the channels
        wasyncore.close_all(channels)  # the loop ends when nothing is left in its map

    stop, stopped = socket.socketpair()
    _Hangup(stopped, channels, end)

    def run() -> None:
        try:
            while channels:
                channels.turn()
        except (SystemExit, KeyboardInterrupt):
            server.task_dispatcher.shutdown()

    return Listening(f"http://{host}:{port}", run, stop.close)


def _files_for(connections: int) -> int:
    """See to it that this process may open so many connections, or give as many as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = connections + _OF_OUR_OWN
    if soft != resource.RLIM_INFINITY and soft < need:
        soft = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else max(16, min(connections, soft - _OF_OUR_OWN))


class _Hangup(wasyncore.dispatcher):
    """Calls `then` in the loop's own thread when the other end of the socket is closed.

    Waitress' own trigger cannot carry this: a loop that is awake already would close it while it is being pulled.
    """

    def __init__(self, ours: socket.socket, channels: Connections, then: Callable[[], None]) -> None:
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
