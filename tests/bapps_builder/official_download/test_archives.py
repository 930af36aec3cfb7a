"""Downloading the release: from a server on the loopback that behaves, and from ones that do not."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from loopback import QuietHandler, served

import bapps_builder.official_download.unpack
from bapps_builder.commands.bapps_build import build as command
from bapps_builder.images.image_files import encode_png

FILE = "twoafc_val.tar.gz"
Members = dict[str, bytes]


def npy(value: float) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([value], np.float32))
    return out.getvalue()


def a_set(
    prefix: str = "val/mine", items: int = 6, roles: tuple[str, ...] = ("ref", "p0", "p1"), label: str = "judge"
) -> Members:
    members = {}
    for index in range(items):
        for number, role in enumerate(roles):
            pixels = np.random.default_rng([number, index]).integers(0, 256, (64, 64, 3), dtype=np.uint8)
            members[f"{prefix}/{role}/{index:06d}.png"] = encode_png(pixels)
        members[f"{prefix}/{label}/{index:06d}.npy"] = npy(index / 5)
    return members


def packed(members: Members, *others: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in others:
            archive.addfile(info)
    return gzip.compress(out.getvalue(), mtime=0)


CHUNK = 1 << 16  # what is read at a time, and lost when the connection breaks off in it
ARCHIVE = packed(a_set())
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
assert len(ARCHIVE) > 3 * CHUNK


@dataclass
class Server:
    """What the server does, and what it was asked: (path, Range, If-Range)."""

    address: str
    content: bytes = ARCHIVE
    etag: str = '"one"'
    drops: list[int] = field(default_factory=list)  # bytes after which the next answers break off
    after_drop: Callable[["Server"], None] = lambda _: None
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)


class Handler(QuietHandler):
    state: Server

    def do_GET(self) -> None:
        state, wanted, condition = self.state, self.headers["Range"], self.headers["If-Range"]
        state.asked.append((self.path, wanted, condition))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if condition and condition != state.etag:
            start = 0  # RFC 9110, 13.1.5: the whole of the new file
        body = state.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
        if state.etag:
            self.send_header("ETag", state.etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        drop = state.drops.pop(0) if state.drops else None
        with suppress(ConnectionError):
            self.wfile.write(body[:drop])
        if drop is not None:
            state.after_drop(state)


@pytest.fixture
def server() -> Iterator[Server]:
    class Bound(Handler):
        pass

    with served(Bound) as address:
        Bound.state = Server(address=f"{address}/dataset")
        yield Bound.state


def run(out: Path, *arguments: object) -> Result:
    return CliRunner().invoke(command, ["download", "--split", "val", "--out", str(out), *map(str, arguments)])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def holds_the_set(out: Path) -> bool:
    return {
        str(path.relative_to(out / "2afc")): path.read_bytes() for path in (out / "2afc").rglob("*") if path.is_file()
    } == a_set()


# --- servers -----------------------------------------------------------------------------------------


def test_an_archive_is_downloaded_unpacked_recorded_and_verified(server: Server, tmp_path: Path) -> None:
    result = run(tmp_path / "out", "--mirror", server.address)
    assert result.exit_code == 0, result.output
    assert holds_the_set(tmp_path / "out")
    assert server.asked == [(f"/dataset/{FILE}", None, None)]
    assert names(tmp_path / "out") == ["2afc", "downloads.json"]
    record = json.loads((tmp_path / "out/downloads.json").read_text())
    assert record == {FILE: {"bytes": len(ARCHIVE), "sha256": SHA256, "source": "download"}}
    assert f"SHA-256 {SHA256}, trusted, since none was" in result.stderr
    assert "6 items in 1 sets, nothing failed" in result.stdout


def test_a_dropped_connection_is_taken_up_again(server: Server, tmp_path: Path) -> None:
    server.drops = [CHUNK + 10_000, CHUNK + 1, 0]
    assert run(tmp_path / "out", "--mirror", server.address).exit_code == 0
    assert holds_the_set(tmp_path / "out")
    assert [(wanted, condition) for _, wanted, condition in server.asked] == [
        (None, None),
        (f"bytes={CHUNK}-", '"one"'),
        (f"bytes={2 * CHUNK}-", '"one"'),
        (f"bytes={2 * CHUNK}-", '"one"'),
    ]


def test_a_file_that_changes_between_two_halves_is_not_mixed(server: Server, tmp_path: Path) -> None:
    older = packed(a_set("val/older"))
    server.content, server.etag, server.drops = older, '"older"', [CHUNK + 30_000]

    def replace(state: Server) -> None:
        state.content, state.etag = ARCHIVE, '"one"'

    server.after_drop = replace
    assert run(tmp_path / "out", "--mirror", server.address).exit_code == 0
    assert holds_the_set(tmp_path / "out")
    assert [condition for *_, condition in server.asked] == [None, '"older"']


def test_without_a_validator_nothing_unknown_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.etag, server.drops = "", [CHUNK + 30_000]
    assert run(tmp_path / "out", "--mirror", server.address).exit_code == 0
    assert [wanted for _, wanted, _ in server.asked] == [None, None]
    # With a hash the end will tell, so the part is used.
    server.drops, server.asked = [CHUNK + 30_000], []
    assert run(tmp_path / "again", "--mirror", server.address, "--sha256", SHA256).exit_code == 0
    assert [wanted for _, wanted, _ in server.asked] == [None, f"bytes={CHUNK}-"]


def test_a_download_that_ends_goes_on_with_the_next_command(server: Server, tmp_path: Path) -> None:
    server.drops = [CHUNK + 25_000, *[0] * 20]
    result = run(tmp_path / "out", "--mirror", server.address)
    assert result.exit_code == 2
    assert "run the command again to go on" in result.stderr
    assert (tmp_path / "out" / f"{FILE}.part").stat().st_size == CHUNK
    server.drops, server.asked = [], []
    assert run(tmp_path / "out", "--mirror", server.address).exit_code == 0
    assert server.asked == [(f"/dataset/{FILE}", f"bytes={CHUNK}-", '"one"')]
    assert names(tmp_path / "out") == ["2afc", "downloads.json"]


def test_wrong_bytes_are_refused_and_the_next_mirror_asked(server: Server, tmp_path: Path) -> None:
    right, server.content = server.content, b"an error page"
    result = run(tmp_path / "out", "--mirror", server.address, "--sha256", SHA256)
    assert result.exit_code == 2
    assert "expected one that begins with" in result.stderr
    result = run(tmp_path / "out", "--mirror", server.address)  # nothing is known: it has to be an archive at least
    assert result.exit_code == 2
    assert "not a readable tar archive" in result.stderr
    assert list((tmp_path / "out").rglob("*.tar.gz*")) == []
    assert not (tmp_path / "out/downloads.json").exists()
    server.content = right
    nobody = server.address.rsplit(":", 1)[0] + ":1/dataset"
    assert run(tmp_path / "out", "--mirror", nobody, "--mirror", server.address).exit_code == 0
    assert holds_the_set(tmp_path / "out")


def test_what_was_trusted_once_is_demanded_from_then_on(server: Server, tmp_path: Path) -> None:
    assert run(tmp_path / "out", "--mirror", server.address).exit_code == 0
    message = run(tmp_path / "out", "--mirror", server.address).stderr
    assert "already exists" in message
    for path in sorted((tmp_path / "out/2afc").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / "out/2afc").rmdir()
    server.content = packed(a_set("val/other"))
    result = run(tmp_path / "out", "--mirror", server.address)
    assert result.exit_code == 2
    assert f"expected one that begins with {SHA256}" in result.stderr
    server.content = ARCHIVE
    assert run(tmp_path / "out", "--mirror", server.address, "--keep").exit_code == 0
    assert (tmp_path / "out" / FILE).read_bytes() == ARCHIVE


def test_a_faulty_archive_ends_with_1_after_unpacking(server: Server, tmp_path: Path) -> None:
    members = a_set()
    del members["val/mine/p1/000003.png"]
    server.content = packed(members)
    result = run(tmp_path / "out", "--mirror", server.address)
    assert result.exit_code == 1
    assert "paired" in result.stdout
    assert run(tmp_path / "again", "--mirror", server.address, "--no-verify").exit_code == 0


# --- copies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["val/mine", "./val/mine", "2afc/val/mine", "dataset/2afc/val/mine"])
@pytest.mark.parametrize("gzipped", [True, False])
def test_a_copy_is_unpacked_whatever_its_leading_folders(tmp_path: Path, prefix: str, gzipped: bool) -> None:
    data = packed(a_set(prefix) | {f"{prefix}/ref/._000000.png": b"left behind by a desktop"})
    (tmp_path / "copy.tar").write_bytes(data if gzipped else gzip.decompress(data))
    result = run(tmp_path / "out", "--from", tmp_path / "copy.tar")
    assert result.exit_code == 0, result.output
    assert holds_the_set(tmp_path / "out")
    assert (tmp_path / "copy.tar").exists()


def test_jnd_goes_to_its_own_place(tmp_path: Path) -> None:
    data = packed(a_set("jnd/val/cnn", 3, ("p0", "p1"), "same"))
    (tmp_path / "jnd.tar.gz").write_bytes(data)
    arguments = ["download", "--split", "jnd", "--from", str(tmp_path / "jnd.tar.gz"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(command, [*arguments, "--no-verify"])
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "out/jnd/val/cnn") == ["p0", "p1", "same"]


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def of_kind(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    return info


HOSTILE = {
    "a path upwards": (packed(a_set() | {"val/../../../evil.png": b"x"}), "leads out"),
    "an absolute path": (packed(a_set() | {"/tmp/evil.png": b"x"}), "leads out"),
    "a symbolic link": (packed(a_set(), link("val/mine/ref/000009.png", "/etc/passwd", tarfile.SYMTYPE)), "link or"),
    "a hard link": (packed(a_set(), link("val/mine/ref/000009.png", "/etc/passwd", tarfile.LNKTYPE)), "link or"),
    "a device": (packed(a_set(), of_kind("val/mine/ref/000009.png", tarfile.CHRTYPE)), "link or device"),
    "a linked folder": (packed(a_set(), link("val/other", "/tmp", tarfile.SYMTYPE)), "link or device"),
    "a program": (packed(a_set() | {"val/mine/run.sh": b"x"}), "no file of a set"),
    "another role": (packed(a_set() | {"val/mine/secret/000000.png": b"x"}), "no file of a set"),
    "the training set": (packed(a_set("train/mine")), "no file of a set"),
    "a huge file": (packed(a_set() | {"val/mine/ref/000009.png": bytes(3_000_000)}), "3000000 bytes"),
    "a huge hidden file": (packed({"val/._x": bytes(9_000_000)} | a_set()), "more than 2000000 bytes"),
    "nothing": (packed({}), "holds no sets"),
    "an archive cut off": (ARCHIVE[:-5_000], "not a readable tar archive"),
    "no archive": (b"hello", "not a readable tar archive"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archives_are_refused_and_leave_nothing(tmp_path: Path, what: str) -> None:
    data, message = HOSTILE[what]
    (tmp_path / "copy.tar.gz").write_bytes(data)
    (tmp_path / "out").mkdir()
    result = run(tmp_path / "out", "--from", tmp_path / "copy.tar.gz")
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split())
    assert names(tmp_path) == ["copy.tar.gz", "out"]
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []
    assert not Path("/tmp/evil.png").exists()


def test_a_hostile_archive_from_a_server_is_deleted(server: Server, tmp_path: Path) -> None:
    server.content = HOSTILE["a path upwards"][0]
    assert run(tmp_path / "out", "--mirror", server.address).exit_code == 2
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("limit", [("MAX_FILES", 20), ("MAX_BYTES", 100_000)])
def test_a_bomb_of_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: tuple[str, int]
) -> None:
    monkeypatch.setattr(bapps_builder.official_download.unpack, *limit)
    (tmp_path / "copy.tar.gz").write_bytes(ARCHIVE)
    result = run(tmp_path / "out", "--from", tmp_path / "copy.tar.gz")
    assert result.exit_code == 2
    assert "no release does" in result.stderr
    assert not (tmp_path / "out/2afc/val").exists()


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "copy.tar.gz").write_bytes(ARCHIVE)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/downloads.json").write_text("[1]")
    result = run(tmp_path / "out", "--from", tmp_path / "copy.tar.gz")
    assert result.exit_code == 2
    assert "downloads.json" in result.stderr


def test_options_that_are_about_one_archive() -> None:
    arguments = ["download", "--split", "val", "--split", "jnd", "--out", os.devnull, "--sha256", SHA256]
    assert CliRunner().invoke(command, arguments).exit_code == 2
