"""Threat 14: what people told us, and who they are, lies in files that only their owner may read."""

import os
import subprocess
import sys
from pathlib import Path

from bapps_builder.files.private import close_to_others, private_file, private_folder
from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.database.connections import migrate, open_database, write
from collection_app.studies.presets import as_toml, preset

COLLECT = Path(sys.executable).with_name("bapps-collect")


def run(folder: Path, command: str) -> None:
    """Run a command as a shell of the most open umask does."""
    done = subprocess.run(f"umask 000; {command}", shell=True, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_threat_14_every_file_and_folder_is_its_owners_alone(tmp_path: Path, small_set: PatchSet) -> None:
    file = tmp_path / "study.toml"
    file.write_text(as_toml(preset("paper-2afc", items_per_session=6, name="study")))
    given = f"{COLLECT} {{}} study.toml"
    database = "--database sqlite:///study.simulated.sqlite"
    run(tmp_path, f"{given.format('init')} --patches {small_set.folder}")
    run(tmp_path, f"{given.format('password')} --password 'correct horse battery'")
    run(tmp_path, f"{given.format('simulate')} --patches {small_set.folder} --people 2")
    run(tmp_path, f"{given.format('export')} answers.csv {database}")
    run(tmp_path, f"{given.format('export')} answers.parquet {database}")
    run(tmp_path, f"{given.format('pay')} --csv {database} > pay.csv")
    run(tmp_path, f"{given.format('backup')} copy.backup {database}")
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
    with engine.connect() as connection:  # its log is there as long as somebody has it open
        connection.exec_driver_sql("UPDATE study SET closed_at = NULL")
        connection.commit()
        made = {path.name for path in tmp_path.iterdir()} - {"study.toml"}
        expected = {"study.sqlite", "study.sqlite-wal", "study.sqlite-shm", "study.sqlite-queue", "study.password"}
        expected |= {"study.simulated.sqlite", "answers.csv", "answers.dictionary.csv", "answers.parquet", "pay.csv"}
        assert expected | {"copy.backup", "study.images"} <= made
        for name in made:
            path = tmp_path / name
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), name
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "study.images").iterdir()} == {0o600}
    engine.dispose()


def test_threat_14_a_database_of_before_is_closed_to_others_when_it_is_opened(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
        migrate(engine)
        engine.dispose()
    finally:
        os.umask(before)
    database = tmp_path / "study.sqlite"
    database.chmod(0o664)
    with open_database(f"sqlite:///{database}").connect():
        assert database.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_keeps_what_it_holds_and_the_locks_on_it(tmp_path: Path) -> None:
    """Two connections of one process: the second opening must not end the first one's lock on the file."""
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
    migrate(engine)
    write(engine, lambda c: c.exec_driver_sql("CREATE TABLE kept (n INTEGER)"))
    with engine.connect() as writing:
        writing.exec_driver_sql("INSERT INTO kept VALUES (1)")  # BEGIN IMMEDIATE: the lock is held
        private_file(tmp_path / "study.sqlite")
        look = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0.1, isolation_level=None);"
            "c.execute('BEGIN IMMEDIATE')"
        )
        held = subprocess.run([sys.executable, "-c", look, tmp_path / "study.sqlite"], capture_output=True, text=True)
        assert "database is locked" in held.stderr
        writing.commit()
    engine.dispose()


def test_what_is_not_there_is_left_alone_and_a_folder_is_closed(tmp_path: Path) -> None:
    close_to_others(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    private_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "open").write_text("x")
    (tmp_path / "open").chmod(0o754)
    private_file(tmp_path / "open")
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "open").read_text() == "x"
