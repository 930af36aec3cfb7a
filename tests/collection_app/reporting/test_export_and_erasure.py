"""Exports that the next stage reads, and forgetting people down to the bytes on disk."""

import csv
import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine, select, text, update

from bapps_builder.answers.answer_table import read_answers
from bapps_builder.answers.columns import COLUMNS
from bapps_builder.errors import DatasetError
from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.database.connections import open_database, read, write
from collection_app.database.models import Answer, Identity, Item, Participant, table_of
from collection_app.database.models import Study as StudyRow
from collection_app.errors import StudyError
from collection_app.rehearsal.rehearse import rehearse
from collection_app.rehearsal.simulated_people import SeededEntropy
from collection_app.reporting.export import SCHEMA, cell, dictionary_path, export
from collection_app.sessions.erasure import close, empty_log, erase
from collection_app.sessions.steps import Step
from collection_app.studies.presets import preset

STUDY = preset("paper-2afc", items_per_session=6, training={"obvious": 2}, erasure_days=3)
NAME = "simulated-000001"
DAY = 86_400_000


@pytest.fixture
def played(database_url: str, small_set: PatchSet, tmp_path: Path) -> Any:
    """Three people's answers."""
    engine = open_database(database_url)
    rehearse(STUDY, [small_set], engine, folder=tmp_path / "images", mix={"careful": 1}, seed=1, people=3, batch=50)
    yield engine
    engine.dispose()


def step(now: int = 0) -> Step:
    return Step(STUDY, 1, now, SeededEntropy(3))


@pytest.mark.parametrize("name", ["answers.parquet", "answers.csv", "answers.csv.gz"])
def test_every_format_holds_the_same_answers(played: Engine, tmp_path: Path, name: str) -> None:
    count = read(played, lambda c: export(c, STUDY, 1, path=tmp_path / name))
    table = read_answers(tmp_path / name)
    assert len(table) == count == 3 * (6 + 15 + 2)
    assert list(table.columns) == [column.name for column in COLUMNS]
    stored = read(played, lambda c: c.execute(select(table_of(Answer).c.reaction_ms).order_by(Answer.id)).all())
    assert sorted(table["reaction_ms"]) == sorted(row.reaction_ms for row in stored)
    assert set(table["study"]) == {"my-study-v1"}
    assert table["simulated"].all()
    people = read(played, lambda c: set(c.scalars(select(Participant.pseudonym)).all()))
    assert set(table["participant"]) == people
    assert NAME not in table.to_csv()
    with dictionary_path(tmp_path / name).open(newline="") as file:
        assert [row["column"] for row in csv.DictReader(file)] == SCHEMA.names


def test_identical_test_pairs_are_expected_to_be_called_the_same(
    database_url: str, jnd_set: PatchSet, tmp_path: Path
) -> None:
    study = preset("paper-jnd", items_per_session=6, training={"same": 1, "different": 1})
    engine = open_database(database_url)
    rehearse(study, [jnd_set], engine, folder=tmp_path / "images", mix={"careful": 1}, seed=1, people=2, batch=50)
    write(engine, lambda c: c.execute(update(Item).where(Item.name == "000000").values(p1=Item.p0)))
    read(engine, lambda c: export(c, study, 1, path=tmp_path / "answers.parquet"))
    engine.dispose()
    table = read_answers(tmp_path / "answers.parquet")
    test = table[table["role"] == "test"]
    assert (test["expected"] == "same").tolist() == (test["item"] == "000000").tolist()
    assert (test["item"] == "000000").any()


def test_a_table_of_another_kind_is_refused(played: Engine, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"ends in \.parquet, \.csv, \.csv\.gz"):
        read(played, lambda c: export(c, STUDY, 1, path=tmp_path / "answers.xlsx"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_cell_runs_in_a_spreadsheet(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(-1.5) == "-1.5"
    assert (cell(None), cell(True), cell("a=b")) == ("", "true", "a=b")


def test_a_dangerous_name_of_a_set_is_quoted_in_csv_alone(played: Engine, tmp_path: Path) -> None:
    write(played, lambda c: c.execute(update(Item).where(Item.role == "test").values(set_name="=cmd()")))
    for name in ("a.csv.gz", "a.parquet"):
        read(played, lambda c, name=name: export(c, STUDY, 1, path=tmp_path / name))
    with gzip.open(tmp_path / "a.csv.gz", "rt", newline="") as file:
        assert {row["set"] for row in csv.DictReader(file)} == {"", "'=cmd()"}
    assert set(pd.read_parquet(tmp_path / "a.parquet")["set"]) == {"", "=cmd()"}


def bytes_on_disk(engine: Engine) -> bytes:
    if engine.dialect.name == "postgresql":
        tables = ["identity", "participant", "session", "event", "answer"]
        return str([read(engine, lambda c, t=t: c.execute(text(f"SELECT * FROM {t}")).all()) for t in tables]).encode()
    assert engine.url.database
    files = Path(engine.url.database).parent.glob("study.sqlite*")
    return b"".join(file.read_bytes() for file in files)


@pytest.mark.parametrize("by_pseudonym", [False, True])
def test_erasing_leaves_no_trace_of_who_it_was_and_keeps_the_answers(played: Engine, by_pseudonym: bool) -> None:
    pseudonym = read(
        played,
        lambda c: c.scalars(select(Participant.pseudonym).join(Identity).where(Identity.external_id == NAME)).one(),
    )
    assert NAME.encode() in bytes_on_disk(played)
    before = read(played, lambda c: len(c.execute(select(Answer.id)).all()))
    person = pseudonym if by_pseudonym else NAME
    assert write(played, lambda c: erase(c, step(), person=person, with_answers=False)) == 1
    assert empty_log(played)
    left = bytes_on_disk(played)
    assert NAME.encode() not in left
    assert pseudonym.encode() not in left
    assert b"simulated-000002" in left
    assert read(played, lambda c: len(c.execute(select(Answer.id)).all())) == before
    with pytest.raises(StudyError, match=f"no participant '{person}'"):
        write(played, lambda c: erase(c, step(), person=person, with_answers=False))


def test_erasing_with_answers_frees_their_places(played: Engine) -> None:
    def filled() -> int:
        return read(played, lambda c: sum(c.scalars(select(Item.filled).where(Item.role == "test"))))

    assert filled() == 18
    write(played, lambda c: erase(c, step(), person=NAME, with_answers=True))
    assert filled() == 12
    assert read(played, lambda c: len(c.execute(select(Answer.id)).all())) == 2 * 23


def test_closing_forgets_everybody_when_the_deadline_has_passed(played: Engine) -> None:
    first = write(played, lambda c: close(c, step(now=DAY)))
    assert (first.state, first.erasable_until) == ("closed", 4 * DAY)
    assert write(played, lambda c: close(c, step(now=4 * DAY - 1))).state == "closed"
    assert NAME.encode() in bytes_on_disk(played)
    assert write(played, lambda c: close(c, step(now=4 * DAY))).state == "forgotten"
    assert empty_log(played)
    assert b"simulated-0000" not in bytes_on_disk(played)
    assert read(played, lambda c: c.scalar(select(StudyRow.salt))) is None
    assert write(played, lambda c: close(c, step(now=5 * DAY))).state == "forgotten"
    with pytest.raises(StudyError, match="were deleted after its erasure deadline"):
        write(played, lambda c: erase(c, step(), person=NAME, with_answers=False))
