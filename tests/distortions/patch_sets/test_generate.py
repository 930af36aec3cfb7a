"""Patch sets from photos: the same files whoever makes them and however often they are interrupted."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bapps_builder.errors import BappsError, ImageError, PatchSetError
from bapps_builder.images.image_files import encode_png, read_image
from bapps_builder.layout import Task
from bapps_builder.patch_sets.manifest import item_id
from bapps_builder.patch_sets.patch_set import PatchSet, patch_path, read_patch_set
from distortions.crops import contrast
from distortions.patch_sets import generate as generate_module
from distortions.patch_sets.generate import generate, units
from distortions.patch_sets.replay import replay
from distortions.patch_sets.sampling import TASK_LAWS, Settings
from distortions.photos import Photo, Skipped
from distortions.workers import Workers

Digest = Callable[[Path], dict[str, str]]

SETTINGS = Settings(60, "2afc", "traditional", "val", seed=3, severity_law="uniform")


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units of four items, for work in this process."""
    monkeypatch.setattr(generate_module, "_UNIT", 4)
    monkeypatch.setattr(generate_module, "_PIXELS_AN_ITEM", 10**9)


@pytest.fixture(scope="module")
def reference(photos: Path, digest: Digest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every file of the set that one process makes undisturbed."""
    folder = tmp_path_factory.mktemp("reference") / "set"
    assert generate(SETTINGS, photos=[photos], folder=folder).new
    return digest(folder)


# --- what is made ------------------------------------------------------------------------------------


def test_a_2afc_set_is_what_its_manifest_says(photos: Path, tmp_path: Path) -> None:
    generate(SETTINGS, photos=[photos], folder=tmp_path / "set")
    found = read_patch_set(tmp_path / "set")
    assert (len(found), found.task, found.roles) == (60, "2afc", ("ref", "p0", "p1"))
    assert sorted(entry.name for entry in found.folder.iterdir()) == [
        "manifest.parquet",
        "p0",
        "p1",
        "patchset.json",
        "ref",
    ]
    for item in found:
        left, top, width, height = item.box
        photo = read_image(photos / item.photo)
        np.testing.assert_array_equal(found.read(item, "ref"), photo[top : top + height, left : left + width])
        inside = 16 <= left <= photo.shape[1] - 80 and 16 <= top <= photo.shape[0] - 80
        assert item.border == ("image" if inside else "reflected")
        assert (item.set, item.split, item.scale, (width, height)) == ("traditional", "val", 1.0, (64, 64))
        assert item.p0.recipe != item.p1.recipe
        for role in ("p0", "p1"):
            assert found.read(item, role).shape == (64, 64, 3)
    assert {item.border for item in found} == {"image", "reflected"}
    assert len({item.seed for item in found}) == 60
    assert set(Counter(item.photo for item in found).values()) == {12}


def test_a_jnd_set_has_the_original_as_p0(photos: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, task="jnd", severity_law="threshold", split="train", items=20)
    generate(settings, photos=[photos], folder=tmp_path / "set")
    found = read_patch_set(tmp_path / "set")
    assert found.roles == ("p0", "p1")
    assert not (found.folder / "ref").exists()
    for item in found:
        left, top, _, _ = item.box
        photo = read_image(photos / item.photo)
        np.testing.assert_array_equal(found.read(item, "p0"), photo[top : top + 64, left : left + 64])
        assert (item.p0.recipe, item.p0.severity, item.ref_sha256, item.split) == ("identity", (), None, "train")
        assert item.p1.recipe != "identity"


def test_the_description_says_everything(photos: Path, tmp_path: Path) -> None:
    generate(dataclasses.replace(SETTINGS, rescale=(0.4, 0.9)), photos=[photos], folder=tmp_path / "set")
    content = json.loads((tmp_path / "set" / "patchset.json").read_text())
    assert content["format"] == 2
    assert content["seed"] == 3
    assert content["tool"].startswith("bapps-distort generate ")
    assert content["versions"].keys() == {"numpy", "opencv", "pillow", "zlib-ng"}
    wanted = {
        "items": 60,
        "task": "2afc",
        "family": "traditional",
        "rescale": [0.4, 0.9],
        "min_contrast": 0.0,
        "margin": 16,
        "severity_scale": 2,
        "photos": 5,
    }
    assert wanted.items() <= content["settings"].items()
    findings = {"folders": [str(photos)], "skipped": [], "redrawn": {"strength": 0, "place": 0, "photo": 0}}
    assert content["findings"] == findings


def test_rescale_and_contrast_are_kept(photos: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, rescale=(0.45, 0.8), min_contrast=30)
    generate(settings, photos=[photos], folder=tmp_path / "set")
    found = read_patch_set(tmp_path / "set")
    assert all(0.43 <= item.scale <= 0.8 for item in found)
    assert all(contrast(found.read(item, "ref")) >= 30 for item in found)
    item = found[0]
    with Image.open(photos / item.photo) as photo:
        x, y, width, height = (value / item.scale for value in item.box)
        wanted = photo.resize((64, 64), Image.Resampling.BICUBIC, box=(x, y, x + width, y + height))
    assert np.abs(found.read(item, "ref").astype(int) - np.asarray(wanted)).mean() < 0.5


def test_a_longer_set_begins_with_the_shorter_one(
    photos: Path, tmp_path: Path, reference: dict[str, str], digest: Digest
) -> None:
    generate(dataclasses.replace(SETTINGS, items=80), photos=[photos], folder=tmp_path / "set")
    longer = digest(tmp_path / "set")
    images = {name: value for name, value in reference.items() if name.endswith(".png")}
    assert len(images) == 180
    assert images.items() <= longer.items()


# --- the same, whoever makes it ----------------------------------------------------------------------


def test_workers_do_not_matter(photos: Path, tmp_path: Path, reference: dict[str, str], digest: Digest) -> None:
    generate(SETTINGS, photos=[photos], folder=tmp_path / "set", workers=Workers(2))
    assert digest(tmp_path / "set") == reference


def test_units_do_not_matter(
    photos: Path, tmp_path: Path, reference: dict[str, str], digest: Digest, small_units: None
) -> None:
    steps: list[int] = []
    generate(SETTINGS, photos=[photos], folder=tmp_path / "set", advance=steps.append)
    assert digest(tmp_path / "set") == reference
    assert sum(steps) == 60
    assert max(steps) == 4


def test_other_seeds_make_other_sets(photos: Path, tmp_path: Path, reference: dict[str, str], digest: Digest) -> None:
    generate(dataclasses.replace(SETTINGS, seed=4), photos=[photos], folder=tmp_path / "set")
    other = digest(tmp_path / "set")
    assert other.keys() == reference.keys()
    assert not set(other.values()) & set(reference.values())


def interrupted(folder: Path, photos: Path, *, after: int) -> None:
    """Begin a set, and have the user interrupt it after some units."""
    left = iter(range(after))

    def advance(steps: int) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(SETTINGS, photos=[photos], folder=folder, advance=advance)
    assert not (folder / "patchset.json").exists()


def test_an_interrupted_set_goes_on_and_redoes_nothing(
    photos: Path, tmp_path: Path, reference: dict[str, str], digest: Digest, small_units: None
) -> None:
    folder = tmp_path / "set"
    interrupted(folder, photos, after=5)
    with pytest.raises(PatchSetError, match="an unfinished patch set; run its command again"):
        read_patch_set(folder)
    done = {path: path.stat().st_mtime_ns for path in (folder / "p1").iterdir()}
    assert len(done) == 24
    assert generate(SETTINGS, photos=[photos], folder=folder).new
    assert digest(folder) == reference
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert not generate(SETTINGS, photos=[photos], folder=folder).new
    assert digest(folder) == reference


def test_a_kill_between_the_last_steps_leaves_nothing_behind(
    photos: Path, tmp_path: Path, digest: Digest, reference: dict[str, str]
) -> None:
    generate(SETTINGS, photos=[photos], folder=tmp_path / "set")
    (tmp_path / "set" / ".unfinished").mkdir()
    assert not generate(SETTINGS, photos=[photos], folder=tmp_path / "set").new
    assert digest(tmp_path / "set") == reference


def command(folder: Path, photos: Path, *, items: int, workers: int) -> subprocess.Popen[bytes]:
    options = ["--photos", photos, "--out", folder, "--items", items, "--seed", 3, "--workers", workers]
    script = f"from distortions.commands.bapps_distort import distort; distort({['generate', *map(str, options)]})"
    return subprocess.Popen([sys.executable, "-c", script], start_new_session=True, stderr=subprocess.DEVNULL)


def killed_in_the_middle(folder: Path, photos: Path, *, items: int) -> bool:
    """Kill a run when a part of it is done; False if it was faster."""
    process = command(folder, photos, items=items, workers=2)
    try:
        while process.poll() is None and not list(folder.glob(".unfinished/part-*.parquet")):
            time.sleep(0.005)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return not (folder / "manifest.parquet").exists()


def check_kill(folder: Path, photos: Path, digest: Digest, *, items: int) -> None:
    for _ in range(5):
        if killed_in_the_middle(folder / "killed", photos, items=items):
            break
        shutil.rmtree(folder / "killed")
    else:
        pytest.fail("each run ended before it could be killed")
    settings = dataclasses.replace(SETTINGS, items=items)
    assert generate(settings, photos=[photos], folder=folder / "killed", workers=Workers(2)).new
    assert generate(settings, photos=[photos], folder=folder / "whole", workers=Workers(1)).new
    assert len(read_patch_set(folder / "killed")) == items
    assert digest(folder / "killed") == digest(folder / "whole")


def test_a_killed_run_goes_on(photos: Path, tmp_path: Path, digest: Digest) -> None:
    check_kill(tmp_path, photos, digest, items=600)


@pytest.mark.slow
def test_a_killed_run_of_ten_thousand_goes_on(shared_data: Path, tmp_path: Path, digest: Digest) -> None:
    check_kill(tmp_path, shared_data / "kodak", digest, items=10_000)


def test_a_dask_cluster_makes_the_same_set_and_hands_errors_on(
    cluster: str, photos: Path, tmp_path: Path, reference: dict[str, str], digest: Digest, small_units: None
) -> None:
    folder, workers = tmp_path / "set", Workers(dask=cluster)
    interrupted(folder, photos, after=5)
    full = fill_disk_for_one_patch(folder)
    with pytest.raises(PatchSetError, match="No space left on device"):
        generate(SETTINGS, photos=[photos], folder=folder, workers=workers)
    full.unlink()
    generate(SETTINGS, photos=[photos], folder=folder, workers=workers)
    assert digest(folder) == reference


def fill_disk_for_one_patch(folder: Path) -> Path:
    """Let the first patch that is not made yet meet the kernel's own disk without space."""
    missing = next(index for index in range(60) if not patch_path(folder, "p0", item_id(index)).exists())
    full = patch_path(folder, "p0", item_id(missing))
    full.symlink_to("/dev/full")
    return full


# --- photos that are no good -------------------------------------------------------------------------


@pytest.fixture
def damaged(photos: Path, tmp_path: Path) -> Path:
    """The photos, one of them with an intact header and cut off behind it."""
    folder = tmp_path / "damaged"
    shutil.copytree(photos, folder)
    (folder / "b.png").write_bytes((photos / "b.png").read_bytes()[:30_000])
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_a_photo_that_proves_damaged_is_replaced(damaged: Path, tmp_path: Path, digest: Digest, workers: int) -> None:
    skipped: list[Skipped] = []
    folder = tmp_path / f"set{workers}"
    generate(SETTINGS, photos=[damaged], folder=folder, workers=Workers(workers), skip=skipped.append)
    found = read_patch_set(folder)
    assert [entry.photo for entry in skipped] == ["b.png"]
    (listed,) = found.description.findings["skipped"]
    assert listed["photo"] == "b.png"
    assert listed["reason"].startswith("truncated PNG (30000 bytes")
    used = Counter(item.photo for item in found)
    assert used.keys() == {"a.png", "c.png", "d.png", "more/a.png"}
    assert set(used.values()) == {15}
    # Items of other photos are those of an undamaged collection: each depends on its photo and number alone.
    if workers == 2:
        generate(SETTINGS, photos=[damaged], folder=tmp_path / "again")
        assert digest(folder) == digest(tmp_path / "again")


def test_too_many_damaged_photos_end_the_run(damaged: Path, tmp_path: Path) -> None:
    (damaged / "c.png").write_bytes((damaged / "c.png").read_bytes()[:30_000])
    with pytest.raises(
        ImageError, match=r"2 of 5 photos cannot be used, the first [bc]\.png .* up to 1 would be skipped"
    ):
        generate(SETTINGS, photos=[damaged], folder=tmp_path / "set")
    assert generate(SETTINGS, photos=[damaged], folder=tmp_path / "set", max_skipped_share=0.4).new


def test_flat_photos_hand_their_items_on(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    (folder / "flat.png").write_bytes(encode_png(np.full((200, 200, 3), 50, np.uint8)))
    settings = dataclasses.replace(SETTINGS, min_contrast=15)
    generate(settings, photos=[folder], folder=tmp_path / "set")
    found = read_patch_set(tmp_path / "set")
    assert len(found) == 60
    assert "flat.png" not in {item.photo for item in found}
    assert found.description.findings["skipped"] == []
    with pytest.raises(PatchSetError, match="found no patch with a contrast of 127 in 20 photos; lower --min-contrast"):
        generate(dataclasses.replace(settings, min_contrast=127, items=3), photos=[folder], folder=tmp_path / "none")


# --- patches that come out the same -------------------------------------------------------------------


def identical_pairs(found: PatchSet) -> int:
    """How many items have two patches of the same pixels."""
    return sum(len({item.digest(role) for role in found.roles}) < len(found.roles) for item in found)


def test_what_a_distortion_does_not_change_is_drawn_again(photos: Path, tmp_path: Path, digest: Digest) -> None:
    """A photo of which the lower part is a flat sky: there, whatever moves or blurs pixels changes nothing."""
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    half = read_image(photos / "a.png").copy()
    half[len(half) // 4 :] = 50
    (folder / "half.png").write_bytes(encode_png(half))
    settings = dataclasses.replace(SETTINGS, task="jnd", severity_law="threshold", items=600)
    generate(settings, photos=[folder], folder=tmp_path / "set")
    found = read_patch_set(tmp_path / "set")
    assert identical_pairs(found) == 0
    redrawn = found.description.findings["redrawn"]
    assert redrawn["strength"] > 0
    assert redrawn["place"] > 0
    assert all(entry.same for entry in replay(found, range(600), folder=tmp_path / "again"))
    generate(settings, photos=[folder], folder=tmp_path / "workers", workers=Workers(2))
    assert digest(tmp_path / "workers") == digest(tmp_path / "set")


def test_the_count_of_what_was_drawn_again_outlives_an_interruption(
    photos: Path, tmp_path: Path, small_units: None
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    (folder / "flat.png").write_bytes(encode_png(np.full((200, 200, 3), 50, np.uint8)))
    settings = dataclasses.replace(SETTINGS, task="jnd")
    generate(settings, photos=[folder], folder=tmp_path / "whole")
    whole = read_patch_set(tmp_path / "whole")
    assert whole.description.findings["redrawn"]["photo"] > 0
    assert "flat.png" not in {item.photo for item in whole if item.p1.family == "spatial"}
    left = iter(range(8))

    def advance(steps: int) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(settings, photos=[folder], folder=tmp_path / "cut", advance=advance)
    generate(settings, photos=[folder], folder=tmp_path / "cut")
    assert read_patch_set(tmp_path / "cut").description.findings == whole.description.findings


def test_flat_photos_alone_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_module, "_ATTEMPTS", 1)
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "flat.png").write_bytes(encode_png(np.full((200, 200, 3), 50, np.uint8)))
    settings = dataclasses.replace(SETTINGS, task="jnd", items=12)
    with pytest.raises(PatchSetError, match=r"\d items found no patch that its distortions change in 1 photos; the"):
        generate(settings, photos=[folder], folder=tmp_path / "set")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["jnd", "2afc"])
def test_no_pair_of_ten_thousand_is_identical(shared_data: Path, tmp_path: Path, task: Task) -> None:
    settings = dataclasses.replace(SETTINGS, task=task, severity_law=TASK_LAWS[task], items=10_000)
    generate(settings, photos=[shared_data / "kodak"], folder=tmp_path / "set", workers=Workers(2))
    assert identical_pairs(read_patch_set(tmp_path / "set")) == 0


def test_photos_smaller_than_a_patch_after_rescaling_are_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"5 of 5 photos cannot be used, .* but a patch needs at least 640x640 pixels"):
        generate(dataclasses.replace(SETTINGS, rescale=(0.05, 0.1)), photos=[photos], folder=tmp_path / "set")
    assert not (tmp_path / "set").exists()


