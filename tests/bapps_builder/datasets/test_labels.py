"""Labels: one number in [0, 1] in any form that numpy writes, and nothing else."""

import io
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bapps_builder.datasets.reader import read_label
from bapps_builder.errors import DatasetError


def npy(array: object, *, allow_pickle: bool = False) -> bytes:
    out = io.BytesIO()
    np.save(out, np.asanyarray(array), allow_pickle=allow_pickle)
    return out.getvalue()


def npz(array: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, array=np.asanyarray(array))
    return out.getvalue()


def npy_with_header(text: str, data: bytes = bytes(4)) -> bytes:
    header = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("kind", ["<f2", "<f4", ">f4", "<f8", ">f8"])
def test_a_label_of_any_shape_and_float_type(tmp_path: Path, shape: tuple[int, ...], kind: str) -> None:
    (tmp_path / "x.npy").write_bytes(npy(np.full(shape, 0.75, kind)))
    assert read_label(tmp_path / "x.npy") == 0.75


@pytest.mark.parametrize("kind", ["u1", "i8", "bool"])
@pytest.mark.parametrize("value", [0, 1])
def test_a_label_of_whole_numbers(tmp_path: Path, kind: str, value: int) -> None:
    (tmp_path / "x.npy").write_bytes(npy(np.array([value], kind)))
    found = read_label(tmp_path / "x.npy")
    assert isinstance(found, float)
    assert found == value


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_a_label_in_any_version_of_the_format(tmp_path: Path, version: tuple[int, int]) -> None:
    with (tmp_path / "x.npy").open("wb") as out:
        np.lib.format.write_array(out, np.array([0.2], np.float32), version)
    assert read_label(tmp_path / "x.npy") == float(np.float32(0.2))


@pytest.mark.parametrize("value", [-0.01, 1.0001, float("nan"), float("inf"), -float("inf")])
def test_a_label_out_of_range_is_named_with_its_value(tmp_path: Path, value: float) -> None:
    (tmp_path / "x.npy").write_bytes(npy(np.array([value])))
    message = f"{tmp_path / 'x.npy'}: must hold a fraction in [0, 1], got {value:g}"
    with pytest.raises(DatasetError, match=re.escape(message)):
        read_label(tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("array", "shape", "kind"),
    [
        (np.array([0.5, 0.5]), "(2,)", "float64"),
        (np.zeros((0,), np.float32), "(0,)", "float32"),
        (np.zeros((2, 1), np.float32), "(2, 1)", "float32"),
        (np.array(["0.5"]), "(1,)", "<U3"),
        (np.array([0.5j]), "(1,)", "complex128"),
    ],
)
def test_a_label_of_the_wrong_shape_or_type_is_named(
    tmp_path: Path, array: NDArray[np.generic], shape: str, kind: str
) -> None:
    (tmp_path / "x.npy").write_bytes(npy(array))
    message = f"{tmp_path / 'x.npy'}: must hold one number in [0, 1], got shape {shape} and type {kind}"
    with pytest.raises(DatasetError, match=re.escape(message)):
        read_label(tmp_path / "x.npy")


class Planted:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.mkdir, (self.path,)


@pytest.mark.parametrize("form", ["object array", "bare pickle"])
def test_a_hostile_label_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    planted = Planted(tmp_path / "ran")
    array = np.array([planted], dtype=object)
    data = npy(array, allow_pickle=True) if form == "object array" else pickle.dumps(planted)
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(DatasetError, match=re.escape(f"{tmp_path / 'x.npy'}: not a readable .npy array of numbers: ")):
        read_label(tmp_path / "x.npy")
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(planted))  # noqa: S301 - the plant itself does run when it is let
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"hello",
        npy(np.array([0.5]))[:-1],
        npy(np.array([0.5]))[:60],
        npz(np.array([0.5])),
        npy_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,), }"),
        npy_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }"),
        npy_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"),
        npy_with_header("{'descr': '<f4', ("),
        npy_with_header("{1: 2, 'a': 3}"),
        npy_with_header("{[]: 1}"),
        npy_with_header("{'descr': '<x9', 'fortran_order': False, 'shape': (1,), }"),
    ],
    ids=[
        "empty", "magic alone", "text", "cut", "header cut", "npz",
        "petabytes", "overflow", "negative", "unclosed", "keys of two types", "list as key", "no such type",
    ],
)  # fmt: skip
def test_a_broken_label_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(DatasetError, match=re.escape(f"{tmp_path / 'x.npy'}: ")):
        read_label(tmp_path / "x.npy")


def test_a_missing_label_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=re.escape(str(tmp_path / "x.npy"))):
        read_label(tmp_path / "x.npy")
