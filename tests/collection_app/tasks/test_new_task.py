"""Somebody adds a task: one folder, in a copy of the package, and a session of it can be taken from page to export."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bapps_builder.answers.answer_table import read_answers
from bapps_builder.errors import DatasetError
from bapps_builder.patch_sets.patch_set import PatchSet, read_patch_set
from collection_app.rehearsal.latent_distance import latent_distance
from collection_app.tasks import task_of, tasks
from collection_app.tasks.task_module import TaskModule

# Which of two patches is further from the reference: 2AFC the other way round.
FURTHER = {
    "__init__.py": """
from collection_app.tasks.known_answers import Check, closer, noisy
from collection_app.tasks.task_module import TaskModule
from collection_app.tasks.twoafc.people import by_names, by_pixels, p_left


def plain(patch, means, rng):
    return closer(patch, noisy(patch, means.much_noise, rng), noisy(patch, means.little_noise, rng), rng)


TASK = TaskModule(
    name="further",
    package=__name__,
    question="which is further from the reference?",
    patch_sets="2afc",
    choices=("left", "right"),
    sided=True,
    timed=False,
    quotas={"train": "train", "val": "val"},
    checks=(Check("plain", plain, "much against little noise", "plain", "much against little noise"),),
    presets={
        "further": {
            "task": "further",
            "items_per_session": 10,
            "answers_per_item": {"val": 4},
            "sentinels": {"rules": [{"check": "plain", "count": 4, "at_least": 4}]},
            "training": {"plain": 2},
            "rules": {"use": ["side<=0.95"]},
        },
    },
    p_first=lambda person, left, right: p_left(person, right, left),
    by_pixels=by_pixels,
    by_names=by_names,
)
""",
    "templates/page.html": """{% extends "study.html" %}
{%- block instructions %}<p>{{ text("instructions.task") }}</p>{%- endblock %}
{%- block patches %}<button data-choice="left"></button><button data-choice="right"></button>{%- endblock %}
""",
    "static/task.js": 'import { takePart } from "../../../static/study/main.js";\ntakePart({ timed: false });\n',
    "texts/en.toml": '[instructions]\ntask = "Choose the worse one."\n\n[trial]\nquestion = "Which one is worse?"\n',
}
SCRIPT = """
import json, sys
from pathlib import Path

from bapps_builder.patch_sets.patch_set import read_patch_set
import collection_app
from collection_app.database.connections import open_database, read
from collection_app.participants.openapi import openapi
from collection_app.rehearsal.pass_rates import conduct_rates, pass_rates
from collection_app.rehearsal.rehearse import rehearse
from collection_app.reporting.export import export
from collection_app.studies.installation import find
from collection_app.studies.presets import as_toml, preset
from collection_app.studies.sentinels import check_items
from collection_app.studies.study_file import read_study

here, patches = map(Path, sys.argv[1:])
(here / "study.toml").write_text(as_toml(preset("further")))
study, sets = read_study(here / "study.toml"), [read_patch_set(patches)]
assert study == preset("further")
engine = open_database(f"sqlite:///{here}/study.sqlite")
done = rehearse(study, sets, engine, folder=here / "images", mix={"careful": 1}, seed=1)
read(engine, lambda c: export(c, study, find(c, study).id, path=here / "answers.csv"))
app = collection_app.create_app(study, engine, key="k" * 40, simulated=True)
client = app.test_client()
checks = list(check_items(study, sets))
print(json.dumps({
    "package": collection_app.__file__,
    "outcomes": done.outcomes,
    "page": client.get("/?id=somebody").text,
    "script": client.get("/tasks/further/static/task.js").text,
    "tasks": openapi()["components"]["schemas"]["SessionState"]["properties"]["task"]["enum"],
    "rates": [rate for _, rate in (*pass_rates(study, checks), *conduct_rates(study, checks, sets))],
}))
"""


@pytest.fixture(scope="module")
def played(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, make_set: Callable[..., PatchSet]
) -> tuple[Path, dict]:
    """A study of the new task, played by simulated people: its folder, and what the script found."""
    folder = tmp_path_factory.mktemp("further")
    package = folder / "packages" / "collection_app"
    shutil.copytree(repository / "collection_app", package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in FURTHER.items():
        file = package / "tasks" / "further" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    make_set(folder / "patches", count=20)
    command = [sys.executable, "-c", SCRIPT, str(folder), str(folder / "patches")]
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


def test_a_folder_is_all_that_a_task_takes(played: tuple[Path, dict]) -> None:
    folder, found = played
    assert found["package"].startswith(str(folder))
    assert found["tasks"] == ["2afc", "further", "jnd"]
    assert "Choose the worse one." in found["page"]
    assert '<h1 class="for-readers" tabindex="-1">Which one is worse?</h1>' in found["page"]
    assert 'src="/tasks/further/static/task.js"' in found["page"]
    assert "takePart(" in found["script"]
    assert found["outcomes"]["complete"] == 8  # 20 items, 4 answers each, 10 a session
    assert min(found["rates"]) > 0.9


def test_its_answers_are_what_was_asked(played: tuple[Path, dict]) -> None:
    """Counted from the export, against distances computed here: people choose the worse patch, and pass."""
    folder, _ = played
    table = pd.read_csv(folder / "answers.csv", dtype={"item": str})
    assert set(table["task"]) == {"further"}
    tests = table[table["role"] == "test"]
    assert tests["use"].all()
    assert set(tests.groupby("item").size()) == {4}
    sentinels = table[table["role"] == "sentinel"]
    assert len(sentinels) == 4 * 8
    assert (sentinels["choice"] == sentinels["expected"]).all()
    patches = read_patch_set(folder / "patches")
    worse = {}
    for item in (patches[i] for i in range(len(patches))):
        ref, p0, p1 = (patches.read(item, role) for role in patches.roles)
        worse[item.id] = "p0" if latent_distance(ref, p0) > latent_distance(ref, p1) else "p1"
    assert (tests["choice"] == tests["item"].map(worse)).mean() > 0.7


def test_what_cannot_be_built_from_is_refused_by_name(played: tuple[Path, dict]) -> None:
    folder, _ = played
    with pytest.raises(DatasetError, match="values of task are not 2afc or jnd, the first in row 1: 'further'"):
        read_answers(folder / "answers.csv")


def test_the_tasks_are_found_and_nobody_lists_them() -> None:
    assert list(tasks()) == ["2afc", "jnd"]
    with pytest.raises(KeyError, match="further"):
        task_of("further")
    for name, task in tasks().items():
        assert name in task.presets
        assert set(task.open_to) <= set(task.presets)
        assert all(settings["task"] == name for settings in task.presets.values())


@pytest.mark.parametrize("task", tasks().values(), ids=list(tasks()))
@pytest.mark.parametrize("side", ["left", "right"])
def test_what_is_stored_can_be_said_again(task: TaskModule, side: str) -> None:
    stored = [task.stored(choice, side) for choice in task.choices]
    assert [task.said(choice, side) for choice in stored] == list(task.choices)
    assert len(set(stored)) == 2
    if task.sided:
        assert task.stored(side, side) == "p1"
