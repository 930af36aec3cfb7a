"""Arrivals and departures on every platform, over HTTP: each outcome, previews, and everything that must be refused."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from jwt.algorithms import RSAAlgorithm
from sqlalchemy import Engine, func, select

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.database.connections import read
from collection_app.database.models import Participant, Session
from collection_app.errors import StudyError
from collection_app.platforms import platform_of, platforms
from collection_app.platforms.platform import CannotTell, Ended
from collection_app.server.serving import served
from collection_app.settings import Settings
from collection_app.studies.presets import preset
from collection_app.studies.study import Study

KEY = "a signing key that is long enough for tests"
OUTCOMES = ("complete", "no_consent", "failed_checks", "no_work", "unsuitable_device", "withdrawn")
CODES = {outcome: f"CODE-{outcome.upper().replace('_', '-')}" for outcome in OUTCOMES}
SANDBOX = "https://workersandbox.mturk.com"
PLAIN = "https://panel.example.org/back?code={code}&outcome={outcome}&survey={survey_code}"


@dataclass(frozen=True)
class Arrives:
    """How people come from a platform: its settings, what is in the address, and the ids that it means."""

    settings: Mapping[str, Any]
    parameters: Callable[[str], dict[str, str]]
    resumes_by_submission: bool
    # What a departure must be, given an outcome.
    leaves: Callable[[str], Any]


def by_form(outcome: str) -> Any:
    if outcome not in ("complete", "failed_checks", "withdrawn"):
        return None, None
    fields = {"assignmentId": "assignment-ann", "code": CODES[outcome], "outcome": outcome}
    return None, {"action": f"{SANDBOX}/mturk/externalSubmit", "fields": fields}


ARRIVES: dict[str, Arrives] = {
    "local": Arrives({}, lambda who: {"id": who}, False, lambda outcome: (None, None)),
    "prolific": Arrives(
        {"study_id": "study"},
        lambda who: {"PROLIFIC_PID": who, "STUDY_ID": "study", "SESSION_ID": f"session-{who}"},
        True,
        lambda outcome: (f"https://app.prolific.com/submissions/complete?cc={CODES[outcome]}", None),
    ),
    "mturk": Arrives(
        {},
        lambda who: {"workerId": who, "assignmentId": f"assignment-{who}", "hitId": "hit", "turkSubmitTo": SANDBOX},
        True,
        by_form,
    ),
    "generic": Arrives(
        {"keep": ["survey_code"], "addresses": dict.fromkeys(OUTCOMES, PLAIN)},
        lambda who: {"participant": who, "survey_code": "a&b=/?#"},
        False,
        lambda o: (f"https://panel.example.org/back?code={CODES[o]}&outcome={o}&survey=a%26b%3D%2F%3F%23", None),
    ),
}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: nothing here differs between databases."""
    return f"sqlite:///{tmp_path}/study.sqlite"


def a_study(name: str, **settings: Any) -> Study:
    return preset(
        "paper-2afc",
        items_per_session=12,
        fewest_items=12,
        answers_per_item={"val": 1},
        sentinels={"rules": [{"check": "obvious", "count": 1, "at_least": 0}]},
        training={},
        rules={"server_time": False},
        outcomes=CODES,
        platform={"name": name, **settings},
    )


@pytest.fixture(params=list(ARRIVES))
def platform_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def client(engine: Engine, place: Any, small_set: PatchSet, platform_name: str) -> Any:
    study = a_study(platform_name, **ARRIVES[platform_name].settings)
    place(engine, study, small_set)
    return create_app(study, engine, key=KEY, settings=Settings(arrivals_per_minute=0)).test_client()


def arrive(client: Any, parameters: Mapping[str, str], key: str | None = None) -> Any:
    return client.post("/api/arrivals", json={"key": key or uuid.uuid4().hex, "parameters": parameters})


def post(client: Any, path: str, session: Mapping[str, Any], body: Any) -> dict[str, Any]:
    reply = client.post(path, json=body, headers={"Authorization": f"Bearer {session['token']}"})
    assert reply.status_code == 200, reply.text
    return reply.json


def start(client: Any, session: Mapping[str, Any]) -> dict[str, Any]:
    return post(client, "/api/start", session, {"consent_sha256": session["consent_sha256"]})


def answer_all(client: Any, session: Mapping[str, Any]) -> None:
    base = {"choice": "left", "reaction_ms": 700.0, "answered_at": 1, "input": "mouse"}
    answers = [{**base, "id": str(uuid.uuid4()), "slot": slot} for slot in range(session["trials"])]
    post(client, "/api/answers", session, {"answers": answers})


