"""Pay: what everybody is due, decisions by people, and payments that are never sent twice whatever breaks."""

import csv
import io
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from prolific_stand_in import TOKEN, Prolific
from sqlalchemy import Engine, select

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.commands.bapps_collect import collect
from collection_app.database.connections import migrate, open_database, read, write
from collection_app.database.models import Decision, Payment
from collection_app.payments.pay_lines import amount
from collection_app.platforms.platform import Visitor
from collection_app.rehearsal.simulated_people import SeededEntropy
from collection_app.server.serving import served
from collection_app.sessions.answering import Given, lock_session, record
from collection_app.sessions.arrival import arrive
from collection_app.sessions.exposures import Shown
from collection_app.sessions.steps import Step, finish, start, withdraw
from collection_app.settings import Settings
from collection_app.studies.installation import install
from collection_app.studies.presets import as_toml, preset
from collection_app.studies.study import Outcomes, Study
from collection_app.web.served_study import wall_clock

LONG_AGO = wall_clock() - 48 * 3_600_000


@pytest.fixture
def prolific() -> Iterator[tuple[Prolific, str]]:
    side = Prolific()
    with served(side.app(), Settings(port=0)) as url:
        yield side, url


class Paid:
    """A study on the stand-in, with people who ended in every way."""

    def __init__(self, folder: Path, patches: PatchSet, side: Prolific, url: str, ready: dict[str, Any]) -> None:
        self.side, self.file = side, folder / "study.toml"
        self.study: Study = preset(
            "paper-2afc",
            **ready,
            items_per_session=12,
            answers_per_item={"val": 20},
            sentinels={},
            training={},
            rules={"pay": ["side<=0.9"], "server_time": False},
            outcomes={name: f"C-{name[:4]}" for name in Outcomes.model_fields},
            platform={"name": "prolific", "study_id": "study", "api": url},
        )
        self.file.write_text(as_toml(self.study))
        self.engine: Engine = open_database(f"sqlite:///{folder}/study.sqlite")
        migrate(self.engine)
        found = write(self.engine, lambda c: install(c, self.study, [patches], folder=folder / "images"))
        self.step = Step(self.study, found.study_id, LONG_AGO, SeededEntropy(1))

    def person(self, name: str, answers: int, *, end: str = "", one_side: bool = False, began: bool = True) -> None:
        self.side.submissions[f"sub-{name}"] = {
            "id": f"sub-{name}",
            "participant_id": name,
            "study_id": "study",
            "status": "AWAITING REVIEW" if end == "finish" else "ACTIVE",
        }
        visitor, key = Visitor(name, f"sub-{name}"), uuid.uuid4().hex
        do, consent = (lambda work: write(self.engine, work)), self.study.consent_digest
        public_id = do(lambda c: arrive(c, self.step, visitor=visitor, key=key, simulated=False)).public_id
        if began:
            do(lambda c: start(c, self.step, public_id=public_id, consent_sha256=consent, device=""))
        for slot in range(answers):
            do(lambda c, slot=slot: self.answer(c, public_id, slot, "left" if one_side or slot % 2 else "right"))
        if end == "finish":
            do(lambda c: finish(c, self.step, public_id=public_id))
        elif end:
            do(lambda c: withdraw(c, self.step, public_id=public_id, reason=end))

    def answer(self, connection: Any, public_id: str, slot: int, choice: str) -> None:
        session = lock_session(connection, public_id)
        assert session is not None
        measured = {"reaction_ms": 500.0, "input": "mouse", "answered_at": 0}
        given = Given(str(uuid.uuid4()), slot, 1, choice, Shown(None, None, None, None, False), measured)
        assert record(connection, self.study, session=session, given=given, now=self.step.now).status == "stored"

    def run(self, *arguments: str, status: int = 0) -> Result:
        environment = {"BAPPS_COLLECT_PLATFORM_TOKEN": TOKEN}
        result = CliRunner().invoke(collect, ["pay", str(self.file), *arguments], env=environment)
        assert result.exit_code == status, result.output
        return result

    def rows(self, *arguments: str, status: int = 0) -> dict[str, dict[str, Any]]:
        found = json.loads(self.run("--json", *arguments, status=status).stdout)
        return {row["participant"]: row for row in found}

    def payments(self) -> dict[str, str]:
        rows = read(self.engine, lambda c: c.execute(select(Payment)).all())
        return {row.idempotency_key: row.state for row in rows}


