"""Zoos: folders of trained variants, `cnn-017.safetensors` each, and what stands in them. Nothing is ever unpickled.

Only the headers are read to know a zoo; a file's tensors are read when its variant is first applied, and must then
have the hash that the header gives. torch is not needed for any of it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from bapps_builder.errors import DistortionError
from distortions.cnn.variants import Variant, find_variant, is_variant
from metrics.weights.readers import tensors_digest

SUFFIX = ".safetensors"
# The one entry of a file's metadata, JSON.
KEY = "bapps"
FORMAT = 1
STARTER = Path(__file__).with_name("starter_zoo")

Tensors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)  # one object for each file
class Entry:
    """A trained variant in a zoo.

    Attributes
    ----------
    variant : Variant
    path : Path
    sha256 : str
        Of its tensors, whatever their precision; see `metrics.weights.readers.tensors_digest`.
    about : mapping
        All that the file says about itself.
    """

    variant: Variant
    path: Path
    sha256: str
    about: Mapping[str, Any]

    def tensors(self) -> Tensors:
        """Read the tensors and check their hash, or raise DistortionError."""
        try:
            with safe_open(self.path, framework="numpy") as opened:
                tensors = {name: opened.get_tensor(name).astype(np.float32) for name in opened.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise DistortionError(
                f"{self.path}: not a readable safetensors file: {error}; train the variant again"
            ) from error
        if (digest := tensors_digest(tensors)) != self.sha256:
            raise DistortionError(
                f"{self.path}: its tensors have SHA-256 {digest[:12]}…, its header says {self.sha256[:12]}…; "
                "the file was changed or is damaged, train the variant again"
            )
        return tensors


@dataclass(frozen=True)
class Zoo:
    """The trained variants of a folder, by name, in the order of names."""

    folder: Path
    entries: Mapping[str, Entry]

    @property
    def digest(self) -> str:
        """SHA-256 over names and hashes of all entries."""
        lines = "".join(f"{name} {entry.sha256}\n" for name, entry in self.entries.items())
        return hashlib.sha256(lines.encode()).hexdigest()

    def __getitem__(self, name: str) -> Entry:
        """The entry of a name, or DistortionError."""
        find_variant(name)
        if name not in self.entries:
            raise DistortionError(
                f"{name} is not among the trained variants in {self.folder}, which are {', '.join(self.entries)}; "
                "name a folder that has it with --zoo, or train it with `bapps-distort train-cnn`"
            )
        return self.entries[name]


@cache
def open_zoo(folder: Path = STARTER) -> Zoo:
    """Read the headers of a zoo's files.

    Raises
    ------
    DistortionError
        If there is no zoo, or a file in it is none of a trained variant of this table.
    """
    if not folder.is_dir():
        raise DistortionError(f"{folder}: no such zoo; expected a folder of files such as cnn-017{SUFFIX}")
    paths = sorted(path for path in folder.glob(f"*{SUFFIX}") if is_variant(path.name.removesuffix(SUFFIX)))
    if not paths:
        raise DistortionError(
            f"{folder}: no trained variants in it, expected files such as cnn-017{SUFFIX}; `bapps-distort train-cnn` "
            "makes them"
        )
    entries = [read_entry(path) for path in paths]
    return Zoo(folder, {entry.variant.name: entry for entry in entries})


def read_entry(path: Path) -> Entry:
    """Read the header of a trained variant's file, or raise DistortionError."""
    variant = find_variant(path.name.removesuffix(SUFFIX))
    about = read_about(path)
    if about.get("format") != FORMAT or not isinstance(about.get("tensors_sha256"), str):
        raise DistortionError(f"{path}: not a trained variant of format {FORMAT}; train it again with this version")
    if about.get("row") != asdict(variant):
        raise DistortionError(
            f"{path}: trained for another table of variants; its row is {about.get('row')}; train it again"
        )
    return Entry(variant, path, about["tensors_sha256"], about)


def read_about(path: Path) -> dict[str, Any]:
    """What a file says about itself, or raise DistortionError."""
    try:
        with safe_open(path, framework="numpy") as opened:
            about = json.loads((opened.metadata() or {})[KEY])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise DistortionError(f"{path}: not a file of a trained variant: {type(error).__name__}: {error}") from error
    if not isinstance(about, dict):
        raise DistortionError(f"{path}: not a file of a trained variant: its entry {KEY!r} is no object")
    return about
