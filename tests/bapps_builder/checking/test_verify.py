"""Verification: a clean dataset passes, each planted fault is found, and real BAPPS files pass."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bapps_builder.checking.findings import CHECKS, Finding, Report
from bapps_builder.checking.set_files import list_files
from bapps_builder.checking.verify import verify
from bapps_builder.commands.bapps_build import build as command
from bapps_builder.datasets.official_sets import OFFICIAL_SETS
from bapps_builder.images.image_files import encode_png
from bapps_builder.images.near_duplicates import MAX_BITS, close_pairs, perceptual_hashes, same_picture, thumbnail

Make = Callable[..., Path]
Answers = Callable[..., pd.DataFrame]


def checked(root: Path, *, subset: bool = False) -> Report:
    return verify(root, list_files(root), subset=subset)


def failures(report: Report) -> set[tuple[str, str]]:
    return {(one.check, one.where) for one in report.findings if one.fails}


def of(report: Report, check: str) -> Finding:
    (found,) = [one for one in report.findings if one.check == check]
    return found


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory, make_patch_set: Make, make_answers: Answers) -> Path:
    """A dataset of ours: a training and a validation set of 2AFC, and one of JND."""
    root = tmp_path_factory.mktemp("verify")
    sources = (
        make_patch_set(root / "train", split="train", seed=1, photo=lambda index: f"fivek/{index}.dng"),
        make_patch_set(root / "val"),
        make_patch_set(root / "jnd", task="jnd", seed=2),
    )
    arguments = ["build", "--out", str(root / "clean"), "--copy"]
    for source, study, options in zip(sources, "abc", ({"label": "train/noise"}, {}, {"task": "jnd"}), strict=True):
        answers = root / f"{study}.csv"
        make_answers(study=study, **options).to_csv(answers, index=False)
        arguments += ["--patches", str(source), "--answers", str(answers)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return root / "clean"


@pytest.fixture
def ours(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "ours"))


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """A set as others release it, without tables: enlarged patches of 64x64, fractions of five votes."""
    folder = tmp_path / "theirs/2afc/val/frameinterp"
    shown = np.floor((64 - 1) * np.arange(256) / (256 - 1) + 0.5).astype(int)
    for number, role in enumerate(("ref", "p0", "p1")):
        (folder / role).mkdir(parents=True)
        for index in range(4):
            patch = np.random.default_rng([number, index]).integers(0, 256, (64, 64, 3), dtype=np.uint8)
            (folder / role / f"{index:06d}.png").write_bytes(encode_png(patch[shown][:, shown]))
    (folder / "judge").mkdir()
    for index in range(4):
        np.save(folder / "judge" / f"{index:06d}.npy", np.array([index / 5], np.float32))
    return tmp_path / "theirs"


def edited(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(pd.read_parquet(path)).to_parquet(path, index=False)


VAL = "2afc/val/noise"


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


def test_no_items_table(ours: Path) -> None:
    (ours / VAL / "items.parquet").unlink()
    assert ("items", VAL) in failures(checked(ours))


def test_an_items_table_with_a_row_too_few(ours: Path) -> None:
    edited(ours / VAL / "items.parquet", lambda table: table.drop(index=3))
    report = checked(ours)
    assert {("items", VAL), ("record", VAL)} <= failures(report)
    assert "000003" in of(report, "items").what


def test_an_items_table_with_a_row_twice(ours: Path) -> None:
    edited(ours / VAL / "items.parquet", lambda table: pd.concat([table, table.head(1)]))
    assert ("items", VAL) in failures(checked(ours))


def test_votes_that_are_impossible(ours: Path) -> None:
    edited(ours / VAL / "items.parquet", lambda table: table.assign(k=table["n"] + 1))
    assert ("items", VAL) in failures(checked(ours))


def test_a_label_that_is_not_k_of_n(ours: Path) -> None:
    path = ours / VAL / "judge/000002.npy"
    np.save(path, 1 - np.load(path))
    report = checked(ours)
    assert failures(report) == {("fraction", VAL)}
    assert of(report, "fraction").what.endswith("000002")


def test_no_answers_table(ours: Path) -> None:
    (ours / VAL / "answers.parquet").unlink()
    assert ("answers", VAL) in failures(checked(ours))


def test_an_answer_that_was_turned_round(ours: Path) -> None:
    def turn(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[0, "choice"] = {"p0": "p1", "p1": "p0"}[table["choice"][0]]
        return table

    edited(ours / VAL / "answers.parquet", turn)
    report = checked(ours)
    assert failures(report) == {("votes", VAL), ("record", VAL)}
    assert of(report, "votes").what.endswith("000000")


def test_an_answer_to_an_item_that_is_not_there(ours: Path) -> None:
    def stray(table: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([table, table.head(1).assign(item="000099")])

    edited(ours / VAL / "answers.parquet", stray)
    assert ("answers", VAL) in failures(checked(ours))


def test_an_answer_to_a_sentinel(ours: Path) -> None:
    def sentinel(table: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([table, table.head(1).assign(role="sentinel")])

    edited(ours / VAL / "answers.parquet", sentinel)
    report = checked(ours)
    assert ("answers", VAL) in failures(report)
    assert "sentinels" in of(report, "answers").what


def test_two_answers_of_one_person(ours: Path) -> None:
    edited(ours / VAL / "answers.parquet", lambda table: pd.concat([table, table.head(1)]))
    report = checked(ours)
    assert ("answers", VAL) in failures(report)
    assert "already answered the same item" in of(report, "answers").what


def test_simulated_answers_that_are_not_called_so(ours: Path) -> None:
    edited(ours / VAL / "answers.parquet", lambda table: table.assign(simulated=True))
    assert ("simulated", VAL) in failures(checked(ours))


def test_a_table_that_was_edited_without_a_trace_in_its_contents(ours: Path) -> None:
    edited(ours / VAL / "items.parquet", lambda table: table.assign(photo="another.png"))
    assert ("record", VAL) in failures(checked(ours))


def test_a_record_that_cannot_be_read(ours: Path) -> None:
    (ours / "dataset.json").write_text("{")
    assert failures(checked(ours)) == {("record", "")}


def test_a_set_the_record_does_not_know(ours: Path) -> None:
    shutil.copytree(ours / VAL, ours / "2afc/val/copy")
    report = checked(ours)
    assert ("record", "") in failures(report)
    assert "2afc/val/copy" in of(report, "record").what


def test_a_set_of_the_record_that_is_gone(ours: Path) -> None:
    shutil.rmtree(ours / "jnd")
    assert failures(checked(ours)) == {("record", "")}


def test_no_card(ours: Path) -> None:
    (ours / "README.md").unlink()
    assert failures(checked(ours)) == {("card", "")}


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


# --- the search for pictures that look the same ------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120), st.integers(1, 120), st.sampled_from([4, 12, 64]))
def test_close_pairs_are_those_of_comparing_every_two(seed: int, rows: int, columns: int, bits: int) -> None:
    # With few varying bits many are close, and a band is shared by all.
    rng = np.random.default_rng(seed)
    mask = np.uint64((1 << bits) - 1 if bits < 64 else 2**64 - 1)
    a, b = (rng.integers(0, 2**64, size, dtype=np.uint64) & mask for size in (rows, columns))
    b[: min(rows, columns) // 2] = a[: min(rows, columns) // 2] ^ np.uint64(0b1011)
    differing = np.array([[int(x ^ y).bit_count() for y in b] for x in a])
    np.testing.assert_array_equal(close_pairs(a, b), np.argwhere(differing <= MAX_BITS))


def test_patches_without_detail_are_not_compared() -> None:
    flat = np.full((64, 64, 3), 200, np.uint8)
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None] * 3, (64, 64, 3)).copy()
    assert not perceptual_hashes(np.stack([thumbnail(image) for image in (flat, ramp)]))[1].any()


def test_crops_of_one_photograph_are_not_taken_for_the_same(shared_data: Path) -> None:
    photo = np.asarray(Image.open(sorted((shared_data / "kodak").glob("*.png"))[0]).convert("RGB"))
    crops = [photo[y : y + 64, x : x + 64] for y in range(0, 448, 64) for x in range(0, 704, 64)]
    hashes, detailed = perceptual_hashes(np.stack([thumbnail(np.ascontiguousarray(crop)) for crop in crops]))
    pairs = [(i, j) for i, j in close_pairs(hashes, hashes) if i != j]
    assert not [(i, j) for i, j in pairs if same_picture(crops[i], crops[j]) and detailed[i]]


# --- how it is told ----------------------------------------------------------------------------------


def test_the_command_reports_and_ends_with_1(ours: Path) -> None:
    (ours / VAL / "p1/000004.png").unlink()
    result = CliRunner().invoke(command, ["verify", str(ours)])
    assert result.exit_code == 1
    assert "FAILURE   paired" in result.stdout
    assert CliRunner().invoke(command, ["verify", str(ours / "2afc")]).exit_code == 2
    assert CliRunner().invoke(command, ["verify", str(ours / "nothing")]).exit_code == 2


def test_every_check_is_one_that_a_fault_above_brings_up(repository: Path) -> None:
    source = (repository / "tests/bapps_builder/checking/test_verify.py").read_text()
    assert [check for check in CHECKS if f'"{check}"' not in source] == []


def test_every_check_is_documented(repository: Path) -> None:
    documented = (repository / "docs/datasets.md").read_text()
    rows = [line.split("|")[1] for line in documented.splitlines() if line.startswith("| ")]
    named = {name.strip() for row in rows for name in row.split(",")}
    assert set(CHECKS) <= named
