"""A whole study over HTTP: exported, read by the builder's reader, and counted by other means than the server's."""

import csv
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from bapps_builder.answers.answer_table import counted, read_answers, votes
from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.database.connections import open_database, read
from collection_app.rehearsal import simulated_people
from collection_app.rehearsal.rehearse import Rehearsal, rehearse
from collection_app.reporting.export import export
from collection_app.studies.presets import preset
from collection_app.studies.study import Study

MakeSet = Callable[..., PatchSet]
PAPER = preset("paper-2afc", items_per_session=60, lease_minutes=30)


def played(folder: Path, study: Study, *sets: PatchSet, **options: Any) -> tuple[Rehearsal, Engine]:
    folder.mkdir(exist_ok=True)
    engine = open_database(f"sqlite:///{folder}/study.sqlite")
    given: dict[str, Any] = {"mix": {"careful": 0.8, "random": 0.2}, "seed": 5, "batch": 20, "dropout": 0.2, **options}
    return rehearse(study, list(sets), engine, folder=folder / "images", **given), engine


def test_300_items_with_5_answers_are_all_filled_and_counted_exactly(tmp_path: Path, make_set: MakeSet) -> None:
    patches = make_set(tmp_path / "patches", count=300)
    found, engine = played(tmp_path / "run", PAPER, patches)
    read(engine, lambda c: export(c, PAPER, 1, path=tmp_path / "answers.csv"))

    assert found.outcomes["left"] > 0  # people left midway, and some failed their sentinels
    assert found.status.excluded > 0

    # Counted from the file, by hand.
    with (tmp_path / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    used = [row for row in rows if row["role"] == "test" and row["use"] == "true"]
    assert Counter(Counter(row["item"] for row in used).values()) == {5: 300}
    assert len({(row["participant"], row["item"]) for row in rows if row["role"] == "test"}) == sum(
        row["role"] == "test" for row in rows
    )
    sides = defaultdict(Counter)
    for row in used:
        sides[row["item"]][row["side"]] += 1
    assert all(abs(side["left"] - side["right"]) == 1 for side in sides.values())
    complete = {row["session"] for row in rows} - {row["session"] for row in rows if "unfinished" in row["reason"]}
    assert all(row["simulated"] == "true" for row in rows)

    # Counted from the tables, past all of this program.
    database = sqlite3.connect(tmp_path / "run" / "study.sqlite")
    assert database.execute("SELECT count(*) FROM answer").fetchone() == (len(rows),)
    finished = dict(
        database.execute(
            "SELECT s.public_id, count(*) FROM session s JOIN assignment a ON a.session_id = s.id "
            "JOIN item i ON i.id = a.item_id WHERE s.state = 'complete' AND i.role = 'sentinel' GROUP BY s.id"
        )
    )
    assert set(finished.values()) == {15}
    assert set(finished) <= complete
    assert database.execute("SELECT count(*) FROM session WHERE code IS NOT NULL AND state = 'started'").fetchone() == (
        0,
    )
    database.close()

    # Counted by the stage that follows.
    table = read_answers(tmp_path / "answers.csv")
    counts = votes(counted(table))
    assert counts["n"].tolist() == [5] * 300
    by_hand = Counter(row["item"] for row in used if row["choice"] == "p1")
    assert dict(zip(counts["item"], counts["k"], strict=True)) == {item: by_hand[item] for item in counts["item"]}
    engine.dispose()


def test_the_same_seed_gives_the_same_answers_in_batches_of_any_size(tmp_path: Path, small_set: PatchSet) -> None:
    tables = []
    for name, batch in (("a", 1), ("b", 7)):
        found, engine = played(tmp_path / name, PAPER, small_set, people=4, batch=batch, dropout=0.0)
        read(engine, lambda c, name=name: export(c, PAPER, 1, path=tmp_path / f"{name}.csv"))
        tables.append([line.rpartition(",")[0] for line in (tmp_path / f"{name}.csv").read_text().splitlines()])
        assert found.status.simulated == sum(found.status.sessions.values())
        engine.dispose()
    assert tables[0] == tables[1]
    assert len(tables[0]) > 4 * 15


def test_careful_people_agree_as_people_do(tmp_path: Path, make_set: MakeSet) -> None:
    patches = make_set(tmp_path / "patches", count=100, seed=3)
    _, engine = played(tmp_path / "run", PAPER, patches, mix={"careful": 1.0}, dropout=0.0)
    read(engine, lambda c: export(c, PAPER, 1, path=tmp_path / "answers.parquet"))
    counts = votes(counted(read_answers(tmp_path / "answers.parquet")))
    k, n = counts["k"], counts["n"]
    agreement = ((k * (k - 1) + (n - k) * (n - k - 1)) / (n * (n - 1))).mean()
    assert 0.75 < agreement < 0.87  # 75-85% on patch sets of photographs; 100 items have a standard error of 2%
    engine.dispose()


def test_a_jnd_study_repeats_bad_exposures_and_fills_up(
    tmp_path: Path, jnd_set: PatchSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_people, "_BAD_EXPOSURES", 0.05)  # so that a small study is sure to have some
    study = preset("paper-jnd", items_per_session=12)
    found, engine = played(tmp_path / "run", study, jnd_set, dropout=0.0, mix={"careful": 1.0}, seed=1)
    assert found.status.filled == found.status.wanted == 36
    read(engine, lambda c: export(c, study, 1, path=tmp_path / "answers.parquet"))
    table = read_answers(tmp_path / "answers.parquet")
    repeated = table[table["attempt"] == 2]
    assert len(repeated) > 0
    first = table.merge(repeated[["session", "trial"]]).query("attempt == 1")
    assert set(first["reason"]) == {"bad exposure"}
    assert not first["use"].any()
    assert (first["dropped_frames"] == 3).all()
    assert votes(counted(table))["n"].tolist() == [3] * 12
    sentinels = table[(table["role"] == "sentinel") & table["use"]]
    by_session = sentinels.groupby("session")["expected"].value_counts().unstack()
    assert set(by_session["same"]) == {32}
    assert set(by_session["different"]) == {8}
    training = table[(table["role"] == "training") & (table["attempt"] == 1)]
    assert set(training.groupby("session").size()) == {10}
    engine.dispose()
