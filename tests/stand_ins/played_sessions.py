"""Sessions that are played through the server at a time that tests set: what a browser sends, and may lie about."""

import uuid
from typing import Any

from sqlalchemy import Engine, select

from collection_app import create_app
from collection_app.database.connections import read, write
from collection_app.database.models import Answer, Assignment, Decision, Item, Session
from collection_app.payments.pay_lines import Line, pay_lines
from collection_app.rehearsal.simulated_people import SeededEntropy
from collection_app.sessions.allocation import counted_places
from collection_app.sessions.steps import Step, lapse
from collection_app.settings import Settings
from collection_app.studies.presets import preset
from collection_app.studies.study import Study

KEY = "a signing key that is long enough for tests"
START_MS = 1_700_000_000_000
FRAME = 1000 / 60
GOOD = {"first_ms": 60 * FRAME, "gap_ms": 15 * FRAME, "second_ms": 60 * FRAME, "frame_ms": FRAME}
TERMS = {"terms": {"pay": 4.0, "currency": "GBP", "turned_away_pay": 0.2}}
PAIRS = preset(
    "paper-jnd",
    items_per_session=12,
    sentinels={"rules": [{"check": "identical", "count": 6, "at_least": 5}]},
    training={},
    **TERMS,
)
CHOICES = preset(
    "paper-2afc",
    items_per_session=12,
    sentinels={"rules": [{"check": "obvious", "count": 8, "at_least": 7}]},
    training={},
    **TERMS,
)


class Browser:
    """A program that takes part as a browser would, and looks up what is right; each lie is a test's own."""

    def __init__(self, app: Any, engine: Engine, clock: list[int]) -> None:
        self.client, self.engine, self.clock = app.test_client(), engine, clock
        body = {"key": uuid.uuid4().hex, "parameters": {"id": uuid.uuid4().hex}}
        arrived = self.client.post("/api/arrivals", json=body).json
        self.bearer = {"Authorization": f"Bearer {arrived['token']}"}
        start = {"consent_sha256": arrived["consent_sha256"], "device": {"refresh_hz": 60}}
        self.client.post("/api/start", json=start, headers=self.bearer)
        self.jnd = arrived["task"] == "jnd"
        newest = select(Session.id).order_by(Session.id.desc()).limit(1)
        self.id = read(engine, lambda c: c.scalar(newest))

    def trials(self) -> list[dict[str, Any]]:
        return self.client.get("/api/trials?limit=1000", headers=self.bearer).json["trials"]

    def right(self) -> dict[int, str]:
        """The right choice of each sentinel, as the browser names it."""
        query = select(Assignment.slot, Assignment.side, Item.expected).join(Item)
        rows = read(self.engine, lambda c: c.execute(query.where(Assignment.session_id == self.id, Item.expected > "")))
        other = {"left": "right", "right": "left"}
        words = {"same": "same", "different": "different"}
        return {r.slot: words.get(r.expected) or (r.side if r.expected == "p1" else other[r.side]) for r in rows}

    def proofs(self, trial: dict[str, Any]) -> list[str]:
        names = [trial[role] for role in ("reference", "left", "right") if trial[role]]
        return [self.client.get(f"/images/{name}").headers["Picture-Proof"] for name in names]

    def made(self, trial: dict[str, Any], choice: str, *, proofs: list[str] | None = None, **lies: Any) -> Any:
        shown = GOOD if self.jnd else {}
        return {
            "id": str(uuid.uuid4()),
            "slot": trial["slot"],
            "attempt": trial["attempt"],
            "choice": choice,
            "reaction_ms": 900.0,
            "answered_at": self.clock[0],
            "input": "mouse",
            "pictures": self.proofs(trial) if proofs is None else proofs,
            **shown,
            **lies,
        }

    def send(self, *answers: Any) -> Any:
        return self.client.post("/api/answers", json={"answers": answers}, headers=self.bearer).json

    def answer(self, trial: dict[str, Any], choice: str, *, seconds: float = 3.5, **lies: Any) -> Any:
        made = self.made(trial, choice, **lies)
        self.clock[0] += round(1000 * seconds)
        return self.send(made)

    def answer_all(self, **lies: Any) -> "Browser":
        right, word = self.right(), "same" if self.jnd else "left"
        while trials := self.trials():
            for trial in trials:
                if self.answer(trial, right.get(trial["slot"], word), **lies)["over"]:
                    return self
        return self

    def finish(self) -> dict[str, Any]:
        return self.client.post("/api/finish", headers=self.bearer).json

    def state(self) -> dict[str, Any]:
        return self.client.get("/api/session", headers=self.bearer).json

    def answers(self) -> list[Any]:
        query = select(Answer, Assignment.slot).join(Assignment).where(Assignment.session_id == self.id)
        return list(read(self.engine, lambda c: c.execute(query.order_by(Assignment.slot, Answer.attempt)).all()))

    def excluded(self) -> str:
        return read(self.engine, lambda c: c.scalar(select(Session.excluded).filter_by(id=self.id))) or ""

    def decision(self) -> str:
        query = select(Decision.verdict).where(Decision.session_id == self.id, Decision.tier == "pay")
        return read(self.engine, lambda c: c.scalars(query.order_by(Decision.id)).all())[-1]


class Server:
    """A study that is served, at a time that tests set."""

    def __init__(self, engine: Engine, study: Study, study_id: int) -> None:
        self.engine, self.study, self.study_id, self.clock = engine, study, study_id, [START_MS]
        settings = Settings(arrivals_per_minute=0)
        # The same sentinels, sides and order are drawn in every run.
        self.app = create_app(
            study, engine, key=KEY, settings=settings, clock=lambda: self.clock[0], entropy=SeededEntropy(5)
        )

    def visit(self) -> Browser:
        return Browser(self.app, self.engine, self.clock)

    def step(self) -> Step:
        return Step(self.study, self.study_id, self.clock[0], lambda count: b"x" * count)

    def lapse(self) -> None:
        self.clock[0] += 25 * 3_600_000
        write(self.engine, lambda c: lapse(c, self.step(), silent_since=self.clock[0] - 1))

    def paid(self) -> Line:
        return read(self.engine, lambda c: pay_lines(c, self.step()))[-1]

    def filled(self) -> int:
        rows = read(self.engine, lambda c: counted_places(c, self.study_id))
        assert all(row.filled == row.counted <= row.quota for row in rows)
        return sum(row.filled for row in rows)
