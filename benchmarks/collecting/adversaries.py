"""What programs that want the money get from a study, and what it costs honest people: a table.

    python benchmarks/collecting/adversaries.py                      every adversary and kind of person, on both presets
    python benchmarks/collecting/adversaries.py --only fast-bot --sessions 100

Every session is played through the JSON interface in virtual time, in one process without a network. `used %` is the
share of the answers to test items given at random that are used in the end, for people of all they gave, `paid %` what
would be paid without anybody looking, of full pay. `looks at 25%` is what somebody would have used in the long run who
looks at a quarter of the trials, drawn at random, and guesses at the others at a person's pace: a binomial.
"""

import argparse
import io
import json
import tempfile
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import urllib3
from flask import Flask
from sqlalchemy import Engine, select

from bapps_builder.patch_sets.patch_set import PatchSet, read_patch_set
from collection_app import create_app
from collection_app.database.connections import migrate, open_database, read, write
from collection_app.database.models import Answer, Assignment, Item
from collection_app.payments.pay_lines import pay_lines
from collection_app.rehearsal.adversaries import ADVERSARIES
from collection_app.rehearsal.client import Client
from collection_app.rehearsal.pass_rates import tail
from collection_app.rehearsal.simulated_people import Eyes, Player, Playing, SeededEntropy, VirtualClock, play
from collection_app.sessions.steps import Step, lapse
from collection_app.settings import Settings
from collection_app.studies.installation import install
from collection_app.studies.presets import preset
from collection_app.studies.study import Study
from distortions.commands.bapps_distort import distort

PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "data" / "kodak"
PRESETS = ("2afc", "jnd")
LOOKS = (0.0, 0.125, 0.25, 0.375, 0.5)
PEOPLE: tuple[Player, ...] = ("careful", "lapsing", "one-sided")
ITEMS, START_MS, PAY = 400, 1_577_836_800_000, 5.0


class Direct(Client):
    """A client that calls the app itself: what a server would add takes most of the time."""

    def __init__(self, app: Flask) -> None:
        super().__init__("http://localhost")
        self._app = app

    def _send(self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None) -> Any:
        data = b"" if body is None else json.dumps(body).encode()
        route, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": route,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(data)),
            "wsgi.input": io.BytesIO(data),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }
        told: list[Any] = []
        app: Any = self._app.wsgi_app
        given = b"".join(app(environ, lambda status, found: told.extend((status, found))))
        return urllib3.HTTPResponse(given, dict(told[1]), int(told[0].split()[0]), preload_content=True)


def patches_of(folder: Path, task: str, photos: Path) -> PatchSet:
    """A patch set of a task, from photos."""
    made = ["generate", "--photos", str(photos), "--out", str(folder), "--items", str(ITEMS), "--task", task]
    distort([*made, "--seed", "1", "--workers", "1"], standalone_mode=False)
    return read_patch_set(folder)


def played(study: Study, sets: list[PatchSet], engine: Engine, player: Player, *, folder: Path, sessions: int) -> str:
    """Let so many of one kind take part in a study of their own; give a row of the table."""
    migrate(engine)
    clock, entropy = VirtualClock(START_MS), SeededEntropy(1)
    found = write(engine, lambda c: install(c, study, sets, folder=folder, entropy=entropy))
    settings = Settings(arrivals_per_minute=0)
    app = create_app(
        study, engine, key="k" * 40, settings=settings, clock=clock, entropy=entropy, simulated=player in PEOPLE
    )
    client = Direct(app)
    recipes = {side.sha256: side.recipe for each in sets for item in each for side in (item.p0, item.p1)}
    playing = Playing(7, {player: 1.0}, 0.0, 20, pause=clock.advance, now=clock)
    eyes = Eyes(client, recipes)
    for number in range(sessions):
        play(client, eyes, playing, number)
    clock.advance(25 * 3600)
    step = Step(study, found.study_id, clock(), entropy)
    write(engine, lambda c: lapse(c, step, silent_since=step.now - 1))
    query = select(Answer.id, Answer.use).join(Assignment).join(Item).where(Item.role == "test")
    if player in PEOPLE:
        query = query.where(Answer.valid)  # a bad exposure is shown once more, and costs no answer
    rows = read(engine, lambda c: c.execute(query).all())
    if player in ADVERSARIES:
        rows = [row for row in rows if row.id in playing.notes[player].random]
    lines = read(engine, lambda c: pay_lines(c, step))
    paid = sum(line.amount_minor for line in lines if not line.look) / (100 * PAY * sessions)
    used = sum(row.use for row in rows) / max(len(rows), 1)
    return f"| {player} | {study.task} | {used:.1%} | {paid:.1%} | {len(rows)} in {len(lines)} sessions |"


def by_chance(study: Study, looks: float) -> float:
    """How often who looks at so many trials, and answers the others by chance, keeps the rules about sentinels."""
    right = (1 + looks) / 2
    counts = [(rule.count, rule.at_least) for rule in study.sentinels.rules]
    shares = [float(rule.partition(">=")[2]) for rule in study.rules.use if rule.startswith("sentinels")]
    if not shares:
        return float(np.prod([tail([right] * count, least) for count, least in counts]))
    total = sum(count for count, _ in counts)
    return tail([right] * total, ceil(shares[0] * total - 1e-9))


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--only", choices=[*PEOPLE, *ADVERSARIES], action="append")
    parser.add_argument("--preset", choices=PRESETS, action="append")
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    options = parser.parse_args(argv)
    print("| adversary | preset | used % | paid % | answers |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for task in options.preset or PRESETS:
            sets = [patches_of(Path(name) / task, task, options.photos)]
            terms = {"pay": PAY, "currency": "GBP", "turned_away_pay": 0.1}
            study = preset(task, answers_per_item={"train": 1000, "val": 1000, "jnd": 1000}, terms=terms)
            for player in options.only or [*ADVERSARIES, *PEOPLE]:
                sessions = options.people if player in PEOPLE else options.sessions
                engine = open_database(f"sqlite:///{name}/{task}-{player}.sqlite")
                where = Path(name) / f"{task}.images"
                print(played(study, sets, engine, player, folder=where, sessions=sessions), flush=True)
                engine.dispose()
            for looks in LOOKS:
                print(f"| looks at {looks:.0%} | {task} | {by_chance(study, looks):.1%} | | |", flush=True)


if __name__ == "__main__":
    main()
