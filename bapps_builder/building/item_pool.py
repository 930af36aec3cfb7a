"""The items that may become part of a dataset: those it has, and those that sources bring."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bapps_builder.answers.answer_table import read_answers
from bapps_builder.building.item_sources import NAMES_SCHEMA, ROLES, Source, names_of, with_files
from bapps_builder.datasets.dataset_record import Settings
from bapps_builder.datasets.set_tables import SOURCE_SCHEMA, item_portions
from bapps_builder.datasets.splits import drawn_splits
from bapps_builder.errors import DatasetError
from bapps_builder.files.row_batches import Portions, chosen
from bapps_builder.layout import ANSWERS, IMAGE_FOLDERS, OTHER_ANSWERS, SetFolder
from bapps_builder.patch_sets.manifest import MAX_ITEMS, item_id


@dataclass(frozen=True)
class Pool:
    """N items, those that are part of the dataset already first.

    Attributes
    ----------
    names : table of NAMES_SCHEMA
    items : Portions
        See `Source.items`; the split of `names` is the one that holds.
    there : int
        How many are part of the dataset.
    """

    names: pa.Table
    items: Portions
    there: int = 0

    def __len__(self) -> int:
        return len(self.names)

    @property
    def named(self) -> pd.DataFrame:
        """How the items are named in their study: columns source_set, source_id and task."""
        return pd.DataFrame({name: self.texts(name) for name in ("source_set", "source_id", "task")})

    @property
    def set_keys(self) -> NDArray[np.object_]:
        """The set of each item, as `SetFolder.key`, shape (N,)."""
        sets = self.names.select(["task", "split", "set"]).to_pandas()
        keys = [SetFolder(Path(), *row).key for row in sets.drop_duplicates().itertuples(index=False)]
        return np.array(keys, object)[sets.groupby(list(sets), sort=False, observed=True).ngroup().to_numpy()]

    def shared(self, name: str) -> NDArray[np.object_]:
        """Give a column of names that items share, as references to the same texts."""
        column = self.names[name].combine_chunks()
        return np.array(column.dictionary.to_pylist(), object)[column.indices.to_numpy()]

    def texts(self, name: str) -> "pd.Series[str]":
        """Give a column of names."""
        return self.names[name].cast(pa.string()).to_pandas()

    def name(self, at: int) -> str:
        """What an error calls an item."""
        return f"{self.names['source_set'][at].as_py()} {self.names['source_id'][int(at)].as_py()}"


def pool_of(sources: Sequence[Source]) -> Pool:
    """All items of some sources; two of one name are an error."""
    pool = Pool(_joined(source.names for source in sources), partial(_chained, sources))
    _check_distinct(pool)
    return pool


def with_splits(pool: Pool, settings: Settings) -> Pool:
    """Divide the photographs anew, if that was asked for."""
    if settings.split_by == "given":
        return pool
    keys = pool.texts(settings.split_by)
    if (unknown := (keys == "").to_numpy()).any():
        raise DatasetError(
            f"{int(unknown.sum())} items do not say their {settings.split_by}, the first is "
            f"{pool.name(int(unknown.argmax()))}; keep the split they have (--split given)"
        )
    drawn = drawn_splits(list(keys), val_share=settings.val_share, seed=settings.seed)
    at = NAMES_SCHEMA.get_field_index("split")
    split = pa.array(drawn, pa.string()).dictionary_encode()
    return replace(pool, names=pool.names.set_column(at, NAMES_SCHEMA.field(at), split))


def extended(pool: Pool, sources: Sequence[Source]) -> Pool:
    """Add the items of sources that are not in the pool; those of a name that is there must be the same ones."""
    if not sources:
        return pool
    offered = pool_of(sources)
    there = pd.MultiIndex.from_frame(pool.named).get_indexer(pd.MultiIndex.from_frame(offered.named))
    for role, theirs, ours in zip(ROLES, _digests(offered), _digests(pool), strict=True):
        other = (there >= 0) & pd.notna(theirs) & (theirs != ours[there])
        if other.any():
            raise DatasetError(
                f"{int(other.sum())} items are others than those of the same name in the dataset, the first "
                f"{offered.name(int(other.argmax()))}: {role} has other pixels; give the new set another name"
            )
    new = there < 0

    def items(inside: NDArray[np.bool_]) -> Iterator[pa.Table]:
        of_offered = new.copy()
        of_offered[new] = inside[len(pool) :]
        return chain(pool.items(inside[: len(pool)]), offered.items(of_offered))

    return Pool(_joined([pool.names, offered.names.filter(pa.array(new))]), items, pool.there)


def _digests(pool: Pool) -> NDArray[np.object_]:
    """The hashes of all items, (roles, N)."""
    every = pool.items(np.ones(len(pool), bool))
    parts = ([items[f"{role}_sha256"].to_pandas().to_numpy(object) for role in ROLES] for items in every)
    return np.concatenate([np.stack(part) for part in parts], axis=1)


def members(keys: NDArray[np.object_], inside: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Tell for each set which items are its members, of those that are `inside`.

    They are numbered in their order, so those that are part of the dataset keep their numbers.
    """
    found = {key: inside & (keys == key) for key in set(keys[inside])}
    for key, of_set in found.items():
        if (items := int(of_set.sum())) > MAX_ITEMS:
            raise DatasetError(f"{key}: {items} items; a set holds at most {MAX_ITEMS}")
    return found


