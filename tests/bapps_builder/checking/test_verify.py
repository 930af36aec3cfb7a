"""Verification: a clean dataset passes, each planted fault is found, and real BAPPS files pass."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from dataset_checks import VAL, checked, edited, failures, of
from PIL import Image

from bapps_builder.checking.findings import CHECKS
from bapps_builder.checking.set_files import list_files
from bapps_builder.checking.verify import verify
from bapps_builder.commands.bapps_build import build as command
from bapps_builder.datasets.official_sets import OFFICIAL_SETS
from bapps_builder.images.image_files import encode_png

# --- what is right -----------------------------------------------------------------------------------


def test_a_clean_dataset_passes(clean: Path) -> None:
    report = checked(clean)
    assert report.findings == ()
    assert {key: one.items for key, one in report.sets.items()} == {
        "2afc/train/noise": 12,
        "2afc/val/noise": 12,
        "jnd/val/noise": 12,
    }
    assert CliRunner().invoke(command, ["verify", str(clean)]).exit_code == 0


def test_several_processes_report_the_same(ours: Path) -> None:
    (ours / VAL / "p0/000003.png").write_bytes(b"")
    assert verify(ours, list_files(ours), workers=2) == checked(ours)


def test_real_bapps_files_pass_as_a_subset_with_their_particularities(shared_data: Path) -> None:
    root = shared_data / "bapps-mini"
    result = CliRunner().invoke(command, ["verify", str(root), "--subset", "--json"])
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["passed"]
    assert sum(one["items"] for one in report["sets"].values()) == 48
    assert all(one["sizes"] == {"256x256": one["items"]} for one in report["sets"].values())
    assert {one["check"] for one in report["findings"]} == {"contiguous", "count"}
    # Without --subset the same is a failure.
    assert CliRunner().invoke(command, ["verify", str(root)]).exit_code == 1


def test_an_official_set_passes_but_for_its_size(official: Path) -> None:
    report = checked(official)
    assert failures(report) == {("count", "2afc/val/frameinterp")}
    assert "4 items, and the paper's set has 1888" in of(report, "count").what


def test_counts_of_the_paper_add_up_to_its_answers() -> None:
    train, val, jnd = (
        sum(one.items * one.answers for key, one in OFFICIAL_SETS.items() if key.startswith(start))
        for start in ("2afc/train", "2afc/val", "jnd")
    )
    assert (train, val, jnd) == (302_600, 181_720, 28_800)


# --- planted faults, one each ------------------------------------------------------------------------


def test_a_missing_folder(ours: Path) -> None:
    shutil.rmtree(ours / VAL / "p1")
    assert ("folder", VAL) in failures(checked(ours))


def test_a_missing_image(ours: Path) -> None:
    (ours / VAL / "p1/000004.png").unlink()
    report = checked(ours)
    assert ("paired", VAL) in failures(report)
    assert "not in p1/: 000004" in [one.what for one in report.findings if one.check == "paired"]


def test_a_missing_label(ours: Path) -> None:
    (ours / VAL / "judge/000004.npy").unlink()
    assert ("paired", VAL) in failures(checked(ours))


def test_a_foreign_file(ours: Path) -> None:
    (ours / VAL / "ref/notes.txt").write_text("hello")
    (ours / VAL / "ref/.DS_Store").write_text("hidden files do not count")
    report = checked(ours)
    assert failures(report) == {("foreign", VAL)}
    assert "ref/notes.txt" in of(report, "foreign").what


def test_two_files_of_one_item(ours: Path) -> None:
    Image.open(ours / VAL / "p0/000001.png").save(ours / VAL / "p0/000001.bmp")
    assert ("foreign", VAL) in failures(checked(ours))


def test_a_gap_in_the_numbers(ours: Path) -> None:
    for path in (ours / VAL).rglob("000004.*"):
        path.unlink()
    report = checked(ours)
    assert ("contiguous", VAL) in failures(report)
    assert "000004" in of(report, "contiguous").what
    subset = checked(ours, subset=True)
    assert ("contiguous", VAL) not in failures(subset)
    assert of(subset, "contiguous").count == 1


def test_a_name_that_is_no_number(ours: Path) -> None:
    for path in list((ours / VAL).rglob("000011.*")):
        path.rename(path.with_name("eleven" + path.suffix))
    assert ("contiguous", VAL) in failures(checked(ours))


def test_an_empty_set(ours: Path) -> None:
    for role in ("ref", "p0", "p1", "judge"):
        (ours / "2afc/val/empty" / role).mkdir(parents=True)
    assert failures(checked(ours)) == {("empty", "2afc/val/empty"), ("record", "")}


def test_an_image_cut_off(ours: Path) -> None:
    path = ours / VAL / "p0/000003.png"
    path.write_bytes(path.read_bytes()[:-100])
    report = checked(ours)
    assert failures(report) == {("decodable", VAL)}
    assert "p0/000003.png: truncated PNG" in of(report, "decodable").what


def test_an_image_with_a_flipped_bit(ours: Path) -> None:
    path = ours / VAL / "p0/000003.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert failures(checked(ours)) == {("decodable", VAL)}


def test_images_of_peoples_own_studies_may_have_any_size(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, shape in (("a", (80, 96, 3)), ("b", (64, 64, 3))):
        for role in ("ref", "p0", "p1"):
            path = tmp_path / "own" / role / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(rng.integers(0, 256, shape, dtype=np.uint8)))
    answers = tmp_path / "answers.csv"
    answers.write_text("item,participant,choice\na,x,p0\nb,x,p1\n")
    options = ["--items", tmp_path / "own", "--answers", answers, "--out", tmp_path / "built"]
    assert CliRunner().invoke(command, ["build", *map(str, options)]).exit_code == 0
    report = checked(tmp_path / "built")
    assert not report.failed
    assert of(report, "size").what == "not BAPPS's patches of 64x64; scored and trained on as they are: 96x80"


def test_images_of_an_item_of_two_sizes(official: Path) -> None:
    image = Image.open(official / "2afc/val/frameinterp/p0/000002.png")
    image.resize((64, 64)).save(official / "2afc/val/frameinterp/p0/000002.png")
    report = checked(official, subset=True)
    assert failures(report) == {("size", "2afc/val/frameinterp")}
    assert "000002 (ref 256x256, p0 64x64, p1 256x256)" in report.as_text()


def test_images_that_are_not_square(official: Path) -> None:
    for role in ("ref", "p0", "p1"):
        image = Image.open(official / f"2afc/val/frameinterp/{role}/000002.png")
        image.crop((0, 0, 256, 200)).save(official / f"2afc/val/frameinterp/{role}/000002.png")
    report = checked(official, subset=True)
    assert failures(report) == {("size", "2afc/val/frameinterp")}
    assert "256x200" in of(report, "size").what
    (official / "2afc/val/frameinterp").rename(official / "2afc/val/ours")
    report = checked(official, subset=True)
    assert failures(report) == set()
    assert "256x200" in of(report, "size").what


def test_files_of_252_pixels_are_named_and_sizes_nobody_knows_too(official: Path) -> None:
    shown = np.floor((63 - 1) * np.arange(252) / (252 - 1) + 0.5).astype(int)
    for number, role in enumerate(("ref", "p0", "p1")):
        patch = np.random.default_rng(number).integers(0, 256, (63, 63, 3), dtype=np.uint8)
        file = official / "2afc/val/frameinterp" / role / "000001.png"
        file.write_bytes(encode_png(patch[shown][:, shown]))
        Image.fromarray(patch[:40, :40]).save(official / "2afc/val/frameinterp" / role / "000003.png")
    report = checked(official, subset=True)
    assert not report.failed
    assert report.sets["2afc/val/frameinterp"].sizes == {"256x256": 2, "252x252": 1, "40x40": 1}
    sizes = [one.what for one in report.findings if one.check == "size"]
    assert len(sizes) == 2
    assert "40x40" in sizes[0]
    assert "252x252, as a few of the release are: 000001" in sizes[1]


def test_an_official_file_that_is_no_enlarged_patch(official: Path) -> None:
    path = official / "2afc/val/frameinterp/p1/000002.png"
    pixels = np.array(Image.open(path))
    pixels[100, 100, 1] ^= 1
    path.write_bytes(encode_png(pixels))
    report = checked(official, subset=True)
    assert failures(report) == {("enlargement", "2afc/val/frameinterp")}
    assert "p1/000002" in of(report, "enlargement").what


@pytest.mark.parametrize(
    ("label", "what"),
    [
        (np.array([1.2], np.float32), "must hold a fraction in [0, 1], got 1.2"),
        (np.array([np.nan], np.float32), "must hold a fraction in [0, 1], got nan"),
        (np.array([0.2, 0.4], np.float32), "must hold one number"),
        (np.array([0.2], np.float64), "not float32 of shape (1,)"),
        (np.array(0.2, np.float32), "not float32 of shape (1,)"),
        (np.array([{"a": 1}], object), "not a readable .npy array"),
    ],
)
def test_a_label_that_is_no_fraction(official: Path, label: np.ndarray, what: str) -> None:
    np.save(official / "2afc/val/frameinterp/judge/000001.npy", label, allow_pickle=True)
    report = checked(official, subset=True)
    assert ("label", "2afc/val/frameinterp") in failures(report)
    assert what in of(report, "label").what


def test_a_fraction_no_number_of_votes_gives(official: Path) -> None:
    np.save(official / "2afc/val/frameinterp/judge/000001.npy", np.array([0.25], np.float32))
    report = checked(official, subset=True)
    assert failures(report) == {("lattice", "2afc/val/frameinterp")}
    assert "cannot come from 5 votes, the first 0.25" in of(report, "lattice").what
    other = official / "2afc/val/mine"  # nobody knows how many votes sets of other names have
    (official / "2afc/val/frameinterp").rename(other)
    assert failures(checked(official)) == {("lattice", "2afc/val/mine")}  # of twentieths: more than ten votes
    np.save(other / "judge/000001.npy", np.array([0.3], np.float32))  # of tenths
    assert not checked(official).failed
    np.save(other / "judge/000001.npy", np.array([0.123], np.float32))
    assert failures(checked(official)) == {("lattice", "2afc/val/mine")}


def test_identical_p0_and_p1_are_counted_and_do_not_fail(official: Path) -> None:
    folder = official / "2afc/val/frameinterp"
    shutil.copy(folder / "p0/000002.png", folder / "p1/000002.png")
    report = checked(official, subset=True)
    assert not report.failed
    assert of(report, "identical").what.endswith("000002")
    assert report.sets["2afc/val/frameinterp"].identical == 1


def test_an_image_with_other_pixels(ours: Path) -> None:
    shutil.copy(ours / VAL / "p1/000001.png", ours / VAL / "p1/000002.png")
    report = checked(ours)
    assert failures(report) == {("hash", VAL)}
    assert of(report, "hash").what.endswith("p1/000002")


def test_a_photograph_on_both_sides(ours: Path) -> None:
    def leak(table: pd.DataFrame) -> pd.DataFrame:
        val = pd.read_parquet(ours / VAL / "items.parquet")
        table.loc[5, ["photo", "photo_sha256"]] = val.loc[7, ["photo", "photo_sha256"]].to_numpy()
        return table

    edited(ours / "2afc/train/noise/items.parquet", leak)
    report = checked(ours)
    assert ("photos", "") in failures(report)
    assert "raise/003.png" in of(report, "photos").what


@pytest.mark.parametrize("change", ["same", "jpeg", "brighter", "noise", "re-sampled"])
def test_a_patch_that_looks_like_one_of_the_other_side(ours: Path, change: str) -> None:
    pixels = np.array(Image.open(ours / VAL / "ref/000007.png")).astype(np.float64)
    if change == "jpeg":
        coded = cv2.imencode(".jpg", pixels.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
        pixels = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.float64)
    elif change == "brighter":
        pixels = pixels * 0.9 + 20
    elif change == "noise":
        pixels = pixels + np.random.default_rng(0).normal(0, 8, pixels.shape)
    elif change == "re-sampled":
        pixels = cv2.resize(cv2.resize(pixels, (80, 80)), (64, 64))
    image = np.clip(pixels, 0, 255).astype(np.uint8)
    (ours / "2afc/train/noise/ref/000002.png").write_bytes(encode_png(image))
    report = checked(ours)
    assert ("duplicates", "") in failures(report)
    assert "train/noise/ref/000002.png and val/noise/ref/000007.png" in of(report, "duplicates").what


# --- how it is told ----------------------------------------------------------------------------------


def test_the_command_reports_and_ends_with_1(ours: Path) -> None:
    (ours / VAL / "p1/000004.png").unlink()
    result = CliRunner().invoke(command, ["verify", str(ours)])
    assert result.exit_code == 1
    assert "FAILURE   paired" in result.stdout
    assert CliRunner().invoke(command, ["verify", str(ours / "2afc")]).exit_code == 2
    assert CliRunner().invoke(command, ["verify", str(ours / "nothing")]).exit_code == 2


def test_every_check_is_one_that_a_fault_here_brings_up(repository: Path) -> None:
    folder = repository / "tests/bapps_builder/checking"
    source = "".join((folder / name).read_text() for name in ("test_verify.py", "test_verify_tables.py"))
    assert [check for check in CHECKS if f'"{check}"' not in source] == []


def test_every_check_is_documented(repository: Path) -> None:
    documented = (repository / "docs/datasets.md").read_text()
    rows = [line.split("|")[1] for line in documented.splitlines() if line.startswith("| ")]
    named = {name.strip() for row in rows for name in row.split(",")}
    assert set(CHECKS) <= named
