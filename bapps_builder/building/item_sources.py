"""Where the items of a dataset come from: a patch set, or images of other people's studies.

Other people's images are named by a table (CSV or Parquet, one row an item):

    item                  the name that the answers use
    ref, p0, p1           files, relative to the table's folder; JND has no ref
    set, split            optional; else those given for the whole table
    photo                 optional: the photograph the patch comes from, for splits without leaks
    p0_recipe, p1_recipe  optional: what was done to the patches
    p0_family, p1_family  optional: of which kind that is, several joined by +

or lie in a folder with ref/, p0/ and p1/ (JND: p0/ and p1/), paired by stem.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bapps_builder.datasets.set_tables import SOURCE_SCHEMA
from bapps_builder.datasets.splits import collection_keys, photo_keys
from bapps_builder.errors import DatasetError
from bapps_builder.files.by_stem import files_by_stem, unpaired
from bapps_builder.files.download import sha256_of
from bapps_builder.files.file_names import say_passed_over
from bapps_builder.files.row_batches import Portions, select_rows, sliced
from bapps_builder.images.photographs import PHOTO_SUFFIXES
from bapps_builder.layout import IMAGE_FOLDERS, SPLITS, check_set_names
from bapps_builder.patch_sets.manifest import SCHEMA, manifest_portions
from bapps_builder.patch_sets.patch_set import MANIFEST, check_files, patch_path, read_description

ROLES = IMAGE_FOLDERS["2afc"]
# What is held of every item, the rest being read when it is written; texts that many items share are kept once.
_SHARED = ("source_set", "task", "set", "split", "photo", "collection")
NAMES_SCHEMA = pa.schema(
    [("source_id", pa.string()), *((name, pa.dictionary(pa.int32(), pa.string())) for name in _SHARED)]
)
_OPTIONAL = ("photo", "p0_recipe", "p1_recipe", "p0_family", "p1_family")
_TABLE_COLUMNS = ("item", "ref", "p0", "p1", "set", "split", *_OPTIONAL)


@dataclass(frozen=True)
class Source:
    """N items and where their images are.

    Attributes
    ----------
    name : str
        Folder or file, without the path to it.
    sha256 : str
        Of the patch set's manifest or of the table; "" for folders.
    origin : mapping
        What `patchset.json` says; empty for others.
    names : table of NAMES_SCHEMA, N rows
        How the items and their sets are called, and what tells photographs and their collections apart.
    items : Portions of N rows
        The columns of SOURCE_SCHEMA, and ref, p0 and p1: paths; ref is null for JND.
    """

    name: str
    sha256: str
    origin: Mapping[str, Any]
    names: pa.Table
    items: Portions


def read_source(path: Path, *, default_set: str = "") -> Source:
    """Read a patch set, a table of items or a folder of images, whichever is at `path`.

    Parameters
    ----------
    path : Path
    default_set : "split/name"
        For items that do not say theirs; default: val, and the name of `path`.

    Raises
    ------
    DatasetError, PatchSetError
        If it is none of these, or incomplete.
    """
    if path.is_file():
        return _from_table(path, default_set)
    if path.is_dir() and not (path / MANIFEST).exists() and (path / "p0").is_dir():
        return _from_folders(path, default_set)
    return _from_patch_set(path)


def _from_patch_set(folder: Path) -> Source:
    description = read_description(folder)
    names = names_of(map(_with_names, manifest_portions(folder / MANIFEST)))
    roles = IMAGE_FOLDERS[names["task"][0].as_py()]
    check_files(folder, roles, len(names))
    check_set_names(names["set"].unique().to_pylist(), str(folder))
    return Source(
        name=folder.resolve().name,
        sha256=sha256_of(folder / MANIFEST),
        origin=asdict(description),
        names=names,
        items=partial(_patch_set_items, folder, roles),
    )


def _patch_set_items(folder: Path, roles: Sequence[str], mask: NDArray[np.bool_]) -> Iterator[pa.Table]:
    for manifest in select_rows(manifest_portions(folder / MANIFEST), mask):
        ids = manifest["id"].to_pylist()
        files = {role: [str(patch_path(folder, role, item)) for item in ids] for role in roles}
        yield with_files(_with_names(manifest), files)


def _with_names(manifest: pa.Table) -> pa.Table:
    """Give the rows of a manifest as a table of SOURCE_SCHEMA."""
    labels = [f"{split}/{name}" for split, name in _pairs(manifest, "split", "set")]
    columns: dict[str, Any] = {"source_set": labels, "source_id": manifest["id"]}
    columns |= {field.name: manifest[field.name] for field in SCHEMA if field.name != "id"}
    return pa.table(columns, schema=SOURCE_SCHEMA)


def names_of(items: Iterable[pa.Table]) -> pa.Table:
    """Give what is held of items, a table of NAMES_SCHEMA, from tables of SOURCE_SCHEMA."""
    return pa.concat_tables(map(_names, items)).unify_dictionaries().combine_chunks()


def _names(items: pa.Table) -> pa.Table:
    photos = items.select(["photo", "photo_sha256"]).to_pandas()
    keys = {"photo": photo_keys(photos), "collection": collection_keys(photos)}
    columns = {name: keys[name] if name in keys else items[name] for name in NAMES_SCHEMA.names}
    return pa.table(columns, schema=NAMES_SCHEMA)


def with_files(items: pa.Table, files: Mapping[str, Sequence[str | None]]) -> pa.Table:
    """Add the paths of images by role, null where there is none."""
    for role in ROLES:
        items = items.append_column(role, pa.array(files.get(role, [None] * len(items)), pa.string()))
    return items


def _from_table(path: Path, default_set: str) -> Source:
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, dtype=str, index_col=False, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError, EOFError, pa.ArrowException) as error:
        raise DatasetError(f"{path}: not a readable table of items: {error}") from error
    if unknown := [str(name) for name in table if name not in _TABLE_COLUMNS]:
        raise DatasetError(f"{path}: unknown columns {', '.join(unknown)}; known are {', '.join(_TABLE_COLUMNS)}")
    if missing := [name for name in ("item", "p0", "p1") if name not in table]:
        raise DatasetError(f"{path}: lacks the columns {', '.join(missing)}")
    if not len(table):
        raise DatasetError(f"{path}: holds no items")
    table = table.fillna("").astype(str)
    for name in ("item", "p0", "p1"):
        if (empty := table[name] == "").any():
            raise DatasetError(f"{path}: {int(empty.sum())} rows have no {name}, the first is row {empty.argmax() + 1}")
    return _other_source(path.name, sha256_of(path), table, base=path.parent, default=default_set or f"val/{path.stem}")


def _from_folders(folder: Path, default_set: str) -> Source:
    of_roles = {role: files_by_stem(folder / role, PHOTO_SUFFIXES) for role in ROLES if (folder / role).is_dir()}
    for role, files in of_roles.items():
        for name in files.second:
            raise DatasetError(f"{folder / role}: two files for item {Path(name).stem}; keep one")
        say_passed_over(folder / role, files.foreign)
    for role, missing in unpaired({role: files.suffixes for role, files in of_roles.items()}).items():
        if missing:
            raise DatasetError(
                f"{folder}: {len(missing)} items have no file in {role}/, the first {missing[0]}; add or remove them"
            )
    if "p1" not in of_roles or not of_roles["p0"].suffixes:
        raise DatasetError(f"{folder}: needs images in p0/ and p1/, and for 2AFC in ref/")
    items = list(of_roles["p0"].suffixes)
    table = pd.DataFrame(
        {"item": items, **{r: [str(files.path(one)) for one in items] for r, files in of_roles.items()}}
    )
    name = folder.resolve().name
    return _other_source(name, "", table, base=Path(), default=default_set or f"val/{name}")


def _other_source(name: str, sha256: str, table: pd.DataFrame, *, base: Path, default: str) -> Source:
    """Make a source of a table of texts with at least item, p0 and p1; paths are relative to `base`."""
    split, _, set_name = default.partition("/")
    table = table.assign(
        set=table["set"].replace("", set_name) if "set" in table else set_name,
        split=table["split"].replace("", split) if "split" in table else split,
        ref=table.get("ref", ""),
    )
    check_set_names(list(table["set"].unique()), name)
    if wrong := [one for one in table["split"].unique() if one not in SPLITS]:
        raise DatasetError(f"{name}: the split must be {' or '.join(SPLITS)}, got {wrong[0]!r}")
    if (twice := table.duplicated(["split", "set", "item"])).any():
        raise DatasetError(
            f"{name}: {int(twice.sum())} rows repeat an item of the same split and set, the first is "
            f"{table['item'][twice].iloc[0]!r}; list each item once"
        )
    columns: dict[str, Any] = {
        "source_set": table["split"] + "/" + table["set"],
        "source_id": table["item"],
        "task": (table["ref"] == "").map({True: "jnd", False: "2afc"}),
    }
    for column in ("set", "split", *_OPTIONAL):
        if column in table:
            columns[column] = table[column].astype(object).where(table[column] != "", None)
    rows = len(table)
    columns = {
        field.name: pa.array(list(columns[field.name]), field.type)
        if field.name in columns
        else pa.nulls(rows, field.type)
        for field in SOURCE_SCHEMA
    }
    items = pa.table(columns, schema=SOURCE_SCHEMA)
    rows = with_files(items, {role: table[role].tolist() for role in ROLES})
    return Source(name, sha256, {}, names_of([items]), partial(_table_items, rows, base))


def _table_items(rows: pa.Table, base: Path, mask: NDArray[np.bool_]) -> Iterator[pa.Table]:
    for items in select_rows(sliced(rows), mask):
        files = {role: [str(base / file) if file else None for file in items[role].to_pylist()] for role in ROLES}
        yield with_files(items.select(SOURCE_SCHEMA.names), files)


def _pairs(table: pa.Table, *names: str) -> zip:
    return zip(*(table[name].to_pylist() for name in names), strict=True)
