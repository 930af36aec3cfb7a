"""The commands as they are run, and the documentation kept in step with the settings."""

import json
import re
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import BaseModel

from bapps_builder.answers.answer_table import read_answers
from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.commands.bapps_collect import collect
from collection_app.errors import StudyError
from collection_app.platforms import platforms
from collection_app.server.app_from_file import app_of
from collection_app.settings import PREFIX, Settings, settings_from, variable
from collection_app.signing import Tokens, pseudonym, signing_key
from collection_app.studies.presets import PRESETS, as_toml, preset
from collection_app.studies.study import Study
from collection_app.studies.study_file import name_for, read_study


def run(*arguments: object, status: int = 0) -> Result:
    result = CliRunner().invoke(collect, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result


@pytest.fixture
def study(tmp_path: Path, small_set: PatchSet) -> Path:
    file = tmp_path / "study.toml"
    run("init", file, "--patches", small_set.folder, "--preset", "paper-2afc")
    return file


def test_init_says_what_is_there_and_how_careful_people_fare(tmp_path: Path, small_set: PatchSet) -> None:
    file = tmp_path / "study.toml"
    said = run("init", file, "--patches", small_set.folder, "--preset", "paper-2afc").output
    assert read_study(file).name == "study"
    assert "12 items, 60 answers needed, 65 sentinels and training items" in said
    assert "a careful person gets at least 14 of 15 right in 9" in said
    again = run("init", file, "--patches", small_set.folder)
    assert "12 items, 60 answers needed" in again.output
    assert (
        "already exists" in run("init", file, "--patches", small_set.folder, "--preset", "paper-jnd", status=2).output
    )


@pytest.mark.parametrize(
    ("file", "name"), [("My study.toml", "my-study"), ("2027_JND-b.toml", "2027-jnd-b"), ("---.toml", "study")]
)
def test_a_new_study_is_named_after_its_file(file: str, name: str) -> None:
    assert name_for(Path("somewhere") / file) == name
    assert preset("paper-jnd", name=name).name == name


# Three abreast take 3 x (their width + 41) CSS pixels of a window of 1280x720, and 300 of its height besides theirs.
@pytest.mark.parametrize(
    ("sizes", "too_large"),
    [
        (((64, 64),), ""),
        (((385, 420),), ""),
        (((386, 64),), "386x64"),
        (((64, 421),), "64x421"),
        (((64, 64), (512, 512), (96, 64)), "512x512"),
    ],
)
def test_init_suggests_the_layout_that_has_room_in_a_usual_window(
    tmp_path: Path, make_set: Any, sizes: tuple[tuple[int, int], ...], too_large: str
) -> None:
    patches = make_set(tmp_path / "set", count=len(sizes), sizes=sizes).folder
    settings = preset("paper-2afc", items_per_session=1, sentinels={"rules": []}, training={})
    (tmp_path / "study.toml").write_text(as_toml(settings))
    (line,) = [
        line
        for line in run("init", tmp_path / "study.toml", "--patches", patches).output.splitlines()
        if line.startswith("display.layout")
    ]
    if too_large:
        assert f'"in-place" suggested, for three pictures of {too_large} have no room side by side' in line
    else:
        assert '"side-by-side" suggested, for three pictures have room in a window of 1280x720' in line


def test_init_suggests_no_layout_where_there_is_one(tmp_path: Path, jnd_set: PatchSet) -> None:
    said = run("init", tmp_path / "study.toml", "--patches", jnd_set.folder, "--preset", "paper-jnd").output
    assert "display.layout" not in said


def test_init_with_patches_of_the_other_task_writes_nothing(tmp_path: Path, small_set: PatchSet) -> None:
    refused = run("init", tmp_path / "s.toml", "--patches", small_set.folder, "--preset", "paper-jnd", status=2)
    assert "its items are for the task 2afc, but this study shows items of jnd" in refused.stderr
    assert not list(tmp_path.glob("s.*"))


def test_simulate_export_status(study: Path, small_set: PatchSet, tmp_path: Path) -> None:
    done = json.loads(run("simulate", study, "--patches", small_set.folder, "--json", "--seed", 3).stdout)
    assert done["outcomes"]["complete"] >= 5
    database = f"sqlite:///{tmp_path}/study.simulated.sqlite"
    run("export", study, tmp_path / "answers.csv", "--database", database)
    assert read_answers(tmp_path / "answers.csv")["simulated"].all()
    found = json.loads(run("status", study, "--database", database, "--json").stdout)
    assert (found["filled"], found["wanted"]) == (60, 60)
    said = run("status", study, "--database", database).output
    assert "SIMULATED: 60 of 60 answers" in said
    assert re.search(r"val/traditional +12 of 12 +60 of 60 +5\n", said)
    assert re.search(r"rule sentinels obvious>=14 of 15: \d+ kept, \d+ broken\n", said)
    assert "remove it to simulate again" in run("simulate", study, "--patches", small_set.folder, status=2).output
    # The study's own database has nobody in it.
    assert json.loads(run("status", study, "--json").stdout)["sessions"] == {}


def test_a_receipt_is_stored_once_and_only_if_it_is_this_study_s(study: Path, tmp_path: Path) -> None:
    client = app_of(study, Settings(rehearsal=True)).test_client()
    session = client.post("/api/arrivals", json={"key": uuid.uuid4().hex, "parameters": {"id": "somebody"}}).json
    assert session is not None
    who = {"Authorization": f"Bearer {session['token']}"}
    client.post("/api/start", json={"consent_sha256": session["consent_sha256"]}, headers=who)
    one = {"choice": "left", "reaction_ms": 700.5, "answered_at": 1, "input": "mouse"}
    answers = [{**one, "id": str(uuid.uuid4()), "slot": slot} for slot in (0, 1, 5000)]
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps({"format": 1, "proof": session["proof"], "answers": answers}))

    first = run("receive", study, receipt)
    assert "2 answers stored, 0 were here already, 1 refused" in first.stdout
    assert "refused: " in first.stderr
    assert "0 answers stored, 2 were here already, 1 refused" in run("receive", study, receipt).stdout
    rows = sqlite3.connect(tmp_path / "study.sqlite").execute("SELECT id FROM answer ORDER BY id").fetchall()
    assert [row[0] for row in rows] == sorted(sent["id"] for sent in answers[:2])

    receipt.write_text(json.dumps({"proof": Tokens("another key " * 4).prove("session"), "answers": answers}))
    assert "was not signed by this study's server" in run("receive", study, receipt, status=2).stderr
    receipt.write_text("{}")
    assert "receipt.json: not a receipt of a study: proof" in run("receive", study, receipt, status=2).stderr
    assert "cannot be read" in run("receive", study, tmp_path / "none.json", status=2).stderr


