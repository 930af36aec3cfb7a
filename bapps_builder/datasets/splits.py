"""Training and validation apart: no photograph on both sides, and the proof of it."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SplitBy = Literal["given", "photo", "collection"]


def photo_keys(items: pd.DataFrame) -> "pd.Series[str]":
    """What tells the photographs of items apart: the hash of the file, else its name, else ""."""
    digest, name = (items[column].fillna("") for column in ("photo_sha256", "photo"))
    return digest.where(digest != "", name)


def collection_keys(items: pd.DataFrame) -> "pd.Series[str]":
    """The collection of a photograph: the first folder of its path, or "" if it lies in none."""
    return items["photo"].fillna("").map(_first_folder)


def _first_folder(photo: object) -> str:
    return str(photo).rpartition("/")[0].partition("/")[0]


def drawn_splits(keys: Sequence[str], *, val_share: float, seed: int) -> NDArray[np.object_]:
    """Draw "train" or "val" for each key.

    The draw is a hash of seed and key, not a stream of random numbers, so that a key falls on the same
    side whichever others are there: a later round cannot move a photograph to the other side.
    """

    def is_val(key: str) -> bool:
        digest = hashlib.sha256(f"{seed}\0{key}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < val_share * 2**64

    sides = {key: "val" if is_val(key) else "train" for key in set(keys)}
    return np.array([sides[key] for key in keys], object)


@dataclass(frozen=True)
class SplitProof:
    """How many photographs are on each side, and that none is on both.

    Attributes
    ----------
    train, val : int
        Different photographs of each split.
    both : tuple of str
        Keys of those on both sides; must be empty.
    unknown : int
        Items whose photograph is not known.
    train_sha256, val_sha256 : str
        Of the sorted keys, a line each, so that the claim can be checked against items.parquet.
    """

    train: int
    val: int
    both: tuple[str, ...]
    unknown: int
    train_sha256: str
    val_sha256: str


def prove_splits(keys: Iterable[str], splits: Iterable[str]) -> SplitProof:
    """Count the photographs of both sides. `keys` and `splits` are of the same N items."""
    sides: dict[str, set[str]] = {"train": set(), "val": set()}
    unknown = 0
    for key, split in zip(keys, splits, strict=True):
        if key:
            sides[split].add(key)
        else:
            unknown += 1
    return SplitProof(
        train=len(sides["train"]),
        val=len(sides["val"]),
        both=tuple(sorted(sides["train"] & sides["val"])),
        unknown=unknown,
        train_sha256=_digest(sides["train"]),
        val_sha256=_digest(sides["val"]),
    )


def _digest(keys: set[str]) -> str:
    digest = hashlib.sha256()
    for key in sorted(keys):
        digest.update(f"{key}\n".encode())
    return digest.hexdigest()