def opened(folders: Sequence[SetFolder]) -> tuple[Pool, pd.DataFrame]:
    """Read the items of a dataset built here, and all answers it holds.

    The answers are named as their study named the items, and have the column `at` (see `tally`).

    Raises
    ------
    DatasetError
        If a table is missing or not readable.
    """
    pools, answers, start = [], [], 0
    for folder in folders:
        pool = _own(folder)
        own = read_answers(folder.path / ANSWERS)
        ids = pd.Index([item_id(row) for row in range(len(pool))])
        at = ids.get_indexer(pd.Index(own["item"]))
        if (at < 0).any():
            raise DatasetError(f"{folder.path}: answers to items it does not have; run `bapps-build verify`")
        names, sets = (pool.texts(name).to_numpy() for name in ("source_id", "source_set"))
        answers.append(own.assign(at=at + start, item=names[at], set=sets[at]))
        pools.append(pool)
        start += len(pool)
    others = folders[0].root / OTHER_ANSWERS
    if others.exists():
        answers.append(read_answers(others).assign(at=-1))
    joined = Pool(_joined(pool.names for pool in pools), partial(_chained, pools), start)
    return joined, pd.concat(answers, ignore_index=True)


def _own(folder: SetFolder) -> Pool:
    names = names_of(items.select(SOURCE_SCHEMA.names) for items in item_portions(folder))
    return Pool(names, partial(_own_items, folder), len(names))


def _own_items(folder: SetFolder, inside: NDArray[np.bool_]) -> Iterator[pa.Table]:
    start = 0
    for items in chosen(item_portions(folder), inside):  # all of them, since none is ever left out again
        if items["id"].to_pylist() != (ids := [item_id(start + row) for row in range(len(items))]):
            raise DatasetError(f"{folder.path}: its items are not numbered without gaps; run `bapps-build verify`")
        files = {role: [str(folder.file(role, one)) for one in ids] for role in IMAGE_FOLDERS[folder.task]}
        yield with_files(items.select(SOURCE_SCHEMA.names), files)
        start += len(items)


def _chained(parts: Sequence[Source | Pool], inside: NDArray[np.bool_]) -> Iterator[pa.Table]:
    start = 0
    for part in parts:
        stop = start + len(part.names)
        if inside[start:stop].any():  # else its files need not be read
            yield from part.items(inside[start:stop])
        start = stop


def _joined(names: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables(names).unify_dictionaries().combine_chunks()


def _check_distinct(pool: Pool) -> None:
    named = pool.named
    if (twice := named.duplicated()).any():
        first = named[twice].iloc[0]
        raise DatasetError(
            f"{int(twice.sum())} items have the name of another, the first {first['source_id']!r} of "
            f"{first['source_set']}; build from one of the sources that hold it, or give the sets other names"
        )
