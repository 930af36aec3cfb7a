"""Programs that want the money, against small studies: what each gets, and what it needs to get it."""

from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import select

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.database.connections import open_database, read, write
from collection_app.database.models import Answer, Assignment, Item, Session
from collection_app.payments.pay_lines import Line, pay_lines
from collection_app.rehearsal.adversaries import ADVERSARIES, Adversary, far_more_often
from collection_app.rehearsal.rehearse import rehearse
from collection_app.rehearsal.simulated_people import PLAYERS, Player, Playing, SeededEntropy
from collection_app.sessions.steps import Step, lapse
from collection_app.studies.presets import preset
from collection_app.studies.study import Study


def study_of(task: str) -> Study:
    """A preset with a few test items; the sentinels are as many as it needs, from a smaller pool."""
    sentinels = {**preset(task).sentinels.model_dump(), "pool": 1, "apart": False, "as_often": False}
    terms = {"pay": 5.0, "currency": "GBP", "turned_away_pay": 0.1}
    many = {"val": 1000, "jnd": 1000}
    return preset(task, items_per_session=8, answers_per_item=many, sentinels=sentinels, training={}, terms=terms)


def play(folder: Path, patches: PatchSet, study: Study, who: Player, people: int) -> tuple[list[bool], list[Line], Any]:
    """Let some of a kind take part; give which answers to test items are used, the lines of pay, and the sessions."""
    engine = open_database(f"sqlite:///{folder}/study.sqlite")
    rehearse(study, [patches], engine, folder=folder / "images", mix={who: 1.0}, seed=4, people=people, batch=20)
    last = read(engine, lambda c: max(c.scalars(select(Session.seen_at)).all()))
    step = Step(study, 1, last + 25 * 3_600_000, SeededEntropy(1))
    write(engine, lambda c: lapse(c, step, silent_since=step.now - 1))
    used = select(Answer.use).join(Assignment).join(Item).where(Item.role == "test")
    found = read(
        engine,
        lambda c: (list(c.scalars(used)), pay_lines(c, step), c.execute(select(Session)).all()),
    )
    engine.dispose()
    return found


@pytest.mark.parametrize("task", ["2afc", "jnd"])
@pytest.mark.parametrize("who", ["hash-bot", "spoiler", "early-leaver", "fast-bot"])
def test_who_does_not_take_its_time_to_the_end_gets_nothing_unseen(
    tmp_path: Path, small_set: PatchSet, jnd_set: PatchSet, task: str, who: Adversary
) -> None:
    used, lines, sessions = play(tmp_path, small_set if task == "2afc" else jnd_set, study_of(task), who, 3)
    assert not any(used)
    assert len(lines) == len(sessions) == 3
    assert not [line for line in lines if line.verdict == "approve" and not line.look]
    unseen = sum(line.amount_minor for line in lines if not line.look)
    assert unseen < 0.5 * 500 * 3  # who leaves early is paid for its part, and no more
    if who in ("hash-bot", "fast-bot"):
        assert {session.outcome for session in sessions} == {"unsuitable_device"}
        assert unseen == 0


@pytest.mark.parametrize(("task", "who"), [("2afc", "two-ids"), ("jnd", "two-ids"), ("2afc", "colluder")])
def test_guessing_at_a_persons_pace_fails_the_sentinels(
    tmp_path: Path, small_set: PatchSet, jnd_set: PatchSet, task: str, who: Adversary
) -> None:
    used, lines, sessions = play(tmp_path, small_set if task == "2afc" else jnd_set, study_of(task), who, 3)
    assert len(used) == 24
    assert not any(used)
    assert all(line.look for line in lines) or who != "two-ids"
    assert all(session.excluded for session in sessions)


def test_who_compares_notes_knows_what_comes_far_more_often_than_most() -> None:
    """Threat 4: in the fourth session test items are new or came once, and 15 sentinels come for the fourth time."""
    test_items = [1] * 60 + [2] * 25
    assert far_more_often(dict(enumerate(test_items + [4] * 15))) == set(range(85, 100))
    assert far_more_often(dict(enumerate(test_items + [1] * 11 + [2] * 4))) == set()
    assert far_more_often(dict(enumerate([1] * 100))) == set()


def test_pixels_can_always_be_looked_at(tmp_path: Path, small_set: PatchSet) -> None:
    """What is measured, and not promised: a program that compares pixels at a person's pace passes."""
    used, _, sessions = play(tmp_path, small_set, study_of("2afc"), "pixel-bot", 2)
    assert all(used)
    assert {session.outcome for session in sessions} == {"complete"}


def test_people_are_drawn_as_they_were_before_there_were_adversaries() -> None:
    assert set(ADVERSARIES) == set(get_args(Adversary)) == set(PLAYERS) - {"careful", "random", "lapsing", "one-sided"}
    playing = Playing(5, {"careful": 0.5, "random": 0.5}, 0.0, 1, pause=lambda seconds: None, now=lambda: 0)
    drawn = [playing.player(number) for number in range(200)]
    assert set(drawn) == {"careful", "random"}
    with_more = Playing(5, {"careful": 0.5, "hash-bot": 0.5}, 0.0, 1, pause=lambda seconds: None, now=lambda: 0)
    assert {with_more.player(number) for number in range(200)} == {"careful", "hash-bot"}