# --- folders and settings that are no good -----------------------------------------------------------


def test_a_folder_with_other_settings_is_refused(photos: Path, tmp_path: Path, small_units: None) -> None:
    folder = tmp_path / "set"
    interrupted(folder, photos, after=2)
    other = dataclasses.replace(SETTINGS, seed=4, min_contrast=5)
    message = r"made otherwise: seed was 3 and is 4; min_contrast was 0\.0 and is 5\. Choose a new folder"
    with pytest.raises(PatchSetError, match=message):
        generate(other, photos=[photos], folder=folder)
    generate(SETTINGS, photos=[photos], folder=folder)
    with pytest.raises(PatchSetError, match=message):
        generate(other, photos=[photos], folder=folder)
    with pytest.raises(PatchSetError, match=r"photos was 5 and is 1; photos_sha256 was '.*' and is '.*'"):
        generate(SETTINGS, photos=[photos / "more"], folder=folder)


def test_a_folder_with_other_files_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.tex").write_text("precious")
    with pytest.raises(PatchSetError, match="set: holds other files and no patch set; choose a new folder"):
        generate(SETTINGS, photos=[photos], folder=tmp_path / "set")
    with pytest.raises(PatchSetError, match=r"thesis\.tex: holds other files"):
        generate(SETTINGS, photos=[photos], folder=tmp_path / "set" / "thesis.tex")
    with pytest.raises(OSError, match="Not a directory"):
        generate(SETTINGS, photos=[photos], folder=tmp_path / "set" / "thesis.tex" / "below")


