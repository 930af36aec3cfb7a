"""What people may ask for: to be forgotten (threat 13), and to see what is kept of them (threat 15)."""

import csv
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select, update

from bapps_builder.answers.answer_table import read_answers
from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.commands.pay import csv_of
from collection_app.database.connections import open_database, read, write
from collection_app.database.models import Answer, Base, Identity, Pace, Payment, Session, table_of
from collection_app.database.personal import DAY_MS, PERSONAL, TOLD, WHO, told_list
from collection_app.errors import StudyError
from collection_app.payments.pay_lines import Line, decide, pay_lines
from collection_app.payments.sending import key_of
from collection_app.rehearsal.rehearse import rehearse
from collection_app.rehearsal.simulated_people import SeededEntropy
from collection_app.reporting.access import access
from collection_app.reporting.export import export
from collection_app.sessions.erasure import close, erase
from collection_app.sessions.steps import Step
from collection_app.studies.presets import preset

STUDY = preset(
    "paper-2afc", items_per_session=6, training={"obvious": 2}, erasure_days=3, terms={"pay": 3, "minutes": 9}
)
NAMES = [f"simulated-{number:06d}" for number in range(4)]
NAME = NAMES[1]
# Tables that hold nothing about people.
IMPERSONAL = {"study", "item", "image", "login_try"}
Table = list[dict[str, str]]


def step(now: int = 9 * DAY_MS) -> Step:
    return Step(STUDY, 1, now, SeededEntropy(3))


@pytest.fixture
def played(database_url: str, small_set: PatchSet, tmp_path: Path) -> Iterator[Engine]:
    """Four people's answers, of a mixture so that some are used and some not, with a payment each."""
    engine = open_database(database_url)
    mix: Any = {"careful": 0.5, "random": 0.5}
    rehearse(STUDY, [small_set], engine, folder=tmp_path / "images", mix=mix, seed=1, people=4, batch=50)

    def on_the_platform(connection: Any) -> None:
        for number, line in enumerate(lines(connection), start=1):
            of = Session.id == line.session_id
            connection.execute(update(Session).where(of).values(submission_id=f"submission-{number}"))
            paid = {
                "amount_minor": 300,
                "currency": "GBP",
                "kind": "approve",
                "state": "confirmed",
                "at": 8 * DAY_MS + 5,
            }
            paid |= {"session_id": line.session_id, "reference": f"bonus-{number}", "detail": ""}
            connection.execute(insert(Payment).values(idempotency_key=key_of(step(), line), **paid))

    write(engine, on_the_platform)
    yield engine
    engine.dispose()


def lines(connection: Any) -> list[Line]:
    return pay_lines(connection, step())


def pay_table(engine: Engine) -> Table:
    """What `pay --csv` prints."""
    return list(csv.DictReader(io.StringIO(csv_of(read(engine, lines)))))


