"""A study that is served to played sessions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from played_sessions import Server

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app.database.connections import migrate, open_database
from collection_app.studies.study import Study


@pytest.fixture
def served_study(tmp_path: Path, place: Any, small_set: PatchSet, jnd_set: PatchSet) -> Iterator[Any]:
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
    migrate(engine)

    def begin(study: Study) -> Server:
        here = place(engine, study, jnd_set if study.task == "jnd" else small_set)
        return Server(engine, study, here.installed.study_id)

    yield begin
    engine.dispose()
