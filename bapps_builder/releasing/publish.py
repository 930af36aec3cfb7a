"""Make a release of a dataset: shards, a card, Croissant metadata and checksums, in the public schema alone."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from bapps_builder.answers.answer_table import read_answers
from bapps_builder.datasets.dataset_record import DatasetRecord, is_built, read_record
from bapps_builder.errors import DatasetError
from bapps_builder.files.download import sha256_of
from bapps_builder.files.whole_folder import folder_made_whole
from bapps_builder.layout import ANSWERS, CARD, SPLITS, SetFolder, every_set
from bapps_builder.releasing.croissant import croissant
from bapps_builder.releasing.hub_card import hub_card
from bapps_builder.releasing.parquet_shards import Shards, write_answers, write_parquet
from bapps_builder.releasing.public_items import PublicSet, open_set, public_rows, tasks_of
from bapps_builder.releasing.public_schema import check_columns, fresh_numbers, item_schema, public_answers
from bapps_builder.releasing.tar_shards import write_tars

Kind = Literal["parquet", "webdataset"]
KINDS: tuple[Kind, ...] = ("parquet", "webdataset")
CHECKSUMS, METADATA = "SHA256SUMS", "croissant.json"
_HUB_SPLIT = {"train": "train", "val": "validation"}


@dataclass(frozen=True)
class Release:
    """What is to be released, and how.

    Attributes
    ----------
    kind : "parquet" or "webdataset"
    licence : str
        As the hub spells it, such as cc-by-4.0.
    raw_answers : bool
        Whether single answers are released, which people must have agreed to.
    shard_items : int
        Items a file.
    faces_checked : bool
        Whether somebody looked for faces.
    """

    kind: Kind
    licence: str
    raw_answers: bool = False
    shard_items: int = 10_000
    faces_checked: bool = False


def publish(
    root: Path,
    out: Path,
    release: Release,
    *,
    rng: np.random.Generator,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Shards]:
    """Make a release of the dataset at `root` in the new folder `out`.

    Parameters
    ----------
    rng : Generator
        For the numbers of people and photographs. Whoever knows its seed can undo them, so it is fresh for
        each release, and secret.
    advance : callable
        Called with the number of items done.

    Raises
    ------
    DatasetError
        If the dataset is incomplete, a column is no part of the public schema, or raw answers are asked for
        that people did not agree to publish.
    """
    folders = every_set(root)
    if not folders:
        raise DatasetError(f"{root}: no dataset in the BAPPS layout, so there is nothing to publish")
    record = read_record(root) if is_built(root) else None
    if release.raw_answers:
        _check_consent(root, folders, record)
    _check_answer_columns(folders)
    opened = [open_set(folder) for folder in folders]
    photos = fresh_numbers(_photo_keys(opened), rng)
    with folder_made_whole(out) as new_folder:
        shards = _write_items(new_folder, opened, release, photos, advance)
        if release.raw_answers:
            shards += _write_answers(new_folder, folders, rng)
        name = record.settings.name if record else root.resolve().name
        card = hub_card(
            shards,
            name=name,
            licence=release.licence,
            kind=release.kind,
            record=record,
            faces_checked=release.faces_checked,
        )
        (new_folder / CARD).write_text(card)
        hashes = {file: sha256_of(new_folder / file) for one in shards for file in one.files}
        metadata = croissant(
            shards,
            hashes,
            name=re.sub(r"[^\w-]+", "-", name),
            licence=release.licence,
            kind=release.kind,
            version=f"1.0.0+bapps.{version('bapps')}",
        )
        (new_folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n")
        for file in (CARD, METADATA):
            hashes[file] = sha256_of(new_folder / file)
        (new_folder / CHECKSUMS).write_text("".join(f"{hashes[file]}  {file}\n" for file in sorted(hashes)))
    return shards


def _check_consent(root: Path, folders: Sequence[SetFolder], record: DatasetRecord | None) -> None:
    if record is None:
        raise DatasetError(f"{root}: was not built here, so there are no answers to publish; leave out --answers")
    if all(_only_programs_answered(folder) for folder in folders):
        return
    for number, one in enumerate(record.rounds, 1):
        if not one.raw_answers_public:
            consent = f"the consent {one.consent!r}" if one.consent else "no consent"
            raise DatasetError(
                f"{root}: round {number} ({one.file}) was recorded with {consent} that allows single answers to be "
                "published; leave out --answers and publish the fractions"
            )


def _only_programs_answered(folder: SetFolder) -> bool:
    answers = read_answers(folder.path / ANSWERS)
    return "simulated" in answers and bool(answers["simulated"].all())


def _check_answer_columns(folders: Sequence[SetFolder]) -> None:
    for folder in folders:
        path = folder.path / ANSWERS
        if path.exists():
            check_columns(pd.DataFrame(columns=pq.ParquetFile(path).schema_arrow.names), name=str(path))


def _photo_keys(opened: Sequence[PublicSet]) -> "pd.Series[str]":
    return pd.Series([facts["photo"] or "" for one in opened for facts in one.facts.values()], dtype=str)


def _write_items(
    new_folder: Path,
    opened: Sequence[PublicSet],
    release: Release,
    photos: dict[str, int],
    advance: Callable[[int], None],
) -> list[Shards]:
    shards = []
    for task in tasks_of(opened):
        for split in SPLITS:
            sets = [one for one in opened if (one.items.task, one.items.folder.split) == (task, split)]
            if not sets:
                continue
            rows = _counted(chain.from_iterable(public_rows(one, photos) for one in sets), advance)
            total, name = sum(len(one.items) for one in sets), _HUB_SPLIT[split]
            if release.kind == "parquet":
                schema = item_schema(task)
                one = write_parquet(
                    new_folder, rows, total, schema=schema, config=task, split=name, shard=release.shard_items
                )
            else:
                one = write_tars(new_folder, rows, total, task=task, split=name, shard=release.shard_items)
            shards.append(one)
    return shards


def _write_answers(new_folder: Path, folders: Sequence[SetFolder], rng: np.random.Generator) -> list[Shards]:
    answers = {folder.key: read_answers(folder.path / ANSWERS) for folder in folders}
    people = fresh_numbers(pd.concat([table["participant"] for table in answers.values()]), rng)
    shards = []
    for split in SPLITS:
        tables = [public_answers(answers[folder.key], people) for folder in folders if folder.split == split]
        if tables:
            shards.append(write_answers(new_folder, tables, split=_HUB_SPLIT[split]))
    return shards


def _counted(rows: Iterator[dict[str, Any]], advance: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield row
        advance(1)
