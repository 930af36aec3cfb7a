"""Zoos: what is read, and what is refused."""

import json
import pickle
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bapps_builder.errors import DistortionError
from distortions.cnn.apply import Network
from distortions.cnn.results import write_generator
from distortions.cnn.training import Learner, Training
from distortions.cnn.variants import find_variant
from distortions.cnn.zoo import FORMAT, KEY, open_zoo, read_entry

ROW = find_variant("cnn-050")


def written(folder: Path, name: str = "cnn-050", **about: object) -> Path:
    """A file of an untrained variant."""
    row = find_variant(name)
    path = folder / f"{name}.safetensors"
    write_generator(Learner(row, Training(1)), path, {"format": FORMAT, "row": asdict(row), **about})
    open_zoo.cache_clear()
    return path


def test_a_zoo_holds_its_files_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("cnn-075", "cnn-050"):
        written(tmp_path, name)
    (tmp_path / "README.md").write_text("not a variant")
    (tmp_path / "cnn-050.checkpoint.safetensors").write_bytes(b"half done")
    zoo = open_zoo(tmp_path)
    assert list(zoo.entries) == ["cnn-050", "cnn-075"]
    assert zoo["cnn-050"].variant == ROW
    before = zoo.digest
    (tmp_path / "cnn-075.safetensors").unlink()
    open_zoo.cache_clear()
    assert open_zoo(tmp_path).digest != before


def test_no_zoo_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(
        DistortionError, match=r"nowhere: no such zoo; expected a folder of files such as cnn-017.safetens"
    ):
        open_zoo(tmp_path / "nowhere")
    with pytest.raises(
        DistortionError, match=r"no trained variants in it, expected files such as .* `bapps-distort train"
    ):
        open_zoo(tmp_path)


def test_a_variant_that_is_not_there(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(
        DistortionError, match=r"cnn-003 is not among the trained variants in .* which are cnn-050; name"
    ):
        open_zoo(tmp_path)["cnn-003"]
    with pytest.raises(DistortionError, match="unknown variant 'cnn-100'"):
        open_zoo(tmp_path)["cnn-100"]


def test_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "cnn-050.safetensors"
    save_file({"x": np.zeros(1)}, path)
    with pytest.raises(DistortionError, match="not a file of a trained variant"):
        read_entry(path)
    save_file({"x": np.zeros(1)}, path, {KEY: json.dumps({"format": 99})})
    with pytest.raises(DistortionError, match="not a trained variant of format 1; train it again with this version"):
        read_entry(path)
    save_file({"x": np.zeros(1)}, path, {KEY: json.dumps([])})
    with pytest.raises(DistortionError, match="is no object"):
        read_entry(path)
    row = asdict(replace(ROW, layers=5))
    save_file({"x": np.zeros(1)}, path, {KEY: json.dumps({"format": 1, "row": row, "tensors_sha256": ""})})
    with pytest.raises(DistortionError, match="trained for another table of variants; its row is"):
        read_entry(path)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self):
            return Path.write_text, (tmp_path / "boom", "")

    path = tmp_path / "cnn-050.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DistortionError, match="not a file of a trained variant: SafetensorError"):
        read_entry(path)
    assert not (tmp_path / "boom").exists()


def test_a_flipped_bit_is_seen(tmp_path: Path) -> None:
    path = written(tmp_path)
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        DistortionError, match=r"its tensors have SHA-256 \w{12}…, its header says .* changed or is dam"
    ):
        Network(read_entry(path))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DistortionError, match="not a file of a trained variant"):
        read_entry(path)


def test_tensors_of_another_row_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "cnn-030")
    about = json.loads(json.dumps({**read_entry(path).about, "row": asdict(ROW)}))
    tensors = read_entry(path).tensors()
    other = tmp_path / "cnn-050.safetensors"
    save_file(tensors, other, {KEY: json.dumps(about)})
    with pytest.raises(DistortionError, match="its tensors are not those of cnn-050"):
        Network(read_entry(other))
