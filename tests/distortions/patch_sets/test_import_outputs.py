"""Triplets from images that other programs made."""

import dataclasses
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image
from scipy.ndimage import shift as scipy_shift

from bapps_builder.errors import BappsError, ImageError, Notice, PatchSetError
from bapps_builder.images.image_files import encode_png, read_image
from bapps_builder.patch_sets.patch_set import read_patch_set
from distortions.patch_sets.import_outputs import ImportSettings, import_outputs
from distortions.patch_sets.outside_images import fitted, pair_files, registrations, shift
from distortions.workers import Workers

SETTINGS = ImportSettings(60, "codecs", "val", seed=2)
PHOTO = skimage.data.astronaut()


@pytest.fixture(scope="module")
def folders(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Outputs of three algorithms for the photos: blurred, as JPEG, and moved by a pixel and a half."""
    root = tmp_path_factory.mktemp("outputs")
    for path in photos.rglob("*.png"):
        pixels = read_image(path)
        name = path.relative_to(photos)
        moved = np.clip(np.rint(scipy_shift(pixels.astype(float), (0, 1.5, 0), order=1, mode="mirror")), 0, 255)
        for algorithm, image in (
            ("blur", np.asarray(cv2.GaussianBlur(pixels, (0, 0), 1), np.uint8)),
            ("moved", moved.astype(np.uint8)),
            ("jpeg", pixels),
        ):
            target = root / algorithm / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if algorithm == "jpeg":
                Image.fromarray(image).save(target.with_suffix(".jpg"), quality=20)
            else:
                target.write_bytes(encode_png(image))
    return {name: root / name for name in ("blur", "moved", "jpeg")}


def test_triplets_are_cut_from_one_place(photos: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    import_outputs(SETTINGS, reference=photos, outputs=folders, folder=tmp_path / "set")
    found = read_patch_set(tmp_path / "set")
    assert (len(found), found.task, found[0].set) == (60, "2afc", "codecs")
    for item in found:
        left, top, width, height = item.box
        reference = read_image(photos / item.photo)
        images = {"ref": reference}
        for role, made in (("p0", item.p0), ("p1", item.p1)):
            path = folders[made.recipe] / item.photo
            images[role] = read_image(path.with_suffix(".jpg") if made.recipe == "jpeg" else path)
        for role, image in images.items():
            np.testing.assert_array_equal(found.read(item, role), image[top : top + height, left : left + width])
    assert set(Counter(item.photo for item in found).values()) == {12}
    pairs = Counter(frozenset((item.p0.recipe, item.p1.recipe)) for item in found)
    assert pairs == {frozenset(pair): 20 for pair in combinations(folders, 2)}
    # Sides at random: each algorithm is on both.
    assert {item.p0.recipe for item in found} == {item.p1.recipe for item in found} == set(folders)


def test_misregistration_is_found_and_kept(photos: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    found = import_outputs(SETTINGS, reference=photos, outputs=folders, folder=tmp_path / "set")
    by_name = {entry.algorithm: entry for entry in found}
    assert list(by_name) == ["blur", "moved", "jpeg"]
    assert by_name["moved"].median == pytest.approx(1.5, abs=0.02)
    assert by_name["moved"].share == 1
    for name in ("blur", "jpeg"):
        assert by_name[name].median < 0.1
        assert by_name[name].share == 0
    listed = read_patch_set(tmp_path / "set").description.findings["registration"]
    assert listed == [dataclasses.asdict(entry) for entry in found]


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (0.5, 0), (-1.25, 2.5), (7, -3)])
def test_shifts_are_measured_in_pixels(dx: float, dy: float) -> None:
    moved = scipy_shift(PHOTO.astype(float), (dy, dx, 0), order=3, mode="mirror")
    found = shift(PHOTO, np.clip(np.rint(moved), 0, 255).astype(np.uint8))
    assert found == pytest.approx(np.hypot(dx, dy), abs=0.02)


def test_the_same_files_for_any_workers_and_after_an_interruption(
    photos: Path, folders: dict[str, Path], tmp_path: Path, digest: Callable[[Path], dict[str, str]]
) -> None:
    settings = dataclasses.replace(SETTINGS, rescale=(0.5, 1.0))

    def stop(steps: int) -> None:
        raise KeyboardInterrupt

    import_outputs(settings, reference=photos, outputs=folders, folder=tmp_path / "one")
    import_outputs(settings, reference=photos, outputs=folders, folder=tmp_path / "two", workers=Workers(2))
    with pytest.raises(KeyboardInterrupt):
        import_outputs(settings, reference=photos, outputs=folders, folder=tmp_path / "three", advance=stop)
    import_outputs(settings, reference=photos, outputs=folders, folder=tmp_path / "three")
    first = digest(tmp_path / "one")
    assert len(first) == 182
    assert digest(tmp_path / "two") == first
    assert digest(tmp_path / "three") == first
    found = read_patch_set(tmp_path / "one")
    assert len({item.scale for item in found}) == 60
    item = found[0]
    with Image.open(photos / item.photo) as photo:
        x, y, width, height = (value / item.scale for value in item.box)
        wanted = photo.resize((64, 64), Image.Resampling.BICUBIC, box=(x, y, x + width, y + height))
    assert np.abs(found.read(item, "ref").astype(int) - np.asarray(wanted)).mean() < 0.5
    with pytest.raises(PatchSetError, match=r"made otherwise: algorithms was .* and is .*images_sha256"):
        import_outputs(settings, reference=photos, outputs=dict(list(folders.items())[:2]), folder=tmp_path / "one")


def test_outputs_are_resized_to_their_reference() -> None:
    half = np.asarray(Image.fromarray(PHOTO[:300, :401]).resize((200, 150), Image.Resampling.BICUBIC))
    for scale in (None, 2.0):
        found = fitted(half, PHOTO[:300, :401], scale=scale, name="x")
        np.testing.assert_array_equal(
            found, np.asarray(Image.fromarray(half).resize((401, 300), Image.Resampling.BICUBIC))
        )
    same = fitted(PHOTO, PHOTO, scale=1, name="x")
    assert same is PHOTO


@pytest.mark.parametrize(
    ("size", "scale", "message"),
    [
        ((150, 200), 1, "x: is 200x150, its reference 400x300; name the factor with --scale, or say --scale auto"),
        ((150, 200), 3, "name the factor with --scale"),
        ((299, 400), 1, "x: is 400x299, its reference 400x300; name the factor"),
        ((150, 190), None, "x: is 190x150, its reference 400x300; its proportions differ"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(size: tuple[int, int], scale: float | None, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        fitted(np.zeros((*size, 3), np.uint8), PHOTO[:300, :400], scale=scale, name="x")


def test_files_are_paired_by_name(photos: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    found = pair_files(photos, folders)
    assert [images.name for images in found] == ["a.png", "b.png", "c.png", "d.png", "more/a.png"]
    assert found[4].outputs["jpeg"] == folders["jpeg"] / "more" / "a.jpg"
    copy = tmp_path / "copy"
    shutil.copytree(folders["blur"], copy)
    (copy / ".hidden.png").write_bytes(b"")
    assert len(pair_files(photos, {"blur": copy})) == 5
    (copy / "extra.png").write_bytes((copy / "a.png").read_bytes())
    with pytest.raises(ImageError, match=r"extra\.png: no reference extra in .*; remove it or add the reference"):
        pair_files(photos, {"blur": copy})
    (copy / "extra.png").rename(copy / "a.jpg")
    with pytest.raises(ImageError, match="copy: two files are called a; keep one"):
        pair_files(photos, {"blur": copy})
    (copy / "a.jpg").unlink()
    (copy / "more" / "a.png").unlink()
    with pytest.raises(ImageError, match=r"copy: no output of blur for more/a \(1 of 5 missing\)"):
        pair_files(photos, {"blur": copy})
    shutil.rmtree(copy)
    with pytest.raises(ImageError, match="copy: no such folder of images"):
        pair_files(photos, {"blur": copy})
    copy.mkdir()
    with pytest.raises(ImageError, match="copy: no images in it"):
        pair_files(photos, {"blur": copy})


def test_shares_and_medians() -> None:
    from distortions.patch_sets.outside_images import Images, Look

    images = Images("a", Path(), {})
    looks = [Look(images, {}, {"x": value, "y": 0.5}) for value in (0.1, 0.6, 0.2, 3.0, 0.3)]
    x, y = registrations(looks)
    assert (x.algorithm, x.median, x.share) == ("x", 0.3, 0.4)
    assert (y.median, y.share) == (0.5, 0)


@pytest.mark.parametrize(
    ("change", "algorithms", "message"),
    [
        ({}, 1, "a triplet needs the outputs of two algorithms, got 1"),
        ({"items": 0}, 2, "items must be in"),
        ({"rescale": (1.0, 0.5)}, 2, "rescale must be two numbers"),
        ({"scale": -1.0}, 2, "scale must be above 0"),
        ({"rescale": (0.05, 0.1)}, 2, r"but a patch needs at least 640x640 pixels"),
    ],
)
def test_bad_settings_write_nothing(
    photos: Path, folders: dict[str, Path], tmp_path: Path, change: dict[str, Any], algorithms: int, message: str
) -> None:
    outputs = dict(list(folders.items())[:algorithms])
    settings = dataclasses.replace(SETTINGS, **change)
    with pytest.raises(BappsError, match=message):
        import_outputs(settings, reference=photos, outputs=outputs, folder=tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_damaged_output_writes_nothing(photos: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folders["blur"], copy)
    (copy / "c.png").write_bytes((copy / "c.png").read_bytes()[:20_000])
    for workers in (1, 2):
        with pytest.raises(ImageError, match=r"copy/c\.png: truncated PNG"):
            import_outputs(
                SETTINGS,
                reference=photos,
                outputs={"a": copy, "b": folders["jpeg"]},
                folder=tmp_path / "set",
                workers=Workers(workers),
            )
    assert not (tmp_path / "set").exists()


def test_outputs_find_references_whose_zeros_they_lost(tmp_path: Path) -> None:
    kept = ("000000", "000001", "000120")
    for folder, names in (("originals", kept), ("a", kept), ("b", ("0", "1", "120"))):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.png").touch()
    with pytest.warns(Notice, match="b: 3 ids had lost their zeros and were padded, as '"):
        found = pair_files(tmp_path / "originals", {name: tmp_path / name for name in "ab"})
    assert [images.outputs["b"].stem for images in found] == ["0", "1", "120"]
