"""The reader: pairing by stem, labels, load modes, and a stream of batches."""

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import bapps_builder.datasets.load_mode
import bapps_builder.datasets.reader as reader_module
from bapps_builder.datasets.load_mode import LoadMode
from bapps_builder.datasets.reader import ItemSet
from bapps_builder.errors import DatasetError, ImageError
from bapps_builder.images.image_files import encode_png, read_image
from bapps_builder.layout import SetFolder, Task

Pixels = NDArray[np.uint8]
Enlarge = Callable[[Pixels], Pixels]

ROLES: dict[Task, tuple[str, ...]] = {"2afc": ("ref", "p0", "p1"), "jnd": ("p0", "p1")}
LABELS: dict[Task, str] = {"2afc": "judge", "jnd": "same"}


def noise(seed: int, side: int = 8) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def flat(value: int, side: int = 8) -> Pixels:
    return np.full((side, side, 3), value, np.uint8)


def write_set(
    root: Path,
    task: Task = "2afc",
    *,
    ids: Sequence[str] = ("000000", "000001", "000002"),
    image: Callable[[str, int], Pixels] = lambda item, role: flat((10 * int(item) + role) % 256),
    label: Callable[[str], float] = lambda item: int(item) / 10,
) -> SetFolder:
    folder = SetFolder(root, task, "val", "small")
    for number, role in enumerate(ROLES[task]):
        (folder.path / role).mkdir(parents=True)
        for item in ids:
            (folder.path / role / f"{item}.png").write_bytes(encode_png(image(item, number)))
    (folder.path / LABELS[task]).mkdir()
    for item in ids:
        np.save(folder.path / LABELS[task] / f"{item}.npy", np.array([label(item)], np.float32))
    return folder


# --- what comes out ----------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["2afc", "jnd"])
def test_items_come_with_their_own_images_and_labels(tmp_path: Path, task: Task) -> None:
    # Written in this order, read in the order of the ids.
    items = ItemSet(write_set(tmp_path, task, ids=["000007", "000002", "000011"], label=lambda item: 1 / int(item)))
    assert (items.task, items.ids, len(items)) == (task, ("000002", "000007", "000011"), 3)
    (batch,) = items.batches(load="native")
    assert batch.ids == items.ids
    assert len(batch.images) == len(ROLES[task])
    for role, images in enumerate(batch.images):
        assert images.dtype == np.uint8
        assert images.shape == (3, 8, 8, 3)
        assert images[:, 0, 0, 0].tolist() == [20 + role, 70 + role, 110 + role]
    assert batch.labels.dtype == np.float64
    assert batch.labels.tolist() == [float(np.float32(1 / number)) for number in (2, 7, 11)]


def test_names_of_any_form_are_paired_by_stem(tmp_path: Path) -> None:
    ids = ["10", "9", "b.c", "a b"]
    folder = write_set(tmp_path, ids=ids, image=lambda item, role: flat(20 * ids.index(item) + role), label=lambda _: 0)
    (batch,) = ItemSet(folder).batches(load="native")
    assert batch.ids == tuple(sorted(ids))
    for role in range(3):
        assert [int(v) for v in batch.images[role][:, 0, 0, 0]] == [20 * ids.index(item) + role for item in batch.ids]


def test_files_of_other_formats_and_hidden_files(tmp_path: Path) -> None:
    folder = write_set(tmp_path)
    (folder.path / "p0" / "000001.png").unlink()
    Image.fromarray(flat(77)).save(folder.path / "p0" / "000001.BMP", "BMP")
    (folder.path / "ref" / ".DS_Store").write_bytes(b"")
    (batch,) = ItemSet(folder).batches(load="native")
    assert batch.images[1][:, 0, 0, 0].tolist() == [1, 77, 21]


@pytest.mark.parametrize("name", ["000001.NPY", "000001.npy"])
def test_a_suffix_in_capitals_is_read(tmp_path: Path, name: str) -> None:
    folder = write_set(tmp_path)
    (folder.path / "judge" / "000001.npy").rename(folder.path / "judge" / name)
    (batch,) = ItemSet(folder).batches(load="native")
    assert batch.labels.tolist() == pytest.approx([0, 0.1, 0.2])


