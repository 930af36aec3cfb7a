"""Patch sets on disk: what is written is read again, and whatever is wrong is named."""

import dataclasses
import hashlib
import json
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bapps_builder.errors import PatchSetError
from bapps_builder.images.image_files import encode_png
from bapps_builder.patch_sets.manifest import SCHEMA, Item, Made, item_id, item_table
from bapps_builder.patch_sets.patch_set import (
    DESCRIPTION,
    MANIFEST,
    Description,
    PatchSet,
    finish_patch_set,
    patch_path,
    pixel_digest,
    read_patch_set,
    write_patch,
)

ROLES = ("ref", "p0", "p1")
ABOUT = Description("bapps-distort generate 1.2", {"numpy": "2"}, 7, {"items": 3}, {"skipped": []})


def patch(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def made_item(folder: Path, index: int, *, task: str = "2afc") -> Item:
    roles = ROLES if task == "2afc" else ROLES[1:]
    digests = {role: write_patch(folder, role, item_id(index), patch(10 * index + k)) for k, role in enumerate(roles)}
    return Item(
        id=item_id(index),
        task="2afc" if task == "2afc" else "jnd",
        set="traditional",
        split="val",
        photo="trip/ä.jpg",
        photo_sha256="ab" * 32,
        box=(1, 2, 64, 64),
        scale=0.1 + 0.2,
        seed=2**63 - 1 - index,
        border="reflected",
        ref_sha256=digests.get("ref"),
        p0=Made("identity", 0, (), digests["p0"]),
        p1=Made("jpeg(quality=23)", 5, (0.25, 1 / 3), digests["p1"]),
    )


def made_set(folder: Path, *, task: str = "2afc", count: int = 3) -> tuple[PatchSet, list[Item]]:
    for role in ROLES if task == "2afc" else ROLES[1:]:
        (folder / role).mkdir(parents=True)
    items = [made_item(folder, index, task=task) for index in range(count)]
    finish_patch_set(folder, [item_table(items[:1]), item_table(items[1:])], ABOUT)
    return read_patch_set(folder), items


@pytest.mark.parametrize("task", ["2afc", "jnd"])
def test_what_is_written_is_read_again(tmp_path: Path, task: str) -> None:
    found, items = made_set(tmp_path / "set", task=task)
    assert list(found) == items
    assert [found[index] for index in range(len(found))] == items
    assert found.description == ABOUT
    assert found.task == task
    assert found.roles == (ROLES if task == "2afc" else ROLES[1:])
    for index, item in enumerate(items):
        for k, role in enumerate(found.roles):
            np.testing.assert_array_equal(found.read(item, role), patch(10 * index + k))
    with pytest.raises(IndexError, match="no item 3; there are 3"):
        found[3]


def test_other_programs_read_it(tmp_path: Path) -> None:
    _, items = made_set(tmp_path / "set")
    table = pd.read_parquet(tmp_path / "set" / MANIFEST)
    assert list(table["id"]) == ["000000", "000001", "000002"]
    assert table["p1_recipe"][0] == "jpeg(quality=23)"
    assert list(table["box"][1]) == [1, 2, 64, 64]
    assert table["seed"][2] == items[2].seed
    pixels = np.asarray(Image.open(tmp_path / "set" / "p1" / "000002.png"))
    assert pixels.shape == (64, 64, 3)
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == table["p1_sha256"][2]


def test_the_settings_of_png_that_are_recorded_are_those_in_use(tmp_path: Path) -> None:
    made_set(tmp_path / "set")
    recorded = json.loads((tmp_path / "set" / DESCRIPTION).read_text())["png"]
    assert recorded == {"filter": "sub", "deflate": "zlib", "level": 1, "strategy": "huffman-only"}
    data = (tmp_path / "set" / "p1" / "000000.png").read_bytes()
    start, length = data.index(b"IDAT") + 4, int.from_bytes(data[data.index(b"IDAT") - 4 :][:4])
    rows = zlib.decompress(data[start : start + length])
    assert set(rows[:: 1 + 3 * 64]) == {1}  # each row says filter Sub
    deflater = zlib.compressobj(recorded["level"], zlib.DEFLATED, zlib.MAX_WBITS, 8, zlib.Z_HUFFMAN_ONLY)
    assert data[start : start + length] == deflater.compress(rows) + deflater.flush()


def test_the_digest_is_of_rgb_bytes_row_by_row() -> None:
    pixels = patch(3)
    assert pixel_digest(pixels) == hashlib.sha256(bytes(pixels.ravel().tolist())).hexdigest()
    assert pixel_digest(pixels[:, ::-1]) != pixel_digest(pixels)


def test_a_patch_of_another_shape_is_another_patch(tmp_path: Path) -> None:
    """The hash is of bytes in their order, which those of 32x128 share with those of 64x64."""
    found, _ = made_set(tmp_path / "set")
    (tmp_path / "set" / "p0" / "000000.png").write_bytes(encode_png(found.read(found[0], "p0").reshape(128, 32, 3)))
    with pytest.raises(PatchSetError, match=r"000000\.png: is 32x128, the manifest says 64x64; it was changed"):
        found.read(found[0], "p0")


def test_a_folder_without_description_is_no_set(tmp_path: Path) -> None:
    with pytest.raises(PatchSetError, match=r"set: no patchset\.json in it: not a patch set, or no such folder"):
        read_patch_set(tmp_path / "set")
    with pytest.raises(PatchSetError, match="or an unfinished patch set; run its command again"):
        read_patch_set(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "format 1; this version reads format 2"),
        ({"seed": None}, "lacks 'seed'; it was changed by hand"),
    ],
)
def test_a_foreign_description_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    made_set(tmp_path / "set")
    path = tmp_path / "set" / DESCRIPTION
    content = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    with pytest.raises(PatchSetError, match=message):
        read_patch_set(tmp_path / "set")


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_broken_description_is_refused(tmp_path: Path, text: str) -> None:
    made_set(tmp_path / "set")
    (tmp_path / "set" / DESCRIPTION).write_bytes(text.encode("latin-1"))
    with pytest.raises(PatchSetError, match=r"patchset\.json: (not readable|format None)"):
        read_patch_set(tmp_path / "set")


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    _, items = made_set(tmp_path / "set")
    path = tmp_path / "set" / MANIFEST
    table = item_table(items)

    def refused(message: str) -> None:
        with pytest.raises(PatchSetError, match=message):
            read_patch_set(tmp_path / "set")

    path.write_bytes(path.read_bytes()[:-20])
    refused("not a readable Parquet file")
    pq.write_table(table.drop_columns(["box"]), path)
    refused("its columns, or their order, are not those of a manifest; missing box")
    pq.write_table(table.set_column(7, "scale", [["x", "y", "z"]]), path)
    refused("a column is not of its type")
    pq.write_table(table.slice(1), path)
    refused("ids must go from 000000 up by one")
    pq.write_table(table.slice(0, 0), path)
    refused("holds no items")
    mixed = [items[0], dataclasses.replace(items[1], task="jnd"), items[2]]
    pq.write_table(item_table(mixed), path)
    refused("all items must be of one task")
    path.unlink()
    refused(r"manifest\.parquet: no such file")


