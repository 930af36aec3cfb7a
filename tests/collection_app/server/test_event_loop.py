"""Threat 7: many connections, idle and half-open ones, and what they cost who answers."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest
import urllib3
from flask import Flask, request
from waitress.channel import HTTPChannel

from collection_app.server.serving import served
from collection_app.settings import Settings

# The head of a request that never ends, and one whose body never comes.
HALF = b"GET / HTTP/1.1\r\nHost: study\r\nX-"
HEADED = b"POST / HTTP/1.1\r\nHost: study\r\nContent-Length: 100\r\n\r\n{"


@pytest.fixture
def app() -> Flask:
    app, gate = Flask("app"), threading.Event()

    @app.get("/")
    def small() -> str:
        return "x" * 1000

    @app.get("/large")
    def large() -> Iterator[bytes]:
        for _ in range(200):
            yield b"y" * 65_536

    @app.post("/echo")
    def echo() -> bytes:
        return request.get_data()

    @app.get("/wait")
    def wait() -> str:
        assert gate.wait(30)
        return "waited"

    @app.get("/go")
    def go() -> str:
        gate.set()
        return "go"

    return app


@contextmanager
def connections(url: str, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    host, port = url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(count)]
        for one in opened:
            one.sendall(sent)
        yield opened


def ask(url: str, path: str = "/") -> tuple[int, bytes]:
    reply = urllib3.request("GET", url + path, retries=False, timeout=20)
    return reply.status, reply.data


@pytest.mark.parametrize("sent", [b"", HALF, HEADED], ids=["idle", "half-open", "half a body"])
def test_threat_7_connections_that_say_nothing_stop_nobody(app: Flask, sent: bytes) -> None:
    """At 120 of them, the default of waitress let nobody in any more, for two minutes."""
    with served(app, Settings(port=0, threads=2)) as url, connections(url, 400, sent):
        for _ in range(20):
            assert ask(url) == (200, b"x" * 1000)


def test_threat_7_at_the_limit_the_longest_idle_make_room(app: Flask) -> None:
    with served(app, Settings(port=0, connections=40)) as url, connections(url, 120, HALF) as opened:
        for _ in range(20):
            assert ask(url) == (200, b"x" * 1000)
        closed = [_is_closed(one) for one in opened]
    assert sum(closed) >= 80
    assert not any(closed[-20:])  # those who came last were let in


def _is_closed(one: socket.socket) -> bool:
    one.settimeout(0.2)
    try:
        return one.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def test_who_is_being_answered_is_never_closed_to_make_room(app: Flask) -> None:
    with served(app, Settings(port=0, connections=40)) as url:
        replies: list[Any] = []
        waiting = threading.Thread(target=lambda: replies.append(ask(url, "/wait")))
        waiting.start()
        time.sleep(0.2)
        with connections(url, 120):
            assert ask(url, "/go") == (200, b"go")
            waiting.join(20)
    assert replies == [(200, b"waited")]


def test_threat_7_three_hundred_people_with_six_connections_each(app: Flask) -> None:
    """Each keeps six open and asks on one after another of them, as browsers do."""
    with served(app, Settings(port=0)) as url, ExitStack() as stack:
        host, port = url.removeprefix("http://").split(":")
        people = [
            [stack.enter_context(closing(HTTPConnection(host, int(port), timeout=20))) for _ in range(6)]
            for _ in range(300)
        ]
        for browser in people:
            for connection in browser:
                connection.connect()
        for number in range(6):
            for browser in people:
                browser[number].request("GET", "/")
                reply = browser[number].getresponse()
                assert (reply.status, len(reply.read())) == (200, 1000)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(lambda url: ask(url, "/large")[1] == b"y" * 65_536 * 200, id="a large reply"),
        pytest.param(
            lambda url: urllib3.request("POST", url + "/echo", body=b"z" * 200_000, timeout=20).data == b"z" * 200_000,
            id="a large request",
        ),
    ],
)
def test_what_is_large_comes_whole(app: Flask, asked: Callable[[str], bool]) -> None:
    with served(app, Settings(port=0)) as url:
        assert asked(url)


def test_requests_sent_at_once_on_one_connection_are_answered_in_order(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no look at everybody in between, so that no request is left to one."""
    monkeypatch.setattr("collection_app.server.event_loop._SWEEP_SECONDS", 1e12)
    with served(app, Settings(port=0)) as url, connections(url, 1) as [one]:
        bodies = [f"{number:04d}".encode() for number in range(50)]
        one.sendall(b"".join(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n" + body for body in bodies))
        one.settimeout(20)
        got = b""
        while got.count(b"HTTP/1.1 200") < 50 or not got.endswith(bodies[-1]):
            got += one.recv(65_536)
    assert [part[-4:] for part in got.split(b"HTTP/1.1 200")[1:]] == bodies


def test_no_reply_waits_for_the_next_look_at_everybody(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collection_app.server.event_loop._SWEEP_SECONDS", 1e12)
    with served(app, Settings(port=0)) as url, urllib3.PoolManager(retries=False, timeout=20) as pool:
        for _ in range(1000):
            assert pool.request("GET", url + "/").status == 200


def test_requests_that_wait_for_a_thread_cost_the_others_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked in every turn, 300 people's waiting requests took the time that would have answered them."""
    asked: Counter[HTTPChannel] = Counter()
    readable = HTTPChannel.readable

    def counted(self: HTTPChannel) -> bool:
        if self.requests:
            asked[self] += 1
        return readable(self)

    gate, inside = threading.Event(), threading.Semaphore(0)

    @app.get("/held")
    def held() -> str:
        inside.release()
        assert gate.wait(30)
        return "held"

    monkeypatch.setattr("collection_app.server.event_loop._SWEEP_SECONDS", 1e12)
    monkeypatch.setattr(HTTPChannel, "readable", counted)
    get = b"GET %b HTTP/1.1\r\nHost: study\r\nConnection: close\r\n\r\n"
    with served(app, Settings(port=0, threads=1)) as url, connections(url, 1, get % b"/held") as [first]:
        assert inside.acquire(timeout=20)  # the only thread is taken
        with connections(url, 20, get % b"/") as waiting:
            with connections(url, 100, HALF) as others:  # a turn of the loop each, at least
                for one in others:
                    one.sendall(b"a")
                    one.shutdown(socket.SHUT_WR)
                for one in others:  # closed by the server: the loop has been round since
                    _to_the_end(one)
            asked_while_waiting = [count for channel, count in asked.items() if not _is_held(channel)]
            gate.set()
            replies = [_to_the_end(one) for one in [first, *waiting]]
    assert [reply[-4:] for reply in replies] == [b"held"] + [b"xxxx"] * len(waiting)
    assert len(asked_while_waiting) == len(waiting)
    assert max(asked_while_waiting) <= 3


def _is_held(channel: HTTPChannel) -> bool:
    return bool(channel.requests) and getattr(channel.requests[0], "path", "") == "/held"


def _to_the_end(one: socket.socket) -> bytes:
    one.settimeout(20)
    return b"".join(iter(lambda: one.recv(65_536), b""))


def test_a_server_that_is_closed_ends(app: Flask) -> None:
    with served(app, Settings(port=0)) as url:
        assert ask(url)[0] == 200
    with pytest.raises(urllib3.exceptions.HTTPError):
        ask(url)
