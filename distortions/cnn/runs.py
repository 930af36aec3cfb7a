"""The training of one variant from its row to its files: begin, go on after an interruption, measure, keep.

ZOO/cnn-017.safetensors              the trained generator, with where it comes from in its metadata
ZOO/cnn-017.png                      what it makes of held-out patches: clean / corrupted / output
ZOO/cnn-017.checkpoint.safetensors   while it is on its way
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from bapps_builder.datasets.reader import mapped_ahead
from bapps_builder.errors import BappsError
from bapps_builder.files.atomic import replaced_whole
from distortions.cnn.memory import enough_memory
from distortions.cnn.results import Diverged, keep, writing
from distortions.cnn.streaming import streams
from distortions.cnn.training import METRIC, Learner, Losses, Quality, Training
from distortions.cnn.variants import Variant
from distortions.cnn.zoo import FORMAT, KEY, SUFFIX, read_about
from distortions.photos import Collection
from distortions.workers import settle_opencv
from metrics.registry import load
from metrics.training.recipe import TrainingError
from metrics.weights.store import WeightStore

# The step after which a run is measured for the first time, and steps between its reports.
FIRST_MEASURE, REPORT_EVERY = 100, 500
_TEST_SIDE = 64


@dataclass(frozen=True)
class Report:
    """Where a run is."""

    variant: str
    step: int
    steps: int
    losses: Losses

    def __str__(self) -> str:
        named = ", ".join(f"{name} {value:.4f}" for name, value in asdict(self.losses).items() if value)
        return f"{self.variant}: step {self.step}/{self.steps}, {named}"


@dataclass(frozen=True)
class Place:
    """Where a run reads and writes; none of it changes the result on one kind of machine."""

    zoo: Path
    device: str = "cpu"
    threads: int = 1
    checkpoint_every: int = 500
    weights: WeightStore = field(default_factory=WeightStore)


def checked_device(device: str, precision: str) -> bool:
    """Whether to take products in bfloat16 on a device; TrainingError if there is no such device or it cannot."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(f"the torch device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
    on_gpu = torch.device(device).type == "cuda"
    able = torch.cuda.is_bf16_supported() if on_gpu else True
    if precision == "bf16" and not able:
        raise TrainingError(f"{device} has no bf16; say --precision fp32")
    return precision == "bf16" or (precision == "auto" and on_gpu and able)


@dataclass
class _State:
    step: int
    first: Quality | None
    log: list[dict[str, float]]


def train(
    variant: Variant,
    training: Training,
    collection: Collection,
    place: Place,
    *,
    advance: Callable[[int], None] = lambda steps: None,
    report: Callable[[Report], None] = lambda report: None,
) -> bool:
    """Train a variant, or go on with it; False if its file already exists.

    Parameters
    ----------
    variant : Variant
    training : Training
    collection : Collection
        Photos, none smaller than `training.side` or 64 pixels.
    place : Place
    advance, report : callable
        Told how many more steps are done, and the losses from time to time.

    Raises
    ------
    Diverged
        If it came to nothing. Nothing is kept as a result.
    TrainingError
        If the folder holds this variant trained otherwise, or files cannot be read or written.
    """
    settle_opencv()
    torch.set_num_threads(place.threads)
    about = _about(variant, training, collection)
    target = place.zoo / f"{variant.name}{SUFFIX}"
    if target.exists():
        _check_same(read_about(target), about, target)
        return False
    learned, held = streams(
        collection,
        variant.corruption,
        side=training.side,
        test_side=_TEST_SIDE,
        batch=training.batch,
        number=variant.number,
        seed=training.seed,
    )
    load(METRIC)  # which the end needs: better missing now than then
    test = held.test()
    learner = Learner(variant, training, device=place.device, weights=place.weights)
    checkpoint = place.zoo / f"{variant.name}.checkpoint{SUFFIX}"
    state = _resumed(learner, checkpoint, about)
    advance(state.step)
    first_measure = min(FIRST_MEASURE, training.steps)
    with (
        enough_memory(TrainingError, f"{variant.name}: a step of {training.batch} crops"),
        mapped_ahead(learned.examples, range(state.step, training.steps), threads=1) as ahead,
    ):
        for examples in ahead:
            losses = learner.step(state.step, examples)
            state.step += 1
            if not np.isfinite(list(asdict(losses).values())).all():
                raise Diverged(
                    f"{variant.name}: diverged at step {state.step}: {asdict(losses)}; nothing of it is kept"
                )
            if state.step == first_measure:
                state.first = learner.quality(test)
            if state.step % REPORT_EVERY == 0 or state.step in (1, training.steps):
                state.log.append({"step": state.step, **{name: _brief(x) for name, x in asdict(losses).items()}})
                report(Report(variant.name, state.step, training.steps, losses))
            if state.step % place.checkpoint_every == 0 and state.step < training.steps:
                _save(learner, state, about, checkpoint)
            advance(1)
    whole = {**about, "losses": state.log, "damaged": sorted(learned.damaged)}
    keep(learner, target, whole, first=state.first or learner.quality(test), first_step=first_measure, test=test)
    checkpoint.unlink(missing_ok=True)
    return True


def _about(variant: Variant, training: Training, collection: Collection) -> dict[str, Any]:
    """What decides on the result, as it stands in the files."""
    decides: dict[str, Any] = asdict(training)
    if not variant.vgg:
        del decides["vgg_patches"], decides["vgg_side"]
    return {
        "format": FORMAT,
        "row": asdict(variant),
        "training": decides,
        "photos": len(collection.photos),
        "photos_sha256": collection.digest,
    }


def _check_same(old: dict[str, Any], new: dict[str, Any], path: Path) -> None:
    def flat(about: dict[str, Any]) -> dict[str, Any]:
        return {
            **about["row"],
            **about["training"],
            **{name: about[name] for name in ("format", "photos", "photos_sha256")},
        }

    try:
        before = flat(old)
    except (KeyError, TypeError) as error:
        raise TrainingError(f"{path}: not a file of this version: {error}; move it away") from error
    now = flat(new)
    if differing := [name for name in {**before, **now} if before.get(name) != now.get(name)]:
        named = "; ".join(f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in differing)
        raise TrainingError(f"{path}: was trained otherwise: {named}. Choose another folder, or remove the file")


def _save(learner: Learner, state: _State, about: dict[str, Any], path: Path) -> None:
    """Replace the checkpoint; if that fails, the one before stays."""
    if not learner.is_finite():
        raise Diverged(f"{learner.variant.name}: a weight is not a number at step {state.step}; nothing of it is kept")
    content = {**about, "state": {"step": state.step, "first": state.first and asdict(state.first), "log": state.log}}
    with writing(path), replaced_whole(path) as temporary:
        temporary.write_bytes(save(learner.state(), {KEY: json.dumps(content)}))


def _resumed(learner: Learner, path: Path, about: dict[str, Any]) -> _State:
    """Bring a learner to its checkpoint; without one, to the start."""
    if not path.exists():
        return _State(0, None, [])
    try:
        content = read_about(path)
        with safe_open(path, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118
        _check_same(content, about, path)
        learner.restore(tensors)
        state = content["state"]
        return _State(int(state["step"]), state["first"] and Quality(**state["first"]), list(state["log"]))
    except TrainingError:
        raise
    except (BappsError, OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise TrainingError(f"{path}: not a checkpoint of this run: {error}; remove it to begin anew") from error


def _brief(value: float) -> float:
    return float(f"{value:.5g}")