@pytest.mark.parametrize(("size", "lengths"), [(1, [1] * 7), (2, [2, 2, 2, 1]), (3, [3, 3, 1]), (7, [7]), (50, [7])])
def test_batches_have_at_most_the_size_asked_for(tmp_path: Path, size: int, lengths: list[int]) -> None:
    items = ItemSet(write_set(tmp_path, ids=[f"{k:06d}" for k in range(7)], label=lambda _: 0.5))
    batches = list(items.batches(load="native", batch_size=size, threads=3))
    assert [len(batch.ids) for batch in batches] == lengths
    assert tuple(item for batch in batches for item in batch.ids) == items.ids


def test_images_of_one_size_come_together(tmp_path: Path) -> None:
    sides = [8, 8, 12, 8, 12, 12]
    folder = write_set(
        tmp_path,
        ids=[f"{k:06d}" for k in range(6)],
        image=lambda item, role: flat(role, sides[int(item)]),
        label=lambda _: 0.5,
    )
    batches = list(ItemSet(folder).batches(load="native"))
    assert [batch.images[2].shape[:2] for batch in batches] == [(3, 8), (3, 12)]
    assert [batch.ids for batch in batches] == [("000000", "000001", "000003"), ("000002", "000004", "000005")]
    assert [len(batch.ids) for batch in ItemSet(folder).batches(load="official")] == [6]


