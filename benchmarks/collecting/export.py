"""Export of a tenth of the answers and of all of them: the peak memory must be the same, and the time ten times.

    python benchmarks/collecting/export.py                       50,000 and 500,000 answers, on SQLite

Answers are written straight into the tables; `bapps-collect export` then runs in a process of its own, once for each
format and size, and is asked for the most memory it ever held.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from sqlalchemy import Connection, Engine, insert

from collection_app.database.connections import migrate, open_database, write
from collection_app.database.models import Answer, Assignment, Image, Item, Participant, Session, Study, table_of
from collection_app.studies.presets import as_toml, preset

TRIALS = 100
SESSIONS_AT_A_TIME = 100
PERSON = {"number": 0, "platform": "local", "state": "complete", "seed": 0, "simulated": True, "arrived_at": 0}
GIVEN = {"attempt": 1, "choice": "p0", "valid": True, "use": True, "reason": "", "reaction_ms": 812.5, "scale": 4}
GIVEN |= {"input": "keyboard", "focus_lost": False, "device_pixel_ratio": 1.25, "answered_at": 0}


def fill(engine: Engine, sessions: int) -> None:
    """A study of 100 items that everybody answered all of."""
    study = preset("paper-2afc")

    def items(connection: Connection) -> None:
        row = {"id": 1, "name": study.name, "version": 1, "settings": study.canonical(), "salt": b"0" * 32}
        connection.execute(insert(Study).values(**row, settings_sha256=study.digest(), items_sha256=""))
        connection.execute(insert(Image).values(sha256="0" * 64, path="none"))
        base = {"study_id": 1, "role": "test", "set_name": "val/traditional", "check_name": "", "expected": ""}
        base |= {"ref": "0" * 64, "p0": "0" * 64, "p1": "0" * 64, "quota": None, "filled": 0, "p1_left": 0}
        names = [{**base, "id": i + 1, "name": f"{i:06d}", "priority": 0} for i in range(TRIALS)]
        connection.execute(insert(Item), names)

    def some(connection: Connection, first: int) -> None:
        people = range(first, min(first + SESSIONS_AT_A_TIME, sessions + 1))
        names = [{"id": p, "study_id": 1, "pseudonym": f"{p:032x}"} for p in people]
        connection.execute(insert(table_of(Participant)), names)
        sittings = [
            {
                **PERSON,
                "id": p,
                "participant_id": p,
                "public_id": f"{p:032x}",
                "arrival_sha256": f"{p:064x}",
                "seen_at": p,
            }
            for p in people
        ]
        connection.execute(insert(table_of(Session)), sittings)
        trials = [(p, slot, (p - 1) * TRIALS + slot + 1) for p in people for slot in range(TRIALS)]
        given = {"side": "left", "state": "answered", "holds": False}
        places = [
            {**given, "id": a, "session_id": p, "participant_id": p, "item_id": slot + 1, "slot": slot}
            for p, slot, a in trials
        ]
        connection.execute(insert(table_of(Assignment)), places)
        answers = [{**GIVEN, "id": str(uuid.UUID(int=a)), "assignment_id": a, "submitted_at": a} for _, _, a in trials]
        connection.execute(insert(table_of(Answer)), answers)

    write(engine, items)
    for first in range(1, sessions + 1, SESSIONS_AT_A_TIME):
        write(engine, lambda c, first=first: some(c, first))


def peak(command: list[str]) -> tuple[float, float]:
    """Run a command; give the most memory it ever held, in MiB, and its seconds."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: status {status}")
    return usage.ru_maxrss / 1024, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=500_000)
    options = parser.parse_args()
    sizes = (options.answers // 10, options.answers)
    found: dict[tuple[str, int], tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for size in sizes:
            folder = Path(name) / str(size)
            folder.mkdir()
            (folder / "study.toml").write_text(as_toml(preset("paper-2afc")))
            engine = open_database(f"sqlite:///{folder}/study.sqlite")
            migrate(engine)
            fill(engine, size // TRIALS)
            engine.dispose()
            for suffix in ("parquet", "csv.gz"):
                program = str(Path(sys.executable).with_name("bapps-collect"))
                command = [program, "export", str(folder / "study.toml"), str(folder / f"answers.{suffix}")]
                found[suffix, size] = memory, seconds = peak(command)
                print(f"{suffix}: {size} answers in {seconds:.1f} s, at most {memory:.0f} MiB", flush=True)
    for suffix in ("parquet", "csv.gz"):
        ratio = found[suffix, sizes[1]][0] / found[suffix, sizes[0]][0]
        print(f"{suffix}: memory of ten times the answers / of a tenth: {ratio:.3f}")


if __name__ == "__main__":
    main()
