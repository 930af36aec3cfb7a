"""A patch set to build from."""

from pathlib import Path

import pytest
from build_command import Make


@pytest.fixture
def patches(tmp_path: Path, make_patch_set: Make) -> Path:
    return make_patch_set(tmp_path / "patches")
