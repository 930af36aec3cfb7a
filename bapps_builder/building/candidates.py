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
from bapps_builder.files.row_batches import Portions, select_rows
from bapps_builder.layout import ANSWERS, IMAGE_FOLDERS, OTHER_ANSWERS, SetFolder
from bapps_builder.patch_sets.manifest import item_id


@dataclass(frozen=True)
class Candidates:
    """N items, those that the dataset already has first.

    Attributes
    ----------
    names : table of NAMES_SCHEMA
    items : Portions
        See `Source.items`; the split of `names` is the one that holds.
    kept : int
        How many the dataset already has.
    """

    names: pa.Table
    items: Portions
    kept: int = 0

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


def candidates_of(sources: Sequence[Source]) -> Candidates:
    """All items of some sources; two of one name are an error."""
    candidates = Candidates(_joined(source.names for source in sources), partial(_chained, sources))
    _check_distinct(candidates)
    return candidates


def with_splits(candidates: Candidates, settings: Settings) -> Candidates:
    """Divide the photographs anew, if that was asked for."""
    if settings.split_by == "given":
        return candidates
    keys = candidates.texts(settings.split_by)
    if (unknown := (keys == "").to_numpy()).any():
        raise DatasetError(
            f"{int(unknown.sum())} items do not say their {settings.split_by}, the first is "
            f"{candidates.name(int(unknown.argmax()))}; keep the split they have (--split given)"
        )
    splits = drawn_splits(list(keys), val_share=settings.val_share, seed=settings.seed)
    at = NAMES_SCHEMA.get_field_index("split")
    split = pa.array(splits, pa.string()).dictionary_encode()
    return replace(candidates, names=candidates.names.set_column(at, NAMES_SCHEMA.field(at), split))


def extended(candidates: Candidates, sources: Sequence[Source]) -> Candidates:
    """Add the items of sources that have a new name; those of a known name must be the same ones."""
    if not sources:
        return candidates
    offered = candidates_of(sources)
    at = pd.MultiIndex.from_frame(candidates.named).get_indexer(pd.MultiIndex.from_frame(offered.named))
    for role, theirs, ours in zip(ROLES, _digests(offered), _digests(candidates), strict=True):
        other = (at >= 0) & pd.notna(theirs) & (theirs != ours[at])
        if other.any():
            raise DatasetError(
                f"{int(other.sum())} items are others than those of the same name in the dataset, the first "
                f"{offered.name(int(other.argmax()))}: {role} has other pixels; give the new set another name"
            )
    new = at < 0

    def items(mask: NDArray[np.bool_]) -> Iterator[pa.Table]:
        of_offered = new.copy()
        of_offered[new] = mask[len(candidates) :]
        return chain(candidates.items(mask[: len(candidates)]), offered.items(of_offered))

    return Candidates(_joined([candidates.names, offered.names.filter(pa.array(new))]), items, candidates.kept)


def _digests(candidates: Candidates) -> NDArray[np.object_]:
    """The hashes of all items, (roles, N)."""
    every = candidates.items(np.ones(len(candidates), bool))
    parts = ([items[f"{role}_sha256"].to_pandas().to_numpy(object) for role in ROLES] for items in every)
    return np.concatenate([np.stack(part) for part in parts], axis=1)


def opened(folders: Sequence[SetFolder]) -> tuple[Candidates, pd.DataFrame]:
    """Read the items of a dataset built here, and all answers it holds.

    The answers are named as their study named the items, and have the column `at` (see `count_votes`).

    Raises
    ------
    DatasetError
        If a table is missing or not readable.
    """
    parts, answers, start = [], [], 0
    for folder in folders:
        part = _own(folder)
        own = read_answers(folder.path / ANSWERS)
        ids = pd.Index([item_id(row) for row in range(len(part))])
        at = ids.get_indexer(pd.Index(own["item"]))
        if (at < 0).any():
            raise DatasetError(f"{folder.path}: answers to items it does not have; run `bapps-build verify`")
        names, sets = (part.texts(name).to_numpy() for name in ("source_id", "source_set"))
        answers.append(own.assign(at=at + start, item=names[at], set=sets[at]))
        parts.append(part)
        start += len(part)
    others = folders[0].root / OTHER_ANSWERS
    if others.exists():
        answers.append(read_answers(others).assign(at=-1))
    joined = Candidates(_joined(part.names for part in parts), partial(_chained, parts), start)
    return joined, pd.concat(answers, ignore_index=True)


def _own(folder: SetFolder) -> Candidates:
    names = names_of(items.select(SOURCE_SCHEMA.names) for items in item_portions(folder))
    return Candidates(names, partial(_own_items, folder), len(names))


def _own_items(folder: SetFolder, mask: NDArray[np.bool_]) -> Iterator[pa.Table]:
    start = 0
    for items in select_rows(item_portions(folder), mask):  # all of them, since none is ever left out again
        if items["id"].to_pylist() != (ids := [item_id(start + row) for row in range(len(items))]):
            raise DatasetError(f"{folder.path}: its items are not numbered without gaps; run `bapps-build verify`")
        files = {role: [str(folder.file(role, one)) for one in ids] for role in IMAGE_FOLDERS[folder.task]}
        yield with_files(items.select(SOURCE_SCHEMA.names), files)
        start += len(items)


def _chained(parts: Sequence[Source | Candidates], mask: NDArray[np.bool_]) -> Iterator[pa.Table]:
    start = 0
    for part in parts:
        stop = start + len(part.names)
        if mask[start:stop].any():  # else its files need not be read
            yield from part.items(mask[start:stop])
        start = stop


def _joined(names: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables(names).unify_dictionaries().combine_chunks()


def _check_distinct(candidates: Candidates) -> None:
    names = candidates.named
    if (twice := names.duplicated()).any():
        first = names[twice].iloc[0]
        raise DatasetError(
            f"{int(twice.sum())} items have the name of another, the first {first['source_id']!r} of "
            f"{first['source_set']}; build from one of the sources that hold it, or give the sets other names"
        )
