"""The items that may become part of a dataset: those it has, and those that sources bring."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bapps_builder.answers import read_answers
from bapps_builder.errors import DatasetError
from bapps_builder.layout import ANSWERS, IMAGE_FOLDERS, OTHER_ANSWERS, SetFolder
from bapps_builder.manifest import MAX_ITEMS, item_id
from bapps_builder.record import Settings
from bapps_builder.set_tables import read_items
from bapps_builder.sources import ROLES, SOURCE_SCHEMA, Source
from bapps_builder.splits import collection_keys, drawn_splits, photo_keys


@dataclass(frozen=True)
class Pool:
    """N items, those that are part of the dataset already first.

    Attributes
    ----------
    items : table of SOURCE_SCHEMA
    files : table
        Paths of ref, p0, p1.
    ids : tuple
        The names of those that are part of the dataset, in the same order.
    """

    items: pa.Table
    files: pa.Table
    ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    @property
    def named(self) -> pd.DataFrame:
        """How the items are named in their study: columns source_set, source_id and task."""
        return self.items.select(["source_set", "source_id", "task"]).to_pandas()

    @property
    def set_keys(self) -> NDArray[np.object_]:
        """The set of each item, as `SetFolder.key`, shape (N,)."""
        columns = (self.items[name].to_pylist() for name in ("task", "split", "set"))
        return np.array([SetFolder(Path(), *row).key for row in zip(*columns, strict=True)], object)

    @property
    def photos(self) -> NDArray[np.object_]:
        """What tells their photographs apart, shape (N,)."""
        return photo_keys(self.items.select(["photo", "photo_sha256"]).to_pandas()).to_numpy(object)

    def name(self, at: int) -> str:
        """What an error calls an item."""
        return f"{self.items['source_set'][at].as_py()} {self.items['source_id'][int(at)].as_py()}"


def pool_of(sources: Sequence[Source]) -> Pool:
    """All items of some sources; two of one name are an error."""
    pool = Pool(_joined(source.items for source in sources), _joined(source.files for source in sources))
    _check_distinct(pool)
    return pool


def with_splits(pool: Pool, settings: Settings) -> Pool:
    """Divide the photographs anew, if that was asked for."""
    if settings.split_by == "given":
        return pool
    items = pool.items.select(["photo", "photo_sha256"]).to_pandas()
    keys = photo_keys(items) if settings.split_by == "photo" else collection_keys(items)
    if (unknown := (keys == "").to_numpy()).any():
        raise DatasetError(
            f"{int(unknown.sum())} items do not say their {settings.split_by}, the first is "
            f"{pool.name(int(unknown.argmax()))}; keep the split they have (--split given)"
        )
    drawn = drawn_splits(list(keys), val_share=settings.val_share, seed=settings.seed)
    at = pool.items.schema.get_field_index("split")
    return replace(pool, items=pool.items.set_column(at, "split", pa.array(list(drawn), pa.string())))


def extended(pool: Pool, sources: Sequence[Source]) -> Pool:
    """Add the items of sources that are not in the pool; those of a name that is there must be the same ones."""
    if not sources:
        return pool
    offered = pool_of(sources)
    there = pd.MultiIndex.from_frame(pool.named).get_indexer(pd.MultiIndex.from_frame(offered.named))
    for role in ROLES:
        theirs, ours = (one.items[f"{role}_sha256"].to_pandas().to_numpy(object) for one in (offered, pool))
        other = (there >= 0) & pd.notna(theirs) & (theirs != ours[there])
        if other.any():
            raise DatasetError(
                f"{int(other.sum())} items are others than those of the same name in the dataset, the first "
                f"{offered.name(int(other.argmax()))}: {role} has other pixels; give the new set another name"
            )
    new = np.flatnonzero(there < 0)
    return Pool(
        _joined([pool.items, offered.items.take(new)]), _joined([pool.files, offered.files.take(new)]), pool.ids
    )


def numbered(pool: Pool, inside: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Number the items of each set that are `inside`, after those that have a number; "" for the others."""
    keys, there = pool.set_keys, len(pool.ids)
    ids = np.full(len(pool), "", object)
    ids[:there] = pool.ids
    for key in set(keys):
        members = np.flatnonzero(inside & (keys == key))
        if len(members) > MAX_ITEMS:
            raise DatasetError(f"{key}: {len(members)} items; a set holds at most {MAX_ITEMS}")
        new = members[members >= there]
        ids[new] = [item_id(len(members) - len(new) + position) for position in range(len(new))]
    return ids


def opened(folders: Sequence[SetFolder]) -> tuple[Pool, pd.DataFrame]:
    """Read the items of a dataset built here, and all answers it holds.

    The answers are named as their study named the items, and have the column `at` (see `tally`).

    Raises
    ------
    DatasetError
        If a table is missing or not readable.
    """
    items, files, answers, start = [], [], [], 0
    for folder in folders:
        rows = read_items(folder)
        ids = rows["id"].to_pylist()
        files.append(_own_files(folder, ids))
        own = read_answers(folder.path / ANSWERS)
        at = pd.Index(ids).get_indexer(pd.Index(own["item"]))
        if (at < 0).any():
            raise DatasetError(f"{folder.path}: answers to items it does not have; run `bapps-build verify`")
        names, sets = (rows[name].to_pandas().to_numpy() for name in ("source_id", "source_set"))
        answers.append(own.assign(at=at + start, item=names[at], set=sets[at]))
        items.append(rows)
        start += len(rows)
    others = folders[0].root / OTHER_ANSWERS
    if others.exists():
        answers.append(read_answers(others).assign(at=-1))
    ids = tuple(chain.from_iterable(rows["id"].to_pylist() for rows in items))
    pool = Pool(_joined(rows.select(SOURCE_SCHEMA.names) for rows in items), _joined(files), ids)
    return pool, pd.concat(answers, ignore_index=True)


def _own_files(folder: SetFolder, ids: Sequence[str]) -> pa.Table:
    columns = {
        role: [str(folder.file(role, one)) if role in IMAGE_FOLDERS[folder.task] else None for one in ids]
        for role in ROLES
    }
    return pa.table({role: pa.array(paths, pa.string()) for role, paths in columns.items()})


def _joined(parts: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts).combine_chunks()


def _check_distinct(pool: Pool) -> None:
    named = pool.named
    if (twice := named.duplicated()).any():
        first = named[twice].iloc[0]
        raise DatasetError(
            f"{int(twice.sum())} items have the name of another, the first {first['source_id']!r} of "
            f"{first['source_set']}; build from one of the sources that hold it, or give the sets other names"
        )
