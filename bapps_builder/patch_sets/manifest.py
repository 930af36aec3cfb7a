"""The manifest of a patch set: one row an item, as records in memory and as a Parquet table on disk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa

from bapps_builder.errors import PatchSetError
from bapps_builder.files.row_batches import table_portions
from bapps_builder.layout import IMAGE_FOLDERS, Task

MAX_ITEMS = 1_000_000  # six digits of id

Split = Literal["train", "val"]
Border = Literal["image", "reflected"]

_SIDE_SCHEMA = (
    ("recipe", pa.string()),
    ("family", pa.string()),
    ("seed", pa.int64()),
    ("severity", pa.list_(pa.float64())),
    ("sha256", pa.string()),
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("task", pa.string()),
        ("set", pa.string()),
        ("split", pa.string()),
        ("photo", pa.string()),
        ("photo_sha256", pa.string()),
        ("box", pa.list_(pa.int32(), 4)),
        ("scale", pa.float64()),
        ("seed", pa.int64()),
        ("border", pa.string()),
        ("ref_sha256", pa.string()),
        *((f"{side}_{name}", kind) for side in ("p0", "p1") for name, kind in _SIDE_SCHEMA),
    ]
)


@dataclass(frozen=True)
class Made:
    """How one patch was made, and its pixels' hash.

    Attributes
    ----------
    recipe : str
        What was done to the original, such as `jpeg(quality=23)`, or `identity`; in imported sets the name of
        the algorithm that made it.
    seed : int
        Of the numpy Generator that the recipe was applied with.
    severity : tuple of float
        Of each step of the recipe, in [0, 1]; empty if there was none.
    sha256 : str
        See `pixel_digest`.
    family : str
        Of the recipe's steps, each once, such as `noise+blur`; `cnn` for networks; empty if there was none, and
        in imported sets.
    """

    recipe: str
    seed: int
    severity: tuple[float, ...]
    sha256: str
    family: str = ""


@dataclass(frozen=True)
class Item:
    """One row of the manifest.

    Attributes
    ----------
    id : str
        Six digits, the stem of its files.
    task : "2afc" or "jnd"
    set : str
        Such as "traditional".
    split : "train" or "val"
    photo, photo_sha256 : str
        The photo's path within its folder, with forward slashes, and the hash of the file.
    box : tuple of int
        (left, top, width, height) of the patch in the photo, after orientation and scale.
    scale : float
        By which the photo was resized before.
    seed : int
        From which the place and the recipes were drawn.
    border : "image" or "reflected"
        Whether distortions saw the photo all around the patch, or had to be given it mirrored at its edge.
    ref_sha256 : str or None
        Of the pixels of the original; None for JND, whose original is p0.
    p0, p1 : Made
    """

    id: str
    task: Task
    set: str
    split: Split
    photo: str
    photo_sha256: str
    box: tuple[int, int, int, int]
    scale: float
    seed: int
    border: Border
    ref_sha256: str | None
    p0: Made
    p1: Made

    def digest(self, role: str) -> str:
        """The hash of the pixels of "ref" (2AFC only), "p0" or "p1"."""
        return cast(str, {"ref": self.ref_sha256, "p0": self.p0.sha256, "p1": self.p1.sha256}[role])


def item_id(index: int) -> str:
    """The id of the item at an index from 0."""
    return f"{index:06d}"


def item_table(items: Sequence[Item]) -> pa.Table:
    """Give the rows of some items as a table of SCHEMA."""
    columns: dict[str, list[Any]] = {
        name: [getattr(item, name) for item in items] for name in SCHEMA.names if not name.startswith(("p0_", "p1_"))
    }
    for side in ("p0", "p1"):
        for name, _ in _SIDE_SCHEMA:
            columns[f"{side}_{name}"] = [getattr(getattr(item, side), name) for item in items]
    return pa.table(columns, schema=SCHEMA)


def item_of(row: dict[str, Any]) -> Item:
    """Give the item of one row of a table of SCHEMA."""
    sides = {}
    for side in ("p0", "p1"):
        side_row = {name: row.pop(f"{side}_{name}") for name, _ in _SIDE_SCHEMA}
        side_row["severity"] = tuple(side_row["severity"])
        sides[side] = Made(**side_row)
    row["box"] = tuple(row["box"])
    return Item(**row, **sides)


def read_manifest(path: Path) -> pa.Table:
    """Read a manifest and check its columns, ids and task, or raise PatchSetError."""
    return pa.concat_tables(manifest_portions(path))


def manifest_portions(path: Path) -> Iterator[pa.Table]:
    """Read a manifest some rows at a time, and check it as `read_manifest` does by the time the last is read."""
    items, tasks = 0, {}
    for table in _read(path):
        if table["id"].to_pylist() != [item_id(items + index) for index in range(len(table))]:
            raise PatchSetError(f"{path}: ids must go from {item_id(0)} up by one; the file was changed")
        items += len(table)
        tasks |= dict.fromkeys(table["task"].unique().to_pylist())
        yield table
    if not items:
        raise PatchSetError(f"{path}: holds no items")
    if len(tasks) > 1 or not tasks.keys() <= IMAGE_FOLDERS.keys():
        raise PatchSetError(f"{path}: all items must be of one task, {' or '.join(IMAGE_FOLDERS)}; got {list(tasks)}")


def _read(path: Path) -> Iterator[pa.Table]:
    try:
        for table in table_portions(path):
            if table.schema.names != SCHEMA.names:
                missing = [name for name in SCHEMA.names if name not in table.schema.names]
                raise PatchSetError(
                    f"{path}: its columns, or their order, are not those of a manifest; missing "
                    f"{', '.join(missing) or 0}"
                )
            try:
                table = table.cast(SCHEMA)
            except pa.ArrowException as error:
                raise PatchSetError(f"{path}: a column is not of its type: {error}") from error
            yield table
    except FileNotFoundError as error:
        raise PatchSetError(f"{path}: no such file; a patch set has one") from error
    except (OSError, pa.ArrowException) as error:
        raise PatchSetError(f"{path}: not a readable Parquet file: {error}") from error
