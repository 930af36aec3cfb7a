"""Folders that appear whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import bapps_builder.files.whole_folder
from bapps_builder.files.whole_folder import folder_made_whole


def fill(folder: Path, text: str) -> None:
    (folder / "inside").mkdir()
    (folder / "inside" / "file").write_text(text)


def test_a_new_folder_appears_when_the_block_is_done(tmp_path: Path) -> None:
    with folder_made_whole(tmp_path / "new") as made:
        fill(made, "one")
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "new/inside/file").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("at_once", [True, False])
def test_an_older_folder_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    if not at_once:  # as on systems that cannot
        monkeypatch.setattr(bapps_builder.files.whole_folder, "_exchanged_at_once", lambda made, target: False)
    (tmp_path / "old").mkdir()
    fill(tmp_path / "old", "one")
    with folder_made_whole(tmp_path / "old", replace=True) as made:
        fill(made, "two")
    assert (tmp_path / "old/inside/file").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_failure_leaves_what_was(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    fill(tmp_path / "old", "one")

    def fail() -> None:
        with folder_made_whole(tmp_path / "old", replace=True) as made:
            fill(made, "two")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert (tmp_path / "old/inside/file").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_failure_between_the_two_steps_of_replacing_leaves_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bapps_builder.files.whole_folder, "_exchanged_at_once", lambda made, target: False)
    (tmp_path / "old").mkdir()
    fill(tmp_path / "old", "one")
    rename = Path.rename

    def fail_for_new(self: Path, target: Path) -> Path:
        if self.name == "made":
            raise OSError("the disk is away")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_new)
    with (
        pytest.raises(OSError, match="the disk is away"),
        folder_made_whole(tmp_path / "old", replace=True) as made,
    ):
        fill(made, "two")
    assert (tmp_path / "old/inside/file").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_what_a_link_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/old").mkdir()
    fill(tmp_path / "elsewhere/old", "one")
    (tmp_path / "link").symlink_to("elsewhere/old")
    with folder_made_whole(tmp_path / "link", replace=True) as made:
        fill(made, "two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere/old/inside/file").read_text() == "two"
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["old"]


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in (".", "dangling"):
        with pytest.raises(FileExistsError), folder_made_whole(tmp_path / name):
            pass
    with pytest.raises(FileNotFoundError), folder_made_whole(tmp_path / "no" / "such"):
        pass


_REPLACE_FOREVER = """
import sys
from pathlib import Path
from bapps_builder.files.whole_folder import folder_made_whole
target = Path(sys.argv[1])
number = 0
while True:
    number += 1
    with folder_made_whole(target, replace=True) as made:
        for name in ("first", "second"):
            (made / name).write_text(str(number))
    if number == 1:
        print("replaced once", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="exchanging folders at once is Linux's")
def test_killed_at_any_moment_the_folder_is_the_old_or_the_new(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    for name in ("first", "second"):
        (target / name).write_text("0")
    seen = set()
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", _REPLACE_FOREVER, str(target)], stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        for _ in range(200):  # also while it runs, the path never leads nowhere
            assert (target / "second").parent.is_dir()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        numbers = {(target / name).read_text() for name in ("first", "second")}
        assert len(numbers) == 1
        seen |= numbers
    assert seen != {"0"}
