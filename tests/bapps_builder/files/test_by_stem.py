"""Files of folders that belong together by name."""

import os
from pathlib import Path

from bapps_builder.files.by_stem import files_by_stem, unpaired


def made(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_files_have_their_places(tmp_path: Path) -> None:
    made(tmp_path, "b.png", "a.PNG", "a.x.jpg", "b.jpg", "note.txt", ".hidden.png", "below/c.png")
    (tmp_path / "folder.png").mkdir()
    found = files_by_stem(tmp_path, {".png", ".jpg"})
    assert list(found.suffixes.items()) == [("a", ".PNG"), ("a.x", ".jpg"), ("b", ".jpg")]
    assert found.second == ["b.png"]
    assert found.foreign == ["below", "folder.png", "note.txt"]
    assert found.paths() == {"a": tmp_path / "a.PNG", "a.x": tmp_path / "a.x.jpg", "b": tmp_path / "b.jpg"}


def test_files_of_folders_below_are_called_by_their_path(tmp_path: Path) -> None:
    made(tmp_path, "one/c.png", "two/c.png", ".hidden/c.png", "c.png", "two/c.jpg")
    found = files_by_stem(tmp_path, {".png", ".jpg"}, deep=True)
    assert found.suffixes == {"c": ".png", "one/c": ".png", "two/c": ".jpg"}
    assert found.second == ["two/c.png"]
    assert found.path("one/c") == tmp_path / "one" / "c.png"


def test_what_lacks_a_partner_is_said_of_each_folder() -> None:
    assert unpaired({"ref": ["a", "b"], "p0": {"a": 1}, "p1": {"c", "a", "b"}}) == {
        "ref": ["c"],
        "p0": ["b", "c"],
        "p1": [],
    }


def test_names_that_are_not_utf8_are_foreign_and_can_be_printed(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    (tmp_path / "caf\xe9.png").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.png")
    found = files_by_stem(tmp_path, {".png"})
    assert (list(found.suffixes), found.foreign) == (["caf\xe9"], [r"caf\xe9.png", "pipe.png"])
