"""People answering at once, with the time they think: how fast a server answers when 500,000 answers are stored.

A real server on loopback (gunicorn, or with --serve `bapps-collect serve`), on SQLite and on PostgreSQL, with one
process and with two. Simulated people arrive, get their next items, load three images a trial, think three seconds on
average and answer, while the admin pages' overview is opened every two seconds. The people live in one process that
shares the machine's cores with the server: its own part of a core is printed.

    python benchmarks/collecting/load.py                                       all cells of the table, some 15 minutes
    python benchmarks/collecting/load.py --only sqlite --processes 2 --people 300
    python benchmarks/collecting/load.py --only sqlite --serve --people 300 --connections 6 --silent 1000
                                                                    browsers' six connections, and 1,000 half-open ones
    python benchmarks/collecting/load.py --only postgresql --soak 30           half an hour of 60 people, with memory
    python benchmarks/collecting/load.py --export                              500,000 answers by HTTP, with memory

The databases are made once in --folder, and used again.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import Engine, text
from stand_ins.breaking import Postgres
from stand_ins.people_on_the_wire import Seen, person
from stand_ins.stored_study import prepared

from collection_app.admin.passwords import password_hash
from collection_app.database.connections import open_database, read, write
from collection_app.sessions.allocation import give_up_expired

PEOPLE = (10, 50, 100, 300)
ARRIVALS_PER_MINUTE = 200
PASSWORD = "only for this benchmark"
CONF = Path(__file__).resolve().parents[2] / "deploy" / "gunicorn.conf.py"


@dataclass
class Served:
    """A running server: its port, and the processes it is made of."""

    port: int
    process: psutil.Process
    log: Path

    def workers(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def memory(self) -> float:
        """Megabytes of all its processes, those they share counted once each."""
        return sum(process.memory_info().rss for process in self.workers()) / 2**20

    def seconds(self) -> float:
        """Seconds of a core that it has used."""
        return sum(sum(process.cpu_times()[:2]) for process in self.workers())

    def locked(self) -> int:
        """How many errors of the database it has logged."""
        return self.log.read_text().count('"database"')


@contextmanager
def server(folder: Path, url: str, processes: int, *, serve: bool = False) -> Iterator[Served]:
    """Run gunicorn with the configuration that is delivered, or `bapps-collect serve`."""
    environment = {**os.environ, "BAPPS_COLLECT_STUDY": str(folder / "study.toml"), "BAPPS_COLLECT_DATABASE": url}
    environment |= {"BAPPS_COLLECT_KEY": "k" * 40, "BAPPS_COLLECT_ARRIVALS_PER_MINUTE": "0"}
    environment |= {"BAPPS_COLLECT_PASSWORD_HASH": password_hash(PASSWORD), "BAPPS_COLLECT_PORT": "0"}
    environment |= {"BAPPS_COLLECT_PROCESSES": str(processes), "BAPPS_COLLECT_REHEARSAL": "true"}
    log = folder / "server.log"
    command = [sys.executable, "-m", "gunicorn", "--config", str(CONF), "collection_app.wsgi:application()"]
    said = "Listening at"
    if serve:
        command = [str(Path(sys.executable).with_name("bapps-collect")), "serve", str(folder / "study.toml")]
        said = "; stop with"
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, stderr=file, stdout=file)
    try:
        port = 0
        while not port or log.read_text().count('"serving"') < processes:
            if process.poll() is not None:
                raise AssertionError(log.read_text())
            time.sleep(0.2)
            port = next(
                (
                    int(line.split("http://")[1].split(":")[1].split()[0].rstrip(";"))
                    for line in log.read_text().splitlines()
                    if said in line
                ),
                0,
            )
        yield Served(port, psutil.Process(process.pid), log)
    finally:
        process.terminate()
        process.wait()


class Admin:
    """Somebody who runs the study, logged in."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/admin"
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open
        page = self._open(f"{self._url}/login").read().decode()
        token = page.split('name="form_token" value="')[1].split('"')[0]
        self._open(f"{self._url}/login", data=f"form_token={token}&password={PASSWORD.replace(' ', '+')}".encode())

    def look(self) -> float:
        """Open the overview; give the seconds it took."""
        began = time.perf_counter()
        assert b"Progress" in self._open(f"{self._url}/").read()
        return time.perf_counter() - began

    def export(self, kind: str) -> tuple[float, int]:
        """Fetch all answers; give seconds and bytes."""
        began, size = time.perf_counter(), 0
        with self._open(f"{self._url}/export.{kind}") as reply:
            while piece := reply.read(1 << 16):
                size += len(piece)
        return time.perf_counter() - began, size