@pytest.fixture
def paid(tmp_path: Path, small_set: PatchSet, prolific: Any, ready: dict[str, Any]) -> Iterator[Paid]:
    side, url = prolific
    found = Paid(tmp_path, small_set, side, url, ready)
    yield found
    found.engine.dispose()


def test_everybody_gets_a_line_with_a_reason_and_no_rule_rejects(paid: Paid) -> None:
    paid.person("whole", 12, end="finish")
    paid.person("onesided", 12, end="finish", one_side=True)
    paid.person("left", 5)
    paid.person("gone", 0)
    paid.person("withdrew", 7, end="withdrawn")
    paid.person("refused", 0, end="no_consent", began=False)
    paid.person("checks", 0, end="failed_checks", began=False)
    paid.person("looked", 0, began=False)
    text = paid.run("--csv").stdout
    rows = {row["participant"]: row for row in csv.DictReader(io.StringIO(text))}
    found = {name: (row["verdict"], row["amount"], row["look_first"]) for name, row in rows.items()}
    assert found == {
        "whole": ("approve", "4.00", "false"),
        "onesided": ("approve", "4.00", "true"),
        "left": ("pro rata", "1.67", "false"),
        "gone": ("ask to return", "0.00", "false"),
        "withdrew": ("pro rata", "2.34", "false"),
        "checks": ("pro rata", "0.20", "false"),
        "looked": ("ask to return", "0.00", "false"),
    }
    assert all(row["reasons"] and row["currency"] == "GBP" for row in rows.values())
    assert rows["onesided"]["reasons"] == "12 of 12 answered; side 1"
    assert rows["left"]["platform_state"] == "ACTIVE"  # it was asked
    assert "7 sessions of my-study, 12.21 GBP in all" in paid.run().stdout
    assert not paid.payments()  # nothing is sent unasked
    assert not paid.side.paid


def test_shares_are_rounded_up_and_never_more_than_the_whole(paid: Paid) -> None:
    shares = [amount(paid.study, "pro rata", None, answered=n, trials=12) for n in range(13)]
    assert shares == sorted(shares)
    assert (shares[0], shares[1], shares[12]) == (0, 34, 400)
    assert amount(paid.study, "withhold", "complete", answered=12, trials=12) == 0


def test_sending_pays_everybody_once_however_often(paid: Paid) -> None:
    paid.person("whole", 12, end="finish")
    paid.person("onesided", 12, end="finish", one_side=True)
    paid.person("left", 5)
    said = paid.run("--send")
    assert "2 confirmed" in said.output
    assert "1 wait for somebody to look first" in said.output
    assert (paid.side.approved, paid.side.paid) == ({"sub-whole": 1}, {"sub-left": 167})
    paid.run("--send")
    assert (paid.side.approved, paid.side.paid) == ({"sub-whole": 1}, {"sub-left": 167})
    rows = paid.rows("--decide", "onesided", "approve", "--by", "A. Name", "--reason", "looked", "--send")
    assert paid.side.approved == {"sub-whole": 1, "sub-onesided": 1}
    assert rows["onesided"]["reasons"] == "decided by A. Name: looked"
    assert {row["payment"] for row in rows.values()} == {"confirmed"}


def test_withholding_needs_a_name_and_a_reason(paid: Paid) -> None:
    paid.person("whole", 12, end="finish")
    for missing in (["--by", "A. Name"], ["--reason", "because"], ["--by", " ", "--reason", "because"]):
        said = paid.run("--decide", "whole", "withhold", *missing, status=2)
        assert "needs the name of who decides (--by) and a --reason" in said.output
    by = ("--by", "A. Name", "--reason", "because")
    assert "nobody to be paid is named 'x'" in paid.run("--decide", "x", "withhold", *by, status=2).output
    assert "must be one of approve" in paid.run("--decide", "whole", "reject", *by, status=2).output
    rows = paid.rows("--decide", "sub-whole", "withhold", "--by", "A. Name", "--reason", "a program", "--send")
    assert (rows["whole"]["verdict"], rows["whole"]["amount"]) == ("withhold", "0.00")
    assert rows["whole"]["reasons"] == "decided by A. Name: a program"
    assert not paid.side.approved
    verdicts = read(paid.engine, lambda c: c.scalars(select(Decision.verdict).where(Decision.tier == "pay")).all())
    assert verdicts == ["approve", "withhold"]  # what was found before stays written


