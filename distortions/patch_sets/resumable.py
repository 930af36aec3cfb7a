"""Patch sets in the making: work that can be interrupted at any moment and goes on where it stopped.

While it lasts, the folder holds `.unfinished/`: the description, and one Parquet file for each unit of work that
is done, renamed into place after the unit's patches were written. A unit without one is done anew. In the end
the manifest is put together from these files in the order of ids, and they are removed.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bapps_builder.errors import BappsError, PatchSetError
from bapps_builder.files.atomic import replaced_whole
from bapps_builder.patch_sets.manifest import SCHEMA, Item, item_id, item_table
from bapps_builder.patch_sets.patch_set import DESCRIPTION, Description, finish_patch_set, read_description
from distortions.workers import Workers

_FOLDER, _STATE, _PART = ".unfinished", "description.json", "part-"
# Rows of the manifest that are in memory at a time, some 500 bytes each.
_BLOCK = 100_000
_SKIPPED, _REDRAWN = b"skipped", b"redrawn"  # keys in the metadata of a part


class Unit(Protocol):
    """Work that is done whole or not at all: some items, and a name that no other unit of the set has."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def indices(self) -> Sequence[int]: ...  # noqa: D102


U = TypeVar("U", bound=Unit)


@dataclass(frozen=True)
class Part:
    """What a unit came to: its items in order, or why there are none. Fewer than asked for is allowed.

    `redrawn` counts the items of which something was drawn again, by what it was.
    """

    items: Sequence[Item]
    skipped: str = ""
    redrawn: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome(Generic[U]):
    """A unit that is done: the indices for which no item could be made, and what else its `Part` said."""

    unit: U
    missing: tuple[int, ...]
    skipped: str
    redrawn: Mapping[str, int]


class UnfinishedSet:
    """A patch set on its way; see `start`."""

    def __init__(self, folder: Path, description: Description) -> None:
        self.folder = folder
        self.description = description
        self._parts = folder / _FOLDER

    @contextmanager
    def run(self, units: Sequence[U], work: Callable[[U], Part], workers: Workers) -> Iterator[Iterator[Outcome[U]]]:
        """Give the outcome of every unit: at once of those done before, then of the others as they are done.

        Leaving the block early drops what has not begun.

        Parameters
        ----------
        units : sequence of Unit
        work : callable
            Unit to Part, after writing the patches. It must come through pickle.
        workers : Workers

        Raises
        ------
        BappsError
            The first that a unit met. What is done stays.
        """
        done, todo = [], []
        for unit in units:
            (done if _part(self._parts, unit).exists() else todo).append(unit)
        with workers.mapped(partial(_carry_out, work=work, folder=self._parts), todo) as results:
            yield chain((_outcome(unit, self._parts) for unit in done), map(_or_raise, results))

    def finish(self, *, items: int, findings: dict[str, Any]) -> None:
        """Put the manifest together, write the description, and remove what is no longer needed."""
        description = Description(**{**asdict(self.description), "findings": findings})
        finish_patch_set(self.folder, self._blocks(items), description, scratch=self._parts)
        shutil.rmtree(self._parts, ignore_errors=True)  # what is left is removed when the command runs again

    def _blocks(self, items: int) -> Iterator[pa.Table]:
        paths = sorted(self._parts.glob(f"{_PART}*.parquet"))
        for start in range(0, items, _BLOCK):
            stop = min(start + _BLOCK, items)
            within = (pc.field("id") >= item_id(start)) & (pc.field("id") < item_id(stop))
            rows = [pq.read_table(path, schema=SCHEMA).filter(within) for path in paths]
            block = pa.concat_tables(rows).sort_by("id").combine_chunks()
            if block["id"].to_pylist() != [item_id(index) for index in range(start, stop)]:
                raise PatchSetError(f"{self._parts}: the parts do not make up the items; remove {self.folder}")
            yield block


def start(folder: Path, description: Description, *, roles: Sequence[str]) -> UnfinishedSet | None:
    """Begin a patch set in a folder, or go on with one; None if it is complete already.

    Parameters
    ----------
    folder : Path
        Must be new, empty, or hold a patch set of the same description.
    description : Description
        Findings do not count.
    roles : sequence of str
        Folders of patches.

    Raises
    ------
    PatchSetError
        If the folder holds anything else. The message names what differs.
    """
    parts = folder / _FOLDER
    if (folder / DESCRIPTION).exists():
        _check_same(read_description(folder), description, folder)
        shutil.rmtree(parts, ignore_errors=True)  # left behind by a kill between the last two steps
        return None
    if (parts / _STATE).exists():
        _check_same(Description(**json.loads((parts / _STATE).read_text())), description, folder)
    elif folder.exists() and (not folder.is_dir() or any(entry.name != _FOLDER for entry in folder.iterdir())):
        raise PatchSetError(f"{folder}: holds other files and no patch set; choose a new folder")
    parts.mkdir(parents=True, exist_ok=True)
    with replaced_whole(parts / _STATE) as temporary:
        temporary.write_text(json.dumps(asdict(description)))
    for role in roles:
        (folder / role).mkdir(exist_ok=True)
    return UnfinishedSet(folder, description)


def _check_same(old: Description, new: Description, folder: Path) -> None:
    before, now = (_flat(description) for description in (old, new))
    differing = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if differing:
        named = "; ".join(f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in differing)
        raise PatchSetError(f"{folder}: holds a patch set made otherwise: {named}. Choose a new folder")


def _flat(description: Description) -> dict[str, Any]:
    content = json.loads(json.dumps(asdict(description)))  # tuples as lists, as they come from a file
    return {"tool": content["tool"], "seed": content["seed"], **content["versions"], **content["settings"]}


def _carry_out(unit: U, *, work: Callable[[U], Part], folder: Path) -> "Outcome[U] | BappsError":
    """Do a unit and mark it as done. Errors are returned, since a raised one can hang a Dask cluster."""
    path = _part(folder, unit)
    try:
        part = work(unit)
        table = item_table(part.items).replace_schema_metadata(
            {_SKIPPED: part.skipped.encode(), _REDRAWN: json.dumps(dict(part.redrawn)).encode()}
        )
        with replaced_whole(path) as temporary:
            pq.write_table(table, temporary)
        return _outcome(unit, folder)
    except BappsError as error:
        return error
    except OSError as error:
        return PatchSetError(
            f"{folder.parent}: {error.strerror or error}; what is done stays, run the command again to go on"
        )


def _part(folder: Path, unit: Unit) -> Path:
    return folder / f"{_PART}{unit.name}.parquet"


def _or_raise(result: "Outcome[U] | BappsError") -> Outcome[U]:
    if isinstance(result, BappsError):
        raise result
    return result


def _outcome(unit: U, folder: Path) -> Outcome[U]:
    table = pq.read_table(_part(folder, unit), columns=["id"])
    done = set(table["id"].to_pylist())
    missing = (
        tuple(index for index in unit.indices if item_id(index) not in done) if len(done) < len(unit.indices) else ()
    )
    metadata = table.schema.metadata
    return Outcome(unit, missing, metadata[_SKIPPED].decode(), json.loads(metadata[_REDRAWN]))
