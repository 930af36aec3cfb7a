"""Weight files and checkpoints as the state of an LPIPS: which tensors they hold, under which names.

Names are those of the official head files, `lin0.model.1.weight`, and of torchvision's trunks.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from bapps_builder.errors import WeightsError
from metrics.deep.trunks.trunk import TrunkSpec, trunk_specs
from metrics.weights.readers import read_safetensors
from metrics.weights.store import RECORDS, Weights, read_torch, tensors_digest

Version = Literal["0.1", "0.0"]
VERSIONS: tuple[Version, ...] = ("0.1", "0.0")


@contextmanager
def fitting(weights: Weights, net: str) -> Iterator[None]:
    """Say which weights do not fit, where torch lists keys over several lines."""
    try:
        yield
    except (RuntimeError, KeyError) as error:
        raise WeightsError(f"the weights {weights.name} from {weights.source} do not fit {net}: {error}") from error


def as_tensors(weights: Weights) -> dict[str, Tensor]:
    """The tensors of a weight file."""
    return {name: torch.from_numpy(value) for name, value in weights.tensors.items()}


def trunk_tensors(weights: Weights) -> dict[str, Tensor]:
    """The tensors of a trunk; a classifier behind it, as in torchvision's files, is left out."""
    return {name: value for name, value in as_tensors(weights).items() if not name.startswith("classifier.")}


def read_state(file: Path) -> tuple[dict[str, Tensor], Version | None]:
    """The named tensors of a file, and the version it says it is, if it does."""
    if file.suffix != ".safetensors":
        return read_torch(file.read_bytes()), None
    tensors, about = read_safetensors(file)
    stated_version: Version | None = next((version for version in VERSIONS if version == about.get("version")), None)
    return {name: torch.from_numpy(value) for name, value in tensors.items()}, stated_version


def released_version(net: str, state: Mapping[str, Any]) -> Version | None:
    """The version whose released heads a state (in the key names of head files) holds, None if neither."""
    heads = {key: value.detach().float().cpu().numpy() for key, value in state.items() if is_head(key)}
    digest = tensors_digest(heads) if heads else ""
    return next((v for v in VERSIONS if RECORDS[f"lpips-{net}-{v}"].tensors_sha256 == digest), None)


def is_head(key: str) -> bool:
    """Whether a tensor of this name belongs to a head."""
    return key.startswith("lin")


def is_heads_only(state: Mapping[str, Any]) -> bool:
    """Whether a state has heads and no trunk."""
    return bool(state) and all(is_head(key) for key in state)


def is_ranking_net(state: Mapping[str, Any]) -> bool:
    """Whether a state is the official release's ranking net, three 1x1 convolutions that begin from 5 numbers."""
    first = state.get("model.0.weight")
    return first is not None and tuple(first.shape[1:]) == (5, 1, 1) and "model.4.weight" in state


def canonical_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """Give official checkpoints the key names of their head files.

    A checkpoint holds each head twice, as `lin0...` and `lins.0...`; one trained without dropout calls it
    `model.0`. Both name the same tensor.
    """
    result: dict[str, Any] = {}
    for key, value in state.items():
        name = key.removeprefix("module.")
        if name.startswith("lins."):
            _, k, rest = name.split(".", 2)
            name = f"lin{k}.{rest}"
        if is_head(name):
            name = name.replace(".model.0.", ".model.1.")
        if name in result and not torch.equal(result[name], value):
            raise WeightsError(f"two different tensors for {name}")
        result[name] = value
    return result


def spec_of_heads(state: Mapping[str, Tensor]) -> TrunkSpec:
    """The trunk that heads of these widths belong to, or raise WeightsError."""
    if is_ranking_net(state):
        raise WeightsError(
            "this is a ranking net, which turns two distances into a probability and is used in training only; "
            "the heads are in the file whose name lacks _rank, such as latest_net_.pth"
        )
    count = sum(is_head(key) for key in state)
    widths = tuple(
        tensor.shape[1] if (tensor := state.get(f"lin{k}.model.1.weight")) is not None and tensor.ndim == 4 else 0
        for k in range(count)
    )
    for spec in trunk_specs().values():
        if spec.channels == widths:
            return spec
    nets = "; ".join(f"{spec.net} {spec.channels}" for spec in trunk_specs().values())
    raise WeightsError(f"heads of widths {widths} fit none of the trunks ({nets})")