def test_every_platform_is_tried_here() -> None:
    assert set(ARRIVES) == set(platforms())
    for name in platforms():
        assert platform_of(name).name == name


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_leads_back_with_its_own_code(client: Any, platform_name: str, outcome: str) -> None:
    arrives = ARRIVES[platform_name]
    told = {"parameters": arrives.parameters("ann")} if outcome == "no_consent" else {}
    if outcome == "no_work":
        before = start(client, arrive(client, arrives.parameters("bob")).json)
        assert before["state"] == "started"  # one place an item, and bob has them all
    session = arrive(client, arrives.parameters("ann")).json
    assert (session["state"], session["code"], session["redirect"], session["submit"]) == ("arrived", None, None, None)
    if outcome in ("complete", "no_work", "withdrawn"):
        session = start(client, session)
    if outcome == "complete":
        answer_all(client, session)
        session = post(client, "/api/finish", session, {})
    elif outcome != "no_work":
        session = post(client, "/api/withdraw", session, {"reason": outcome, **told})
    assert (session["outcome"], session["code"]) == (outcome, CODES[outcome])
    assert (session["redirect"], session["submit"]) == arrives.leaves(outcome)
    if outcome == "no_consent":  # of which nothing is kept
        again = post(client, "/api/withdraw", session, {"reason": outcome, **told})
    else:
        again = client.get("/api/session", headers={"Authorization": f"Bearer {session['token']}"}).json
    assert (again["redirect"], again["submit"]) == (session["redirect"], session["submit"])


def test_an_arrival_without_what_the_platform_sends_is_refused(client: Any, engine: Engine, platform_name: str) -> None:
    parameters = ARRIVES[platform_name].parameters("ann")
    optional = {"hitId", "id"}
    for name in set(parameters) - optional:
        for broken in ({k: v for k, v in parameters.items() if k != name}, {**parameters, name: ""}):
            reply = arrive(client, broken)
            assert (reply.status_code, reply.json["error"]) == (409, "parameters")
    assert read(engine, lambda c: c.scalar(select(func.count()).select_from(Participant))) == 0


def test_resuming_needs_the_browsers_key_or_the_same_submission(client: Any, platform_name: str) -> None:
    arrives, key = ARRIVES[platform_name], uuid.uuid4().hex
    first = arrive(client, arrives.parameters("ann"), key).json
    assert arrive(client, arrives.parameters("ann"), key).json["token"].split(".")[0] == first["token"].split(".")[0]
    other = arrive(client, arrives.parameters("ann"))
    if arrives.resumes_by_submission:
        assert other.json["token"].split(".")[0] == first["token"].split(".")[0]
    else:
        assert (other.status_code, other.json["error"]) == (409, "already_started")


def test_a_submission_belongs_to_who_came_with_it_first(client: Any, platform_name: str) -> None:
    arrives = ARRIVES[platform_name]
    ann, eve = arrives.parameters("ann"), arrives.parameters("eve")
    assert arrive(client, ann).status_code == 200
    of_submission = {"SESSION_ID", "assignmentId"}
    stolen = {name: (ann if name in of_submission else eve)[name] for name in eve}
    reply = arrive(client, stolen)
    assert reply.status_code == (409 if arrives.resumes_by_submission else 200)