async def crowd(
    served: Served,
    admin: Admin,
    seen: Seen,
    people: int,
    seconds: float,
    *,
    ramp: float,
    connections: int = 1,
    silent: int = 0,
) -> None:
    """Let people come one after another within `ramp` seconds, then answer for `seconds`; look every two seconds."""
    until = time.monotonic() + ramp + seconds

    async def come(number: int) -> None:
        await asyncio.sleep(ramp * number / people)
        await person(served.port, seen, random.Random(number), until, connections=connections)

    async def say_nothing() -> None:
        """Keep so many requests half-open; who is cut off comes again."""
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        while time.monotonic() < until:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-")
            try:
                await asyncio.wait_for(reader.read(), until - time.monotonic())
            except TimeoutError:
                break
            finally:
                writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.close()

    async def look() -> None:
        while time.monotonic() < until:
            seen.seconds["dashboard"].append(await asyncio.to_thread(admin.look))
            await asyncio.sleep(2)

    async def all_there() -> None:
        await asyncio.sleep(ramp)
        for kind in ("answer", "items", "image", "dashboard"):
            seen.seconds[f"{kind}, arriving"] = seen.seconds.pop(kind, [])
        await asyncio.sleep(seconds)
        seen.timely = len(seen.seconds["answer"])

    half_open = [say_nothing() for _ in range(silent)]
    await asyncio.gather(look(), all_there(), *half_open, *map(come, range(people)))


def cell(
    kind: str, processes: int, people: int, served: Served, *, seconds: float, connections: int, silent: int
) -> None:
    """Measure one cell of the table."""
    seen, admin = Seen(), Admin(served.port)
    ramp = people * 60 / ARRIVALS_PER_MINUTE
    mine, theirs, began = time.process_time(), served.seconds(), time.perf_counter()
    asyncio.run(crowd(served, admin, seen, people, seconds, ramp=ramp, connections=connections, silent=silent))
    took = time.perf_counter() - began
    requests = sum(map(len, seen.seconds.values()))
    steady = seen.timely / seconds
    kinds = ("arrival", "start", "answer, arriving", "answer", "items", "image", "dashboard")
    parts = " | ".join(seen.percentiles(name) for name in kinds)
    print(
        f"| {kind} | {processes} | {people} | {steady:.1f} | {requests / took:.0f} | {parts} | "
        f"{(served.seconds() - theirs) / took:.2f} | {(time.process_time() - mine) / took:.2f} | "
        f"{served.memory():.0f} | {sum(seen.wrong.values())} |",
        flush=True,
    )
    if seen.wrong:
        print(dict(seen.wrong), served.log.read_text()[-2000:])


