"""Imported sets of crops of any size, of whole images, and of JND; and which algorithms their items show."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from bapps_builder.errors import ImageError, PatchSetError
from bapps_builder.images.image_files import encode_png, read_image
from bapps_builder.layout import Task
from bapps_builder.patch_sets.patch_set import PatchSet, read_patch_set
from distortions.patch_sets.import_outputs import ImportSettings, import_outputs
from distortions.patch_sets.shown_algorithms import Pairs, choices, item_count, shown_in_items

ALGORITHMS = ("a", "b", "c")


@pytest.fixture(scope="module")
def folders(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Outputs of three algorithms: the photos darker by 10, 20 and 30 levels."""
    root = tmp_path_factory.mktemp("outputs")
    for path in photos.rglob("*.png"):
        for number, algorithm in enumerate(ALGORITHMS):
            target = root / algorithm / path.relative_to(photos)
            target.parent.mkdir(parents=True, exist_ok=True)
            pixels = read_image(path)
            target.write_bytes(encode_png(pixels - np.minimum(pixels, 10 * (number + 1))))
    return {name: root / name for name in ALGORITHMS}


def made(settings: ImportSettings, photos: Path, folders: dict[str, Path], target: Path) -> PatchSet:
    import_outputs(settings, reference=photos, outputs=folders, folder=target)
    return read_patch_set(target)


def check_pixels(found: PatchSet, photos: Path, folders: dict[str, Path]) -> None:
    """Every patch is a part of the file that its row names."""
    for item in found:
        left, top, width, height = item.box
        for role in found.roles:
            recipe = {"ref": "identity", "p0": item.p0.recipe, "p1": item.p1.recipe}[role]
            image = read_image((photos if recipe == "identity" else folders[recipe]) / item.photo)
            np.testing.assert_array_equal(found.read(item, role), image[top : top + height, left : left + width])


@pytest.mark.parametrize("pairs", ["even", "all"])
@pytest.mark.parametrize("task", ["2afc", "jnd"])
def test_crops_of_another_size(
    task: Task, pairs: Pairs, photos: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    settings = ImportSettings(30, "codecs", "val", seed=1, size=(120, 90), task=task, pairs=pairs)
    found = made(settings, photos, folders, tmp_path / "set")
    assert (len(found), found.task) == (30, task)
    assert {item.box[2:] for item in found} == {(120, 90)}
    assert found.description.settings["patch_size"] == [120, 90]
    check_pixels(found, photos, folders)
    assert set(Counter(item.photo for item in found).values()) == {6}
    shown = Counter(frozenset({item.p0.recipe, item.p1.recipe} - {"identity"}) for item in found)
    assert shown == {frozenset(pair): 10 for pair in combinations(ALGORITHMS, 2 if task == "2afc" else 1)}
    assert len({(item.photo, item.box) for item in found}) == (10 if pairs == "all" else 30)


@pytest.mark.parametrize("task", ["2afc", "jnd"])
def test_whole_images_of_several_sizes(task: Task, photos: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    found = made(ImportSettings(None, "whole", "val", seed=1, size=None, task=task), photos, folders, tmp_path / "set")
    assert len(found) == 15
    assert found.description.settings["patch_size"] == "full"
    assert len({item.box for item in found}) == 5
    check_pixels(found, photos, folders)
    shown = {(item.photo, frozenset({item.p0.recipe, item.p1.recipe})) for item in found}
    assert len(shown) == 15  # each image with each pair, once


def test_fewer_whole_images_come_evenly(photos: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    found = made(ImportSettings(7, "whole", "val", seed=4, size=None), photos, folders, tmp_path / "set")
    assert sorted(Counter(item.photo for item in found).values()) == [1, 1, 1, 2, 2]
    assert len({(item.photo, frozenset({item.p0.recipe, item.p1.recipe})) for item in found}) == 7


@pytest.mark.parametrize("task", ["2afc", "jnd"])
@pytest.mark.parametrize(("references", "algorithms", "items"), [(5, 4, 30), (7, 3, 20), (3, 5, 29), (1, 4, 6)])
def test_no_two_items_show_the_same_whole_images(task: Task, references: int, algorithms: int, items: int) -> None:
    names = [f"a{number}" for number in range(algorithms)]
    items = min(items, references * len(choices(task, names)))
    shown = shown_in_items(
        items, task=task, pairs="even", whole=True, references=references, algorithms=names, seed=items
    )
    assert len({(one.reference, frozenset(one.sides)) for one in shown}) == items
    counts = Counter(one.reference for one in shown)
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize(
    ("items", "pairs", "whole", "message"),
    [
        (None, "even", False, "how many crops to make is not said"),
        (16, "even", True, "5 references with 3 choices of algorithms give at most 15 items of whole images, got 16"),
        (10, "all", False, "items must be a multiple of 3, such as 9; got 10"),
    ],
)
def test_numbers_that_cannot_be(items: int | None, pairs: Pairs, whole: bool, message: str) -> None:
    with pytest.raises(PatchSetError, match=message):
        item_count(items, pairs=pairs, whole=whole, references=5, choices=3)


def test_what_cannot_be_cut_is_refused(photos: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"is 300x200, but a patch needs at least 100x300 pixels"):
        made(ImportSettings(5, "x", "val", seed=1, size=(100, 300)), photos, folders, tmp_path / "set")
    with pytest.raises(PatchSetError, match="whole images are shown as they are; rescale needs a size to cut"):
        made(ImportSettings(5, "x", "val", 1, size=None, rescale=(0.5, 1)), photos, folders, tmp_path / "set")
