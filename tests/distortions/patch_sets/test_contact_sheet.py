"""The contact sheet holds the patches that the distortions make, where its labels say."""

import dataclasses

import numpy as np
import pytest

from bapps_builder.errors import DistortionError
from distortions.distortion import MARGIN, Patch
from distortions.patch_sets.contact_sheet import contact_sheet
from distortions.registry import distortions, find
from distortions.traditional import TWENTY


@pytest.fixture(scope="module")
def photos() -> list[Patch]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 200, (2 * MARGIN + 12, 2 * MARGIN + 20, 3), dtype=np.uint8) for _ in range(2)]


def places(sheet: Patch, patch: Patch) -> list[tuple[int, int]]:
    """Where on the sheet the patch stands, by its first row of pixels."""
    height, width = patch.shape[:2]
    starts = np.argwhere((sheet[: sheet.shape[0] - height + 1, : sheet.shape[1] - width + 1] == patch[0, 0]).all(2))
    return [(y, x) for y, x in starts.tolist() if np.array_equal(sheet[y : y + height, x : x + width], patch)]


def enlarged(photo: Patch, times: int) -> Patch:
    return photo[MARGIN:-MARGIN, MARGIN:-MARGIN].repeat(times, 0).repeat(times, 1)


def test_severity_0_shows_each_photo_in_every_row(photos: list[Patch]) -> None:
    sheet = contact_sheet(photos, [find(name) for name in TWENTY], severities=(0, 1), enlarge=3)
    first, second = (places(sheet, enlarged(photo, 3)) for photo in photos)
    # The best JPEG still rounds, so its row does not count.
    assert [len(first), len(second)] == [len(TWENTY) - 1] * 2
    assert len({x for _, x in first}) == len({x for _, x in second}) == 1
    assert [y for y, _ in first] == [y for y, _ in second]
    assert set(np.diff([y for y, _ in first])) == {12 * 3 + 4}


def test_rows_are_in_the_order_of_the_registry(photos: list[Patch]) -> None:
    sheet = contact_sheet(photos[:1], severities=(0.6,), enlarge=1, seed=8)
    heights = []
    for row, (name, found) in enumerate(distortions().items()):
        values = found.at(0.6, np.random.default_rng([8, 0, row, 0]))
        patch = find(name).apply(photos[0], np.random.default_rng([8, 0, row, 1]), values)
        ((y, _),) = places(sheet, enlarged(patch, 1))
        heights.append(y)
    assert heights == sorted(heights)


def test_every_row_and_column_has_a_label(photos: list[Patch]) -> None:
    sheet = contact_sheet(photos, severities=(0.5, 1), enlarge=2)
    ((top, left), *_) = sorted(places(contact_sheet(photos, severities=(0, 1), enlarge=2), enlarged(photos[0], 2)))
    for row in range(len(distortions())):
        assert sheet[top + 28 * row : top + 28 * row + 24, :left].min() < 100
    for column in range(2):
        assert sheet[:top, left + 44 * column : left + 44 * column + 40].min() < 100


def test_a_long_name_has_room(photos: list[Patch]) -> None:
    long = dataclasses.replace(find("shift"), name="a_package.with_a_long_name.tones:posterise_by_halves")
    sheet = contact_sheet(photos[:1], [find("shift"), long], severities=(0,), enlarge=2)
    first, second = places(sheet, enlarged(photos[0], 2))
    assert first[1] == second[1]
    # White stands between the name and the patch.
    assert sheet[:, first[1] - 4 : first[1]].min() == 255
    assert sheet[second[0] :, first[1] - 24 : first[1]].min() < 100


def test_the_seed_makes_the_sheet(photos: list[Patch]) -> None:
    one, same, other = (contact_sheet(photos, severities=(0.5,), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("shapes", "got"),
    [([], "of no photo"), ([(96, 96), (90, 96)], "90x96, 96x96"), ([(32, 96)], "32x96")],
)
def test_crops_that_make_no_sheet(shapes: list[tuple[int, int]], got: str) -> None:
    with pytest.raises(DistortionError) as raised:
        contact_sheet([np.zeros((*shape, 3), np.uint8) for shape in shapes])
    assert str(raised.value) == (
        f"a contact sheet needs crops of one size, larger than their margin of 16 pixels a side, got sizes {got}"
    )
