"""What a request costs: milliseconds of a core by kind, with 500,000 answers stored, on SQLite and PostgreSQL.

The app of a server answers in this process, without HTTP or threads, so that nothing but its own work is counted:
this process's CPU time (SQLite lives in it), beside it that of PostgreSQL's process. Sessions arrive, start, ask
for items and images, answer and finish one after another; the overview is opened between them. On SQLite, also the
pages that a request writes to the log (4 KB each). Time of a core, unlike time on a clock, changes little with
what else a machine does.

    python benchmarks/collecting/server_cpu.py --folder /tmp/load                      both databases, a few minutes
    python benchmarks/collecting/server_cpu.py --folder /tmp/load --only sqlite --profile start

The databases are those of load.py, made in --folder or used again; each run adds its sessions.
"""

import argparse
import cProfile
import io
import json
import pstats
import sqlite3
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from load import database
from sqlalchemy import Engine, text
from stand_ins.stored_study import STUDY, prepared

from collection_app import create_app
from collection_app.admin.passwords import password_hash
from collection_app.database.connections import migrate, open_database
from collection_app.settings import Settings
from collection_app.web.logs import write_logs

PASSWORD = "only for this benchmark"
KINDS = ("arrival", "start", "items", "image", "answer", "finish", "overview")


class Meter:
    """Requests to the app of a study, with what each kind of them has cost."""

    def __init__(self, engine: Engine, *, profiled: str) -> None:
        write_logs(io.StringIO())  # written as by a server
        settings = Settings(arrivals_per_minute=0, rehearsal=True, figures_seconds=0)
        self._app = create_app(STUDY, engine, key="k" * 40, settings=settings, password_hash=password_hash(PASSWORD))
        self._path = Path(f"{engine.url.database}-wal") if engine.dialect.name == "sqlite" else None
        self._backend = None
        if engine.dialect.name == "postgresql":  # one thread, one connection, one process of PostgreSQL
            with engine.connect() as connection:
                self._backend = Path(f"/proc/{connection.scalar(text('SELECT pg_backend_pid()'))}/schedstat")
        self._profiled, self.profile = profiled, cProfile.Profile(time.process_time)
        self.own: dict[str, list[float]] = defaultdict(list)
        self.database: dict[str, list[float]] = defaultdict(list)
        self.pages: dict[str, list[float]] = defaultdict(list)

    def ask(self, kind: str, path: str, *, body: object = None, token: str = "", cookie: str = "") -> bytes:
        """Have a request answered, and count what it cost."""
        content = json.dumps(body).encode() if body is not None else b""
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": "GET" if body is None else "POST",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_AUTHORIZATION": f"Bearer {token}",
            "HTTP_COOKIE": cookie,
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(content)),
            "wsgi.input": io.BytesIO(content),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
        }
        status: list[str] = []

        def begin(line: str, *_: Any) -> Callable[[bytes], object]:
            status.append(line)
            return io.BytesIO().write

        size, theirs = self._logged(), self._postgres_ms()
        if kind == self._profiled:
            self.profile.enable()
        began = time.process_time()
        reply = b"".join(self._app.wsgi_app(environ, begin))
        took = time.process_time() - began
        self.profile.disable()
        assert status == ["200 OK"], (kind, status, reply)
        self.own[kind].append(1000 * took)
        self.database[kind].append(self._postgres_ms() - theirs)
        self.pages[kind].append((self._logged() - size) / 4120)
        return reply

    def cookie(self) -> str:
        """Log in to the admin pages."""
        client = self._app.test_client()
        page = client.get("/admin/login").text
        token = page.split('name="form_token" value="')[1].split('"')[0]
        client.post("/admin/login", data={"form_token": token, "password": PASSWORD})
        found = client.get_cookie("bapps_admin", path="/admin")
        assert found is not None
        return f"{found.key}={found.value}"

    def empty_log(self) -> None:
        """Have SQLite begin its log anew, so that it grows by what is written; what this costs is not counted."""
        if self._path:
            with closing(sqlite3.connect(str(self._path).removesuffix("-wal"))) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _postgres_ms(self) -> float:
        return int(self._backend.read_text().split()[0]) / 1e6 if self._backend else 0.0

    def _logged(self) -> int:
        return self._path.stat().st_size if self._path and self._path.exists() else 0


def sit(meter: Meter, *, answers: int, chance: np.random.Generator) -> None:
    """One person: arrives, starts, answers; finishes if all is answered."""

    def ask(kind: str, path: str, **given: Any) -> Any:
        return json.loads(meter.ask(kind, path, **given))

    state = ask("arrival", "/api/arrivals", body={"key": uuid.uuid4().hex, "parameters": {"id": uuid.uuid4().hex}})
    token = state["token"]
    ask("start", "/api/start", body={"consent_sha256": state["consent_sha256"]}, token=token)
    left = answers
    while left and (trials := ask("items", "/api/trials?limit=20", token=token)["trials"]):
        for trial in trials[:left]:
            for place in ("reference", "left", "right"):
                meter.ask("image", f"/images/{trial[place]}")
            answer = {"id": str(uuid.uuid4()), "slot": trial["slot"], "choice": str(chance.choice(["left", "right"]))}
            answer |= {"reaction_ms": 900.0, "answered_at": 0, "input": "keyboard"}
            ask("answer", "/api/answers", body={"answers": [answer]}, token=token)
            left -= 1
    if left:
        ask("finish", "/api/finish", body={}, token=token)


def measure(kind: str, url: str, *, sessions: int, answers: int, profiled: str) -> None:
    """Print a row for each kind of request."""
    engine = open_database(url)
    migrate(engine)
    meter, chance = Meter(engine, profiled=profiled), np.random.default_rng(0)
    cookie = meter.cookie()
    sit(meter, answers=5, chance=chance)  # what is made once
    meter.ask("overview", "/admin/", cookie=cookie)
    for costs in (meter.own, meter.database, meter.pages):
        costs.clear()
    for number in range(sessions):
        meter.empty_log()
        sit(meter, answers=200 if number % 10 == 9 else answers, chance=chance)
        meter.ask("overview", "/admin/", cookie=cookie)
    engine.dispose()
    for name in KINDS:
        own, theirs, pages = (np.mean(costs[name]) for costs in (meter.own, meter.database, meter.pages))
        median = np.median(meter.own[name])
        print(f"| {kind} | {name} | {len(meter.own[name])} | {own:.2f} | {median:.2f} | {theirs:.2f} | {pages:.1f} |")
    if profiled:
        pstats.Stats(meter.profile).sort_stats("tottime").print_stats(40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the databases are made, or were [default: a temporary one]")
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--answers", type=int, default=20, help="of a session that does not finish; one in ten does")
    parser.add_argument("--profile", choices=KINDS, default="", help="also print where a kind of request spends time")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="load-"))
    folder.mkdir(exist_ok=True)
    print(
        "| database | request | times | ms of a core, mean | median | ms of PostgreSQL | pages |\n" + "|---" * 7 + "|"
    )
    for kind in [options.only] if options.only else ["sqlite", "postgresql"]:
        with database(folder, kind) as url:
            prepared(folder, url, kind)
            measure(kind, url, sessions=options.sessions, answers=options.answers, profiled=options.profile)


if __name__ == "__main__":
    main()
