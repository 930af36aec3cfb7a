"""Runs as a user has them: the command, its files, going on after an interruption, processes, and bad input."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from bapps_builder.images.image_files import read_image
from metrics.commands.train import train
from metrics.deep.lpips import LPIPS
from metrics.metric import Setup
from metrics.registry import load
from metrics.training import session
from metrics.training.recipe import Recipe
from metrics.weights.store import read_torch

COMMAND = [sys.executable, "-m", "metrics.commands.train"]
SHORT = ["--epochs", "1", "--decay-epochs", "1", "--batch-size", "5"]


def arguments(mode: str, data: Path, out: Path, *more: str, net: str = "alex", sets: str = "train/a") -> list[str]:
    cache = ["--cache", str(out.parent / "cache")]
    return [mode, "--net", net, "--data", str(data), "--sets", sets, "--val", "val/c", "--out", str(out), *cache, *more]


def run(*args: str) -> Result:
    return CliRunner().invoke(train, list(args))


def succeeded(*args: str) -> Result:
    result = run(*args)
    assert result.exit_code == 0, result.output
    return result


def refused(*args: str) -> str:
    """The one line of a refusal."""
    result = run(*args)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    return result.stderr.strip().splitlines()[-1]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def position(folder: Path) -> dict:
    with safe_open(folder / "checkpoint.safetensors", framework="pt") as opened:
        return json.loads(opened.metadata()["position"])


@pytest.fixture(scope="module")
def lin(judged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of lin on the ImageNet trunk."""
    out = tmp_path_factory.mktemp("lin") / "run"
    succeeded(*arguments("lin", judged, out, *SHORT, "--lr", "0.01"))
    return out


