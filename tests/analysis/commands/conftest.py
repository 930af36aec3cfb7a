"""A dataset that `bapps-score` scores."""

from pathlib import Path

import pytest
from score_command import JUDGE, SAME, SEEDS, write_set


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for label, judge in JUDGE.items():
        write_set(root, "2afc", label, judge, seed=SEEDS[label])
    write_set(root, "jnd", "val/cnn", SAME, seed=3)
    return root
