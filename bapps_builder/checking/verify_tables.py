"""Check the record and the tables of a dataset built here against each other and against the files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bapps_builder.answers.answer_table import counted, read_answers, votes
from bapps_builder.checking.findings import Finding, finding
from bapps_builder.datasets.dataset_record import DatasetRecord, read_record
from bapps_builder.datasets.set_tables import read_items
from bapps_builder.datasets.splits import photo_keys, prove_splits
from bapps_builder.errors import DatasetError
from bapps_builder.files.download import sha256_of
from bapps_builder.layout import ANSWERS, CARD, ITEMS, SetFolder


@dataclass(frozen=True)
class SetTables:
    """The tables of one set: None where one is not there or cannot be read, which `findings` tell."""

    folder: SetFolder
    items: pa.Table | None = None
    answers: pd.DataFrame | None = None
    findings: tuple[Finding, ...] = ()


def read_tables(folder: SetFolder, *, required: bool) -> SetTables:
    """Read both tables of a set, once for all checks. A set of others has none, unless they are `required`."""
    if not required and not (folder.path / ITEMS).exists():
        return SetTables(folder)
    items, answers, findings = None, None, []
    try:
        items = read_items(folder)
    except DatasetError as error:
        findings.append(Finding("items", folder.key, True, 1, str(error)))
    try:
        answers = read_answers(folder.path / ANSWERS)
    except DatasetError as error:
        findings.append(Finding("answers", folder.key, True, 1, str(error)))
    return SetTables(folder, items, answers, tuple(findings))


def check_record(root: Path, folders: Sequence[SetFolder]) -> tuple[DatasetRecord | None, list[Finding]]:
    """Read dataset.json, None if that fails, and check that sets are those it lists."""
    findings = [] if (root / CARD).is_file() else [Finding("card", "", True, 1, f"no {CARD}")]
    try:
        record = read_record(root)
    except DatasetError as error:
        return None, [*findings, Finding("record", "", True, 1, str(error))]
    present = {folder.key for folder in folders}
    findings += finding("record", "", sorted(present - record.sets.keys()), "sets that dataset.json does not know")
    findings += finding("record", "", sorted(record.sets.keys() - present), "sets of dataset.json that are not there")
    return record, findings


def check_summary(tables: SetTables, record: DatasetRecord) -> list[Finding]:
    """Check the tables of a set against what dataset.json says of them."""
    folder, findings = tables.folder, []
    if folder.key not in record.sets:
        return []
    summary = record.sets[folder.key]
    for name, digest in ((ITEMS, summary.items_sha256), (ANSWERS, summary.answers_sha256)):
        path = folder.path / name
        if path.is_file() and sha256_of(path) != digest:
            findings += finding("record", folder.key, [name], "not the table that dataset.json has the hash of")
    items, answers = tables.items, tables.answers
    if items is None or answers is None:
        return findings
    if (summary.items, summary.recorded) != (len(items), len(answers)):
        what = (
            f"{len(items)} items and {len(answers)} answers, dataset.json says {summary.items} and {summary.recorded}"
        )
        findings.append(Finding("record", folder.key, True, 1, what))
    least = record.settings.min_answers
    short = items["id"].to_numpy()[items["n"].to_numpy() < least].tolist()
    findings += finding("votes", folder.key, short, f"fewer than the {least} answers dataset.json asks for")
    if "simulated" in answers and answers["simulated"].any() and not record.simulated:
        findings += finding("simulated", folder.key, ["dataset.json"], "answers of a program, and not called simulated")
    return findings


def items_of(tables: SetTables, ids: Sequence[str]) -> tuple[pa.Table | None, list[Finding]]:
    """The rows of items.parquet for these items, in their order; None if it has not exactly them."""
    if tables.items is None:
        return None, []
    key, listed = tables.folder.key, tables.items["id"].to_pylist()
    if listed == list(ids):
        return tables.items, []
    findings = finding("items", key, sorted(set(listed) - set(ids)), f"in {ITEMS}, without complete files")
    findings += finding("items", key, sorted(set(ids) - set(listed)), f"not in {ITEMS}")
    if len(set(listed)) < len(listed):
        twice = [one for one, again in zip(listed, pd.Series(listed).duplicated(), strict=True) if again]
        findings += finding("items", key, twice, f"twice in {ITEMS}")
    if findings:
        return None, findings
    order = pd.Index(listed).get_indexer(pd.Index(ids))
    return tables.items.take(order), []


def check_votes(
    folder: SetFolder,
    items: pa.Table,
    answers: pd.DataFrame | None,
    ids: Sequence[str],
    labels: NDArray[np.float64],
) -> list[Finding]:
    """Check votes against labels, and answers against votes.

    Parameters
    ----------
    folder : SetFolder
    items : table of N rows
        From `items_of`.
    answers : DataFrame, optional
    ids : sequence of N names
    labels : array of shape (N,)
        As read from the files; NaN where that failed.
    """
    k, n = (items[name].to_numpy().astype(np.float64) for name in ("k", "n"))
    names = np.asarray(ids)
    impossible = (n < 1) | (k < 0) | (k > n)
    findings = finding("items", folder.key, list(names[impossible]), "k is no part of n")
    with np.errstate(invalid="ignore", divide="ignore"):
        wrong = np.isfinite(labels) & ~impossible & (np.abs(labels - k / n) > 1e-6)
    findings += finding("fraction", folder.key, list(names[wrong]), "the label is not k/n")
    if answers is None:
        return findings
    foreign = answers["item"][~answers["item"].isin(ids)]
    findings += finding("answers", folder.key, list(foreign.unique()), "answers to items that are not there")
    checks = answers["item"][answers["role"] != "test"]
    findings += finding("answers", folder.key, list(checks.unique()), "answers to sentinels or training items")
    counts = votes(counted(answers)).set_index("item")[["k", "n"]].reindex(pd.Index(ids), fill_value=0)
    differ = (counts["k"].to_numpy() != k) | (counts["n"].to_numpy() != n)
    return findings + finding("votes", folder.key, list(names[differ]), "answers do not add up to k of n")


def photos_of(tables: SetTables) -> pd.DataFrame:
    """The photographs of a set's items, a row each, nothing where that is not known: name, key and split."""
    if tables.items is None:
        return pd.DataFrame({"photo": [], "key": [], "split": []}, dtype=str)
    rows = tables.items.select(["photo", "photo_sha256"]).to_pandas()
    photos = pd.DataFrame({"photo": rows["photo"].fillna(""), "key": photo_keys(rows), "split": tables.folder.split})
    return photos.drop_duplicates(ignore_index=True)


def check_photos(photos: Sequence[pd.DataFrame]) -> list[Finding]:
    """Check that no photograph is on both sides, of whichever sets say where their patches come from."""
    if not photos:
        return []
    every = pd.concat(photos, ignore_index=True)
    proof = prove_splits(list(every["key"]), list(every["split"]))
    names = dict(zip(every["key"], every["photo"], strict=True))
    return finding("photos", "", [names[key] or key for key in proof.both], "in training and validation")