def test_every_file_of_a_run_is_there(lin: Path) -> None:
    about = json.loads((lin / "run.json").read_text())
    assert set(content(lin)) == {"run.json", "checkpoint.safetensors", "lpips.safetensors", "log.csv", "curves.png"}
    assert about["items"] == {"train/a": 13, "val/c": 8}
    assert read_image(lin / "curves.png").std() > 10  # something is drawn
    rows = list(csv.DictReader((lin / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [float(row["lr"]) for row in rows] == [0.01, 0.01]


def test_lists_of_sets_end_at_the_next_option(judged: Path, tmp_path: Path) -> None:
    words = ["lin", "--net", "alex", "--data", str(judged), "--sets", "train/a", "train/b", *SHORT]
    succeeded(*words, "--val", "val/c", "val/tied", "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache"))
    recipe = json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]
    assert (recipe["sets"], recipe["val"]) == (["train/a", "train/b"], ["val/c", "val/tied"])


def test_the_log_is_the_score_of_the_weights_that_were_written(lin: Path, judged: Path) -> None:
    metric = load(f"lpips:{lin}")
    folder = judged / "2afc" / "val" / "c"
    ref, p0, p1 = (np.stack([read_image(p) for p in sorted((folder / role).iterdir())]) for role in ("ref", "p0", "p1"))
    fractions = np.array([np.load(p)[0] for p in sorted((folder / "judge").iterdir())])
    score = np.where(metric(ref, p1) < metric(ref, p0), fractions, 1 - fractions).mean()
    last = list(csv.DictReader((lin / "log.csv").read_text().splitlines()))[-1]
    assert float(last["val/c"]) == pytest.approx(score)


def test_a_run_is_a_metric_and_a_module(lin: Path, shared_data: Path) -> None:
    metric = load(f"lpips:{lin}")
    assert metric.name == f"lpips:{lin}"
    assert not metric.verified
    a, b = (read_image(shared_data / "lpips-examples" / f"ex_{name}.png")[None] for name in ("ref", "p0"))
    module = LPIPS.from_file(lin)
    x, y = (torch.from_numpy(image).permute(0, 3, 1, 2).float() / 127.5 - 1 for image in (a, b))
    assert float(module(x, y)) == pytest.approx(float(metric(a, b)[0]), rel=1e-5)
    assert metric(a, b)[0] != pytest.approx(load("lpips-alex")(a, b)[0], rel=1e-2)


@pytest.mark.parametrize("more", [[], ["--exact"]], ids=["fast", "exact"])
def test_the_same_command_gives_the_same_bytes_and_another_seed_does_not(
    judged: Path, tmp_path: Path, more: list[str]
) -> None:
    for name, seed, threads, cores in (("a", "1", "1", 1), ("b", "1", "3", 2), ("c", "2", "1", 2)):
        cache = ["--cache", str(tmp_path / f"cache-{name}"), "--threads", threads]
        before = torch.get_num_threads()
        torch.set_num_threads(cores)
        succeeded(*arguments("lin", judged, tmp_path / name, *SHORT, *more, *cache, "--seed", seed))
        assert torch.get_num_threads() == cores
        torch.set_num_threads(before)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert content(tmp_path / "a")["lpips.safetensors"] != content(tmp_path / "c")["lpips.safetensors"]


def test_torch_computes_in_as_many_threads_as_the_recipe_says(judged: Path, tmp_path: Path) -> None:
    @contextmanager
    def counting(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
        yield lambda _: counted.append(torch.get_num_threads())

    for wanted in (1, 3):
        counted: list[int] = []
        recipe = Recipe("lin", "alex", ("train/a",), epochs=1, decay_epochs=0, torch_threads=wanted)
        settings = session.Settings(judged, tmp_path / str(wanted), cache=tmp_path / "cache")
        session.train(recipe, settings, progress=counting)
        assert counted[-1] == wanted  # while it took steps


@pytest.mark.parametrize("mode", ["tune", "scratch"])
def test_tune_and_scratch_train_and_keep_their_trunk(mode: str, judged: Path, tmp_path: Path) -> None:
    succeeded(*arguments(mode, judged, tmp_path / "run", *SHORT))
    module = LPIPS.from_file(tmp_path / "run")
    start = LPIPS("alex", version=None, trunk_seed=0 if mode == "scratch" else None).net
    moved = [float((a - b).abs().max()) for a, b in zip(module.net.parameters(), start.parameters(), strict=True)]
    assert all(0 < change < 1e-3 for change in moved)  # six steps of at most about 1e-4
    assert not module.weights  # the file brings the trunk


def test_heads_load_in_the_official_layout_and_back(lin: Path, tmp_path: Path) -> None:
    succeeded("export", str(lin), str(tmp_path / "heads.pth"))
    heads = torch.load(tmp_path / "heads.pth", weights_only=True)
    assert {name: tuple(value.shape) for name, value in heads.items()} == {
        f"lin{k}.model.1.weight": (1, channels, 1, 1) for k, channels in enumerate((64, 192, 384, 256, 256))
    }
    succeeded("export", str(lin), str(tmp_path / "whole.pth"), "--whole")
    whole = read_torch((tmp_path / "whole.pth").read_bytes())
    assert {"net.slice1.0.weight", "scaling_layer.shift", "lins.4.model.1.weight"} <= set(whole)
    a, b = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    wanted = float(LPIPS.from_file(lin)(a, b))
    for name in ("heads.pth", "whole.pth"):
        assert float(LPIPS.from_file(tmp_path / name)(a, b)) == pytest.approx(wanted, rel=1e-6)
    assert "the official release has .pth files" in refused("export", str(lin), str(tmp_path / "heads.npz"))


@pytest.mark.parametrize("version", ["0.1", "0.0"])
def test_training_goes_on_from_released_heads(version: str, judged: Path, tmp_path: Path) -> None:
    released = LPIPS("alex", version="0.0" if version == "0.0" else "0.1")
    torch.save({k: v for k, v in released.state_dict().items() if k.startswith("lin")}, tmp_path / "alex.pth")
    start = ["--start", str(tmp_path / "alex.pth"), "--lr", "1e-7"]
    succeeded(*arguments("lin", judged, tmp_path / "run", *SHORT, *start))
    found = LPIPS.from_file(tmp_path / "run")
    assert found.version == version  # whether the input is scaled is kept
    a, b = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert float(found(a, b)) == pytest.approx(float(released(a, b)), rel=1e-3)


def test_a_file_of_torchvisions_names_is_a_trunk(judged: Path, tmp_path: Path) -> None:
    trunk = LPIPS("alex", version=None, trunk_seed=5).net
    state = {f"features.{name.split('.', 1)[1]}": value for name, value in trunk.state_dict().items()}
    torch.save({**state, "classifier.1.weight": torch.zeros(3, 3)}, tmp_path / "own.pth")
    a, b = (np.random.default_rng(k).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8) for k in (0, 1))
    own = load(f"alex@{tmp_path / 'own.pth'}")
    assert own(a, b) == pytest.approx(load("alex@random-5")(a, b))
    assert not own.verified
    succeeded(*arguments("lin", judged, tmp_path / "run", *SHORT, "--trunk", str(tmp_path / "own.pth")))
    module = LPIPS.from_file(tmp_path / "run")
    assert all(torch.equal(x, y) for x, y in zip(module.net.parameters(), trunk.parameters(), strict=True))


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_result(judged: Path, tmp_path: Path) -> None:
    more = ["--epochs", "3", "--decay-epochs", "1", "--batch-size", "4", "--checkpoint-every", "1"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    child = subprocess.Popen([*COMMAND, *arguments("tune", judged, killed, *more)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not ((killed / "log.csv").exists() and position(killed)["step"] >= 2):
        assert child.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert len(position(killed)["log"]) < 4
    result = succeeded(*arguments("tune", judged, killed, *more))
    assert "goes on after epoch" in result.stderr
    succeeded(*arguments("tune", judged, whole, *more))
    assert content(killed) == content(whole)


def test_a_finished_run_is_left_as_it_is_and_lost_files_come_back(judged: Path, tmp_path: Path) -> None:
    words = arguments("lin", judged, tmp_path / "run", *SHORT)
    succeeded(*words)
    before = content(tmp_path / "run")
    (tmp_path / "run" / "log.csv").unlink()
    succeeded(*words)
    assert content(tmp_path / "run") == before


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(judged: Path, tmp_path: Path) -> None:
    # Batches of 4 of 13 items: the last has one, so that a process has none.
    more = ["--epochs", "2", "--decay-epochs", "0", "--batch-size", "4", "--dropout", "0"]
    for mode in ("tune", "lin"):
        one, two = tmp_path / f"{mode}-one", tmp_path / f"{mode}-two"
        succeeded(*arguments(mode, judged, one, *more))
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
        done = subprocess.run(
            [*torchrun, "-m", "metrics.commands.train", *arguments(mode, judged, two, *more)],
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("done; score it with") == 1  # said by the first alone
        assert json.loads((two / "run.json").read_text())["processes"] == 2
        first, second = (np.genfromtxt(folder / "log.csv", delimiter=",", skip_header=1) for folder in (one, two))
        np.testing.assert_allclose(second, first, rtol=1e-4)
        a, b = torch.rand(2, 4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
        torch.testing.assert_close(LPIPS.from_file(two)(a, b), LPIPS.from_file(one)(a, b), rtol=1e-3, atol=0)
    assert "processes: 2, 1" in refused(*arguments("lin", judged, tmp_path / "lin-two", *more))


def test_bad_sets_are_named(judged: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert "no set 'train/none'; there: train/a (2afc)" in refused(*arguments("lin", judged, out, sets="train/none"))
    message = "the set 'val/same' holds same/different judgments; training takes 2AFC sets"
    assert message in refused(*arguments("lin", judged, out, sets="val/same"))
    assert "all 4 judgments are tied at 0.5" in refused(*arguments("lin", judged, out, sets="val/tied"))
    (tmp_path / "empty" / "2afc" / "train" / "a").mkdir(parents=True)
    for role in ("ref", "p0", "p1", "judge"):
        (tmp_path / "empty" / "2afc" / "train" / "a" / role).mkdir()
    assert "the set is empty" in refused(*arguments("lin", tmp_path / "empty", out))
    assert not out.exists()


def test_another_recipe_other_data_or_another_folder_is_not_overwritten(
    judged: Path, lin: Path, tmp_path: Path
) -> None:
    before = content(lin)
    assert "holds a run that differs (" in (line := refused(*arguments("lin", judged, lin, *SHORT, net="vgg")))
    assert "net: alex, vgg" in line
    assert content(lin) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("")
    assert "is not a run, and not empty" in refused(*arguments("lin", judged, tmp_path / "full", *SHORT))


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(judged: Path, tmp_path: Path) -> None:
    line = refused(*arguments("tune", judged, tmp_path / "run", "--lr", "1e30", "--checkpoint-every", "1"))
    assert "not a number" in line or "the loss is nan" in line or "the loss is inf" in line
    assert "lower --lr" in line
    for path in (tmp_path / "run").glob("*.safetensors"):
        assert all(bool(value.isfinite().all()) for value in load_file(path).values())


def test_weights_of_another_net_are_refused(judged: Path, tmp_path: Path) -> None:
    heads = {k: v for k, v in LPIPS("vgg").state_dict().items() if k.startswith("lin")}
    torch.save(heads, tmp_path / "vgg.pth")
    line = refused(*arguments("lin", judged, tmp_path / "run", "--start", str(tmp_path / "vgg.pth")))
    assert "weights of vgg, but the run is to train alex" in line


class Bomb:
    """Runs a command when it is unpickled by a reader that allows it."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.target}",)


def test_a_hostile_checkpoint_is_refused_and_not_run(judged: Path, tmp_path: Path) -> None:
    torch.save({"lin0.model.1.weight": Bomb(tmp_path / "ran")}, tmp_path / "bomb.pth")
    line = refused(*arguments("lin", judged, tmp_path / "run", "--start", str(tmp_path / "bomb.pth")))
    assert "refused" in line
    words = arguments("lin", judged, tmp_path / "run", *SHORT)
    succeeded(*words)
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    good = {name: value.clone() for name, value in load_file(checkpoint).items()}  # not the file mapped into memory
    heads = "lpips.lin0.model.1.weight"
    with safe_open(checkpoint, framework="pt") as opened:
        about = opened.metadata()
    for bad in (
        (tmp_path / "bomb.pth").read_bytes(),
        b"",
        {name: value for name, value in good.items() if name != heads},
        {**good, heads: torch.ones(1, 7, 1, 1)},
    ):
        if isinstance(bad, bytes):
            checkpoint.write_bytes(bad)
        else:
            save_file(bad, checkpoint, metadata=about)
        assert "not a checkpoint of this run" in refused(*words)
    save_file(good, checkpoint, metadata={"position": "[1]"})
    assert "not a checkpoint of this run" in refused(*words)
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_keeps_the_last_checkpoint(judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = arguments("lin", judged, tmp_path / "run", *SHORT, "--checkpoint-every", "1")
    write, written = Path.write_bytes, []

    def fill(path: Path, data: bytes) -> int:
        if path.suffix == ".safetensors" and len(written) == 4:
            write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        line = refused(*words)
    assert "No space left on device" in line
    assert "the last checkpoint is kept" in line
    assert position(tmp_path / "run")["step"] + len(position(tmp_path / "run")["log"]) > 0
    assert not list((tmp_path / "run").glob(".writing*"))
    succeeded(*words)
    succeeded(*arguments("lin", judged, tmp_path / "other", *SHORT, "--checkpoint-every", "1"))
    assert content(tmp_path / "run") == content(tmp_path / "other")


def test_squeezenet_learns_too(judged: Path, tmp_path: Path, squeezenet: Setup) -> None:
    ((name, file),) = squeezenet.weights.unverified
    more = [*SHORT, "--unverified-weights", name, str(file)]
    succeeded(*arguments("lin", judged, tmp_path / "run", *more, net="squeeze"))
    state = load_file(tmp_path / "run" / "lpips.safetensors")
    assert "net.slice1.0.weight" in state  # an unverified trunk travels with its heads
    assert sum(value.numel() for name, value in state.items() if name.startswith("lin")) == 2240


def test_broken_run_weights_are_named(lin: Path, tmp_path: Path) -> None:
    (tmp_path / "lpips.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no LPIPS weights") as caught:
        LPIPS.from_file(tmp_path)
    assert isinstance(caught.value.__cause__, SafetensorError)
