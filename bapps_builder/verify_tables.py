"""Check the record and the tables of a dataset built here against each other and against the files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bapps_builder.answers import counted, read_answers, votes
from bapps_builder.download import sha256_of
from bapps_builder.errors import DatasetError
from bapps_builder.findings import Finding, finding
from bapps_builder.layout import ANSWERS, CARD, ITEMS, SetFolder
from bapps_builder.record import DatasetRecord, read_record
from bapps_builder.set_tables import read_items
from bapps_builder.splits import photo_keys, prove_splits


def check_record(root: Path, folders: Sequence[SetFolder]) -> list[Finding]:
    """Check dataset.json: that it can be read, and that sets and tables are those it lists."""
    found = [] if (root / CARD).is_file() else [Finding("card", "", True, 1, f"no {CARD}")]
    try:
        record = read_record(root)
    except DatasetError as error:
        return [*found, Finding("record", "", True, 1, str(error))]
    there = {folder.key for folder in folders}
    found += finding("record", "", sorted(there - record.sets.keys()), "sets that dataset.json does not know")
    found += finding("record", "", sorted(record.sets.keys() - there), "sets of dataset.json that are not there")
    for folder in folders:
        if folder.key in record.sets:
            found += _of_summary(folder, record)
    return found


def _of_summary(folder: SetFolder, record: DatasetRecord) -> list[Finding]:
    summary, found = record.sets[folder.key], []
    for name, wanted in ((ITEMS, summary.items_sha256), (ANSWERS, summary.answers_sha256)):
        path = folder.path / name
        if path.is_file() and sha256_of(path) != wanted:
            found += finding("record", folder.key, [name], "not the table that dataset.json has the hash of")
    try:
        items, answers = read_items(folder), read_answers(folder.path / ANSWERS)
    except DatasetError:
        return found  # told by the check of the tables
    if (summary.items, summary.recorded) != (len(items), len(answers)):
        what = (
            f"{len(items)} items and {len(answers)} answers, dataset.json says {summary.items} and {summary.recorded}"
        )
        found.append(Finding("record", folder.key, True, 1, what))
    least = record.settings.min_answers
    short = [one for one, n in zip(items["id"].to_pylist(), items["n"].to_pylist(), strict=True) if n < least]
    found += finding("votes", folder.key, short, f"fewer than the {least} answers dataset.json asks for")
    if "simulated" in answers and answers["simulated"].any() and not record.simulated:
        found += finding("simulated", folder.key, ["dataset.json"], "answers of a program, and not called simulated")
    return found


def items_of(folder: SetFolder, ids: Sequence[str], *, required: bool) -> tuple[pa.Table | None, list[Finding]]:
    """The rows of items.parquet for these items, in their order; None if it has not exactly them."""
    if not required and not (folder.path / ITEMS).exists():
        return None, []
    try:
        table = read_items(folder)
    except DatasetError as error:
        return None, [Finding("items", folder.key, True, 1, str(error))]
    listed = table["id"].to_pylist()
    found = finding("items", folder.key, sorted(set(listed) - set(ids)), f"in {ITEMS}, without complete files")
    found += finding("items", folder.key, sorted(set(ids) - set(listed)), f"not in {ITEMS}")
    if len(set(listed)) < len(listed):
        twice = [one for one, again in zip(listed, pd.Series(listed).duplicated(), strict=True) if again]
        found += finding("items", folder.key, twice, f"twice in {ITEMS}")
    if found:
        return None, found
    order = pd.Index(listed).get_indexer(pd.Index(ids))
    return table.take(order), []


def check_tables(folder: SetFolder, items: pa.Table, ids: Sequence[str], labels: NDArray[np.float64]) -> list[Finding]:
    """Check votes against labels, and answers against votes.

    Parameters
    ----------
    items : table of N rows
        From `items_of`.
    ids : sequence of N names
    labels : array of shape (N,)
        As read from the files; NaN where that failed.
    """
    k, n = (items[name].to_numpy().astype(np.float64) for name in ("k", "n"))
    names = np.asarray(ids)
    impossible = (n < 1) | (k < 0) | (k > n)
    found = finding("items", folder.key, list(names[impossible]), "k is no part of n")
    with np.errstate(invalid="ignore", divide="ignore"):
        wrong = np.isfinite(labels) & ~impossible & (np.abs(labels - k / n) > 1e-6)
    found += finding("fraction", folder.key, list(names[wrong]), "the label is not k/n")
    try:
        answers = read_answers(folder.path / ANSWERS)
    except DatasetError as error:
        return [*found, Finding("answers", folder.key, True, 1, str(error))]
    foreign = answers["item"][~answers["item"].isin(ids)]
    found += finding("answers", folder.key, list(foreign.unique()), "answers to items that are not there")
    checks = answers["item"][answers["role"] != "test"]
    found += finding("answers", folder.key, list(checks.unique()), "answers to sentinels or training items")
    counts = votes(counted(answers)).set_index("item")[["k", "n"]].reindex(pd.Index(ids), fill_value=0)
    differ = (counts["k"].to_numpy() != k) | (counts["n"].to_numpy() != n)
    return found + finding("votes", folder.key, list(names[differ]), "answers do not add up to k of n")


def check_photos(folders: Sequence[SetFolder]) -> list[Finding]:
    """Check that no photograph is on both sides, of whichever sets say where their patches come from."""
    tables = []
    for folder in folders:
        try:
            rows = read_items(folder).select(["photo", "photo_sha256"]).to_pandas()
        except DatasetError:
            continue  # a set of others, or told by the check of the tables
        tables.append(rows.assign(key=photo_keys(rows), split=folder.split))
    if not tables:
        return []
    photos = pd.concat(tables, ignore_index=True)
    proof = prove_splits(list(photos["key"]), list(photos["split"]))
    names = dict(zip(photos["key"], photos["photo"].fillna(""), strict=True))
    return finding("photos", "", [names[key] or key for key in proof.both], "in training and validation")
