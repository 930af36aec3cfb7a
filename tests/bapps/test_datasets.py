"""`bapps.score` and `bapps.consistency` say what the commands say, as data frames and in notebooks too."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import bapps
from analysis.commands.consistency import consistency
from analysis.commands.score import score
from bapps_builder.commands.verify_and_info import verify_command
from bapps_builder.images.image_files import encode_png

COLUMNS = ["task", "set", "metric", "measure", "score", "low", "high"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty 2AFC items of 16x16 pixels with votes of five people; p1 is the nearer one as often as not."""
    root, rng = tmp_path_factory.mktemp("dataset"), np.random.default_rng(0)
    folder = root / "2afc" / "val" / "traditional"
    for role in ("ref", "p0", "p1", "judge"):
        (folder / role).mkdir(parents=True)
    for k in range(40):
        ref = rng.integers(40, 200, (16, 16, 3), np.uint8)
        strength = rng.integers(2, 40, 2)
        for role, amplitude in (("ref", 0), ("p0", strength[0]), ("p1", strength[1])):
            noise = rng.integers(-amplitude, amplitude + 1, ref.shape)
            (folder / role / f"{k:06d}.png").write_bytes(encode_png((ref + noise).astype(np.uint8)))
        for_p1 = rng.binomial(5, 1 / (1 + np.exp((strength[1] - strength[0]) / 8))) / 5
        np.save(folder / "judge" / f"{k:06d}.npy", np.array([for_p1], np.float32))
    return root


def printed(*arguments: object) -> str:
    result = CliRunner().invoke(score, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_scores_print_as_the_command_does(dataset: Path) -> None:
    found = bapps.score(["l2", "ssim"], dataset, ci="items", compare=True, votes=5, by=["margin"], draws=300)
    options = ("--ci", "items", "--compare", "--votes", 5, "--by", "margin", "--draws", 300)
    assert f"{found}\n" == printed("--metric", "l2", "--metric", "ssim", "--data", dataset, *options)


def test_scores_as_a_frame_are_those_of_json(dataset: Path) -> None:
    frame = bapps.score(["l2", "ssim"], str(dataset), ci="items", draws=300).to_frame()
    text = printed("--metric", "l2", "--metric", "ssim", "--data", dataset, "--ci", "items", "--draws", 300, "--json")
    rows = json.loads(text)["scores"]
    assert list(frame.columns) == COLUMNS
    assert len(frame) == len(rows)
    for row, (_, found) in zip(rows, frame.iterrows(), strict=True):
        assert [found[name] for name in ("task", "set", "metric", "measure")] == [
            row[name] for name in ("task", "set", "metric", "measure")
        ]
        assert found["score"] == row["value"]
        ends = row.get("interval", [None, None])
        assert [None if np.isnan(found[end]) else found[end] for end in ("low", "high")] == ends
    of_metrics = frame[~frame["metric"].str.startswith("human")]
    assert (of_metrics["low"] < of_metrics["score"]).all()


def test_no_interval_that_nobody_asked_for(dataset: Path) -> None:
    frame = bapps.score(["l2", "ssim"], dataset, compare=True, draws=300).to_frame()
    assert frame[["low", "high"]].isna().all(axis=None)


def brightness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Difference of the mean level."""
    return np.abs(a.mean((1, 2, 3)) - b.mean((1, 2, 3)))


def test_one_metric_or_several_by_name_as_a_function_or_made(dataset: Path) -> None:
    alone = bapps.score("l2", dataset)
    several = bapps.score([bapps.load_metric("l2"), brightness, "l2"], dataset)
    of_l2 = several.to_frame().query("metric == 'l2'").reset_index(drop=True)
    pd.testing.assert_frame_equal(of_l2, alone.to_frame().query("metric == 'l2'").reset_index(drop=True))
    name = f"{__name__}:brightness"
    assert set(several.to_frame()["metric"]) >= {"l2", name}
    assert f"{name}: Difference of the mean level." in str(several).splitlines()


def test_the_distances_of_every_item(dataset: Path) -> None:
    found = bapps.score(["l2", brightness], dataset).items
    assert list(found.columns) == ["task", "metric", "set", "id", "d0", "d1", "judge"]
    assert len(found) == 80
    (items,) = bapps.read_dataset(dataset)
    (batch,) = items.batches(batch_size=40)
    reference, p0, _ = batch.images
    mine = found[found["metric"] == "l2"]
    assert mine["id"].tolist() == list(batch.ids)
    np.testing.assert_allclose(mine["d0"], bapps.distance("l2", reference, p0))
    np.testing.assert_array_equal(mine["judge"], batch.labels)


def test_distances_from_elsewhere_need_no_images(dataset: Path, tmp_path: Path) -> None:
    scores = bapps.score("l2", dataset)
    scores.items.drop(columns="task").to_csv(tmp_path / "d.csv", index=False)
    found = bapps.score([], distances=[tmp_path / "d.csv"])
    pd.testing.assert_frame_equal(found.to_frame(), scores.to_frame())
    with pytest.raises(bapps.BappsError, match="metrics need the images of a dataset"):
        bapps.score("l2", distances=[tmp_path / "d.csv"])


def test_a_notebook_shows_tables_with_names_as_they_are(dataset: Path) -> None:
    made = bapps.Metric("<script>", "a name that would be markup", contrast=brightness)
    text = bapps.score(["l2", made], dataset, compare=True, draws=300)._repr_html_()
    assert "<caption>2AFC: % of people who agree with the metric&#x27;s choice</caption>" in text
    assert "<td>&lt;script&gt;</td>" in text
    assert "<script>" not in text
    assert text.count("<table>") == 3  # scores, comparisons, who is tied


def test_people_print_as_the_command_does(dataset: Path) -> None:
    found = bapps.consistency(dataset, votes=5, draws=200)
    result = CliRunner().invoke(consistency, [str(dataset), "--votes", "5", "--draws", "200"])
    assert result.stdout.startswith(f"{found}\n")
    frame = found.to_frames()["Agreement of people (2AFC)"]
    assert frame["set"].tolist() == ["val/traditional"]
    assert "<caption>Agreement of people (2AFC)</caption>" in found._repr_html_()


def test_a_dataset_is_verified_as_by_the_command(dataset: Path) -> None:
    found = bapps.verify(dataset)
    result = CliRunner().invoke(verify_command, [str(dataset), "--json"])
    assert result.stdout == f"{found.as_json()}\n"
    assert found.failed  # official sets hold larger patches, and more of them
    assert result.exit_code == 1
    with pytest.raises(bapps.BappsError, match="no such folder"):
        bapps.verify(dataset / "absent")


def test_a_chosen_load_mode_that_misleads_is_warned_about(dataset: Path) -> None:
    with pytest.warns(UserWarning, match="2afc/val/traditional: "):
        bapps.score("l2", dataset, load="official")
