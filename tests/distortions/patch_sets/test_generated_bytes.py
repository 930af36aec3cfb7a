"""Patch sets of 64x64, as they were when this test was written: the same command must give the same files for years.

A hash that differs means that recipes, places or pixels of published patch sets can no longer be made again. These few
items come out equal with the vector instructions of any x86 processor; among a million pixels one or two may not.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bapps_builder.layout import Task
from bapps_builder.patch_sets.patch_set import read_patch_set
from distortions.patch_sets.generate import generate
from distortions.patch_sets.sampling import TASK_LAWS, Family, Settings

GOLDEN: dict[tuple[Task, Family], str] = {
    ("2afc", "traditional"): "3a3d8a33b67fd31b15d75b13b0f0e5cdfcce0994bf5b791e9794965fbde909b7",
    ("2afc", "mix"): "144da4b7daee37392bfad3884c66911567c109cd87657c9cb573e21d76fb65dc",
    ("jnd", "traditional"): "3b2a972348ffdf36f7aec1317abedc6bdfdb657acdc67507f414640fa5b96d58",
}


@pytest.mark.parametrize(("task", "family"), GOLDEN)
def test_a_set_has_the_bytes_that_it_always_had(
    task: Task, family: Family, photos: Path, tmp_path: Path, digest: Callable[[Path], dict[str, str]]
) -> None:
    settings = Settings(8, task, family, "val", seed=5, severity_law=TASK_LAWS[task])
    generate(settings, photos=[photos], folder=tmp_path / "set")
    found = read_patch_set(tmp_path / "set")
    files = {name: sha256 for name, sha256 in digest(found.folder).items() if name.endswith(".png")}
    everything = {"settings": found.description.settings, "rows": found.manifest.to_pylist(), "files": files}
    assert hashlib.sha256(json.dumps(everything).encode()).hexdigest() == GOLDEN[task, family]
