"""The share of hard pairs, against counting by hand and the published table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bapps_builder.errors import WeightsError
from bapps_builder.patch_sets.patch_set import read_patch_set
from distortions.patch_sets.generate import generate
from distortions.patch_sets.hardness import BAPPS_SHARE, hard_share, sampled_distances
from distortions.patch_sets.sampling import Settings
from metrics.registry import load


def test_pairs_closer_than_a_tenth_of_the_mean_are_hard() -> None:
    d0, d1 = np.array([0.1, 0.3, 0.2, 0.5]), np.array([0.1, 0.31, 0.23, 0.1])
    assert np.mean([d0, d1]) == pytest.approx(0.23)
    assert hard_share(d0, d1) == 0.5  # 0 and .01, but not .03 and .4


def test_the_figure_of_bapps_is_that_of_the_published_table(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "bapps-judgments" / "traditional.csv.gz")
    assert len(table) == 4720
    assert round(hard_share(table["d0"].to_numpy(), table["d1"].to_numpy()), 4) == BAPPS_SHARE


def test_the_sample_is_of_the_set(photos: Path, tmp_path: Path) -> None:
    settings = Settings(12, "2afc", "traditional", "val", 1, "uniform")
    generate(settings, photos=[photos], folder=tmp_path / "set")
    found = read_patch_set(tmp_path / "set")
    metric = load("lpips-alex")
    wanted = [
        [float(metric(found.read(item, "ref")[None], found.read(item, role)[None])[0]) for item in found]
        for role in ("p0", "p1")
    ]
    np.testing.assert_allclose(sampled_distances(found), wanted, atol=1e-5)
    some = sampled_distances(found, sample=5)
    assert some.shape == (2, 5)
    np.testing.assert_array_equal(some, sampled_distances(found, sample=5))
    assert all(np.abs(np.array(wanted[0]) - value).min() < 1e-5 for value in some[0])


def test_no_weights_are_fetched_for_it(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(Settings(2, "2afc", "traditional", "val", 1, "uniform"), photos=[photos], folder=tmp_path / "set")
    monkeypatch.setenv("BAPPS_CACHE", str(tmp_path / "empty"))
    monkeypatch.delenv("BAPPS_WEIGHTS", raising=False)
    with pytest.raises(
        WeightsError, match=r"no weights alexnet, lpips-alex-0\.1 here; `bapps-weights fetch alexnet lpips"
    ):
        sampled_distances(read_patch_set(tmp_path / "set"))