def test_missing_and_changed_files_are_named(tmp_path: Path) -> None:
    found, items = made_set(tmp_path / "set")
    path = patch_path(found.folder, "p1", "000001")
    path.write_bytes(encode_png(patch(99)))
    with pytest.raises(PatchSetError, match=r"p1/000001\.png: its pixels have SHA-256 .*; it was changed"):
        found.read(items[1], "p1")
    path.write_bytes(b"no image")
    with pytest.raises(PatchSetError, match=r"p1/000001\.png: not a readable image"):
        found.read(items[1], "p1")
    path.unlink()
    with pytest.raises(PatchSetError, match=r"p1: 1 of 3 files are missing, the first 000001\.png"):
        read_patch_set(found.folder)
    for file in (found.folder / "ref").iterdir():
        file.unlink()
    (found.folder / "ref").rmdir()
    with pytest.raises(PatchSetError, match="ref: no such folder"):
        read_patch_set(found.folder)


def test_the_columns_of_the_format() -> None:
    assert SCHEMA.names == [
        *("id", "task", "set", "split", "photo", "photo_sha256", "box", "scale", "seed", "border", "ref_sha256"),
        *("p0_recipe", "p0_family", "p0_seed", "p0_severity", "p0_sha256"),
        *("p1_recipe", "p1_family", "p1_seed", "p1_severity", "p1_sha256"),
    ]


def test_interrupted_writing_leaves_no_set(tmp_path: Path) -> None:
    for role in ROLES:
        (tmp_path / role).mkdir()

    def tables():
        yield item_table([made_item(tmp_path, 0)])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish_patch_set(tmp_path, tables(), ABOUT)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["p0", "p1", "ref"]
