"""The store of weights: the order of sources, the cache, and files that are not the published ones."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from weight_files import (
    FLAX_FILE,
    HEAD,
    HEAD_FILE,
    TARBALL,
    TORCHVISION_FILE,
    TRUNK,
    WHEEL,
    World,
    assert_equal,
    digest,
    slow_digest,
    unwritable,
)

from bapps_builder.errors import WeightsError
from bapps_builder.files.download import sha256_of
from metrics.weights import fetching as weight_fetching
from metrics.weights import store as weights
from metrics.weights.store import WeightStore, default_cache

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
    np.savez(path, **other)
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
    from metrics.deep.lpips import LPIPS

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
    with pytest.raises(WeightsError, match=rf"tensors of trunk have SHA-256 {slow_digest(TRUNK)}, expected 0000"):
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
    message = (
        rf"trunk\.safetensors: its tensors have SHA-256 {slow_digest(HEAD)}, expected {slow_digest(TRUNK)}; delete"
    )
    with pytest.raises(WeightsError, match=message):
        no_fetching.store.load("trunk")


@pytest.mark.parametrize("name", ["alexnet", "lpips-alex-0.1"])
def test_unverified_weights_that_do_not_fit_the_net_are_an_error_of_weights(tmp_path: Path, name: str) -> None:
    from metrics.deep.lpips import LPIPS

    np.savez(tmp_path / "x.npz", other=np.ones(3, np.float32))
    state = LPIPS.blank("alex").net.state_dict()
    trunk = {f"features.{key.partition('.')[2]}": value.numpy() for key, value in state.items()}
    np.savez(tmp_path / "trunk.npz", **trunk)
    store = WeightStore(cache=tmp_path / "cache").with_unverified("alexnet", tmp_path / "trunk.npz")
    with pytest.raises(WeightsError, match=name):
        LPIPS("alex", weights=store.with_unverified(name, tmp_path / "x.npz"))


def test_importing_and_describing_fetches_nothing(no_fetching: World) -> None:
    from metrics.registry import entries

    assert "lpips-vgg" in entries()
    assert no_fetching.store.locate("trunk") is None
    assert not no_fetching.cache.exists()


def test_sha256_of_the_world() -> None:
    """The plain function agrees with the one the records of this file are made with."""
    assert sha256_of(Path(__file__)) == digest(Path(__file__).read_bytes())
