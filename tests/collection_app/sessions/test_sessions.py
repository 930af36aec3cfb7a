"""Sessions step by step on both databases, without HTTP: places, late answers, repeats, exclusions, withdrawal."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import IntegrityError

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.database.connections import read, write
from collection_app.database.models import Answer, Assignment, Decision, Item, Session
from collection_app.platforms.platform import Visitor
from collection_app.sessions.allocation import counted_places
from collection_app.sessions.answering import (
    BAD_EXPOSURE,
    LATE,
    SUPERSEDED,
    Given,
    Receipt,
    lock_session,
    record,
    touch,
)
from collection_app.sessions.arrival import AlreadyStarted, arrive
from collection_app.sessions.exposures import Shown
from collection_app.sessions.steps import Refused, finish, start, withdraw
from collection_app.sessions.trials import open_trials
from collection_app.studies.presets import preset
from collection_app.studies.study import Study

MINUTE = 60_000
GOOD = Shown(1000, 250, 1000, 1000 / 60, False)
BAD = Shown(1000, 250, 1100, 1000 / 60, False)

# Every item once for everybody, one sentinel of which none may fail.
TWO = preset(
    "paper-2afc",
    items_per_session=12,
    answers_per_item={"val": 2},
    sentinels={"rules": [{"check": "obvious", "count": 2, "at_least": 2}]},
    training={},
    lease_minutes=30,
    lapse_hours=2,
    rules={"server_time": False},
)
PAIRS = preset(
    "paper-jnd",
    items_per_session=12,
    answers_per_item={"jnd": 2},
    sentinels={},
    training={},
    rules={"server_time": False},
)


class Person:
    """Somebody who takes steps at a place."""

    def __init__(self, place: Any, name: str, key: str | None = None, submission: str | None = None) -> None:
        self.place, self.visitor = place, Visitor(name, submission)
        self.key = key or uuid.uuid4().hex
        self.public_id = ""

    def do(self, work: Callable[[Connection], Any]) -> Any:
        return write(self.place.engine, work)

    def arrive(self) -> "Person":
        row = self.do(lambda c: arrive(c, self.place.step(), visitor=self.visitor, key=self.key, simulated=False))
        self.public_id = row.public_id
        return self

    def start(self) -> "Person":
        consent = self.place.study.consent_digest
        self.do(lambda c: start(c, self.place.step(), public_id=self.public_id, consent_sha256=consent, device="{}"))
        return self

    @property
    def row(self) -> Any:
        return read(self.place.engine, lambda c: c.execute(select(Session).filter_by(public_id=self.public_id)).one())

    def trials(self) -> list[Any]:
        return read(self.place.engine, lambda c: open_trials(c, session_id=self.row.id, limit=1000))

    def answer(
        self, slot: int, choice: str = "left", *, attempt: int = 1, shown: Shown = GOOD, name: str | None = None
    ) -> Receipt:
        measured = {"reaction_ms": 900.0, "input": "keyboard", "answered_at": self.place.now}
        given = Given(name or str(uuid.uuid4()), slot, attempt, choice, shown, measured)

        def work(connection: Connection) -> Receipt:
            session = lock_session(connection, self.public_id)
            assert session is not None
            receipt = record(connection, self.place.study, session=session, given=given, now=self.place.now)
            touch(connection, self.place.study, session=session, now=self.place.now)
            return receipt

        return self.do(work)

    def answer_all(self, *, right: bool = True) -> "Person":
        """Answer every open trial; sentinels as expected, or all wrong."""
        expected = read(
            self.place.engine,
            lambda c: dict(
                c.execute(
                    select(Assignment.slot, Item.expected).join(Item).where(Assignment.session_id == self.row.id)
                ).all()
            ),
        )
        for trial in self.trials():
            choice = "left"
            if expected[trial.slot]:
                choice = trial.side if (expected[trial.slot] == "p1") == right else other(trial.side)
            if self.place.study.task == "jnd":
                choice = "same"
            self.answer(trial.slot, choice)
        return self

    def finish(self) -> Any:
        return self.do(lambda c: finish(c, self.place.step(), public_id=self.public_id))

    def withdraw(self, reason: str = "withdrawn") -> Any:
        return self.do(lambda c: withdraw(c, self.place.step(), public_id=self.public_id, reason=reason))

    def answers(self) -> list[Any]:
        return read(
            self.place.engine,
            lambda c: list(
                c.execute(
                    select(Answer, Assignment.slot)
                    .join(Assignment)
                    .where(Assignment.session_id == self.row.id)
                    .order_by(Assignment.slot, Answer.attempt)
                )
            ),
        )


def other(side: str) -> str:
    return "right" if side == "left" else "left"


def filled(place: Any) -> list[int]:
    """Places of each test item, after checking the counters against the assignments."""
    rows = read(place.engine, lambda c: counted_places(c, place.installed.study_id))
    for row in rows:
        assert (row.filled, row.p1_left) == (row.counted, row.counted_left)
        assert row.filled <= row.quota
    return [row.filled for row in rows]


@pytest.fixture
def two(engine: Engine, place: Any, small_set: PatchSet) -> Any:
    return place(engine, TWO, small_set)


@pytest.fixture
def pairs(engine: Engine, place: Any, jnd_set: PatchSet) -> Any:
    return place(engine, PAIRS, jnd_set)


def varied(place: Any, **settings: object) -> None:
    """Change settings of a place that its database does not need to know of."""
    place.study = Study.model_validate(place.study.model_dump() | settings)


def test_nothing_is_taken_before_consent_and_everything_is_given_back_on_withdrawal(two: Any) -> None:
    person = Person(two, "a").arrive()
    assert filled(two) == [0] * 12
    person.start()
    assert filled(two) == [1] * 12
    assert len(person.trials()) == 14
    person.answer(0)
    row = person.withdraw()
    assert (row.state, row.outcome) == ("withdrawn", "withdrawn")
    assert row.code
    assert filled(two) == [0] * 12
    assert [(a.use, a.reason) for a in person.answers()] == [(False, "withdrawn")]
    assert person.answer(1).problem == "the session is withdrawn"


def test_a_finished_session_gives_one_code_and_only_when_nothing_is_missing(two: Any) -> None:
    person = Person(two, "a").arrive().start()
    with pytest.raises(Refused) as refused:
        person.finish()
    assert refused.value.slots == tuple(range(14))
    person.answer_all()
    first, second = person.finish(), person.finish()
    assert first.code
    assert first.code == second.code
    assert first.excluded is None
    assert filled(two) == [1] * 12


def test_sides_are_balanced_and_a_full_study_has_no_work(two: Any) -> None:
    for name in "ab":
        Person(two, name).arrive().start().answer_all().finish()
    assert filled(two) == [2] * 12
    rows = read(two.engine, lambda c: counted_places(c, two.installed.study_id))
    assert {row.p1_left for row in rows} == {1}
    third = Person(two, "c").arrive().start()
    assert (third.row.state, third.row.outcome) == ("turned away", "no_work")
    assert third.row.code
    assert filled(two) == [2] * 12


def test_a_failed_sentinel_costs_use_and_has_somebody_look_before_pay(two: Any) -> None:
    person = Person(two, "a").arrive().start().answer_all(right=False)
    row = person.finish()
    assert (row.state, row.outcome) == ("incomplete", "incomplete")
    assert row.code
    assert row.excluded == "sentinels obvious>=2 of 2 (0 right, 2 wrong)"
    assert not any(answer.use for answer in person.answers())
    assert filled(two) == [0] * 12
    decisions = read(two.engine, lambda c: c.execute(select(Decision.tier, Decision.verdict)).all())
    assert set(decisions) == {("use", "excluded"), ("use", "used"), ("pay", "review")}


def test_an_expired_lease_frees_places_and_late_answers_count_only_where_there_is_room(two: Any) -> None:
    slow = Person(two, "slow").arrive().start()
    sooner = [trial.slot for trial in slow.trials()][:3]
    for slot in sooner:
        slow.answer(slot)
    two.now += 31 * MINUTE
    quick = [Person(two, name).arrive().start() for name in "ab"]
    # Everything that was not answered went to the two others.
    assert all(count == 2 for count in filled(two))
    slow.answer_all()
    late = [answer for answer in slow.answers() if answer.reason == LATE]
    test_answers = 12 - len([slot for slot in sooner if slot in _test_slots(slow)])
    assert len(late) == test_answers
    assert filled(two) == [2] * 12
    assert slow.finish().outcome == "complete"  # the session was never ended by its lease
    for person in quick:
        person.answer_all().finish()
    assert filled(two) == [2] * 12


def _test_slots(person: Person) -> set[int]:
    return set(
        read(
            person.place.engine,
            lambda c: c.scalars(
                select(Assignment.slot).join(Item).where(Assignment.session_id == person.row.id, Item.role == "test")
            ).all(),
        )
    )


def test_a_late_answer_takes_a_place_again_if_there_is_one_on_its_side(two: Any) -> None:
    slow = Person(two, "slow").arrive().start()
    two.now += 31 * MINUTE
    quick = Person(two, "a").arrive().start()
    assert filled(two) == [1] * 12
    slow.answer_all()
    sides = [dict(map(tuple, _sides(person))) for person in (slow, quick)]
    room = {item for item, side in sides[0].items() if side != sides[1][item]}
    assert 0 < len(room) < 12
    used = read(
        two.engine,
        lambda c: c.scalars(
            select(Assignment.item_id).join(Answer).join(Item).where(Answer.use, Item.role == "test")
        ).all(),
    )
    assert set(used) == room
    assert sum(filled(two)) == 12 + len(room)


def _sides(person: Person) -> list[Any]:
    return read(
        person.place.engine,
        lambda c: list(
            c.execute(
                select(Assignment.item_id, Assignment.side)
                .join(Item)
                .where(Assignment.session_id == person.row.id, Item.role == "test")
            )
        ),
    )


def test_a_silent_session_is_judged_by_what_it_has_and_may_go_on(two: Any) -> None:
    person = Person(two, "a").arrive().start()
    slot = next(iter(_test_slots(person)))
    person.answer(slot)
    two.now += 121 * MINUTE
    Person(two, "b").arrive().start()
    assert person.row.state == "lapsed"
    assert person.row.excluded == "unfinished session (1 of 14)"
    assert [answer.use for answer in person.answers()] == [False]
    person.answer_all()
    assert [answer.use for answer in person.answers()] == [False] * 14
    assert person.finish().state == "complete"
    # Now there is something to judge by: all is used for which nobody else has taken the place.
    assert person.row.excluded is None
    used = [answer.use for answer in person.answers()]
    assert {answer.reason for answer in person.answers() if not answer.use} == {LATE}
    assert sum(filled(two)) == 12 + sum(used) - 2
    assert 2 < sum(used) < 14


def test_unfinished_sessions_are_left_out(two: Any) -> None:
    person = Person(two, "a").arrive().start()
    person.answer(next(iter(_test_slots(person))))
    two.now += 121 * MINUTE
    Person(two, "b").arrive().start()
    assert person.row.excluded == "unfinished session (1 of 14)"
    assert sum(filled(two)) == 12
    # What comes after is kept, and not used either.
    person.answer(next(iter(_test_slots(person) - {answer.slot for answer in person.answers()})))
    assert {answer.use for answer in person.answers()} == {False}
    assert sum(filled(two)) == 12


def test_the_same_answer_again_is_harmless_and_another_one_is_refused(two: Any) -> None:
    person, name = Person(two, "a").arrive().start(), str(uuid.uuid4())
    assert person.answer(0, "left", name=name).status == "stored"
    assert person.answer(0, "left", name=name).status == "known"
    assert person.answer(0, "right", name=name).problem == "another answer has this id"
    assert person.answer(1, "left", name=name).problem == "another answer has this id"
    assert person.answer(0, "left").problem == "this attempt was answered already, with another id"
    assert person.answer(99).problem == "no trial 99 in this session"
    assert person.answer(1, "same").problem == "the choice must be left or right, got same"
    assert person.answer(1, attempt=2).problem == "there is no attempt 2 in this task"
    stranger = Person(two, "b").arrive().start()
    assert stranger.answer(0, "left", name=name).problem == "another answer has this id"
    assert len(person.answers()) == 1
    person.answer_all()
    person.finish()
    assert person.answer(0, "left", name=name).status == "known"  # after the end too


def test_arriving_again(two: Any) -> None:
    person = Person(two, "a", submission="s1").arrive()
    assert Person(two, "a", key=person.key).arrive().public_id == person.public_id
    assert Person(two, "a", submission="s1").arrive().public_id == person.public_id
    for newcomer in (Person(two, "a"), Person(two, "a", submission="s2"), Person(two, "b", key=person.key)):
        with pytest.raises(AlreadyStarted):
            newcomer.arrive()
    person.start().answer_all().finish()
    with pytest.raises(Refused) as refused:
        Person(two, "a").arrive()
    assert refused.value.code == "done"


def test_a_second_session_has_other_items_and_no_training(engine: Engine, place: Any, small_set: PatchSet) -> None:
    study = preset(
        "paper-2afc",
        items_per_session=5,
        sessions_per_person=2,
        sentinels={"rules": [{"check": "obvious", "count": 3, "at_least": 0}], "pool": 2},
        training={"obvious": 2},
        rules={"server_time": False},
    )
    here = place(engine, study, small_set)
    first = Person(here, "a").arrive().start()
    assert len(first.trials()) == 2 + 5 + 3
    assert [trial.role for trial in first.trials()][:2] == ["training"] * 2
    first.answer_all().finish()
    second = Person(here, "a").arrive().start()
    assert len(second.trials()) == 5 + 3
    seen = read(engine, lambda c: c.scalars(select(Assignment.item_id)).all())
    assert len(seen) == len(set(seen)) == 18
    names = read(engine, lambda c: c.scalars(select(Session.participant_id)).all())
    assert len(set(names)) == 1


def test_consent_must_be_to_the_present_text(two: Any) -> None:
    person = Person(two, "a").arrive()
    with pytest.raises(Refused) as refused:
        person.do(lambda c: start(c, two.step(), public_id=person.public_id, consent_sha256="0" * 64, device="{}"))
    assert refused.value.code == "consent"
    assert person.withdraw("no_consent").outcome == "no_consent"
    assert filled(two) == [0] * 12


def test_a_bad_exposure_is_repeated_once_and_the_last_valid_attempt_counts(pairs: Any) -> None:
    person = Person(pairs, "a").arrive().start()
    assert person.answer(0, "same", shown=BAD).repeat
    assert [(t.slot, t.repeat) for t in person.trials()][-1] == (0, True)  # at the end
    assert not person.answer(0, "different", attempt=2).repeat
    assert [(a.attempt, a.use, a.reason) for a in person.answers()] == [(1, False, BAD_EXPOSURE), (2, True, "")]

    assert person.answer(1, "same").status == "stored"
    person.answer(1, "different", attempt=2)  # shown again though it need not have been
    person.answer(2, "same", attempt=2)  # attempts that arrive in the other order
    person.answer(2, "same", shown=BAD)
    person.answer(3, "same", attempt=2, shown=BAD)
    person.answer(3, "same")
    found = {(a.slot, a.attempt): (a.use, a.reason) for a in person.answers()}
    assert found[1, 1] == (False, SUPERSEDED)
    assert found[1, 2] == found[2, 2] == found[3, 1] == (True, "")
    assert found[2, 1] == found[3, 2] == (False, BAD_EXPOSURE)
    assert sum(filled(pairs)) == 12

    person.answer(4, "same", shown=BAD)
    person.answer(4, "same", shown=BAD, attempt=2)
    assert sum(filled(pairs)) == 11  # two bad exposures free the place
    person.answer_all()
    row = person.finish()
    assert row.outcome == "complete"
    assert sum(filled(pairs)) == 11
    assert all((a.first_ms, a.frame_ms, a.valid) == (1000, 1000 / 60, a.second_ms == 1000) for a in person.answers())


def test_rules_of_conduct_decide_about_use_and_pay_apart(engine: Engine, place: Any, small_set: PatchSet) -> None:
    rules = {"use": ["fast<=0.2"], "pay": ["side<=0.9"], "server_time": False}
    study = preset("paper-2afc", items_per_session=12, sentinels={}, rules=rules)
    here = place(engine, study, small_set)
    person = Person(here, "a").arrive().start()
    for trial in person.trials():
        person.answer(trial.slot, "left")
    row = person.finish()
    assert row.excluded is None
    found = read(engine, lambda c: c.execute(select(Decision.rule, Decision.verdict, Decision.reason)).all())
    assert ("fast<=0.2", "used", "fast 0") in found
    # Reading two rules about 12 answers of one side: a person is asked to look, nobody is rejected.
    assert ("part taken", "review", "17 of 17 answered; side 1") in found


def test_the_database_itself_refuses_more_than_the_quota_and_a_lopsided_item(two: Any) -> None:
    for broken in ({"filled": 3}, {"filled": -1}, {"filled": 2, "p1_left": 2}, {"filled": 1, "p1_left": 2}):
        with pytest.raises(IntegrityError), two.engine.begin() as connection:
            connection.execute(update(Item).where(Item.role == "test").values(**broken))
