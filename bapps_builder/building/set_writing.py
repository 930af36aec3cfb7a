"""Write the sets of a dataset: their images and labels, and the tables of items and answers beside them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from bapps_builder.building.chosen_items import ChosenItems
from bapps_builder.building.item_files import Writing, write_files
from bapps_builder.building.item_sources import ROLES
from bapps_builder.datasets.dataset_record import SetSummary
from bapps_builder.datasets.set_tables import ITEMS_SCHEMA, write_other_answers, write_tables
from bapps_builder.layout import SetFolder, set_of_key
from bapps_builder.patch_sets.manifest import item_id


def write_sets(root: Path, items: ChosenItems, answers: pd.DataFrame, writing: Writing) -> dict[str, SetSummary]:
    """Write every set into a folder that is being made, and the answers that belong to none.

    Parameters
    ----------
    root : Path
    items : ChosenItems
    answers : DataFrame
        All of them, with `use` and `reason` as decided and the column `at` (see `count_votes`).
    writing : Writing

    Returns
    -------
    dict of SetSummary
        By `SetFolder.key`.

    Raises
    ------
    BappsError, OSError
        If an image is missing, damaged or not the one its source recorded, or cannot be written.
    """
    summaries = {key: _write_set(set_of_key(root, key), items, answers, writing) for key in items.sets}
    at = answers["at"].to_numpy()
    write_other_answers(root, _in_words_of_study(answers[~((at >= 0) & items.chosen[at])], items))
    return summaries


def _write_set(folder: SetFolder, items: ChosenItems, answers: pd.DataFrame, writing: Writing) -> SetSummary:
    of_set = items.of_set(folder.key)
    kept = int(of_set[: items.candidates.kept].sum())
    written = write_files(folder, _numbered(folder, items), writing, kept=kept)
    numbers = np.append(np.where(of_set, items.numbers, -1), -1)  # the last is what `at` = -1 finds
    row = numbers[answers["at"].to_numpy()]
    return write_tables(folder, written, answers, row, k=items.k[of_set], n=items.n[of_set])


def _numbered(folder: SetFolder, items: ChosenItems) -> Iterator[pa.Table]:
    """Yield the items of a set as items.parquet has them, and the paths of their images."""
    of_set = items.of_set(folder.key)
    k, n = items.k[of_set], items.n[of_set]
    start = 0
    for table in items.candidates.items(of_set):
        stop = start + len(table)
        facts = {
            "id": [item_id(number) for number in range(start, stop)],
            "split": [folder.split] * len(table),
            "k": k[start:stop],
            "n": n[start:stop],
        }
        columns = {
            field.name: pa.array(facts[field.name], field.type) if field.name in facts else table[field.name]
            for field in ITEMS_SCHEMA
        }
        yield pa.table(columns | {role: table[role] for role in ROLES})
        start = stop


def _in_words_of_study(answers: pd.DataFrame, items: ChosenItems) -> pd.DataFrame:
    """Say the set of answers to items that were left out, so that a later round finds them."""
    sets = items.candidates.texts("source_set").to_numpy(object)
    labels = answers["set"] if "set" in answers else pd.Series("", answers.index)
    return answers.assign(set=np.where(answers["at"] >= 0, sets[answers["at"]], labels))
