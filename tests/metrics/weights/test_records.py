"""The records of weight files, and the digest of their tensors."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from weight_files import BIASES, HEAD, TRUNK, slow_digest

from bapps_builder.errors import WeightsError
from metrics.weights import records as weight_records
from metrics.weights import store as weights
from metrics.weights.store import RECORDS, Weights, WeightStore, tensors_digest


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
    modules = "metrics.weights.store, metrics.weights.records, metrics.weights.readers"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_digest_covers_names_shapes_and_bytes() -> None:
    assert tensors_digest(TRUNK) == slow_digest(TRUNK)
    assert tensors_digest(dict(reversed(TRUNK.items()))) == slow_digest(TRUNK)
    changed = [
        {**TRUNK, "features.0.bias": BIASES[0] + np.float32(1e-6)},
        {name.replace("0", "1"): value for name, value in TRUNK.items()},
        {**TRUNK, "features.0.bias": BIASES[0].reshape(2, 2)},
    ]
    assert len({slow_digest(TRUNK), *map(tensors_digest, changed)}) == 4