class TestMTurk:
    """The frame, the preview and the address to submit to."""

    @pytest.fixture
    def platform_name(self) -> str:
        return "mturk"

    def test_a_preview_shows_the_study_and_takes_nothing(self, client: Any, engine: Engine) -> None:
        preview = {**ARRIVES["mturk"].parameters("ann"), "assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE"}
        for parameters in (preview, {"assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE", "hitId": "hit"}):
            seen = arrive(client, parameters).json
            assert (seen["state"], seen["token"], seen["trials"], seen["code"]) == ("preview", "", 0, None)
            assert seen["consent"]
            reply = client.get("/api/trials", headers={"Authorization": f"Bearer {seen['token']}"})
            assert reply.status_code == 401
        assert read(engine, lambda c: c.scalar(select(func.count()).select_from(Session))) == 0
        assert read(engine, lambda c: c.scalar(select(func.count()).select_from(Participant))) == 0

    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example.org",
            "https://www.mturk.com.evil.example.org",
            "https://www.mturk.com@evil.example.org",
            "https://www.mturk.com/../evil",
            "//www.mturk.com",
            "http://www.mturk.com",
            "javascript:alert(1)//www.mturk.com",
            "https://www.mturk.com\n.evil.example.org",
            "https://WWW.MTURK.COM:443",
            "",
        ],
    )
    def test_a_hostile_place_to_submit_to_is_refused(self, client: Any, target: str) -> None:
        reply = arrive(client, {**ARRIVES["mturk"].parameters("ann"), "turkSubmitTo": target})
        assert (reply.status_code, reply.json["error"]) == (409, "parameters")
        assert target not in reply.text or not target

    def test_a_place_to_submit_to_that_was_stored_is_checked_again(self) -> None:
        ended = Ended("complete", "code", "a", {"turkSubmitTo": "https://evil.example.org"})
        assert platform_of("mturk").departure(ended) is None

    def test_work_taken_again_in_the_same_browser_is_submitted_as_the_new_assignment(self, client: Any) -> None:
        key, parameters = uuid.uuid4().hex, ARRIVES["mturk"].parameters("ann")
        session = start(client, arrive(client, parameters, key).json)
        arrive(client, {**parameters, "assignmentId": "second"}, key)
        answer_all(client, session)
        done = post(client, "/api/finish", session, {})
        assert done["submit"]["fields"]["assignmentId"] == "second"
        late = arrive(client, {**parameters, "assignmentId": "third"}, key).json
        assert late["submit"]["fields"]["assignmentId"] == "second"  # one piece of work is paid once


class Jwks:
    """Prolific's side of signed addresses: a key, published, and what is signed with it."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.asked = 0

    def app(self) -> Flask:
        app = Flask("jwks")

        @app.get("/.well-known/study/jwks.json")
        def keys() -> dict[str, Any]:
            self.asked += 1
            public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            return {"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]}

        return app

    def token(self, *, key: Any = None, kid: str = "one", algorithm: str = "RS256", **claims: Any) -> str:
        ids = {"PROLIFIC_PID": "ann", "STUDY_ID": "study", "SESSION_ID": "s", "workspace_id": "w"}
        base = {"iss": "https://www.prolific.com", "aud": "https://study.example.org", "iat": time.time()}
        content = {**base, "exp": time.time() + 60, "prolific": ids, **claims}
        content = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(content, key or self.key, algorithm=algorithm, headers={"kid": kid})


@pytest.fixture(scope="module")
def jwks() -> Iterator[tuple[Jwks, str]]:
    side = Jwks()
    with served(side.app(), Settings(port=0)) as url:
        yield side, url


def test_signed_addresses_are_believed_and_nothing_beside_them(jwks: tuple[Jwks, str]) -> None:
    side, url = jwks
    here = platform_of({"name": "prolific", "signed_for": "https://study.example.org", "api": url})
    asked = side.asked
    for audience in ("https://study.example.org", "study.example.org", ["https://study.example.org/"]):
        parameters = {"prolific_token": side.token(aud=audience), "PROLIFIC_PID": "eve", "SESSION_ID": "x"}
        visitor = here.visitor(parameters, "")
        assert visitor is not None
        assert (visitor.external_id, visitor.submission_id) == ("ann", "s")
    assert side.asked == asked + 1  # keys are kept


@pytest.mark.parametrize(
    "forged",
    [
        {"exp": 1},
        {"exp": None},
        {"aud": "https://evil.example.org"},
        {"aud": None},
        {"iss": "https://evil.example.org"},
        {"kid": "two"},
        {"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)},
        {"key": "a secret of at least 32 characters, as HS256 needs", "algorithm": "HS256"},
        {"prolific": "ann"},
        {"prolific": {"PROLIFIC_PID": 3, "STUDY_ID": "study", "SESSION_ID": "s"}},
    ],
)
def test_an_address_that_is_not_signed_for_this_study_is_refused(
    jwks: tuple[Jwks, str], forged: dict[str, Any]
) -> None:
    side, url = jwks
    here = platform_of({"name": "prolific", "signed_for": "https://study.example.org", "api": url})
    with pytest.raises(ValueError, match=r"not signed by Prolific|is missing from the address"):
        here.visitor({"prolific_token": side.token(**forged)}, "")
    plain = {"PROLIFIC_PID": "ann", "STUDY_ID": "study", "SESSION_ID": "s"}
    for token in ({}, {"prolific_token": ""}, {"prolific_token": "a.b.c"}):
        with pytest.raises(ValueError, match="not signed by Prolific"):
            here.visitor({**plain, **token}, "")


def test_keys_that_cannot_be_had_let_nobody_in(jwks: tuple[Jwks, str]) -> None:
    side, _ = jwks
    here = platform_of({"name": "prolific", "signed_for": "https://study.example.org", "api": "http://127.0.0.1:9"})
    with pytest.raises(ValueError, match="cannot be checked now; try again"):
        here.visitor({"prolific_token": side.token()}, "")


def test_keys_that_are_long_in_coming_are_waited_for_by_one_alone(jwks: tuple[Jwks, str]) -> None:
    """Arrivals stood in a queue before a platform that hung, each for 5 s in a thread of the server's."""
    side, _ = jwks
    asks, answer, asked = threading.Event(), threading.Event(), []
    app = Flask("slow")

    @app.get("/.well-known/study/jwks.json")
    def keys() -> tuple[str, int]:
        asked.append(1)
        asks.set()
        assert answer.wait(30)
        return "", 500

    with served(app, Settings(port=0)) as url:
        here = platform_of({"name": "prolific", "signed_for": "https://study.example.org", "api": url})

        def arrive(said: list[str]) -> None:
            try:
                here.visitor({"prolific_token": side.token()}, "")
            except CannotTell as error:
                said.append(str(error))

        first: list[str] = []
        waiting = threading.Thread(target=arrive, args=(first,))
        waiting.start()
        try:
            assert asks.wait(20)
            others: list[str] = []
            arrive(others)  # comes back though the first is still waiting
            assert (len(others), first) == (1, [])
        finally:
            answer.set()
            waiting.join()
        arrive(others)  # not asked for again at once
    assert (len(first), len(others), asked) == (1, 2, [1])


