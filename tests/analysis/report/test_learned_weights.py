"""Which weights the report shows, and that nothing is fetched for it."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from analysis.report.learned_weights import learned_weights

HEADS = {f"lin{k}.model.1.weight": np.full((1, 4 + k, 1, 1), k, np.float32) for k in range(3)}


@pytest.mark.parametrize("of_run", [True, False], ids=["folder of a run", "file"])
def test_heads_of_a_trained_metric_are_shown(tmp_path: Path, of_run: bool) -> None:
    save_file(HEADS, tmp_path / "lpips.safetensors")
    name = f"lpips:{tmp_path if of_run else tmp_path / 'lpips.safetensors'}"
    found, missing = learned_weights(["l2", name], None)
    assert not missing
    assert [layer.tolist() for layer in found[name]] == [[k] * (4 + k) for k in range(3)]


def test_what_is_not_here_is_named_and_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAPPS_CACHE", str(tmp_path))
    names = ["lpips-alex", f"lpips:{tmp_path / 'gone'}"]
    assert learned_weights(names, None) == ({}, names)
