"""What must be said before people are asked, and the rehearsal that needs none of it and mixes with nobody."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.commands.bapps_collect import collect
from collection_app.database.connections import open_database
from collection_app.database.personal import told_list
from collection_app.errors import StudyError
from collection_app.server.app_from_file import app_of
from collection_app.settings import Settings
from collection_app.studies.presets import PRESETS, as_toml, preset
from collection_app.studies.readiness import TOLD, missing, require_ready
from collection_app.studies.study import FILL_IN, Outcomes, Study

KEY = "a signing key that is long enough for tests"


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_preset_marks_what_must_be_filled_in_and_is_not_served_before(name: str) -> None:
    study = preset(name)
    assert as_toml(study).count(FILL_IN) == 8
    assert [problem.partition(":")[0] for problem in missing(study)] == [
        "terms.controller",
        "terms.ethics",
        "terms.currency",
        "terms.retention",
        "terms.legal_basis",
        "terms.recipients",
        "terms.transfer",
        "terms.complaint",
        "contact",
        "terms.minutes",
        "terms.pay",
        "terms.least_per_hour",
        "terms.adults_only",
    ]


def test_a_study_that_says_everything_is_ready(ready: dict[str, Any]) -> None:
    study = preset("paper-2afc", **ready)
    assert missing(study) == []
    require_ready(study)
    for value in ("Example University", "2026-17", "about 20 minutes", "4.00 GBP", "30 days", "under a pseudonym"):
        assert value in study.consent_text
    assert "{" not in study.consent_text
    assert study.consent_digest != preset("paper-2afc").consent_digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"controller": " "}, "terms.controller: fill it in"),
        ({"ethics": "FILL IN later"}, "terms.ethics: fill it in"),
        ({"minutes": 0}, "terms.minutes: fill it in"),
        ({"pay": 0}, "terms.pay: fill it in"),
        ({"pay": 2.9}, "terms.pay: 2.9 GBP for 20 minutes is 8.70 an hour, less than least_per_hour, 9.00"),
        ({"least_per_hour": 0}, "terms.least_per_hour: fill it in"),
        ({"currency": ""}, "terms.currency: fill it in"),
        ({"adults_only": False}, "terms.adults_only: only people of 18 and over"),
        ({"retention": ""}, "terms.retention: fill it in"),
        ({"publishing": ""}, "terms.publishing: fill it in"),
        # Threat 15: what GDPR, Article 13, asks for and nobody asked for.
        ({"purposes": ""}, "terms.purposes: fill it in"),
        ({"legal_basis": ""}, "terms.legal_basis: fill it in"),
        ({"recipients": ""}, "terms.recipients: fill it in"),
        ({"transfer": ""}, "terms.transfer: fill it in"),
        ({"rights": ""}, "terms.rights: fill it in"),
        ({"withdrawing": ""}, "terms.withdrawing: fill it in"),
        ({"complaint": ""}, "terms.complaint: fill it in"),
    ],
)
def test_each_thing_that_is_missing_is_named(ready: dict[str, Any], change: dict[str, Any], message: str) -> None:
    study = preset("paper-2afc", **{**ready, "terms": ready["terms"] | change})
    with pytest.raises(StudyError) as refused:
        require_ready(study)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", TOLD)
def test_a_consent_that_keeps_something_from_people_is_refused(ready: dict[str, Any], name: str) -> None:
    text = preset("paper-2afc").consent.replace(f"{{{name}}}", "?")
    assert missing(preset("paper-2afc", **ready, consent=text)) == [f"consent: does not tell {{{name}}}"]
    written_out = text + f"\n\n{preset('paper-2afc', **ready).told[name]}"
    assert missing(preset("paper-2afc", **ready, consent=written_out)) == []


def test_a_consent_must_speak_of_age(ready: dict[str, Any]) -> None:
    text = preset("paper-2afc").consent.replace("18", "grown up")
    assert missing(preset("paper-2afc", **ready, consent=text)) == [
        "consent: does not say that people must be 18 or older"
    ]


def test_threat_15_the_consent_lists_what_is_truly_stored_and_lets_the_study_say_it(ready: dict[str, Any]) -> None:
    told = [line for line in preset("paper-2afc", **ready).consent_text.splitlines() if line.startswith("- ")]
    assert told == told_list("en").splitlines()
    for fact in (
        "your id on the platform",
        "what your device can show",
        "when you arrived",
        "a random key",
        "each answer",
    ):
        assert sum(fact in line for line in told) == 1
    german = preset("paper-2afc", **ready, language="de")
    assert "Ihre Kennung auf der Plattform" in german.consent_text
    own = preset("paper-2afc", **{**ready, "terms": {**ready["terms"], "stored": "Tout ce que vous répondez."}})
    assert "Tout ce que vous répondez." in own.consent_text
    assert "your id on the platform" not in own.consent_text
    assert missing(own) == []


def test_the_words_of_a_term_may_name_the_contact_and_the_deadline() -> None:
    text = preset("paper-2afc", contact="Ann, ann@example.org", erasure_days=45).consent_text
    assert "write to Ann, ann@example.org and name your id" in text
    assert "Until 45 days after the study is closed" in text
    assert "{" not in text


def test_a_study_that_was_begun_when_less_was_asked_goes_on(
    tmp_path: Path, small_set: PatchSet, ready: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    lacking = {name: text for name, text in ready["terms"].items() if name != "complaint"}
    text = preset("paper-2afc").consent.replace("{complaint}", "")
    study = preset("paper-2afc", name="study", consent=text, **{**ready, "terms": lacking})
    file = tmp_path / "study.toml"
    file.write_text(as_toml(study))
    made = CliRunner().invoke(collect, ["init", str(file), "--patches", str(small_set.folder)])
    assert made.exit_code == 0, made.output
    with pytest.raises(StudyError, match=r"not ready for people: terms\.complaint: fill it in"):
        app_of(file, Settings())
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")  # as the version before served it
    body = {"key": "0" * 32, "parameters": {"id": "ann"}}
    assert create_app(study, engine, key=KEY).test_client().post("/api/arrivals", json=body).status_code == 200
    engine.dispose()
    assert app_of(file, Settings()).test_client().get("/healthz").status_code == 200
    assert "study began when less was asked of a study; it goes on without: terms.complaint" in caplog.text


def test_prolific_needs_a_code_of_its_own_for_every_outcome(ready: dict[str, Any]) -> None:
    codes = {"complete": "C1", "no_consent": "C1", "failed_checks": "C3", "no_work": "C4", "unsuitable_device": "C5"}
    found = missing(
        preset("paper-2afc", **ready, platform={"name": "prolific", "unsigned_reason": "a test"}, outcomes=codes)
    )
    assert found == [
        "outcomes.withdrawn: fill in the code from the Prolific study",
        "outcomes: C1 is the code of two outcomes; Prolific could not tell them",
    ]


def test_threat_1_prolific_must_sign_or_somebody_say_why_not(ready: dict[str, Any]) -> None:
    codes = {name: f"C-{name}" for name in Outcomes.model_fields}

    def found(**platform: str) -> list[str]:
        return missing(preset("paper-2afc", **ready, platform={"name": "prolific", **platform}, outcomes=codes))

    for empty in (found(), found(unsigned_reason=" ")):
        assert len(empty) == 1
        assert "anybody can make up the ids of an unsigned address" in empty[0]
    assert found(unsigned_reason="secure addresses are not on for this workspace") == []
    assert found(signed_for="https://study.example.org") == []


def test_serve_refuses_in_one_line(tmp_path: Path, small_set: PatchSet) -> None:
    file = tmp_path / "study.toml"
    runner = CliRunner()
    made = runner.invoke(collect, ["init", str(file), "--patches", str(small_set.folder), "--preset", "paper-2afc"])
    assert made.exit_code == 0
    refused = runner.invoke(collect, ["serve", str(file), "--port", "0"])
    assert refused.exit_code == 2
    assert "study: not ready for people: terms.controller: fill it in; " in refused.output
    assert "`serve --rehearsal`" in refused.output
    assert refused.output.count("\n") == 1


def test_a_rehearsal_and_people_never_share_a_database(engine: Engine, place: Any, small_set: PatchSet) -> None:
    study: Study = preset("paper-2afc", sentinels={}, training={})
    place(engine, study, small_set)
    rehearsal = Settings(arrivals_per_minute=0, rehearsal=True)
    app = create_app(study, engine, key=KEY, settings=rehearsal)
    body = {"key": "0" * 32, "parameters": {"id": "ann"}}
    assert app.test_client().post("/api/arrivals", json=body).status_code == 200
    create_app(study, engine, key=KEY, settings=rehearsal)
    with pytest.raises(StudyError, match="holds the answers of a rehearsal, and those of people must not be mixed"):
        create_app(study, engine, key=KEY)