def test_a_set_can_be_read_twice(tmp_path: Path) -> None:
    items = ItemSet(write_set(tmp_path))
    first, second = (np.concatenate([b.images[1] for b in items.batches(load="native")]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


# --- a stream ----------------------------------------------------------------------------------------


def test_few_items_are_decoded_ahead_and_all_threads_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path) -> Pixels:
        read.append(path)
        return read_image(path)

    monkeypatch.setattr(bapps_builder.datasets.load_mode, "read_image", counted)
    items = ItemSet(write_set(tmp_path, "jnd", ids=[f"{k:06d}" for k in range(60)], label=lambda _: 0.5))
    assert read == []
    stream = items.batches(load="native", batch_size=3, threads=2)
    assert next(stream).ids == ("000000", "000001", "000002")
    # Three taken, one that showed the batch was full, and two batches ahead.
    assert len(read) <= 2 * (3 + 1 + 6)
    stream.close()  # pyrefly: ignore[missing-attribute]
    assert len(read) < 30
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_batches_before_a_broken_file_are_given(tmp_path: Path) -> None:
    folder = write_set(tmp_path, ids=[f"{k:06d}" for k in range(9)], label=lambda _: 0.5)
    broken = folder.path / "p1" / "000005.png"
    broken.write_bytes(broken.read_bytes()[:50])
    stream = ItemSet(folder).batches(load="native", batch_size=2)
    assert [next(stream).ids[0], next(stream).ids[0]] == ["000000", "000002"]
    with pytest.raises(ImageError, match=re.escape(f"{broken}: truncated PNG (50 bytes")):
        next(stream)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


# --- what is wrong with a set ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "role", "having"),
    [
        ("2afc", "ref", "p0"),
        ("2afc", "p0", "ref"),
        ("2afc", "p1", "ref"),
        ("2afc", "judge", "ref"),
        ("jnd", "p0", "p1"),
        ("jnd", "p1", "p0"),
        ("jnd", "same", "p0"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, task: Task, role: str, having: str) -> None:
    folder = write_set(tmp_path, task)
    suffix = ".npy" if role == LABELS[task] else ".png"
    (folder.path / role / f"000001{suffix}").unlink()
    message = (
        f"{folder.path}: item 000001 has a file in {having}/ but none in {role}/; "
        "add the missing file or remove the others"
    )
    with pytest.raises(DatasetError, match=re.escape(message)):
        ItemSet(folder)


@pytest.mark.parametrize("role", ["ref", "p0", "p1", "judge"])
def test_an_extra_file_is_named(tmp_path: Path, role: str) -> None:
    folder = write_set(tmp_path)
    suffix = ".npy" if role == "judge" else ".png"
    (folder.path / role / f"000009{suffix}").write_bytes((folder.path / role / f"000001{suffix}").read_bytes())
    with pytest.raises(DatasetError, match=rf"item 000009 has a file in {role}/ but none in "):
        ItemSet(folder)


def test_the_number_of_missing_files_is_told(tmp_path: Path) -> None:
    folder = write_set(tmp_path)
    for item in ("000000", "000002"):
        (folder.path / "p1" / f"{item}.png").unlink()
    with pytest.raises(DatasetError, match=r"item 000000 has .* none in p1/ \(and 1 more items\)"):
        ItemSet(folder)


@pytest.mark.parametrize("role", ["ref", "p0", "p1", "judge"])
def test_a_missing_folder_is_named(tmp_path: Path, role: str) -> None:
    folder = write_set(tmp_path)
    (folder.path / role).rename(tmp_path / "away")
    with pytest.raises(DatasetError, match=re.escape(f"{folder.path / role}: no such folder")):
        ItemSet(folder)


@pytest.mark.parametrize("task", ["2afc", "jnd"])
def test_an_empty_set_is_named(tmp_path: Path, task: Task) -> None:
    folder = write_set(tmp_path, task, ids=())
    with pytest.raises(DatasetError, match=re.escape(f"{folder.path}: the set is empty")):
        ItemSet(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("p0/Thumbs.db", "p0/Thumbs.db: does not belong here; expected .bmp, .gif"),
        ("judge/000001.txt", "judge/000001.txt: does not belong here; expected .npy"),
        ("p1/000001.jpg", "p1: two files for item 000001; keep one"),
    ],
)
def test_files_that_do_not_belong_are_named(tmp_path: Path, name: str, message: str) -> None:
    folder = write_set(tmp_path)
    (folder.path / name).write_bytes(b"")
    with pytest.raises(DatasetError, match=re.escape(f"{folder.path}/{message}")):
        ItemSet(folder)


@pytest.mark.parametrize("load", ["official", "exact", "native"])
@pytest.mark.parametrize("content", [b"", b"hello", encode_png(noise(1))[:-20]], ids=["empty", "text", "cut"])
def test_an_unreadable_image_is_named(tmp_path: Path, load: LoadMode, content: bytes) -> None:
    folder = write_set(tmp_path)
    (folder.path / "p0" / "000000.png").write_bytes(content)
    with pytest.raises(ImageError, match=re.escape(f"{folder.path / 'p0' / '000000.png'}: ")):
        list(ItemSet(folder).batches(load=load))


def test_images_of_one_item_must_have_one_size(tmp_path: Path) -> None:
    folder = write_set(tmp_path)
    (folder.path / "p1" / "000001.png").write_bytes(encode_png(flat(0, 12)[:10]))
    message = f"{folder.path}: item 000001: images differ in size (ref 8x8, p0 8x8, p1 12x10); they must be equal"
    with pytest.raises(ImageError, match=re.escape(message)):
        list(ItemSet(folder).batches(load="native"))


def test_a_reference_of_another_size_is_refused_though_official_shrinks_all_to_one(tmp_path: Path) -> None:
    folder = write_set(tmp_path)
    (folder.path / "ref" / "000001.png").write_bytes(encode_png(flat(0, 16)))
    with pytest.raises(ImageError, match=r"item 000001: images differ in size \(ref 16x16, p0 8x8, p1 8x8\)"):
        list(ItemSet(folder).batches(load="official"))


# --- load modes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [64, 63])
def test_the_load_modes_of_an_enlarged_file(tmp_path: Path, n: int, enlarge: Enlarge) -> None:
    folder = write_set(tmp_path, ids=["0"], image=lambda _, role: enlarge(noise(role, n)))
    items = ItemSet(folder)
    (official,), (exact,), (native,) = (list(items.batches(load=mode)) for mode in ("official", "exact", "native"))
    for role, name in enumerate(ROLES["2afc"]):
        with Image.open(folder.path / name / "0.png") as opened:
            file = opened.convert("RGB")
        np.testing.assert_array_equal(native.images[role][0], np.asarray(file))
        np.testing.assert_array_equal(exact.images[role][0], noise(role, n))
        shrunk = np.asarray(file.resize((64, 64), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(official.images[role][0], shrunk)
        assert not np.array_equal(shrunk, np.asarray(file.resize((64, 64), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize("low", [0, 250, 255])
@pytest.mark.parametrize("grid", [False, True])
def test_official_is_pillow_for_dark_bright_and_contrasting_patches(
    tmp_path: Path, low: int, grid: bool, enlarge: Enlarge
) -> None:
    rng = np.random.default_rng(low)

    def image(item: str, role: int) -> Pixels:
        patch = rng.integers(low, 256, (64, 64, 3), dtype=np.uint8)
        if grid:  # nothing but the two ends
            patch = np.where(rng.random(patch.shape) < 0.5, np.uint8(low), np.uint8(255))
        return enlarge(patch)

    folder = write_set(tmp_path, "jnd", ids=["0", "1"], image=image, label=lambda _: 0)
    (batch,) = ItemSet(folder).batches(load="official")
    for role, name in enumerate(("p0", "p1")):
        for row, item in enumerate(("0", "1")):
            with Image.open(folder.path / name / f"{item}.png") as opened:
                wanted = np.asarray(opened.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR))
            np.testing.assert_array_equal(batch.images[role][row], wanted)


def test_official_is_pillow_for_an_enlargement_with_one_pixel_changed(tmp_path: Path, enlarge: Enlarge) -> None:
    file = enlarge(noise(5, 64))
    file[100, 31, 2] ^= 0x80
    folder = write_set(tmp_path, "jnd", ids=["0"], image=lambda item, role: file)
    (batch,) = ItemSet(folder).batches(load="official")
    wanted = Image.fromarray(file).resize((64, 64), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(batch.images[0][0], np.asarray(wanted))


def test_official_leaves_a_patch_alone_and_shrinks_all_else(tmp_path: Path) -> None:
    folder = write_set(tmp_path, "jnd", ids=["0"], image=lambda _, role: noise(role, 64))
    (batch,) = ItemSet(folder).batches(load="official")
    np.testing.assert_array_equal(batch.images[1][0], noise(1, 64))
    items = ItemSet(write_set(tmp_path / "big", ids=["0"], image=lambda _, role: noise(role, 100)))
    (batch,) = items.batches(load="official")
    assert batch.images[0].shape == (1, 64, 64, 3)
    (batch,) = items.batches()
    assert batch.images[0].shape == (1, 100, 100, 3)


def test_exact_names_a_file_that_was_not_made_as_bapps_files_were(tmp_path: Path, enlarge: Enlarge) -> None:
    folder = write_set(
        tmp_path,
        image=lambda item, role: noise(1, 64) if (item, role) == ("000001", 2) else enlarge(noise(role, 16)),
    )
    file = folder.path / "p1" / "000001.png"
    with pytest.raises(ImageError, match=re.escape(f"{file}: enlarging its pixels again does not give the file back")):
        list(ItemSet(folder).batches(load="exact"))


def test_official_refuses_what_is_not_square(tmp_path: Path) -> None:
    folder = write_set(tmp_path, ids=["0"], image=lambda _, role: noise(role, 80)[:70])
    message = f"{folder.path / 'ref' / '0.png'}: is 80x70; the load mode official takes square patches, use native"
    with pytest.raises(ImageError, match=re.escape(message)):
        list(ItemSet(folder).batches(load="official"))
    (batch,) = ItemSet(folder).batches(load="native")
    assert batch.images[0].shape == (1, 70, 80, 3)


def test_real_files_are_enlargements_as_described(shared_data: Path) -> None:
    root = shared_data / "bapps-mini"
    sets = sorted((root / "2afc" / "val").iterdir())
    count = 0
    for path in sets:
        items = ItemSet(SetFolder(root, "2afc", "val", path.name))
        exact = [
            image
            for batch in items.batches(load="exact")
            for triple in zip(*batch.images, strict=True)
            for image in triple
        ]
        native = [
            image
            for batch in items.batches(load="native")
            for triple in zip(*batch.images, strict=True)
            for image in triple
        ]
        official = [
            image for batch in items.batches() for triple in zip(*batch.images, strict=True) for image in triple
        ]
        for small, file in zip(official, native, strict=True):
            wanted = Image.fromarray(file).resize((64, 64), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(small, np.asarray(wanted))
        for patch, file in zip(exact, native, strict=True):
            assert file.shape in {(256, 256, 3), (252, 252, 3)}
            if file.shape[0] == 256:
                np.testing.assert_array_equal(patch, file[1::4, 1::4])
            count += 1
    assert count == 144


def test_a_batch_of_large_images_is_small_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_PIXELS_AT_A_TIME", 500)
    sides = [8, 8, 20, 8, 40, 20, 8]
    folder = write_set(
        tmp_path,
        ids=[f"{k:06d}" for k in range(7)],
        image=lambda item, role: flat(role, sides[int(item)]),
        label=lambda _: 0.5,
    )
    batches = list(ItemSet(folder).batches(load="native"))
    assert [batch.images[0].shape[:2] for batch in batches] == [(4, 8), (1, 20), (1, 20), (1, 40)]
    assert sorted(item for batch in batches for item in batch.ids) == sorted(f"{k:06d}" for k in range(7))
