"""What is known of items besides their votes: photos, recipes, and the answers a dataset holds to them."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import is_numeric_dtype

from analysis.scoring.identical_pairs import HASHES, identical_by_hash, identical_in_files
from analysis.statistics.intervals import Sample
from bapps_builder.answers.answer_table import read_answers
from bapps_builder.errors import DatasetError
from bapps_builder.layout import ANSWERS, ITEMS, LABEL_FOLDER, OTHER_ANSWERS, SetFolder, Task

# What may be known about an item: its photo, and how each patch was made.
FACTS = ("photo", *(f"{side}_{fact}" for side in ("p0", "p1") for fact in ("recipe", "family", "severity")))


def read_facts(path: Path) -> pd.DataFrame:
    """Read a table about items: id, optionally task, set and split, and any of `FACTS`; no other columns are kept.

    Where it has the hashes of both patches, the column `identical` says whether they are of the same pixels.
    """
    table = read_table(path)
    if "id" not in table:
        raise DatasetError(
            f"{path}: has the columns {', '.join(table.columns)}; expected id and any of {', '.join(FACTS)}; "
            "rename them"
        )
    if {"set", "split"} <= set(table):
        table["set"] = table["split"].str.cat(table["set"], sep="/")
    names = [name for name in ("task", "set", "id", "k", "n", *FACTS) if name in table]
    same = identical_by_hash(table) if set(HASHES) <= set(table) else None
    table = table[names].rename(columns={"id": "item"}).astype({"item": str})
    if same is not None:
        table["identical"] = same
    keys = [key for key in ("task", "set", "item") if key in table]
    if (twice := table.duplicated(keys)).any():
        raise DatasetError(f"{path}: two rows for item {table['item'][twice].iloc[0]}")
    return table


def of_task(facts: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The rows about one task, if the table tells: both may have a set of one name, with items of the same ids."""
    return facts[facts["task"] == task].drop(columns="task") if "task" in facts else facts


def folders_about(labels: Collection[tuple[Task, str]], folders: Sequence[SetFolder]) -> list[SetFolder]:
    """The folders of a dataset that hold sets of these tasks and names; none at all is an error, if it has folders."""
    folders_of_labels = [one for one in folders if (one.task, one.label) in labels]
    if folders and not folders_of_labels:
        ours, theirs = (", ".join(sorted({label for _, label in pairs})) for pairs in (labels, map(_key, folders)))
        raise DatasetError(
            f"{folders[0].root}: has the sets {theirs}, and the distances are of {ours}; a column set of the distances "
            "says which set they are of"
        )
    return folders_of_labels


def _key(folder: SetFolder) -> tuple[Task, str]:
    return folder.task, folder.label


def facts_of_set(folder: SetFolder) -> pd.DataFrame | None:
    """What the dataset says about the items of one of its sets, or None."""
    path = folder.path / ITEMS
    return read_facts(path).assign(task=folder.task, set=folder.label) if path.is_file() else None


def identity_of_set(folder: SetFolder) -> pd.DataFrame:
    """Which pairs of a JND set without a table of items are identical, from their files, as a table of facts."""
    files = folder.path / LABEL_FOLDER[folder.task]
    items = sorted(path.stem for path in files.glob("*.npy"))
    same = identical_in_files(folder, items)
    return pd.DataFrame({"item": items, "identical": same}).assign(task=folder.task, set=folder.label)


def answers_of_set(folder: SetFolder) -> pd.DataFrame | None:
    """The answers the dataset holds beside one of its sets, or None."""
    path = folder.path / ANSWERS
    return read_answers(path).assign(set=folder.label) if path.is_file() else None


def answers_of_sets(folders: Sequence[SetFolder]) -> pd.DataFrame | None:
    """The answers a dataset holds to some of its sets, and those of the same people to sentinels; None without any.

    Sentinels are part of no set, but say how well people looked: rules of exclusion and d' need them.
    """
    beside = [table for folder in folders if (table := answers_of_set(folder)) is not None]
    if not beside:
        return None
    answers = pd.concat(beside, ignore_index=True)
    others = folders[0].root / OTHER_ANSWERS
    if not others.is_file():
        return answers
    table = read_answers(others)
    keys = [key for key in ("study", "task", "participant") if key in table and key in answers]
    theirs = pd.MultiIndex.from_frame(table[keys]).isin(pd.MultiIndex.from_frame(answers[keys]))
    sentinels = table[theirs & (table["role"] == "sentinel")]
    both = pd.concat([answers, sentinels], ignore_index=True)
    texts = [name for name in both if both[name].isna().any() and not is_numeric_dtype(both[name])]
    return both.fillna(dict.fromkeys(texts, ""))


def sample_of(items: pd.DataFrame) -> Sample:
    """Items of one or several sets as a sample, clustered by photo if every photo is known."""
    sets = pd.factorize(items["set"])[0]
    if "photo" in items and items["photo"].notna().all() and (items["photo"] != "").all():
        return Sample(sets, pd.factorize(items["photo"])[0], "photos")
    return Sample(sets, np.arange(len(items)), "items, photos unknown")


def read_table(path: Path, rows: int | None = None) -> pd.DataFrame:
    """Read a table, CSV cells as text; its first `rows` alone, or all."""
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True, nrows=rows)
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, pa.ArrowException) as error:
        raise DatasetError(f"{path}: not a readable table: {error}") from error
    table.columns = table.columns.str.strip()
    return table
