"""The folder of a run, and its checkpoints.

run.json                what the run is: recipe, digests of data and trunk, number of items, processes, versions
checkpoint.safetensors  the trained parameters, the optimiser's state and the position; replaced whole
lpips.safetensors       the metric after the last finished epoch, in the key names of the official release
log.csv, curves.png     one row and one point an epoch

Everything but run.json and the checkpoint follows from the checkpoint, and is written anew from it.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from bapps_builder.errors import WeightsError
from bapps_builder.files.atomic import replaced_whole
from metrics.deep.lpips import LPIPS
from metrics.training.curves import draw_curves
from metrics.training.loop import Epoch, Learner, Position, all_finite
from metrics.training.recipe import Recipe, TrainingError, differences
from metrics.weights.readers import RUN_WEIGHTS

ABOUT = "run.json"
CHECKPOINT = "checkpoint.safetensors"
LOG = "log.csv"
CURVES = "curves.png"
_ADAM = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class About:
    """What a run is, besides its recipe; two runs that differ in any of it are two runs.

    Attributes
    ----------
    recipe : Recipe
    data : dict of set label to SHA-256 of its content
    items : dict of set label to number of items
    loads : dict of set label to load mode
        What the recipe's came to.
    trunk : str
        SHA-256 of the trunk's weights at the start.
    processes : int
    torch : str
        Version.
    """

    recipe: Recipe
    data: Mapping[str, str]
    items: Mapping[str, int]
    loads: Mapping[str, str]
    trunk: str
    processes: int
    torch: str = torch.__version__

    def to_json(self) -> str:
        """As text with line breaks."""
        return json.dumps({**asdict(self), "recipe": json.loads(self.recipe.to_json())}, indent=2) + "\n"


@dataclass(frozen=True)
class Run:
    """A run's folder."""

    folder: Path

    def begin(self, about: About) -> None:
        """Make the folder, or check that it holds this very run.

        Raises
        ------
        TrainingError
            If it holds another run, or anything else.
        """
        if not (self.folder / ABOUT).exists():
            if self.folder.exists() and any(self.folder.iterdir()):
                raise TrainingError(f"{self.folder}: is not a run, and not empty; name another folder with --out")
            self.folder.mkdir(parents=True, exist_ok=True)
            with replaced_whole(self.folder / ABOUT) as temporary:
                temporary.write_text(about.to_json())
            return
        old = self.about()
        changed = differences(old.recipe, about.recipe)
        for name in ("data", "items", "loads", "trunk", "processes", "torch"):
            before, now = getattr(old, name), getattr(about, name)
            if before != now:
                changed.append(f"{name}: {_brief(before)}, {_brief(now)}")
        if changed:
            raise TrainingError(
                f"{self.folder}: holds a run that differs ({'; '.join(changed)}); continue it as it was begun, or "
                "name another folder with --out"
            )

    def about(self) -> About:
        """Read what the run is.

        Raises
        ------
        TrainingError
            If the folder holds no run of this version.
        """
        path = self.folder / ABOUT
        try:
            values = json.loads(path.read_text())
            values["recipe"] = Recipe.from_json(json.dumps(values["recipe"]))
            return About(**values)
        except (OSError, TypeError, ValueError, KeyError) as error:
            raise TrainingError(f"{path}: not a run of this version: {error}") from error

    def save(self, learner: Learner, position: Position) -> None:
        """Replace the checkpoint; if that fails, the one before stays.

        Raises
        ------
        TrainingError
            If a parameter is not a number any more, or the checkpoint cannot be written.
        """
        if not all_finite(learner):
            raise TrainingError(
                f"a parameter is not a number after epoch {position.epoch}, step {position.step}; {self._kept()}; "
                "try a lower --lr"
            )
        tensors = dict(_plain(learner.trained()))
        for name, parameter in learner.trained().items():
            for key, value in learner.optimiser.state[parameter].items():
                tensors[f"adam.{key}.{name}"] = value.detach().cpu().contiguous()
        data = save(tensors, {"position": json.dumps(asdict(position))})
        with self._writing(), replaced_whole(self.folder / CHECKPOINT) as temporary:
            temporary.write_bytes(data)

    def _kept(self) -> str:
        exists = (self.folder / CHECKPOINT).exists()
        return f"the last checkpoint is kept in {self.folder}" if exists else "there is no checkpoint yet"

    def resume(self, learner: Learner) -> Position:
        """Bring a learner to the checkpoint and give its position; without one, the start.

        Raises
        ------
        TrainingError
            If the checkpoint is broken or of something else.
        """
        path = self.folder / CHECKPOINT
        if not path.exists():
            return Position()
        try:
            with safe_open(path, framework="pt") as opened:
                tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118
                position = _position(json.loads((opened.metadata() or {})["position"]))
            _load(learner, tensors)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise TrainingError(
                f"{path}: not a checkpoint of this run: {error}; remove it to begin the run anew"
            ) from error
        return position

    def publish(self, module: LPIPS, position: Position, val: tuple[str, ...], *, with_trunk: bool) -> None:
        """Write what follows from a finished epoch: the metric and the log."""
        with self._writing():
            write_weights(module, self.folder / RUN_WEIGHTS, with_trunk=with_trunk)
            with replaced_whole(self.folder / LOG) as temporary:
                temporary.write_text(log_csv(position.log, val))

    def draw(self, log: tuple[Epoch, ...], val: tuple[str, ...]) -> None:
        """Draw the curves, which takes longer than a short epoch."""
        with self._writing():
            draw_curves(log, val, self.folder / CURVES)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Say what is left when a file cannot be written, as on a full disk."""
        try:
            yield
        except OSError as error:
            raise TrainingError(
                f"{self.folder}: cannot be written to: {error.strerror or error}; {self._kept()}; make room and give "
                "the same command again"
            ) from error


def write_weights(module: LPIPS, target: Path, *, with_trunk: bool) -> None:
    """Write a module as safetensors in the key names of the official release; heads alone without the trunk."""
    state = _plain(module.state_dict())
    tensors = {name: value for name, value in state.items() if with_trunk or name.startswith("lin")}
    with replaced_whole(target) as temporary:
        # One entry: safetensors writes several in an order that changes from call to call.
        temporary.write_bytes(save(tensors, {"version": str(module.version)}))


def export(module: LPIPS, target: Path, *, whole: bool) -> None:
    """Write a .pth file as the official release has them: a head file, or a whole training checkpoint.

    A checkpoint also holds each head a second time, as `lins.N`.
    """
    if target.suffix != ".pth":
        raise WeightsError(f"{target}: the official release has .pth files; end the name in .pth")
    state = _plain(module.state_dict())
    heads = {name: value for name, value in state.items() if name.startswith("lin")}
    doubled = {f"lins.{name.removeprefix('lin')}": value for name, value in heads.items()}
    with replaced_whole(target) as temporary:
        torch.save({**state, **doubled} if whole else heads, temporary)


def log_csv(log: tuple[Epoch, ...], val: tuple[str, ...]) -> str:
    """The log as CSV: epoch, learning rate, loss, 2AFC on the training items and on each validation set."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", "lr", "loss", "train", *val])
    for each in log:
        writer.writerow([each.number, *(repr(value) for value in (each.lr, each.loss, each.train, *each.val))])
    return text.getvalue()


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _position(values: dict[str, Any]) -> Position:
    for each in values["log"]:
        each["val"] = tuple(each["val"])
    values["log"] = tuple(Epoch(**each) for each in values["log"])
    return Position(**values)


def _load(learner: Learner, tensors: Mapping[str, Tensor]) -> None:
    trained = learner.trained()
    names = {*trained, *(f"adam.{key}.{name}" for key in _ADAM for name in trained)}
    if set(tensors) != names:
        odd = sorted(set(tensors) ^ names)
        raise KeyError(f"{len(odd)} tensors too many or missing, such as {odd[0]}")
    state = {number: {key: tensors[f"adam.{key}.{name}"] for key in _ADAM} for number, name in enumerate(trained)}
    for name, parameter in trained.items():
        for key in ("exp_avg", "exp_avg_sq"):
            if tensors[f"adam.{key}.{name}"].shape != parameter.shape:
                raise ValueError(f"adam.{key}.{name} has shape {tuple(tensors[f'adam.{key}.{name}'].shape)}")
        with torch.no_grad():
            if tensors[name].shape != parameter.shape:
                raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(parameter.shape)}")
            parameter.copy_(tensors[name])
    groups = learner.optimiser.state_dict()["param_groups"]
    learner.optimiser.load_state_dict({"state": state, "param_groups": groups})


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
