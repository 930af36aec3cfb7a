"""Patches made again from the manifest are the patches."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bapps_builder.errors import PatchSetError
from bapps_builder.images.image_files import encode_png
from bapps_builder.layout import Task
from bapps_builder.patch_sets.patch_set import PatchSet, patch_path, read_patch_set
from distortions.patch_sets.generate import generate
from distortions.patch_sets.replay import parse_rows, replay
from distortions.patch_sets.sampling import Settings
from distortions.workers import Workers


def made(folder: Path, photos: Path, *, task: Task = "2afc", items: int = 40, rescaled: bool = False) -> PatchSet:
    settings = Settings(items, task, "traditional", "val", 5, "uniform", rescale=(0.5, 1.2) if rescaled else None)
    generate(settings, photos=[photos], folder=folder, workers=Workers(2 if items > 1000 else 1))
    return read_patch_set(folder)


@pytest.mark.parametrize(("task", "rescaled"), [("2afc", False), ("2afc", True), ("jnd", False)])
def test_every_row_is_made_again(photos: Path, tmp_path: Path, task: Task, rescaled: bool) -> None:
    found = made(tmp_path / "set", photos, task=task, rescaled=rescaled)
    again = replay(found, range(40), folder=tmp_path / "again")
    assert [(entry.item.id, entry.role) for entry in again] == [
        (item.id, role) for item in found for role in found.roles
    ]
    assert all(entry.same for entry in again)
    for entry in again:
        assert entry.path.read_bytes() == patch_path(found.folder, entry.role, entry.item.id).read_bytes()


@pytest.mark.slow
def test_five_hundred_rows_of_ten_thousand(shared_data: Path, tmp_path: Path) -> None:
    found = made(tmp_path / "set", shared_data / "kodak", items=10_000)
    rows = np.random.default_rng(0).choice(10_000, 500, replace=False).tolist()
    again = replay(found, rows, folder=tmp_path / "again")
    assert len(again) == 1500
    assert all(entry.same for entry in again)


def test_other_pixels_are_seen(photos: Path, tmp_path: Path) -> None:
    found = made(tmp_path / "set", photos)
    column = found.manifest.schema.get_field_index("p1_sha256")
    digests = found.manifest["p1_sha256"].to_pylist()
    digests[7] = digests[8]
    changed = dataclasses.replace(found, manifest=found.manifest.set_column(column, "p1_sha256", pa.array(digests)))
    again = replay(changed, [6, 7], folder=tmp_path / "again")
    assert [(entry.item.id, entry.role) for entry in again if not entry.same] == [("000007", "p1")]


def test_photos_may_have_moved_but_must_be_the_same(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "here")
    found = made(tmp_path / "set", tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(
        PatchSetError, match=r"item 0000\d\d needs the photo .*here: no such photo\. Name its folder with"
    ):
        replay(found, [1], folder=tmp_path / "again")
    shutil.copytree(photos, tmp_path / "other")
    for photo in (tmp_path / "other").rglob("*.png"):
        photo.write_bytes(encode_png(np.zeros((200, 200, 3), np.uint8)))
    with pytest.raises(PatchSetError, match="another photo of that name"):
        replay(found, [1], photos=[tmp_path / "other"], folder=tmp_path / "again")
    again = replay(found, range(40), photos=[tmp_path / "other", tmp_path / "there"], folder=tmp_path / "again")
    assert all(entry.same for entry in again)


def test_sets_made_otherwise_are_refused(photos: Path, tmp_path: Path) -> None:
    found = made(tmp_path / "set", photos, items=3)
    path = tmp_path / "set" / "patchset.json"
    content = json.loads(path.read_text())
    content["settings"]["margin"] = None
    path.write_text(json.dumps(content))
    with pytest.raises(PatchSetError, match=r"made by bapps-distort generate .* with a margin of None; only sets"):
        replay(read_patch_set(found.folder), [1], folder=tmp_path / "again")


def test_a_manifest_alone_decides(photos: Path, tmp_path: Path) -> None:
    """The item's seed and number are not needed: a row that was moved to another number is made all the same."""
    found = made(tmp_path / "set", photos, items=3)
    rows = found.manifest.take([2, 1, 0]).set_column(0, "id", found.manifest["id"])
    zeros = pa.array([0, 0, 0], pa.int64())
    pq.write_table(
        rows.set_column(rows.schema.get_field_index("seed"), "seed", zeros), tmp_path / "set" / "manifest.parquet"
    )
    assert all(entry.same for entry in replay(read_patch_set(found.folder), range(3), folder=tmp_path / "again"))


@pytest.mark.parametrize(
    ("text", "rows"),
    [("3", [3]), ("3,17-20", [3, 17, 18, 19, 20]), (" 5 , 4-5,5", [4, 5]), ("0-24", list(range(25)))],
)
def test_rows_are_read(text: str, rows: list[int]) -> None:
    assert parse_rows(text, count=25) == rows


@pytest.mark.parametrize("text", ["", "x", "3,", "5-3", "25", "20-25", "-1", "1.5"])
def test_wrong_rows_are_refused(text: str) -> None:
    with pytest.raises(PatchSetError, match="rows are written like 3,17-20, from 0 to 24; got "):
        parse_rows(text, count=25)