def test_an_arrival_that_cannot_be_told_now_is_to_come_again(
    engine: Engine, place: Any, small_set: PatchSet, jwks: tuple[Jwks, str]
) -> None:
    signed = {"name": "prolific", "signed_for": "https://study.example.org", "api": "http://127.0.0.1:9"}
    study = preset("paper-2afc", items_per_session=4, sentinels={}, training={}, outcomes=CODES, platform=signed)
    place(engine, study, small_set)
    client = create_app(study, engine, key=KEY).test_client()
    body = {"key": uuid.uuid4().hex, "parameters": {"prolific_token": jwks[0].token()}}
    reply = client.post("/api/arrivals", json=body)
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "10")
    assert "unchecked" in reply.text
    # The page is no different: it tells so, and asks for itself again.
    page = client.get("/", query_string=body["parameters"])
    assert (page.status_code, " data-unchecked" in page.text, " data-refused" in page.text) == (503, True, False)
    # A hundred people of one network who wait like that are not too many.
    assert {client.post("/api/arrivals", json=body).status_code for _ in range(100)} == {503}


def test_an_address_for_another_study_is_refused() -> None:
    here = platform_of({"name": "prolific", "study_id": "mine"})
    with pytest.raises(ValueError, match="belongs to another study"):
        here.visitor({"PROLIFIC_PID": "ann", "STUDY_ID": "theirs", "SESSION_ID": "s"}, "")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "amazon"}, "unknown platform 'amazon'; there are generic, local, mturk, prolific"),
        ({"name": "local", "colour": 1}, "colour: Extra inputs are not permitted"),
        ({"name": "mturk", "submit_to": ["https://*.mturk.com"]}, "submit_to.0: "),
        ({"name": "generic", "addresses": {"complete": "https://{code}.example.org/"}}, "the host must be written out"),
        ({"name": "generic", "addresses": {"complete": "https://a.org@{code}/"}}, "the host must be written out"),
        (
            {"name": "generic", "addresses": {"complete": "javascript:alert({code})"}},
            "needs one that begins with https://",
        ),
        ({"name": "generic", "addresses": {"complete": "http://a.org/{code}"}}, "needs one that begins with https://"),
        ({"name": "generic", "addresses": {"complete": "{code}"}}, "needs one that begins with https://"),
        ({"name": "generic", "addresses": {"complete": "https://a.org/{cod}"}}, "{cod} is none of code, outcome"),
        ({"name": "generic", "addresses": {"complete": "https://a.org/{code!r:{x}}"}}, "braces may only hold the name"),
    ],
)
def test_wrong_settings_of_a_platform_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError) as error:
        preset("paper-2afc", platform=settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_a_visitor_brings_cannot_lead_elsewhere() -> None:
    here = platform_of({"name": "generic", "keep": ["x"], "addresses": {"complete": "https://a.org/{x}/{code}"}})
    found = here.departure(Ended("complete", "c", None, {"x": "../..//evil.example.org\\@?#{code}"}))
    assert found is not None
    assert vars(found) == {"url": "https://a.org/..%2F..%2F%2Fevil.example.org%5C%40%3F%23%7Bcode%7D/c"}
