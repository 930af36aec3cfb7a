"""The spread of distances, against counting by hand and the published table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bapps_builder.errors import WeightsError
from bapps_builder.patch_sets.patch_set import read_patch_set
from distortions.patch_sets.generate import generate
from distortions.patch_sets.hardness import (
    HARD,
    PUBLISHED,
    TO_METRIC,
    Spread,
    sampled_distances,
    spread,
    spread_lines,
)
from distortions.patch_sets.sampling import Settings
from distortions.workers import Workers
from metrics.registry import load


def test_the_spread_is_that_counted_by_hand() -> None:
    d0, d1 = np.array([0.1, 0.3, 0.2, 0.5, 0.0]), np.array([0.1, 0.31, 0.23, 0.1, 0.2])
    found = spread(d0, d1)
    assert found.distances[0] == pytest.approx(0.204)
    assert found.distances[3] == pytest.approx(0.2)  # the fifth and sixth of ten: .2 and .2
    assert found.differences == pytest.approx((0.128, 0.004, 0.01, 0.03, 0.2, 0.32))
    assert found.hard == 0.4  # 0 and .01, but not .03, .2 and .4


def test_the_figures_of_bapps_are_those_of_the_published_table(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "bapps-judgments" / "traditional.csv.gz")
    assert len(table) == 4720
    found = spread(table["d0"].to_numpy(), table["d1"].to_numpy(), hard=HARD / TO_METRIC)
    assert found.distances == pytest.approx(PUBLISHED["traditional"].distances, abs=5.1e-5)
    assert found.differences == pytest.approx(PUBLISHED["traditional"].differences, abs=5.1e-5)
    assert round(found.hard, 4) == PUBLISHED["traditional"].hard
    assert pytest.approx(0.1 * TO_METRIC * found.distances[0], abs=5e-5) == HARD


def test_the_estimate_goes_by_the_patches_of_which_both_distances_are_published(shared_data: Path) -> None:
    both = pd.read_csv(shared_data / "bapps-mini" / "expected.csv", dtype={"id": str})
    theirs, ours = [], []
    for name in ("traditional", "superres", "color"):
        table = pd.read_csv(shared_data / "bapps-judgments" / f"{name}.csv.gz", dtype={"id": str})
        shared = both[both["set"] == name].merge(table, on="id")
        theirs += [shared["d0"], shared["d1"]]
        ours += [shared["official_alex_d0"], shared["official_alex_d1"]]
    x, y = np.concatenate(theirs), np.concatenate(ours)
    assert len(x) == 66
    assert round(float(x @ y / (x @ x)), 3) == TO_METRIC


def test_a_set_stands_beside_the_one_of_its_name_or_beside_none() -> None:
    found = Spread((0.1,) * 6, (0.05,) * 6, 0.2)
    lines = spread_lines("traditional", found, pairs=50)
    assert [line.split()[:3] for line in lines[1:5]] == [
        ["distance", "to", "the"],
        ["BAPPS", "val/traditional", "0.184*"],
        ["|d0", "-", "d1|"],
        ["BAPPS", "val/traditional", "0.167*"],
    ]
    assert lines[5] == "hard pairs (|d0 - d1| below 0.0184): 20.0%; BAPPS val/traditional 14.6%*"
    other = spread_lines("cnn", found, pairs=50)
    assert len(other) == 5
    assert other[-1] == "no distances of a BAPPS set cnn have been published to compare with"
    assert "14.6" not in "".join(other)


@pytest.mark.slow
def test_a_traditional_set_is_spread_as_bapps_is(shared_data: Path, tmp_path: Path) -> None:
    settings = Settings(5000, "2afc", "traditional", "val", 0, "uniform")
    generate(settings, photos=[shared_data / "kodak"], folder=tmp_path / "set", workers=Workers(2))
    found = spread(*sampled_distances(read_patch_set(tmp_path / "set"), sample=5000))
    assert 0.16 <= found.distances[0] <= 0.20
    assert found.distances[1] <= 0.03
    assert 0.38 <= found.distances[5] <= 0.50


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
