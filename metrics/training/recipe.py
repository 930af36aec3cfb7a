"""The recipe of a training run: every number that decides its result, with the paper's as defaults.

Zhang et al., CVPR 2018, arXiv 1801.03924, section 3 and appendix: Adam, batches of 50, five epochs at
1e-4 and five with linear decay, dropout of .5 before the heads, heads projected to >= 0 after each step.

The table below is the only place that spells names, defaults and help; the command makes its options
of it, and a run stores it.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from bapps_builder.datasets.load_mode import LoadMode
from bapps_builder.errors import BappsError
from metrics.metric import Precision

Mode = Literal["lin", "tune", "scratch"]


class TrainingError(BappsError):
    """A training that cannot begin, go on or be continued."""


def _about(text: str, *, least: float | None = None, below: float | None = None) -> dict[str, Any]:
    return {"help": text, "least": least, "below": below}


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, and how.

    Raises
    ------
    TrainingError
        If a value is out of its range, or values exclude each other.
    """

    mode: Mode
    net: str
    sets: tuple[str, ...]
    val: tuple[str, ...] = ()
    seed: int = field(default=0, metadata=_about("Seed of everything left to chance.", least=0))
    epochs: int = field(default=5, metadata=_about("Epochs at the full learning rate.", least=0))
    decay_epochs: int = field(default=5, metadata=_about("Epochs of linear decay after them.", least=0))
    batch_size: int = field(default=50, metadata=_about("Items a step, of all processes together.", least=1))
    lr: float = field(default=1e-4, metadata=_about("Learning rate of Adam.", least=0))
    beta1: float = field(default=0.5, metadata=_about("Decay of Adam's mean of gradients.", least=0, below=1))
    beta2: float = field(default=0.999, metadata=_about("Decay of Adam's mean of their squares.", least=0, below=1))
    dropout: float = field(
        default=0.5, metadata=_about("Share of squared differences dropped before the heads.", least=0, below=1)
    )
    head_start: float = field(
        default=0.1,
        metadata=_about(
            "What all heads are at the start. Equal heads are the uncalibrated distance, whatever their size; at .1 it "
            "has the range of a trained one.",
            least=0,
        ),
    )
    hidden: int = field(default=32, metadata=_about("Width of the two hidden layers of the ranking net.", least=1))
    ratio_offset: float = field(
        default=0.1, metadata=_about("Added to the divisor of the ratios that the ranking net sees.", least=0)
    )
    load: LoadMode = field(
        default="auto",
        metadata=_about(
            "What becomes of image files. auto: official for BAPPS's enlarged patches, native for all others. "
            "official: shrunk to 64x64. exact: BAPPS's enlargement undone. native: files as they are."
        ),
    )
    exact: bool = field(default=False, metadata=_about("lin goes through the images in every epoch, instead of once."))
    precision: Precision = field(default="fp32", metadata=_about("Of the convolutions."))
    device: str = field(default="cpu", metadata=_about("Torch device, such as cuda."))
    torch_threads: int = field(
        default=1,
        metadata=_about(
            "Threads in which torch computes on the CPU. A run on 1 repeats to the bit; on more, sums may be added in "
            "another order.",
            least=1,
        ),
    )
    trunk: str = field(
        default="",
        metadata=_about(
            "Trunk to start from: random, kmeans (see `bapps-train trunk`) or a FILE with torchvision's key names, "
            "unverified. [default: trained on ImageNet; Gaussian for scratch]"
        ),
    )
    start: str = field(
        default="", metadata=_about("LPIPS weights to continue from: a head file, an official checkpoint or a run.")
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            _check(each, getattr(self, each.name))
        if not self.sets:
            raise TrainingError("no training sets; name them with --sets, such as --sets train/traditional")
        if self.exact and self.mode != "lin":
            raise TrainingError(f"--exact is for lin; {self.mode} always goes through the images")
        if self.start and self.trunk:
            raise TrainingError("--trunk and --start exclude each other: a start brings its trunk")
        if self.mode == "scratch" and (self.trunk or self.start):
            raise TrainingError("scratch starts from a Gaussian trunk; use tune to start from --trunk or --start")
        if not self.all_epochs:
            raise TrainingError("--epochs and --decay-epochs are both 0; nothing would be trained")

    @property
    def all_epochs(self) -> int:
        """Epochs of the whole run."""
        return self.epochs + self.decay_epochs

    @property
    def by_averages(self) -> bool:
        """Whether training runs on cached averages of the features instead of on images."""
        return self.mode == "lin" and not self.exact

    def learning_rate(self, epoch: int) -> float:
        """Of epoch 0, 1, ...: the full rate, then down in equal steps; the last step before 0 is the last epoch's."""
        return self.lr * min(1.0, (self.all_epochs - epoch) / max(1, self.decay_epochs))

    def to_json(self) -> str:
        """As one line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read what `to_json` wrote.

        Raises
        ------
        TrainingError
            If it is no recipe of this version.
        """
        try:
            values = json.loads(text)
            values["sets"], values["val"] = tuple(values["sets"]), tuple(values["val"])
            return cls(**values)
        except (TypeError, ValueError, KeyError) as error:
            raise TrainingError(f"no recipe of this version: {error}") from error


def options() -> Mapping[str, Field[Any]]:
    """The fields of a recipe that are settings with a default and a help text, by name."""
    return {each.name: each for each in fields(Recipe) if each.metadata and each.default is not MISSING}


def differences(a: Recipe, b: Recipe) -> list[str]:
    """Where two recipes differ, as `name: first, second`."""
    first, second = asdict(a), asdict(b)
    return [f"{name}: {first[name]}, {second[name]}" for name in first if first[name] != second[name]]


def _check(each: Field[Any], value: Any) -> None:
    option = f"--{each.name.replace('_', '-')}"
    if (kinds := get_args(each.type)) and all(isinstance(kind, str) for kind in kinds) and value not in kinds:
        raise TrainingError(f"{option} must be one of {', '.join(kinds)}, got {value!r}")
    least, below = each.metadata.get("least"), each.metadata.get("below")
    if least is None:
        return
    if isinstance(value, bool) or not isinstance(value, int if each.type is int else int | float):
        raise TrainingError(f"{option} must be {'a whole' if each.type is int else 'a'} number, got {value!r}")
    if not (math.isfinite(value) and value >= least and (below is None or value < below)):
        limit = f" and below {below:g}" if below is not None else ""
        raise TrainingError(f"{option} must be at least {least:g}{limit}, got {value:g}")
