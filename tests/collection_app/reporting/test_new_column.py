"""Somebody adds a column of answers: one entry, and the migration that makes room for it, in copies of the packages."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from alembic.script import ScriptDirectory

from bapps_builder.patch_sets.patch_set import PatchSet

ENTRY = '    Column("sure", "number", "How sure, from 1 to 5", measured=Measured(at_least=1, at_most=5, whole=True)),\n'
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None


def upgrade() -> None:
    op.add_column("answer", sa.Column("sure", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
"""
SCRIPT = """
import json, sys, uuid
from pathlib import Path

import pandas as pd
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import bapps_builder, collection_app
from bapps_builder.answers.answer_table import read_answers
from bapps_builder.errors import DatasetError
from bapps_builder.patch_sets.patch_set import read_patch_set
from bapps_builder.releasing.public_schema import check_columns
from collection_app.database.connections import migrate, open_database, read, write
from collection_app.database.models import Base
from collection_app.database.personal import PERSONAL
from collection_app.participants.openapi import openapi
from collection_app.reporting.export import dictionary, export
from collection_app.studies.installation import find, install
from collection_app.studies.presets import preset

here, patches = map(Path, sys.argv[1:])
study = preset("paper-2afc", items_per_session=4, sentinels={}, training={}, rules={"server_time": False})
engine = open_database(f"sqlite:///{here}/study.sqlite")
migrate(engine)
write(engine, lambda c: install(c, study, [read_patch_set(patches)], folder=here / "images"))
client = collection_app.create_app(study, engine, key="k" * 40, simulated=True).test_client()
session = client.post("/api/arrivals", json={"key": "a" * 32, "parameters": {"id": "somebody"}}).json
bearer = {"Authorization": f"Bearer {session['token']}"}
client.post("/api/start", json={"consent_sha256": session["consent_sha256"]}, headers=bearer)


def answer(slot, **more):
    said = {"id": str(uuid.uuid4()), "slot": slot, "choice": "left", "reaction_ms": 700, "answered_at": 1}
    said |= {"input": "pen", **more}
    return client.post("/api/answers", json={"answers": [said]}, headers=bearer)


replies = [answer(0, sure=4), answer(1), answer(2, sure=6)]
read(engine, lambda c: export(c, study, find(c, study).id, path=here / "answers.csv"))
answers = read_answers(here / "answers.csv")
try:
    undecided = check_columns(answers, name="answers")
except DatasetError as error:
    undecided = str(error)
with engine.connect() as connection:
    changes = compare_metadata(MigrationContext.configure(connection), Base.metadata)
print(json.dumps({
    "packages": [bapps_builder.__file__, collection_app.__file__],
    "replies": [reply.status_code for reply in replies],
    "refused": replies[2].json["message"],
    "described": openapi()["components"]["schemas"]["Answer"]["properties"]["sure"]["description"],
    "dictionary": [line for line in dictionary().splitlines() if line.startswith("sure,")],
    "kept": PERSONAL["answer"]["sure"].told,
    "undecided": undecided,
    "changes": [str(change) for change in changes],
}))
"""


@pytest.fixture(scope="module")
def answered(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, make_set: Callable[..., PatchSet]
) -> tuple[Path, dict[str, Any]]:
    """Three answers to a server that has one more column: the folder, and what came of them."""
    folder = tmp_path_factory.mktemp("column")
    for package in ("bapps_builder", "collection_app"):
        copy = folder / "packages" / package
        shutil.copytree(repository / package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    columns = folder / "packages" / "bapps_builder" / "answers" / "columns.py"
    before = columns.read_text()
    columns.write_text(before.replace('    Column("role", ', ENTRY + '    Column("role", ', 1))
    assert columns.read_text() != before
    head = ScriptDirectory(str(repository / "collection_app" / "migrations")).get_current_head()
    versions = folder / "packages" / "collection_app" / "migrations" / "versions"
    (versions / "9999_sure.py").write_text(MIGRATION.format(head=head))
    make_set(folder / "patches", count=6)
    command = [sys.executable, "-c", SCRIPT, str(folder), str(folder / "patches")]
    environment = {**os.environ, "PYTHONPATH": str(folder / "packages")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


def test_one_entry_reaches_message_database_export_and_dictionary(answered: tuple[Path, dict[str, Any]]) -> None:
    folder, found = answered
    assert all(path.startswith(str(folder)) for path in found["packages"])
    assert found["replies"] == [200, 200, 400]
    assert found["refused"] == "answers.0.sure: Input should be less than or equal to 5"
    assert found["described"] == "How sure, from 1 to 5"
    assert found["dictionary"] == ['sure,number,,"How sure, from 1 to 5"']
    assert found["kept"] == "answers"
    assert found["changes"] == []
    table = pd.read_csv(folder / "answers.csv")
    assert list(table.columns[-6:]) == ["sure", "role", "use", "reason", "simulated", "submitted_at"]
    assert table["sure"].tolist()[0] == 4
    assert table["sure"].isna().tolist() == [False, True]


def test_nobody_publishes_it_until_somebody_has_decided(answered: tuple[Path, dict[str, Any]]) -> None:
    _, found = answered
    assert found["undecided"].startswith("answers: the columns sure are not in the public schema")