def test_erase_and_close(study: Path, small_set: PatchSet, tmp_path: Path) -> None:
    run("simulate", study, "--patches", small_set.folder, "--people", 1)
    database = f"sqlite:///{tmp_path}/study.simulated.sqlite"
    assert "forgotten, with 1 sessions" in run("erase", study, "simulated-000000", "--database", database).output
    assert "no participant 'x'" in run("erase", study, "x", "--database", database, status=2).output
    assert "people can be erased until" in run("close", study, "--database", database).output
    rows = sqlite3.connect(tmp_path / "study.simulated.sqlite").execute("SELECT count(*) FROM identity")
    assert rows.fetchone() == (0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "none.toml"], "no such study file"),
        (["simulate", "none.toml", "--patches", "none"], "no such study file"),
        (["serve", "none.toml"], "no such study file"),
    ],
)
def test_missing_files_are_one_line_and_exit_status_2(arguments: list[str], message: str) -> None:
    result = run(*arguments, status=2)
    assert message in result.output
    assert result.output.count("\n") == 1


def test_a_study_runs_without_torch_and_metrics() -> None:
    unwanted = ("torch", "metrics", "matplotlib")
    program = (
        f"import sys, collection_app.commands.bapps_collect;print([name for name in {unwanted} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_no_command_but_init_makes_a_database(study: Path) -> None:
    study.with_suffix(".sqlite").unlink()
    for command, *options in (["status"], ["close"], ["pay"], ["serve", "--rehearsal"]):
        assert "no such database; run `bapps-collect init` first" in run(command, study, *options, status=2).output
    assert not study.with_suffix(".sqlite").exists()


@pytest.mark.parametrize("mix", ["kind=1", "careful", "careful=x", "careful=0"])
def test_a_wrong_mix_is_named(study: Path, small_set: PatchSet, mix: str) -> None:
    assert "--mix" in run("simulate", study, "--patches", small_set.folder, "--mix", mix, status=2).output


def test_the_signing_key_is_random_private_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAPPS_COLLECT_KEY", raising=False)
    file = tmp_path / "study.key"
    key = signing_key(file)
    assert len(key) >= 32
    assert signing_key(file) == key != signing_key(tmp_path / "other.key")
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    with pytest.raises(StudyError, match="others may read it; run chmod 600"):
        signing_key(file)
    monkeypatch.setenv("BAPPS_COLLECT_KEY", "short")
    with pytest.raises(StudyError, match="has 5 characters; it needs 32"):
        signing_key(file)
    monkeypatch.setenv("BAPPS_COLLECT_KEY", "e" * 32)
    assert signing_key(file) == "e" * 32


def test_tokens_of_another_key_and_pseudonyms_of_another_salt_are_different() -> None:
    token = Tokens("a" * 32).sign("session")
    assert Tokens("a" * 32).session_of(token) == "session"
    assert Tokens("b" * 32).session_of(token) is None
    names = {pseudonym(salt, platform, "x") for salt in (b"1", b"2") for platform in ("local", "prolific")}
    assert len(names) == 4


def test_settings_come_from_the_environment_and_options_win() -> None:
    assert settings_from({"BAPPS_COLLECT_PORT": "81", "BAPPS_COLLECT_THREADS": "3"}, port=82, host=None) == Settings(
        port=82, threads=3
    )
    with pytest.raises(StudyError, match="BAPPS_COLLECT_PORT: "):
        settings_from({"BAPPS_COLLECT_PORT": "x"})


def table(model: type[BaseModel], prefix: str = "") -> list[str]:
    """The rows of the table of settings, as docs/collecting.md must hold them."""
    rows: list[str] = []
    for name, field in model.model_fields.items():
        inner: Any = field.annotation
        arguments = getattr(inner, "__args__", ())
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            rows += table(inner, f"{prefix}{name}.")
        elif arguments and isinstance(arguments[0], type) and issubclass(arguments[0], BaseModel):
            rows += table(arguments[0], f"{prefix}{name}[].")
        else:
            default = "" if field.is_required() else json.dumps(field.get_default(call_default_factory=True))
            rows.append(f"| `{prefix}{name}` | {f'`{default}`' if default else ''} | {field.description} |")
    return rows


def test_every_setting_is_documented(repository: Path) -> None:
    lines = (repository / "docs" / "collecting.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    environment = [
        row.replace(f"`{PREFIX}{name}`", f"`{variable(name)}`")
        for name, row in zip(Settings.model_fields, table(Settings, PREFIX), strict=True)
    ]
    assert rows == [*table(Study), *environment]


def test_every_platform_and_its_settings_are_documented(repository: Path) -> None:
    lines = (repository / "docs" / "platforms.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    assert rows == [row for kind in platforms().values() for row in table(kind)]


def test_every_command_and_preset_is_documented(repository: Path) -> None:
    text = (repository / "docs" / "collecting.md").read_text()
    for name in (*PRESETS, *(f"bapps-collect {command}" for command in collect.commands)):
        assert name in text
