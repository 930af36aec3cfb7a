"""Metrics against opinion scores: scipy, planted curves, and the six published correlations of TID2013."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy import stats

from analysis.commands.mos import mos
from analysis.scoring.mos import associate, interval_of, spearman
from analysis.statistics.intervals import Resampling


def run(*arguments: object) -> Result:
    return CliRunner().invoke(mos, [str(argument) for argument in arguments])


def test_correlations_equal_scipy_and_know_the_sign() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 40, 300).astype(float)
    y = -x + 15 * rng.normal(size=300)
    found = associate(x, y, np.arange(300) // 12, Resampling())
    assert not found.rises
    assert found.spearman.value == pytest.approx(-float(np.asarray(stats.spearmanr(x, y))[0]), abs=1e-12)
    assert found.kendall.value == pytest.approx(-float(np.asarray(stats.kendalltau(x, y))[0]), abs=1e-12)
    assert found.pearson.value >= -np.corrcoef(x, y)[0, 1] - 1e-3  # the curve can be as good as a line
    assert found.spearman.method == "jackknife t over 25 references"
    assert associate(-x, y, np.arange(300) // 12, Resampling()).rises


@pytest.mark.parametrize("groups", [20, 60])
def test_intervals_cover(groups: int) -> None:
    """Pairs of normal variables: Spearman's rho is 6 / pi arcsin(r / 2)."""
    truth = 6 / np.pi * np.arcsin(0.7 / 2)
    hits = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x, y = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], size=groups * 4).T
        how = Resampling(200, seed)
        found = interval_of(spearman, x, y, np.arange(len(x)) // 4, "references", how)
        hits += found.low <= truth <= found.high
    assert hits >= 88


def test_progress_ends_at_the_number_of_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    @contextmanager
    def counted(total: int, what: str) -> Iterator[Callable[[int], None]]:
        yield done.append
        assert (sum(done), what) == (total, "metrics")

    monkeypatch.setattr("analysis.commands.mos.progress", counted)
    (tmp_path / "x.csv").write_text("mos,a,b\n1,1,3\n2,3,1\n3,2,2\n")
    assert run(tmp_path / "x.csv").exit_code == 0
    assert done == [1, 1]


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_few_references_give_the_jackknife_interval_of_fishers_z(level: float) -> None:
    rng = np.random.default_rng(3)
    references = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 6, 7, 8, 9])
    x = rng.normal(size=len(references))
    y = x + rng.normal(size=len(x))
    found = interval_of(spearman, x, y, references, "references", Resampling(level=level))
    left_out = [np.arctanh(stats.spearmanr(x[references != one], y[references != one]).statistic) for one in range(9)]
    error = (8 / 9 * sum((z - sum(left_out) / 9) ** 2 for z in left_out)) ** 0.5
    z, half = np.arctanh(stats.spearmanr(x, y).statistic), stats.t.ppf(0.5 + level / 2, 8) * error
    assert (found.low, found.high) == pytest.approx((np.tanh(z - half), np.tanh(z + half)))
    assert found.method == "jackknife t over 9 references"


@pytest.mark.parametrize("scores", [np.arange(5.0), np.array([0.1, 0.3, 3.3, 4.7, 5.9, 6.1, 7.7])])
def test_constant_values_have_no_correlation(scores: np.ndarray) -> None:
    """Nor a direction. The mean of 0.1, 0.3 and so on is not exact, so that a fit of it is not constant to the bit."""
    constant = np.full(len(scores), 0.1)
    assert np.isnan(spearman(constant, scores))
    for found in (associate(constant, scores, None, Resampling()), associate(scores, constant, None, Resampling())):
        assert np.isnan([found.spearman.value, found.kendall.value, found.pearson.value]).all()
        assert found.rises is None


def test_values_that_differ_by_rounding_alone_have_no_correlation(tmp_path: Path) -> None:
    """0.1 + 0.2 and 0.3: their ranks are those of the order of sums."""
    rows = [f"{k},{0.1 + 0.2 if k % 3 else 0.3!r},{1e12 + k % 5 * 1e-1!r},{k}" for k in range(20)]
    (tmp_path / "x.csv").write_text("\n".join(["mos,rounded,near,same", *rows]))
    found = json.loads(run(tmp_path / "x.csv", "--json").stdout)
    assert found["rows"][0]["Spearman"] is None
    assert found["rows"][1]["Spearman"] == pytest.approx(stats.spearmanr(np.arange(20), np.arange(20) % 5).statistic)
    assert "rounded: no correlation: all values are the same" in found["notes"]
    (tmp_path / "x.csv").write_text("\n".join(["mos,m", *(f"2,{k}" for k in range(20))]))
    notes = json.loads(run(tmp_path / "x.csv", "--json").stdout)["notes"]
    assert "m: no correlation: all scores are the same" in notes


@pytest.mark.parametrize("size", [1e-300, 1, 1e300, 8e306])
def test_correlations_do_not_know_the_unit(size: float) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 30))
    plain, sized = associate(x, x + y, None, Resampling()), associate(size * x, size * (x + y), None, Resampling())
    for name in ("spearman", "kendall", "pearson"):
        one, other = getattr(plain, name), getattr(sized, name)
        assert (other.value, other.low, other.high) == pytest.approx((one.value, one.low, one.high), abs=1e-6)


def test_a_flat_curve_has_no_correlation_and_says_so() -> None:
    found = associate([1, 1, 1, 2, 2, 2, 3], [1, 2, 3, 3, 2, 1, 2], None, Resampling())
    assert np.isnan(found.pearson.value)
    assert found.doubt == "no correlation after the logistic fit: the curve that fits best is flat"