@pytest.mark.parametrize("what", ["fail", "fail after", "drop"])
def test_a_bonus_whose_fate_is_unclear_is_never_sent_again_unasked(paid: Paid, what: str) -> None:
    paid.person("left", 6)
    paid.side.faults = [("bulk-bonus-payments", what)]
    said = paid.run("--send", status=1)
    assert "1 unclear" in said.output
    assert "it is not known whether it was paid" in " ".join(said.output.split())
    before = dict(paid.side.paid)
    assert before == ({} if what == "fail" else {"sub-left": 200})
    for _ in range(2):
        paid.run("--send", status=1)
    assert dict(paid.side.paid) == before
    (key,) = paid.payments()
    assert paid.payments() == {key: "sent"}

    assert "name who looked" in paid.run("--settle", key, "paid", status=2).output
    if before:
        paid.run("--settle", key, "paid", "--by", "A. Name", "--send")
    else:
        paid.run("--settle", key, "unpaid", "--by", "A. Name", "--send")
    assert dict(paid.side.paid) == {"sub-left": 200}
    assert paid.payments() == {key: "confirmed"}
    assert "is unclear" in paid.run("--settle", key, "unpaid", "--by", "A. Name", status=2).output


@pytest.mark.parametrize("part", ["bulk-bonus-payments", "submissions/bonus-payments"])
def test_a_bonus_that_was_refused_can_be_sent_again(paid: Paid, part: str) -> None:
    paid.person("left", 6)
    paid.side.faults = [(part, "refuse")]
    assert "1 refused" in paid.run("--send").output
    assert not paid.side.paid
    (details,) = read(paid.engine, lambda c: c.scalars(select(Payment.detail)).all())
    assert details.endswith(": 400")
    assert "sub-left" not in details
    assert "1 confirmed" in paid.run("--send").output
    assert paid.side.paid == {"sub-left": 200}


@pytest.mark.parametrize("what", ["fail", "fail after", "drop"])
def test_an_approval_is_tried_again(paid: Paid, what: str) -> None:
    paid.person("whole", 12, end="finish")
    paid.side.faults = [("transition", what)]
    assert "1 unclear" in paid.run("--send", status=1).output
    assert "1 confirmed" in paid.run("--send").output
    assert paid.side.approved == {"sub-whole": 1}


def test_a_wrong_token_and_a_platform_that_is_away_pay_nobody(paid: Paid) -> None:
    paid.person("left", 6)
    environment = {"BAPPS_COLLECT_PLATFORM_TOKEN": "wrong"}
    result = CliRunner().invoke(collect, ["pay", str(paid.file), "--send"], env=environment)
    assert (result.exit_code, "401" in result.output) == (2, True)
    result = CliRunner().invoke(collect, ["pay", str(paid.file), "--send"], env={"BAPPS_COLLECT_PLATFORM_TOKEN": ""})
    assert (result.exit_code, "cannot be paid through from here" in result.output) == (2, True)
    assert not paid.payments()


KILLED = """
import os, sys
from collection_app.platforms import prolific_api
pay = prolific_api.ProlificApi.pay_bonus
def killed(self, bonus_id):
    if sys.argv[1] == "after":
        pay(self, bonus_id)
    os._exit(9)
prolific_api.ProlificApi.pay_bonus = killed
from collection_app.commands.bapps_collect import collect
collect(["pay", sys.argv[2], "--send"])
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_between_sent_and_confirmed_asks_a_person(paid: Paid, when: str) -> None:
    paid.person("left", 6)
    environment = {**os.environ, "BAPPS_COLLECT_PLATFORM_TOKEN": TOKEN}
    command = [sys.executable, "-c", KILLED, when, str(paid.file)]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 9
    assert list(paid.payments().values()) == ["sent"]
    assert "look at the platform (bonus0)" in " ".join(paid.run("--send", status=1).output.split())
    assert dict(paid.side.paid) == ({} if when == "before" else {"sub-left": 200})
