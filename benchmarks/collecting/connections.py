"""What a request costs a server beside connections that rest: waitress's own loop (with poll) against ours.

Seconds of a core for 300 requests and for accepting the connections, and how long a request took. The numbers of a core
hardly move when the machine has other work; the waiting does.

    python benchmarks/collecting/connections.py
"""

import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from waitress.server import create_server

from collection_app.server.serving import Listening, listen
from collection_app.settings import Settings

REQUESTS = 300
_KEPT: list[Listening] = []
CLIENT = """
import socket, sys, time, urllib3
port, resting, requests = map(int, sys.argv[1:])
kept = [socket.create_connection(("127.0.0.1", port)) for _ in range(resting)]
pool = urllib3.HTTPConnectionPool("127.0.0.1", port, timeout=60)
took = []
for _ in range(requests):
    began = time.perf_counter()
    assert pool.request("GET", "/").status == 200
    took.append(time.perf_counter() - began)
print(*took)
"""


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with a kilobyte."""
    body = b"x" * 1000
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def of_waitress() -> int:
    """Begin waitress as it comes, but for its limit of 100 connections; gives the port."""
    opened = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = create_server(app, sockets=[opened], threads=8, connection_limit=10_000, asyncore_use_poll=True)
    threading.Thread(target=server.run, daemon=True).start()
    return opened.getsockname()[1]


def ours() -> int:
    """Begin what `bapps-collect serve` uses; gives the port."""
    made = Flask("app")
    made.wsgi_app = app
    server = listen(made, Settings(port=0, connections=10_000))
    threading.Thread(target=server.run, daemon=True).start()
    _KEPT.append(server)  # it ends when nobody holds it any more
    return int(server.address.rsplit(":", 1)[1])


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("| resting connections | loop | seconds of a core | a request: median, p95 (ms) |\n|---|---|---|---|")
    for resting in (0, 300, 1800):
        for name, begin in (("waitress", of_waitress), ("ours", ours)):
            port, before = begin(), time.process_time()
            asked = [sys.executable, "-c", CLIENT, str(port), str(resting), str(REQUESTS)]
            took = sorted(map(float, subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()))
            spent = time.process_time() - before
            p95 = 1000 * took[int(0.95 * len(took))]
            print(f"| {resting} | {name} | {spent:.2f} | {1000 * statistics.median(took):.1f}, {p95:.1f} |", flush=True)


if __name__ == "__main__":
    main()