def test_a_reference_of_spaces_is_missing(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("mos,m,ref\n1,1,a\n2,2, \n3,3,b\n")
    result = run(tmp_path / "x.csv")
    assert result.exit_code != 0
    assert "name the reference of every image, or leave the column out" in result.output


def test_one_item_has_no_correlation_and_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    (tmp_path / "x.csv").write_text("mos,m\n3,1\n")
    result = run(tmp_path / "x.csv", "--json")
    assert (result.exit_code, json.loads(result.stdout)["rows"][0]["Kendall"]) == (0, None)
    assert not recwarn.list


@pytest.mark.parametrize("count", [2, 3, 4])
def test_too_few_items_for_a_fit_have_ranks_alone(tmp_path: Path, count: int) -> None:
    (tmp_path / "x.csv").write_text("\n".join(["mos,m", *(f"{k},{k * k}" for k in range(count))]))
    result = run(tmp_path / "x.csv", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["rows"][0]["Spearman"], found["rows"][0]["Pearson"]) == (1, None)
    assert f"m: too few items for a logistic fit: {count}, and it takes 5" in found["notes"]


def test_a_value_far_from_all_others_does_not_spoil_the_fit(shared_data: Path) -> None:
    x = np.random.default_rng(0).normal(size=60)
    scores = 2 + 5 / (1 + np.exp(-(x - 0.4) / 0.3))
    for far in (1e6, 1e12, 1e300):
        moved = np.append(x, far)
        found = associate(moved, np.append(scores, 7.0), None, Resampling(100))  # 7 is where the curve ends
        assert found.pearson.value == pytest.approx(1, abs=1e-9)
        assert found.doubt == ""
    result = run(shared_data / "cases" / "mos-outlier-1e12.csv", "--json")
    assert json.loads(result.stdout)["rows"][0]["Pearson"] == pytest.approx(0.974, abs=5e-4)


def test_a_fit_that_did_not_converge_is_said(tmp_path: Path) -> None:
    """The best logistic curve for a straight line is infinitely wide."""
    (tmp_path / "x.csv").write_text("\n".join(["mos,m", *(f"{k},{k}" for k in range(20))]))
    notes = json.loads(run(tmp_path / "x.csv", "--json").stdout)["notes"]
    assert "m: the logistic fit did not converge: Pearson is of where it stopped" in notes


def test_tid2013(shared_data: Path) -> None:
    folder = shared_data / "tid2013-scores"
    wanted = {"lpips": 0.7687, "lpips_vgg": 0.6787, "psnr": 0.6869, "fsim": 0.8509, "msssim": 0.7859, "dists": 0.7077}
    result = run(*(folder / f"tid2013_{name}.csv" for name in wanted), "--json")
    assert result.exit_code == 0, result.output
    rows = {row["metric"].removeprefix("tid2013_"): row for row in json.loads(result.stdout)["rows"]}
    assert {name: round(row["Spearman"], 4) for name, row in rows.items()} == wanted
    assert {name for name, row in rows.items() if row["score"] == "falls"} == {"psnr"}
    assert all(row["images"] == 3000 for row in rows.values())
    assert all(row["Spearman interval"][0] < row["Spearman"] < row["Spearman interval"][1] for row in rows.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dis,ref,score\na,b,1\n", "expected mos, one column a metric"),
        ("mos,pred\n", "has 0 rows"),
        ("mos\n1\n", "expected mos, one column a metric"),
        ("mos,pred\n1,2\n3,inf\n", "1 of 2 values of pred are not finite numbers, the first in row 2: 'inf'"),
        ("mos,psnr\n1,2\n,3\n", "1 of 2 values of mos are not finite numbers, the first in row 2"),
        ("mos,pred,ref\n1,2,\n3,4,x\n", "1 of 2 values of ref are missing, the first in row 1; name the reference"),
        ("mos,pred,name\n1,2,x\n", "1 of 1 values of name are not finite numbers, the first in row 1: 'x'"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    result = run(tmp_path / "x.csv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_table_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("mos,pred\n1,2\n")
    for name, message in (("x.parquet", "x.parquet: not a readable table"), ("none.csv", "none.csv: no such file")):
        result = run(tmp_path / name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


def test_several_metrics_in_one_table_keep_their_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [f"i{k},{k},{k + rng.normal()},{-k}" for k in range(50)]
    (tmp_path / "x.csv").write_text("\n".join(["id,DMOS,ssim,psnr", *lines]))
    rows = json.loads(run(tmp_path / "x.csv", "--json", "--draws", 100).stdout)["rows"]
    assert [row["metric"] for row in rows] == ["ssim", "psnr"]
    assert [row["score"] for row in rows] == ["rises", "falls"]
    assert rows[1]["Spearman"] == 1
    assert "references unknown" in run(tmp_path / "x.csv", "--draws", 100).stdout


def test_a_correlation_that_is_perfect_without_one_item_has_no_interval() -> None:
    """Fisher's z of 1 is infinite: the interval would be -1 to 1, or a warning."""
    for values in ([2.0, 3.0, 1.0], [2.0, 3.0, 1.0, 4.0], [1.0, 2.0, 3.0, 4.0]):
        found = associate(values, np.arange(len(values)), None, Resampling(draws=100))
        assert np.isnan([found.spearman.low, found.spearman.high]).all()
        assert "no interval: perfect, or perfect without one of" in found.spearman.method