def exported(engine: Engine, folder: Path, name: str) -> Table:
    read(engine, lambda c: export(c, STUDY, 1, path=folder / f"{name}.csv"))
    with (folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def texts(rows: Iterable[dict[str, Any]]) -> Table:
    return [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]


def naming(table: Sequence[dict[str, str]], group: str) -> dict[str, set[str]]:
    """Values, and pairs of values, that name one group of rows alone, and which they are."""
    found: dict[str, set[str]] = {}
    for row in table:
        cells = {value for value in row.values() if value}
        for value in {*cells, *map("\0".join, itertools.combinations(sorted(cells), 2))}:
            found.setdefault(value, set()).add(row[group])
    return {value: groups for value, groups in found.items() if len(groups) == 1}


def joins(of_people: Table, answers: Table) -> set[str]:
    """Values and pairs of values that lead from a row about a person to one session's answers."""
    numbered = [{**row, "row": f"row {number}"} for number, row in enumerate(of_people)]
    return (naming(numbered, "row").keys() & naming(answers, "session").keys()) - {""}


def test_threat_13_no_table_with_a_platform_id_joins_any_export(played: Engine, tmp_path: Path) -> None:
    pay_before, before = pay_table(played), exported(played, tmp_path, "before")
    found = [read(played, lambda c, name=name: access(c, step(), person=name)) for name in NAMES]
    who = [texts(row for one in found for row in one.who[table]) for table in found[0].who]
    write(played, lambda c: erase(c, step(), person=NAME, with_answers=False))
    pay_after, after = pay_table(played), exported(played, tmp_path, "after")
    assert {row["participant"] for row in pay_before} == set(NAMES)
    assert {row["participant"] for row in pay_after} == {*NAMES, ""} - {NAME}
    assert len(before) == len(after) == 4 * 23
    for people in [pay_before, pay_after, *who]:
        for answers in (before, after):
            assert not joins(people, answers)
    # The check finds what it looks for: what lists of pay held until now.
    both = select(Identity.external_id, Session.public_id).join(
        Session, Session.participant_id == Identity.participant_id
    )
    as_it_was = read(played, lambda c: c.execute(both).mappings().all())
    assert len(joins(texts(map(dict, as_it_was)), after)) >= 3
    # And an order that both tables share would be a join too.
    order = list(dict.fromkeys(row["session"] for row in before))
    by_pay_id = [line.session_id for line in sorted(read(played, lines), key=lambda line: line.pay_id)]
    assert len(order) == 4
    assert [row["pay_id"] for row in pay_before] == sorted(row["pay_id"] for row in pay_before)
    assert by_pay_id != sorted(by_pay_id)


def test_threat_13_nothing_that_was_known_of_the_erased_is_left(played: Engine, tmp_path: Path) -> None:
    before = read(played, lambda c: access(c, step(), person=NAME))
    pay_before = {row["participant"]: row for row in pay_table(played)}[NAME]
    exported(played, tmp_path, "before")
    session = before.record["session"][0]
    names = [NAME, before.record["participant"][0]["pseudonym"], session["public_id"], session["arrival_sha256"]]
    names += [before.who["session"][0]["submission_id"], before.who["session"][0]["code"], pay_before["pay_id"]]
    names += [pay_before["payment_key"], before.who["payment"][0]["reference"]]
    assert all(names)
    counts = read(played, lambda c: c.execute(select(func.sum(Pace.answers), func.sum(Pace.failed))).one())
    write(played, lambda c: erase(c, step(), person=NAME, with_answers=False))
    everything = json.dumps(
        [
            texts(map(dict, read(played, lambda c, t=t: c.execute(select(t)).mappings().all())))
            for t in Base.metadata.sorted_tables
        ]
    )
    for name in names:
        assert name not in everything
    assert read(played, lambda c: c.execute(select(func.sum(Pace.answers), func.sum(Pace.failed))).one()) == counts
    gone = read(played, lambda c: c.execute(select(Session).where(Session.submission_id.is_(None))).one())
    times = [gone.arrived_at, gone.started_at, gone.finished_at, gone.seen_at]
    given = read(
        played,
        lambda c: c.execute(
            select(table_of(Answer).c.answered_at, Answer.submitted_at, Pace.minute)
            .select_from(Answer)
            .join(Base.metadata.tables["assignment"])
            .join(Pace, Pace.session_id == gone.id)
            .where(Base.metadata.tables["assignment"].c.session_id == gone.id)
        ).all(),
    )
    assert len(given) == 23
    times += [time for row in given for time in (row.answered_at, row.submitted_at, row.minute * 60_000)]
    times += read(played, lambda c: c.scalars(select(Payment.at).where(Payment.session_id == gone.id)).all())
    assert {time % DAY_MS for time in times} == {0}
    others = read(played, lambda c: c.scalars(select(Session.arrived_at).where(Session.id != gone.id)).all())
    assert any(time % DAY_MS for time in others)
    table = read_answers(tmp_path / "before.csv")
    assert len(table) == 4 * 23


def test_threat_13_erasing_with_the_answers_deletes_them(played: Engine) -> None:
    write(played, lambda c: erase(c, step(), person=NAME, with_answers=True))
    assert read(played, lambda c: c.scalar(select(func.count()).select_from(Answer))) == 3 * 23
    assert read(played, lambda c: c.scalar(select(func.sum(Pace.answers)))) == 3 * 23
    trials = Base.metadata.tables["assignment"]
    assert read(played, lambda c: c.scalar(select(func.count()).select_from(trials))) == 3 * 23


def test_threat_13_closing_is_the_same_for_everybody(played: Engine, tmp_path: Path) -> None:
    pay_before, before = pay_table(played), exported(played, tmp_path, "before")
    write(played, lambda c: close(c, step()))
    assert write(played, lambda c: close(c, step(now=12 * DAY_MS))).state == "forgotten"
    pay_after, after = pay_table(played), exported(played, tmp_path, "after")
    for people in (pay_before, pay_after):
        for answers in (before, after):
            assert not joins(people, answers)
    assert {(row["participant"], row["submission"], row["pay_id"]) for row in pay_after} == {("", "", "")}
    assert not {row["session"] for row in before} & {row["session"] for row in after}
    assert not {row["participant"] for row in before} & {row["participant"] for row in after}
    assert {row["submitted_at"][10:] for row in after} == {"T00:00:00.000Z"}
    remaining = Counter((row["outcome"], row["amount"], row["reasons"]) for row in pay_before)
    assert Counter((row["outcome"], row["amount"], row["reasons"]) for row in pay_after) == remaining  # as the docs say


def test_what_somebody_wrote_of_the_person_goes_too(played: Engine) -> None:
    def decided(connection: Any) -> None:
        connection.execute(update(Payment).values(state="created"))
        found = {line.external_id: line for line in lines(connection)}
        decide(connection, step(), found, person=NAME, verdict="approve", by="A", reason=f"wrote to {NAME}")

    write(played, decided)
    write(played, lambda c: erase(c, step(), person=NAME, with_answers=False))
    assert [line.reasons for line in read(played, lines) if not line.external_id] == ["decided by A: "]


def test_nobody_is_erased_while_it_is_not_known_whether_they_were_paid(played: Engine) -> None:
    write(played, lambda c: c.execute(update(Payment).values(state="sent")))
    with pytest.raises(StudyError, match=f"'{NAME}': it is not known whether the payment .* --settle"):
        write(played, lambda c: erase(c, step(), person=NAME, with_answers=False))
    assert read(played, lambda c: c.scalar(select(func.count()).select_from(Identity))) == 4


def test_threat_15_access_gives_every_column_of_the_person_once(played: Engine) -> None:
    found = read(played, lambda c: access(c, step(), person=NAME))
    for name, columns in PERSONAL.items():
        given = {column for part in (found.who, found.record) for row in part.get(name, ()) for column in row}
        if name == "webhook_event":  # there are none
            continue
        kept = {column for column, kept in columns.items() if kept.told}
        assert kept <= given, name
        who, record = (set(part[name][0]) if name in part else set() for part in (found.who, found.record))
        assert not who & record, name
    assert [row["external_id"] for row in found.who["identity"]] == [NAME]
    assert len(found.record["answer"]) == len(found.record["assignment"]) == len(found.record["item"]) == 23
    assert found.record["event"]
    assert NAME not in json.dumps(found.record)
    assert {row["at"] for row in found.who["payment"]} == {"1970-01-09"}
    pseudonym = found.record["participant"][0]["pseudonym"]
    assert read(played, lambda c: access(c, step(), person=pseudonym)) == found
    with pytest.raises(StudyError, match="no participant 'nobody'"):
        read(played, lambda c: access(c, step(), person="nobody"))


def test_threat_15_every_column_says_what_people_are_told_and_what_erasing_does() -> None:
    tables = {table.name: {column.name for column in table.columns} for table in Base.metadata.sorted_tables}
    assert PERSONAL.keys() == tables.keys() - IMPERSONAL
    for name, columns in PERSONAL.items():
        assert columns.keys() == tables[name], f"{name}: say in database/personal.py what a new column is"
    told = {kept.told for columns in PERSONAL.values() for kept in columns.values()} - {""}
    assert told == set(TOLD)
    assert set(WHO) <= told
    for language in ("en", "de"):
        assert told_list(language).count("\n- ") + 1 == len(TOLD)
    assert told_list("fr") == told_list("") == told_list("en") != told_list("de")
