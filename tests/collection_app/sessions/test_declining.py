"""Threat 15: of who declines nothing is kept but that somebody did."""

from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.database.connections import read
from collection_app.database.models import Base, Study
from collection_app.database.personal import PERSONAL
from collection_app.settings import Settings
from collection_app.studies.presets import preset
from collection_app.studies.study import Outcomes

KEY = "k" * 40
ADDRESS = {"workerId": "ann", "assignmentId": "work", "turkSubmitTo": "https://www.mturk.com"}
QUESTION = {"question": "Which?", "choices": ["this", "that"], "right": 1}


@pytest.fixture
def study() -> Any:
    codes = {name: f"C-{name}" for name in Outcomes.model_fields}
    return preset("paper-2afc", sentinels={}, training={}, platform="generic", outcomes=codes, comprehension=[QUESTION])


def counts(engine: Engine) -> tuple[Any, dict[str, Any]]:
    """How many declined, and rows about people."""
    tables = [Base.metadata.tables[name] for name in PERSONAL]
    rows = {t.name: read(engine, lambda c, t=t: c.scalar(select(func.count()).select_from(t))) for t in tables}
    declined = read(engine, lambda c: c.scalar(select(Study.declined)))
    return declined, {name: count for name, count in rows.items() if count}


class Visitor:
    def __init__(self, engine: Engine, study: Any, name: str) -> None:
        app = create_app(study, engine, key=KEY, settings=Settings(arrivals_per_minute=0))
        self.client, self.parameters, self.key = app.test_client(), {"participant": name}, name.encode().hex() * 8
        self.token = ""

    def post(self, what: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        reply = self.client.post(f"/api/{what}", json=body, headers=headers)
        assert reply.json
        self.token = reply.json.get("token", self.token)
        return reply

    def arrive(self) -> Any:
        return self.post("arrivals", key=self.key, parameters=self.parameters)

    def decline(self) -> Any:
        return self.post("withdraw", reason="no_consent", parameters=self.parameters)


def test_threat_15_declining_leaves_a_count_only(engine: Engine, place: Any, study: Any, small_set: PatchSet) -> None:
    place(engine, study, small_set)
    ann = Visitor(engine, study, "ann")
    assert ann.arrive().status_code == 200
    assert counts(engine) == (0, {"participant": 1, "identity": 1, "session": 1, "event": 1})
    said = ann.decline().json
    assert (said["state"], said["outcome"], said["code"]) == ("turned away", "no_consent", "C-no_consent")
    assert counts(engine) == (1, {})
    again = ann.decline()  # because the first answer was lost
    assert again.status_code == 200
    assert again.json == {**said, "token": again.json["token"], "proof": again.json["proof"], "comprehension": None}
    assert counts(engine) == (1, {})
    assert ann.post("start", consent_sha256=study.consent_digest, device={}).status_code == 409
    assert ann.arrive().json["state"] == "arrived"  # who thinks again may come again
    assert counts(engine)[1]["session"] == 1


def test_a_platform_gets_its_people_back_though_nothing_is_kept(
    engine: Engine, place: Any, study: Any, small_set: PatchSet
) -> None:
    address = "https://panel.example.org/?code={code}&survey={survey}"
    platform = {"name": "generic", "keep": ["survey"], "addresses": {"no_consent": address}}
    study = study.model_validate(study.model_dump() | {"platform": platform})
    place(engine, study, small_set)
    ann = Visitor(engine, study, "ann")
    ann.parameters["survey"] = "42"
    ann.arrive()
    led = "https://panel.example.org/?code=C-no_consent&survey=42"
    assert [ann.decline().json["redirect"] for _ in range(2)] == [led, led]
    ann.parameters.clear()
    assert ann.decline().json["redirect"] is None


def test_declining_does_not_give_new_tries_at_the_check(
    engine: Engine, place: Any, study: Any, small_set: PatchSet
) -> None:
    place(engine, study, small_set)
    ann = Visitor(engine, study, "ann")
    ann.arrive()
    ann.post("comprehension", choices=[2])
    assert ann.decline().json["outcome"] == "no_consent"
    assert counts(engine)[1]["session"] == 1
    assert ann.arrive().json["outcome"] == "no_consent"


def test_a_session_of_before_stays_with_its_person(engine: Engine, place: Any, study: Any, small_set: PatchSet) -> None:
    study = study.model_validate(study.model_dump() | {"sessions_per_person": 2, "comprehension": ()})
    place(engine, study, small_set)
    ann = Visitor(engine, study, "ann")
    ann.arrive()
    ann.post("start", consent_sha256=study.consent_digest, device={})
    ann.post("withdraw", reason="withdrawn")
    ann.key = "a" * 32
    assert ann.arrive().json["state"] == "arrived"
    ann.decline()
    declined, rows = counts(engine)
    assert declined == 1
    assert (rows["participant"], rows["identity"], rows["session"]) == (1, 1, 1)
