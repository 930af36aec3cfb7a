"""Reading what others wrote: kernels of flax, pickles, torch files and arrays, hostile ones among them."""

import io
import os
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from weight_files import (
    BIASES,
    FLAX_FILE,
    HEAD_FILE,
    KERNELS,
    RNG,
    TRUNK,
    Planted,
    World,
    digest,
    old_pickle,
    torch_bytes,
)

from bapps_builder.errors import WeightsError
from metrics.weights import store as weights
from metrics.weights.readers import flax_features, read_pickled_arrays
from metrics.weights.store import WeightStore, read_tensors, read_torch


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
        (pickle.dumps([1]), "a pickle of a list, expected a dictionary of arrays"),
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
    message = f"{file}: not a file of plain tensors, refused: it asks for {os.mkdir.__module__}.mkdir"
    with pytest.raises(WeightsError, match=f"^{re.escape(message)}$"):
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
