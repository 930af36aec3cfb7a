"""Downloads against a real server on the loopback: whole, resumed, broken off, wrong, refused."""

import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from loopback import QuietHandler, served

from bapps_builder.errors import DownloadError
from bapps_builder.files.download import fetch, sha256_of

CONTENT = np.random.default_rng(7).bytes(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server does next, and what it was asked."""

    address: str
    content: bytes = CONTENT
    status: int = 200
    ranges: bool = True
    drop_after: int | None = None
    shift: int = 0
    whole_as_piece: bool = False
    asked: list[str | None] = field(default_factory=list)


class Handler(QuietHandler):
    state: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.state.asked.append(wanted)
        if self.state.status != 200:
            self.send_error(self.state.status)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.state.ranges else 0
        start += self.state.shift if start else 0
        if start and start >= len(self.state.content):
            self.send_error(416)
            return
        body = self.state.content[start:]
        self.send_response(206 if start or self.state.whole_as_piece else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.state.content) - 1}/{len(self.state.content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # the reader may have seen enough
            self.wfile.write(body[: self.state.drop_after])
        # A body shorter than announced, then the end of the connection.


@pytest.fixture
def server() -> Iterator[Server]:
    class Bound(Handler):
        pass

    with served(Bound) as address:
        Bound.state = Server(address=f"{address}/weights.pth")
        yield Bound.state


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("prefix", [SHA256, SHA256[:8]])
def test_a_whole_file_arrives_and_progress_adds_up(server: Server, tmp_path: Path, prefix: str) -> None:
    steps: list[int] = []
    fetch(server.address, tmp_path / "weights.pth", sha256_prefix=prefix, advance=steps.append)
    assert (tmp_path / "weights.pth").read_bytes() == CONTENT
    assert sum(steps) == len(CONTENT)
    assert names(tmp_path) == ["weights.pth"]
    assert server.asked == [None]


def test_an_older_target_is_replaced_only_by_the_right_file(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "weights.pth"
    target.write_bytes(b"older")
    server.content = b"wrong"
    with pytest.raises(DownloadError, match="SHA-256"):
        fetch(server.address, target, sha256_prefix=SHA256)
    assert target.read_bytes() == b"older"
    server.content = CONTENT
    fetch(server.address, target, sha256_prefix=SHA256)
    assert target.read_bytes() == CONTENT


def test_a_dropped_connection_is_an_error_and_the_next_call_goes_on_from_there(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "weights.pth"
    server.drop_after = 300_000
    with pytest.raises(DownloadError, match=rf"^{re.escape(server.address)}: cannot be fetched: .*IncompleteRead"):
        fetch(server.address, target, sha256_prefix=SHA256, retries=0)
    assert names(tmp_path) == ["weights.pth.part"]
    held = (tmp_path / "weights.pth.part").read_bytes()
    assert held == CONTENT[: len(held)]
    assert len(held) > 0

    server.drop_after = None
    steps: list[int] = []
    fetch(server.address, target, sha256_prefix=SHA256, advance=steps.append)
    assert server.asked == [None, f"bytes={len(held)}-"]
    assert target.read_bytes() == CONTENT
    assert steps[0] == len(held)
    assert sum(steps) == len(CONTENT)
    assert names(tmp_path) == ["weights.pth"]


def test_a_server_that_ignores_ranges_sends_all_and_the_file_is_right(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pth.part").write_bytes(CONTENT[:1000])
    server.ranges = False
    steps: list[int] = []
    fetch(server.address, tmp_path / "weights.pth", sha256_prefix=SHA256, advance=steps.append)
    assert server.asked == ["bytes=1000-"]
    assert (tmp_path / "weights.pth").read_bytes() == CONTENT
    assert sum(steps) == len(CONTENT)


@pytest.mark.parametrize("shift", [-10, 10])
def test_another_piece_than_the_one_asked_for_is_not_appended(server: Server, tmp_path: Path, shift: int) -> None:
    (tmp_path / "weights.pth.part").write_bytes(CONTENT[:1000])
    server.shift = shift
    steps: list[int] = []
    fetch(server.address, tmp_path / "weights.pth", sha256_prefix=SHA256, advance=steps.append)
    assert server.asked == ["bytes=1000-", None]
    assert (tmp_path / "weights.pth").read_bytes() == CONTENT
    assert sum(steps) == len(CONTENT)


def test_a_piece_that_does_not_say_where_it_begins_is_an_error(server: Server, tmp_path: Path) -> None:
    server.whole_as_piece = True
    message = f"{server.address}: answered with a piece (None), expected the whole file"
    with pytest.raises(DownloadError, match=re.escape(message)):
        fetch(server.address, tmp_path / "weights.pth", sha256_prefix=SHA256)
    assert names(tmp_path) == []


def test_a_target_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    for target, reason in [
        (tmp_path / "absent" / "x.pth", "No such file or directory"),
        (Path("/dev/null/x.pth"), "Not a directory"),
    ]:
        message = f"{server.address}: cannot be written to {target}: {reason}"
        with pytest.raises(DownloadError, match=f"^{re.escape(message)}$"):
            fetch(server.address, target, sha256_prefix=SHA256)


def test_a_part_that_another_took_away_is_an_error_of_the_download(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "weights.pth"
    with pytest.raises(DownloadError, match=re.escape(f"cannot be written to {target}: No such file")):
        fetch(
            server.address,
            target,
            sha256_prefix=SHA256,
            advance=lambda _: (tmp_path / "weights.pth.part").unlink(missing_ok=True),
        )


def test_a_part_that_is_already_whole_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pth.part").write_bytes(CONTENT)
    fetch(server.address, tmp_path / "weights.pth", sha256_prefix=SHA256)
    assert server.asked == [f"bytes={len(CONTENT)}-"]
    assert (tmp_path / "weights.pth").read_bytes() == CONTENT
    assert names(tmp_path) == ["weights.pth"]


@pytest.mark.parametrize("part", [b"", b"rubbish" * 100])
def test_wrong_bytes_are_deleted_and_both_hashes_named(server: Server, tmp_path: Path, part: bytes) -> None:
    server.content = bytes(1000)
    whole = part + server.content[len(part) :]
    (tmp_path / "weights.pth.part").write_bytes(part)
    found = hashlib.sha256(whole).hexdigest()
    message = f"{server.address}: gave a file with SHA-256 {found}, expected one that begins with {SHA256[:8]}; deleted"
    with pytest.raises(DownloadError, match=re.escape(message)):
        fetch(server.address, tmp_path / "weights.pth", sha256_prefix=SHA256[:8])
    assert names(tmp_path) == []


@pytest.mark.parametrize(("status", "reason"), [(404, "Not Found"), (403, "Forbidden"), (500, "Internal Server Error")])
def test_a_refusal_names_address_and_status(server: Server, tmp_path: Path, status: int, reason: str) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=re.escape(f"{server.address}: answered {status} {reason}")):
        fetch(server.address, tmp_path / "weights.pth", sha256_prefix=SHA256, retries=0)
    assert names(tmp_path) == []


def test_a_refusal_keeps_what_arrived_before(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pth.part").write_bytes(CONTENT[:1000])
    server.status = 404
    with pytest.raises(DownloadError, match="answered 404"):
        fetch(server.address, tmp_path / "weights.pth", sha256_prefix=SHA256)
    assert (tmp_path / "weights.pth.part").read_bytes() == CONTENT[:1000]


def test_no_server_is_one_line_that_names_the_address(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{closed_port()}/weights.pth"
    with pytest.raises(DownloadError) as caught:
        fetch(address, tmp_path / "weights.pth", sha256_prefix=SHA256, retries=0)
    message = str(caught.value)
    assert message.startswith(f"{address}: cannot be fetched: NewConnectionError: ")
    assert "refused" in message
    assert "\n" not in message
    assert names(tmp_path) == []


def test_an_address_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="cannot be fetched"):
        fetch("http://[bad/weights.pth", tmp_path / "weights.pth", sha256_prefix=SHA256, retries=0)


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # the example of FIPS 180-2
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