def give_up_all(url: str) -> None:
    """Give back the places of those who left with a cell: else they are under way for half an hour, in others too."""
    engine = open_database(url)
    study_id = read(engine, lambda c: c.scalars(text("SELECT id FROM study")).one())
    write(engine, lambda c: give_up_expired(c, study_id, time.time_ns() // 1_000_000 + 86_400_000))
    engine.dispose()


HEADER = (
    "| database | processes | people | answers/s | requests/s | arrival | start | answer, others arriving | answer | "
    "next items | image | dashboard | server cores | people's cores | MB | errors |\n|" + "---|" * 16
)


def soak(kind: str, processes: int, served: Served, engine: Engine, *, minutes: float, people: int) -> None:
    """Let people answer for long; print memory, errors and latencies as they go."""
    admin, began = Admin(served.port), time.monotonic()
    seen, total = Seen(), Counter[str]()
    stored = read(engine, lambda c: c.scalar(text("SELECT sum(answers) FROM pace")))
    print(
        f"{kind}, {processes} processes, {people} people; minutes: MB, answers/s, answer and dashboard p50/p95/p99 ms"
    )
    piece = min(300.0, minutes * 60)

    def answers() -> int:
        return len(seen.seconds["answer"]) + len(seen.seconds["answer, arriving"])

    async def report(until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(min(60.0, piece))
            print(
                f"{(time.monotonic() - began) / 60:5.1f}: {served.memory():.0f} MB, "
                f"{answers() / 60:.1f}/s, {seen.percentiles('answer')}, "
                f"{seen.percentiles('dashboard')}, {seen.complete} complete, {dict(seen.wrong)}, "
                f"{served.locked()} database errors",
                flush=True,
            )
            total["answers"] += answers()
            total["wrong"] += sum(seen.wrong.values())
            seen.seconds.clear()
            seen.wrong.clear()

    async def both() -> None:
        until = time.monotonic() + minutes * 60
        await asyncio.gather(crowd(served, admin, seen, people, minutes * 60, ramp=20), report(until))

    asyncio.run(both())
    total["answers"] += answers()
    now = read(engine, lambda c: c.scalar(text("SELECT sum(answers) FROM pace")))
    print(f"{total['answers']} answers acknowledged, {now - stored} stored; {total['wrong']} wrong replies", flush=True)


def exports(kind: str, processes: int, served: Served) -> None:
    """Fetch all answers in every format, with the server's memory before and its highest while it writes."""
    admin = Admin(served.port)
    for name in ("csv", "parquet"):
        before = served.memory()
        with Highest(served) as highest:
            seconds, size = admin.export(name)
        print(
            f"{kind}, {processes}: export.{name} {size / 2**20:.0f} MB in {seconds:.1f} s; "
            f"memory {before:.0f} MB before, {highest.found:.0f} MB at most",
            flush=True,
        )


class Highest:
    """The highest memory of a server while a block runs."""

    def __init__(self, served: Served) -> None:
        from threading import Event, Thread

        self._served, self._over, self.found = served, Event(), 0.0
        self._thread = Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.found = max(self.found, self._served.memory())

    def __enter__(self) -> "Highest":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def database(folder: Path, kind: str) -> Iterator[str]:
    """The address of a database of a kind in a folder."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/load.sqlite"
        return
    postgres = Postgres(folder / "pg")
    try:
        yield postgres.url
    finally:
        postgres.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the databases are made, or were [default: a temporary one]")
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--people", type=int, nargs="*", default=list(PEOPLE))
    parser.add_argument("--seconds", type=float, default=40, help="of each cell, once all are there")
    parser.add_argument("--serve", action="store_true", help="`bapps-collect serve` in place of gunicorn: one process")
    parser.add_argument("--connections", type=int, default=1, help="that each person keeps open, as browsers do six")
    parser.add_argument("--silent", type=int, default=0, help="half-open connections beside them")
    parser.add_argument("--soak", type=float, help="minutes of 60 people, instead of the table")
    parser.add_argument("--export", action="store_true", help="exports, instead of the table")
    parser.add_argument("--prepare", action="store_true", help="make the databases, and nothing else")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="load-"))
    folder.mkdir(exist_ok=True)
    if not (options.soak or options.export or options.prepare):
        print(HEADER)
    for kind in [options.only] if options.only else ["sqlite", "postgresql"]:
        with database(folder, kind) as url:
            prepared(folder, url, kind)
            for processes in [] if options.prepare else [1] if options.serve else options.processes:
                with server(folder, url, processes, serve=options.serve) as served:
                    if options.soak:
                        engine = open_database(url)
                        soak(kind, processes, served, engine, minutes=options.soak, people=60)
                        engine.dispose()
                    elif options.export:
                        exports(kind, processes, served)
                    else:
                        for people in options.people:
                            give_up_all(url)
                            many = {"connections": options.connections, "silent": options.silent}
                            cell(kind, processes, people, served, seconds=options.seconds, **many)


if __name__ == "__main__":
    main()