def test_a_full_disk_is_said_and_what_is_done_stays(
    photos: Path, tmp_path: Path, reference: dict[str, str], digest: Digest, small_units: None
) -> None:
    folder = tmp_path / "set"
    interrupted(folder, photos, after=5)
    full = fill_disk_for_one_patch(folder)
    parts = len(list(folder.glob(".unfinished/part-*.parquet")))
    with pytest.raises(PatchSetError, match=r"set: No space left on device; what is done stays, run"):
        generate(SETTINGS, photos=[photos], folder=folder)
    assert len(list(folder.glob(".unfinished/part-*.parquet"))) >= parts
    full.unlink()
    generate(SETTINGS, photos=[photos], folder=folder)
    assert digest(folder) == reference


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": 0}, r"items must be in \[1, 1000000\], got 0"),
        ({"items": 1_000_001}, "items must be in"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"rescale": (0.9, 0.5)}, "rescale must be two numbers 0 < low <= high"),
        ({"rescale": (0, 0.5)}, "rescale must be two numbers 0 < low <= high"),
    ],
)
def test_settings_are_checked_before_anything_is_made(
    photos: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BappsError, match=message):
        generate(dataclasses.replace(SETTINGS, **change), photos=[photos], folder=tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_no_scheduler_is_an_error(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distortions import workers

    monkeypatch.setattr(workers, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(PatchSetError, match=r"tcp://127\.0\.0\.1:9: no Dask scheduler answers there"):
        generate(SETTINGS, photos=[photos], folder=tmp_path / "set", workers=Workers(dask="tcp://127.0.0.1:9"))


def _die(task: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return task


def die_together() -> None:
    with Workers(2).mapped(_die, [1, 2]) as results:
        list(results)


def test_a_killed_worker_is_an_error() -> None:
    with pytest.raises(PatchSetError, match="a worker process was killed, perhaps because memory ran out; run"):
        die_together()


# --- units -------------------------------------------------------------------------------------------


def test_units_share_out_all_items_and_grow_with_the_photo() -> None:
    small, large = (Photo(f"{side}.png", Path(), "", side, side) for side in (100, 4000))
    found = units([small, large], range(20_000), dataclasses.replace(SETTINGS, seed=1), 0)
    assert sorted(index for unit in found for index in unit.indices) == list(range(20_000))
    assert len({unit.name for unit in found}) == len(found)
    sizes = {photo.name: [len(unit.indices) for unit in found if unit.photo == photo] for photo in (small, large)}
    assert sum(sizes["100.png"]) == sum(sizes["4000.png"]) == 10_000
    assert max(sizes["100.png"]) == 256
    assert max(sizes["4000.png"]) == 4000
