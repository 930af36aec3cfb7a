"""`bapps-score`, in-process, on small sets made here."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from score_command import JUDGE, SAME, SEEDS, Pixels, noise, run, write_set

from bapps_builder.errors import WeightsError
from bapps_builder.images.image_files import encode_png
from metrics.weights.store import WeightStore

pytestmark = pytest.mark.usefixtures("empty_place")


def l2(a: Pixels, b: Pixels) -> float:
    return float(np.mean((a / 127.5 - b / 127.5) ** 2))


def twoafc_by_hand(label: str) -> float:
    """A loop over the items: who picks the nearer patch is paid by the people who did too."""
    pays = []
    for k, p in enumerate(JUDGE[label]):
        ref, p0, p1 = (noise(SEEDS[label], k, r) for r in range(3))
        pays.append(p if l2(ref, p1) < l2(ref, p0) else 1 - p)
    return sum(pays) / len(pays)


def ap_by_hand() -> float:
    """Area under the largest precision at each recall or beyond, by plain loops."""
    order = sorted(range(4), key=lambda k: l2(noise(3, k, 0), noise(3, k, 1)))
    precision, found = [], 0.0
    for rank, k in enumerate(order, start=1):
        found += SAME[k]
        precision.append(found / rank)
    return sum(SAME[k] / found * max(precision[i:]) for i, k in enumerate(order))


def scores_of(*arguments: object) -> dict[tuple[str, str, str, str], float]:
    """The scores by (task, metric, measure, set), from --json; the command must be silent otherwise."""
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    rows = json.loads(result.stdout)["scores"]
    found = {(row["task"], row["metric"], row["measure"], row["set"]): row["value"] for row in rows}
    assert len(found) == len(rows)
    return found


# --- scores ------------------------------------------------------------------------------------------


def test_scores_of_both_tasks(data: Path) -> None:
    found = scores_of("--metric", "l2", "--data", data)
    wanted = {label: twoafc_by_hand(label) for label in JUDGE}
    for label, value in wanted.items():
        assert found["2afc", "l2", "2afc", label] == pytest.approx(value, abs=1e-7)
        people = np.array(JUDGE[label])
        human = found["2afc", "human p²+(1-p)²", "2afc", label]
        assert human == pytest.approx(np.mean(people**2 + (1 - people) ** 2), abs=1e-7)
        assert found["2afc", "human max(p,1-p)", "2afc", label] == pytest.approx(
            np.mean(np.maximum(people, 1 - people))
        )
    mean = sum(wanted.values()) / 2
    assert found["2afc", "l2", "2afc", "mean of all"] == pytest.approx(mean, abs=1e-7)
    assert found["2afc", "l2", "2afc", "mean of distortions"] == pytest.approx(mean, abs=1e-7)
    assert found["jnd", "l2", "ap", "val/cnn"] == pytest.approx(ap_by_hand(), abs=1e-7)
    assert found["jnd", "l2", "ap-of-ties", "val/cnn"] == pytest.approx(ap_by_hand(), abs=1e-7)


def test_text_csv_and_json_agree(data: Path) -> None:
    arguments = ("--metric", "l2", "--metric", "l1", "--data", data)
    found = scores_of(*arguments)
    as_csv = run(*arguments, "--csv")
    rows = list(csv.DictReader(io.StringIO(as_csv.stdout)))
    assert (as_csv.exit_code, as_csv.stderr) == (0, "")
    assert {(r["task"], r["metric"], r["measure"], r["set"]): float(r["value"]) for r in rows} == found
    text = run(*arguments).stdout
    (line,) = [line.split() for line in text.partition("JND")[0].splitlines() if line.split()[:1] == ["l2"]]
    wanted = [found["2afc", "l2", "2afc", name] for name in ("val/traditional", "val/cnn", "mean of all")]
    assert line[1:3] == [f"{100 * value:.2f}" for value in wanted[:2]]
    assert line[-1] == f"{100 * wanted[2]:.2f}"
    assert "l2: mean squared difference, RGB in [-1, 1]" in text
    assert f"data: {data}; load mode: native, since " in text


@pytest.mark.parametrize(
    ("arguments", "sets"),
    [
        (["--task", "jnd"], {"jnd val/cnn"}),
        (["--task", "2afc"], {"2afc val/cnn", "2afc val/traditional"}),
        (["--task", "2afc", "--set", "val/traditional"], {"2afc val/traditional"}),
        (["--set", "val/cnn"], {"2afc val/cnn", "jnd val/cnn"}),
        ([], {"2afc val/cnn", "2afc val/traditional", "jnd val/cnn"}),
    ],
)
def test_the_task_and_the_sets_asked_for(data: Path, arguments: list[str], sets: set[str]) -> None:
    found = scores_of("--metric", "l2", "--data", data, *arguments)
    assert {f"{task} {label}" for task, _, _, label in found if not label.startswith("mean")} == sets


@pytest.mark.parametrize("size", [1, 3, 100])
def test_the_batch_size_changes_no_score(data: Path, size: int) -> None:
    arguments = ("--metric", "l2", "--metric", "alex@random", "--data", data)
    found, other = scores_of(*arguments), scores_of(*arguments, "--batch-size", size)
    assert found == pytest.approx(other, abs=1e-9)


def test_the_data_come_from_the_option_the_variable_or_the_current_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = scores_of("--metric", "l2", "--data", data)
    (tmp_path / "dataset").symlink_to(data)
    assert scores_of("--metric", "l2") == wanted
    (tmp_path / "dataset").unlink()
    monkeypatch.setenv("BAPPS_DATA", str(data))
    assert scores_of("--metric", "l2") == wanted
    monkeypatch.setenv("BAPPS_DATA", str(tmp_path / "absent"))
    assert scores_of("--metric", "l2", "--data", data) == wanted


def test_images_people_bring_are_scored_as_they_are_unless_asked_otherwise(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "jnd" / "val" / "x"
    for role in ("p0", "p1", "same"):
        (folder / role).mkdir(parents=True)
    a, b = (np.random.default_rng(r).integers(0, 256, (256, 256, 3), dtype=np.uint8) for r in (0, 1))
    (folder / "p0" / "0.png").write_bytes(encode_png(a))
    (folder / "p1" / "0.png").write_bytes(encode_png(b))
    np.save(folder / "same" / "0.npy", np.float32(1))
    result = run("--metric", "l2", "--data", "data", "--save-distances", "auto.csv")
    assert (result.exit_code, result.stderr) == (0, "")
    assert (
        "load mode: native, since its files are no enlarged patches of BAPPS, such as 0.png, 256x256" in result.stdout
    )
    assert pd.read_csv(tmp_path / "auto.csv")["distance"][0] == pytest.approx(l2(a, b), rel=1e-12)
    asked = run("--metric", "l2", "--data", "data", "--load", "official")
    assert asked.exit_code == 0
    assert "warning: jnd/val/x: 2 of 2 files looked at are no enlarged patches of BAPPS" in asked.stderr


def test_the_load_modes_see_other_pixels(tmp_path: Path) -> None:
    shown = [int((63 * x) / 255 + 0.5) for x in range(256)]
    folder = tmp_path / "data" / "jnd" / "val" / "x"
    for role in ("p0", "p1", "same"):
        (folder / role).mkdir(parents=True)
    for r, role in enumerate(("p0", "p1")):
        (folder / role / "0.png").write_bytes(encode_png(noise(9, r)[np.ix_(shown, shown)]))
    np.save(folder / "same" / "0.npy", np.float32(1))
    saved = {}
    for mode in ("official", "exact", "native"):
        result = run("--metric", "l2", "--data", "data", "--load", mode, "--save-distances", f"{mode}.csv")
        assert result.exit_code == 0
        assert f"load mode: {mode}" in result.stdout
        saved[mode] = pd.read_csv(tmp_path / f"{mode}.csv")["distance"][0]
    assert saved["exact"] == pytest.approx(l2(noise(9, 0), noise(9, 1)), rel=1e-12)
    assert len(set(saved.values())) == 3
    # Averaging neighbours shrinks noise.
    assert saved["official"] < 0.8 * saved["exact"]


def test_undefined_scores_are_said(tmp_path: Path) -> None:
    write_set(tmp_path / "data", "jnd", "val/none", [0.0, 0.0], seed=5)
    assert scores_of("--metric", "l2", "--data", "data")["jnd", "l2", "ap", "val/none"] is None
    assert "undefined" in run("--metric", "l2", "--data", "data").stdout


def test_published_scores_of_lpips_on_real_items(shared_data: Path, tmp_path: Path) -> None:
    try:
        WeightStore().load("lpips-alex-0.1")
        WeightStore().load("alexnet")
    except WeightsError as error:
        pytest.skip(f"weights cannot be obtained: {error}")
    root = shared_data / "bapps-mini"
    result = run("--metric", "lpips-alex", "--data", root, "--save-distances", "saved.csv")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "[alexnet 195266a4, lpips-alex-0.1 58efa761]" in result.stdout
    wanted = pd.read_csv(root / "expected.csv", dtype={"id": str})
    found = pd.read_csv(tmp_path / "saved.csv", dtype={"id": str})
    both = wanted.assign(set="val/" + wanted["set"]).merge(found, on=["set", "id"], validate="one_to_one")
    assert len(both) == len(found) == len(wanted) == 48
    np.testing.assert_allclose(both["d0"], both["official_alex_d0"], atol=6e-4)
    np.testing.assert_allclose(both["d1"], both["official_alex_d1"], atol=6e-4)


# --- distances in files ------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_saved_distances_give_the_same_scores(data: Path, tmp_path: Path, suffix: str) -> None:
    wanted = scores_of("--metric", "l2", "--metric", "psnr", "--data", data, "--save-distances", f"d{suffix}")
    assert scores_of("--distances", f"d{suffix}") == wanted
    assert [path.name for path in tmp_path.iterdir()] == [f"d{suffix}"]
    only_jnd = scores_of("--distances", f"d{suffix}", "--task", "jnd")
    assert only_jnd == {key: value for key, value in wanted.items() if key[0] == "jnd"}


def test_the_saved_distances_are_those_of_the_items(data: Path, tmp_path: Path) -> None:
    assert run("--metric", "l2", "--data", data, "--task", "2afc", "--save-distances", "d.csv").exit_code == 0
    table = pd.read_csv(tmp_path / "d.csv", dtype={"id": str})
    assert sorted(set(table["set"])) == ["val/cnn", "val/traditional"]
    for row in table.to_dict("records"):
        label, k = str(row["set"]), int(row["id"])
        ref, p0, p1 = (noise(SEEDS[label], k, r) for r in range(3))
        assert row["d0"] == pytest.approx(l2(ref, p0), rel=1e-12)
        assert row["d1"] == pytest.approx(l2(ref, p1), rel=1e-12)
        assert row["judge"] == pytest.approx(JUDGE[label][k], abs=1e-7)


def test_distances_of_other_tools_stand_beside_ours(data: Path, tmp_path: Path) -> None:
    rows = [f"hdr,val/cnn,{k:06d},{k},{2 - k},{p}" for k, p in enumerate(JUDGE["val/cnn"])]
    (tmp_path / "hdr.csv").write_text("\n".join(["metric,set,id,d0,d1,judge", *rows]) + "\n")
    found = scores_of("--metric", "l2", "--data", data, "--task", "2afc", "--distances", "hdr.csv")
    # d0 = 0, 1, 2, 3 and d1 = 2, 1, 0, -1: p0, tie, p1, p1.
    assert found["2afc", "hdr", "2afc", "val/cnn"] == pytest.approx((1 + 0.5 + 1 + 0.6) / 4, abs=1e-7)
    assert found["2afc", "l2", "2afc", "val/cnn"] == pytest.approx(twoafc_by_hand("val/cnn"), abs=1e-7)


def test_a_metric_of_the_user_scores(data: Path, tmp_path: Path) -> None:
    (tmp_path / "user_good.py").write_text(
        "import numpy as np\n"
        "def f(a, b):\n"
        '    "Mean square."\n'
        "    return ((a.astype(float) - b) ** 2).mean((1, 2, 3))\n"
    )
    found = scores_of("--metric", "user_good:f", "--metric", "l2", "--data", data)
    for task, measure, label in (("2afc", "2afc", "val/cnn"), ("jnd", "ap", "val/cnn")):
        assert found[task, "user_good:f", measure, label] == found[task, "l2", measure, label]


def test_unverified_weights_are_marked_everywhere(data: Path, tmp_path: Path) -> None:
    from metrics.deep.lpips import LPIPS

    net = LPIPS.blank("alex").net
    np.savez(tmp_path / "mine.npz", **{
        f"features.{name.partition('.')[2]}": value.numpy() for name, value in net.state_dict().items()
    })  # fmt: skip
    arguments = ("--metric", "alex", "--metric", "l2", "--data", data, "--unverified-weights", "alexnet", "mine.npz")
    text = run(*arguments).stdout
    assert "alex (unverified)" in text
    assert "l2 (unverified)" not in text
    assert "UNVERIFIED]" in text
    assert {row["metric"]: row["weights"] for row in csv.DictReader(io.StringIO(run(*arguments, "--csv").stdout))} == {
        "alex": "unverified",
        "l2": "",
        "human p²+(1-p)²": "",
        "human max(p,1-p)": "",
    }
    metrics = json.loads(run(*arguments, "--json").stdout)["metrics"]
    assert [(one["name"], one["verified"]) for one in metrics] == [("alex", False), ("l2", True)]


def test_help_shows_examples() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "bapps-score --metric lpips-vgg\n" in result.stdout
    assert "bapps-score --distances hdr-vdp.csv" in result.stdout
