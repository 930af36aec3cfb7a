"""Which photos are found, which are skipped and why."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from bapps_builder.errors import ImageError, Notice, PatchSetError
from bapps_builder.images.formats.extra import Extra
from bapps_builder.images.image_files import encode_png, read_image
from distortions.photos import Skipped, check_skipped, list_photos


def blank(height: int, width: int) -> bytes:
    return encode_png(np.full((height, width, 3), 90, np.uint8))


def test_photos_are_found_by_name_with_size_and_hash(photos: Path) -> None:
    found = list_photos([photos], smallest_side=64)
    assert [photo.name for photo in found.photos] == ["a.png", "b.png", "c.png", "d.png", "more/a.png"]
    for photo in found.photos:
        assert photo.path == photos / photo.name
        assert photo.sha256 == hashlib.sha256(photo.path.read_bytes()).hexdigest()
        pixels = read_image(photo.path)
        assert (photo.height, photo.width) == pixels.shape[:2]
        np.testing.assert_array_equal(photo.read(), pixels)
    assert not found.skipped


def test_the_list_does_not_depend_on_where_the_folder_lies(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "moved")
    (tmp_path / "moved" / ".hidden").mkdir()
    for name in ("notes.txt", ".b.png", ".hidden/c.png"):
        (tmp_path / "moved" / name).write_bytes(b"no photo")
    here = list_photos([photos], smallest_side=64, threads=1)
    with pytest.warns(Notice, match=r"moved: 1 entry passed over: 1 \.txt$"):
        there = list_photos([tmp_path / "moved"], smallest_side=64, threads=1)
    assert here.digest == there.digest
    assert len(there) == 5


def test_the_digest_sees_names_and_contents(photos: Path, tmp_path: Path) -> None:
    before = list_photos([photos], smallest_side=64).digest
    renamed, changed = tmp_path / "renamed", tmp_path / "changed"
    shutil.copytree(photos, renamed)
    (renamed / "a.png").rename(renamed / "aa.png")
    shutil.copytree(photos, changed)
    (changed / "a.png").write_bytes((changed / "b.png").read_bytes())
    digests = {before, *(list_photos([folder], smallest_side=64).digest for folder in (renamed, changed))}
    assert len(digests) == 3


def test_several_folders_may_share_names(photos: Path) -> None:
    found = list_photos([photos, photos / "more"], smallest_side=64)
    assert [photo.name for photo in found.photos].count("a.png") == 2
    assert len(found) == 6


def test_unusable_photos_are_skipped_with_their_reason(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "p")
    (tmp_path / "p" / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    (tmp_path / "p" / "small.png").write_bytes(blank(63, 200))
    (tmp_path / "p" / "bomb.png").write_bytes(blank(400, 400))
    found = list_photos([tmp_path / "p"], smallest_side=64, max_pixels=140_000, max_skipped_share=0.5)
    reasons = {entry.photo: entry.reason for entry in found.skipped}
    assert reasons.keys() == {"broken.jpg", "small.png", "bomb.png"}
    assert reasons["broken.jpg"].startswith("not a readable image: of none of the known formats")
    assert reasons["small.png"] == "is 200x63, but a patch needs at least 64x64 pixels"
    assert reasons["bomb.png"].startswith("400x400 is more than 140000 pixels, perhaps a decompression bomb")
    assert len(found) == 8
    with pytest.raises(ImageError, match=r"3 of 8 photos cannot be used, the first bomb\.png .*; up to 2 would be"):
        list_photos([tmp_path / "p"], smallest_side=64, max_pixels=140_000, max_skipped_share=0.25)


@pytest.mark.parametrize(
    ("skipped", "total", "share", "fine"),
    [
        (0, 1, 0.05, True),
        (1, 1, 0.05, False),
        (1, 2, 0.05, True),
        (2, 39, 0.05, False),
        (2, 40, 0.05, True),
        (40, 40, 1, False),
    ],
)
def test_how_many_may_be_skipped(skipped: int, total: int, share: float, fine: bool) -> None:
    entries = [Skipped(f"{k}.png", "is broken") for k in range(skipped)]
    if fine:
        check_skipped(entries, total=total, max_share=share)
    else:
        with pytest.raises(
            ImageError, match=rf"^{skipped} of {total} photos cannot be used, the first 0\.png \(is broken\)"
        ):
            check_skipped(entries, total=total, max_share=share)


def test_folders_without_photos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no photos in it; expected JPEG"):
        list_photos([tmp_path], smallest_side=64)
    with pytest.raises(ImageError, match="none: no such folder of photos"):
        list_photos([tmp_path / "none"], smallest_side=64)
    (tmp_path / "small.png").write_bytes(blank(63, 63))
    with pytest.raises(ImageError, match=r"1 of 1 photos cannot be used, the first small\.png \(is 63x63, but"):
        list_photos([tmp_path], smallest_side=64)


@pytest.mark.parametrize(
    ("name", "what", "extra"), [("a.DNG", "raw", "raw"), ("a.heic", "HEIC", "heic"), ("a.jxl", "JPEG XL", "jxl")]
)
def test_files_without_their_extra_are_no_mere_skip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str, extra: str
) -> None:
    monkeypatch.setattr(Extra, "is_installed", lambda self: False)
    (tmp_path / name).write_bytes(b"II")
    with pytest.raises(
        ImageError, match=rf'{name}: {what} files need the extra `{extra}`: pip install "bapps\[{extra}\]"'
    ):
        list_photos([tmp_path], smallest_side=64)


def test_a_photo_that_changed_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(blank(70, 70))
    photo = list_photos([tmp_path], smallest_side=64).photos[0]
    assert photo.is_unchanged()
    (tmp_path / "a.png").write_bytes(blank(70, 71))
    assert not photo.is_unchanged()
    with pytest.raises(PatchSetError, match=r"a\.png: the file has changed since it was listed"):
        photo.read()


def test_what_is_passed_over_is_counted_by_suffix(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "p")
    for name in ("a.txt", "b.TXT", "more/c.xmp", "README", ".hidden"):
        (tmp_path / "p" / name).write_bytes(b"no photo")
    with pytest.warns(Notice, match=r"p: 4 entries passed over: 2 \.txt, 1 \.xmp, 1 without suffix$"):
        found = list_photos([tmp_path / "p"], smallest_side=64)
    assert len(found) == 5


def test_a_pipe_in_the_folder_is_passed_over_and_not_waited_for(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "p")
    os.mkfifo(tmp_path / "p" / "pipe.jpg")
    (tmp_path / "p" / "nowhere.jpg").symlink_to("absent")
    with pytest.warns(Notice, match=r"p: 1 entry passed over: 1 \.jpg$"):
        found = list_photos([tmp_path / "p"], smallest_side=64)
    assert [entry.photo for entry in found.skipped] == ["nowhere.jpg"]


def test_a_photo_whose_name_is_not_utf8_is_skipped_by_a_name_that_is(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "p")
    (tmp_path / "p" / os.fsdecode(b"caf\xe9.png")).write_bytes((photos / "a.png").read_bytes())
    found = list_photos([tmp_path / "p"], smallest_side=64)
    assert found.skipped == (Skipped(r"caf\xe9.png", "its name is not UTF-8, so no manifest can hold it; rename it"),)
    assert len(found.photos) == 5


def test_two_lists_of_a_folder_say_the_same_of_what_is_broken(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "p")
    (tmp_path / "p" / "broken.jpg").write_bytes(bytes(50))
    reasons = {list_photos([tmp_path / "p"], smallest_side=64).skipped[0].reason for _ in range(3)}
    assert reasons == {"not a readable image: of none of the known formats, or cut off (50 bytes)"}
