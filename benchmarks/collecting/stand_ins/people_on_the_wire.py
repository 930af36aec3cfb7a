"""Simulated people who take part over HTTP as a browser does: three images a trial, time to think, an answer.

They share one process and take little of a core, which is the server's to use.
"""

import asyncio
import json
import math
import random
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

THINK_SECONDS = 3.0


@dataclass
class Seen:
    """What the people saw: seconds of every request by kind, and what was not as it should be.

    What was asked for while people still arrived is a kind of its own. `timely` is how many answers were given
    between then and when people were told to stop.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: Counter[str] = field(default_factory=Counter)
    complete: int = 0
    timely: int = 0

    def percentiles(self, kind: str) -> str:
        if not self.seconds[kind]:
            return "-"
        return " / ".join(f"{1000 * value:.0f}" for value in np.percentile(self.seconds[kind], [50, 95, 99]))


class Wire:
    """Connections that are kept open, as browsers do, and asked on in turn: the least that HTTP/1.1 asks of clients."""

    def __init__(self, port: int, seen: Seen, *, connections: int = 1) -> None:
        self._port, self._seen = port, seen
        self._streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter] | None] = [None] * connections
        self._turn = 0

    async def open_all(self) -> None:
        """Open those that are not open yet."""
        for number, streams in enumerate(self._streams):
            if streams is None:
                self._streams[number] = await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(self, kind: str, path: str, *, body: object = None, token: str = "") -> Any:
        """Send a request until it is answered, note how long it took, and give its content."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Authorization: Bearer {token}\r\n" if token else ""
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
        message = head.encode() + b"\r\n" + content
        began = time.perf_counter()
        self._turn = (self._turn + 1) % len(self._streams)
        for _ in range(20):
            try:
                status, reply = await self._once(message)
                break
            except (OSError, asyncio.IncompleteReadError):  # closed by the server in the meantime: send it again
                self._close(self._turn)
        else:
            raise AssertionError(f"no answer to {path}")
        self._seen.seconds[kind].append(time.perf_counter() - began)
        if status != 200:
            self._seen.wrong[f"{kind} {status}"] += 1
            return None
        return json.loads(reply) if kind != "image" else reply

    async def _once(self, message: bytes) -> tuple[int, bytes]:
        streams = self._streams[self._turn]
        if streams is None:
            streams = self._streams[self._turn] = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = streams
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith("content-length:"))
        reply = await reader.readexactly(length)
        if "connection: close" in lines:
            self._close(self._turn)
        return int(lines[0].split()[1]), reply

    def _close(self, number: int) -> None:
        if streams := self._streams[number]:
            streams[1].close()
            self._streams[number] = None

    def close(self) -> None:
        """Close them all."""
        for number in range(len(self._streams)):
            self._close(number)


async def person(port: int, seen: Seen, chance: random.Random, until: float, *, connections: int = 1) -> None:
    """One person after another in one place: arrives, answers, leaves when the session is complete."""
    while time.monotonic() < until:
        wire = Wire(port, seen, connections=connections)
        try:
            await wire.open_all()
            await session(wire, seen, chance, until)
        finally:
            wire.close()


async def session(wire: Wire, seen: Seen, chance: random.Random, until: float) -> None:
    arrival = {"key": uuid.uuid4().hex, "parameters": {"id": uuid.uuid4().hex}}
    state = await wire.ask("arrival", "/api/arrivals", body=arrival)
    if state is None:
        await asyncio.sleep(1)
        return
    token = state["token"]
    state = await wire.ask("start", "/api/start", body={"consent_sha256": state["consent_sha256"]}, token=token)
    if state is None or state["outcome"]:
        seen.wrong["no work"] += 1
        await asyncio.sleep(1)
        return
    while found := await wire.ask("items", "/api/trials?limit=20", token=token):
        if not found["trials"]:
            break
        for trial in found["trials"]:
            thinking = asyncio.create_task(asyncio.sleep(chance.lognormvariate(math.log(THINK_SECONDS) - 0.08, 0.4)))
            for place in ("reference", "left", "right"):
                await wire.ask("image", f"/images/{trial[place]}")
            await thinking
            if time.monotonic() > until:
                return
            answer = {"id": str(uuid.uuid4()), "slot": trial["slot"], "choice": chance.choice(["left", "right"])}
            answer |= {"reaction_ms": 900.0, "answered_at": 0, "input": "keyboard"}
            await wire.ask("answer", "/api/answers", body={"answers": [answer]}, token=token)
    if await wire.ask("finish", "/api/finish", body={}, token=token):
        seen.complete += 1
