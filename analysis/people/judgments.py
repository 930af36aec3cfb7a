"""What people said, from wherever it is kept: answers with people, counts, or fractions alone.

an answers table       one row an answer, with people (bapps_builder.answers.answer_table)
a table of counts      id, k, n; or id and judge (2AFC) or same (JND), with the number of votes told
a .json file           {item: [0, 1, ...]}: votes without people, 1 for p1 or same
a dataset's folder     answers.parquet beside a set, else items.parquet with k and n, else its fractions
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.scoring.identical_pairs import HASHES, identical_by_hash, identical_in_files
from analysis.scoring.item_facts import FACTS, answers_of_set, answers_of_sets, facts_of_set, of_task, read_table
from bapps_builder.answers.answer_table import read_answers, votes
from bapps_builder.answers.item_ids import check_found, respelled
from bapps_builder.answers.vote_arithmetic import votes_of_fractions
from bapps_builder.datasets.reader import read_label
from bapps_builder.errors import DatasetError
from bapps_builder.layout import LABEL_FOLDER, TASKS, SetFolder, Task, find_sets


@dataclass(frozen=True)
class Judgments:
    """What people said about the items of one task.

    Attributes
    ----------
    task : "2afc" or "jnd"
    items : DataFrame
        One row an item: set, item, k (votes for p1 or same), n, identical (JND: of the same pixels, whatever was
        meant by its recipe, or said to be by a pattern), and those of `FACTS` that are known.
    answers : DataFrame or None
        A checked table of answers, those to sentinels and unused ones included; None without people. Those to
        identical pairs are expected to be "same".
    """

    task: Task
    items: pd.DataFrame
    answers: pd.DataFrame | None


@dataclass(frozen=True)
class Reading:
    """How to read what does not speak for itself.

    Attributes
    ----------
    renamed, words : mappings
        Of columns and choices; see `read_answers`.
    votes : int or None
        Votes behind each fraction, where only fractions exist.
    task : "2afc", "jnd" or None
        Of votes without choice words.
    study : str or None
        The one study to take of several.
    identical : str
        A pattern; JND items whose names match it are identical pairs.
    p1_side : "left", "right" or ""
        The side p1 was always on, where no column says.
    facts : DataFrame or None
        A row an item with any of `FACTS`; see `item_facts.read_facts`.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    votes: int | None = None
    task: Task | None = None
    study: str | None = None
    identical: str = ""
    p1_side: str = ""
    facts: pd.DataFrame | None = None


def read_judgments(path: Path, reading: Reading | None = None) -> list[Judgments]:
    """Read what people said, one `Judgments` a task.

    Raises
    ------
    DatasetError
        If nothing is there, several studies are mixed, or a value is none; the message says which.
    """
    reading = reading or Reading()
    if path.is_dir():
        parts = _of_dataset(path, reading)
    elif path.suffix == ".json":
        parts = [_of_json(path, reading)]
    elif "choice" in {*_columns(path), *reading.renamed}:
        parts = _of_answers(read_answers(path, renamed=reading.renamed, words=reading.words), str(path), reading)
    else:
        parts = [_of_counts(path, reading)]
    return [
        judgments_of(one.task, one.items, one.answers)
        for one in (_with_facts(judgments, reading) for judgments in parts)
    ]


def judgments_of(task: Task, items: pd.DataFrame, answers: pd.DataFrame | None) -> Judgments:
    """Put items and answers together, so that both tell which pairs of a JND task are identical.

    Parameters
    ----------
    task : "2afc" or "jnd"
    items : DataFrame
        See `Judgments`; the column `identical` may be absent, or not given in some rows.
    answers : DataFrame or None
        Answers to identical test items may already be expected to be "same".
    """
    identical = items["identical"].eq(True) if "identical" in items and task == "jnd" else pd.Series(False, items.index)
    if task == "jnd" and answers is not None:
        keys = [key for key in ("set", "item") if key in answers]
        test = (answers["role"] == "test").to_numpy()
        expected = (
            answers["expected"].to_numpy(object, copy=True) if "expected" in answers else np.full(len(test), "", object)
        )
        expects_same = test & (expected == "same")
        identical |= _index(items[keys]).isin(_index(answers.loc[expects_same, keys]))
        expected[test & _index(answers[keys]).isin(_index(items.loc[identical, keys]))] = "same"
        if identical.any():
            answers = answers.assign(expected=expected)
    return Judgments(task, items.assign(identical=identical.to_numpy(bool)), answers)


def _index(table: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(table)


def _of_dataset(root: Path, reading: Reading) -> list[Judgments]:
    parts = []
    for task in TASKS:
        if reading.task not in (None, task) or not (root / task).is_dir():
            continue
        folders, items, everywhere = find_sets(root, [task]), [], True
        for folder in folders:
            facts, answers = facts_of_set(folder), answers_of_set(folder)
            everywhere &= answers is not None
            if answers is not None:
                counts = votes(answers[(answers["role"] == "test") & answers["use"]]).drop(columns="task")
            elif facts is not None and {"k", "n"} <= set(facts):
                counts = facts[["set", "item", "k", "n"]]
            else:
                counts = _of_labels(folder, reading)
            if facts is not None:
                facts, counts = respelled(("items.parquet", facts), ("what people said", counts))
                check_found(counts, facts, of=f"what people said in {folder.path}", name="its items.parquet")
                counts = counts.merge(
                    facts.drop(columns=["task", "k", "n"], errors="ignore"), on=["set", "item"], how="left"
                )
            if task == "jnd" and "identical" not in counts:
                counts["identical"] = identical_in_files(folder, counts["item"].tolist())
            items.append(counts)
        table = pd.concat(items, ignore_index=True)
        same = table.get("identical", pd.Series(False, table.index)).eq(True) | _identical(table["item"], reading)
        parts.append(Judgments(task, table.assign(identical=same), answers_of_sets(folders) if everywhere else None))
    if not parts:
        raise DatasetError(f"{root}: no sets in it; expected folders like {root / '2afc' / 'val' / 'SET'}")
    return parts


def _of_labels(folder: SetFolder, reading: Reading) -> pd.DataFrame:
    files = sorted((folder.path / LABEL_FOLDER[folder.task]).glob("*.npy"))
    if not files:
        raise DatasetError(f"{folder.path}: no {LABEL_FOLDER[folder.task]}/*.npy in it")
    fractions = np.array([read_label(file) for file in files])
    k, n = _k_of_n(fractions, str(folder.path), reading)
    return pd.DataFrame({"set": folder.label, "item": [file.stem for file in files], "k": k, "n": n})


def _of_answers(table: pd.DataFrame, name: str, reading: Reading) -> list[Judgments]:
    if "study" in table:
        studies = table["study"].unique()
        if reading.study is not None:
            table = table[table["study"] == reading.study]
            if not len(table):
                raise DatasetError(f"{name}: no study {reading.study!r}; there: {', '.join(studies)}")
        elif len(studies) > 1:
            raise DatasetError(f"{name}: {len(studies)} studies mixed ({', '.join(studies)}); take one with --study")
    if reading.p1_side and "side" not in table:
        table = table.assign(side=np.where(table["task"] == "2afc", reading.p1_side, ""))
    if "set" not in table:
        table = table.assign(set="all")
    parts = []
    for task in TASKS:
        mine = table[table["task"] == task]
        if not len(mine) or reading.task not in (None, task):
            continue
        test = mine[(mine["role"] == "test") & mine["use"]]
        if not len(test):
            raise DatasetError(
                f"{name}: no answer to a test item of the task {task} counts; see its columns role and use"
            )
        items = votes(test).drop(columns="task")
        parts.append(Judgments(task, items.assign(identical=_identical(items["item"], reading)), mine))
    if not parts:
        raise DatasetError(f"{name}: no answers of the task {reading.task}")
    return parts


def _of_json(path: Path, reading: Reading) -> Judgments:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file") from error
    except ValueError as error:
        raise DatasetError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(content, dict) or not content:
        raise DatasetError(f"{path}: expected an object of lists of votes, {{item: [0, 1, ...]}}")
    for item, item_votes in content.items():
        if not isinstance(item_votes, list) or not item_votes or any(vote not in (0, 1) for vote in item_votes):
            raise DatasetError(f"{path}: the votes of {item} must be a list of 0 and 1, got {str(item_votes)[:60]}")
    if reading.task is None:
        raise DatasetError(f"{path}: votes of 0 and 1 do not say which task they are of; add --task 2afc or --task jnd")
    table = pd.DataFrame(
        {"set": path.stem, "item": list(content), "k": map(sum, content.values()), "n": map(len, content.values())}
    )
    return Judgments(reading.task, table.assign(identical=_identical(table["item"], reading)), None)


def _of_counts(path: Path, reading: Reading) -> Judgments:
    table = read_table(path).rename(columns={theirs: ours for ours, theirs in reading.renamed.items()})
    labels = [label for label in LABEL_FOLDER.values() if label in table]
    counted = {"k", "n"} <= set(table)
    if "id" not in table or not (counted or len(labels) == 1):
        raise DatasetError(
            f"{path}: has the columns {', '.join(table.columns)}; expected item, participant, choice (answers), or "
            "id, k, n (counts), or id, judge (2AFC) or id, same (JND); if they have other names, say which with "
            "--columns"
        )
    of_labels: list[Task] = [task for task in TASKS if LABEL_FOLDER[task] in labels]
    task = reading.task or (of_labels[0] if of_labels else None)
    if task is None:
        raise DatasetError(f"{path}: k and n do not say which task they are of; add --task 2afc or --task jnd")
    if counted:
        k, n = (_whole(table[name], name, path) for name in ("k", "n"))
        if (bad := (k < 0) | (k > n) | (n < 1)).any():
            first = int(np.flatnonzero(bad)[0])
            raise DatasetError(f"{path}: {bad.sum()} items have no k in 0..n, the first {table['id'].iloc[first]}")
    else:
        [label] = labels
        fractions = pd.to_numeric(table[label], errors="coerce").to_numpy(np.float64)
        if (bad := ~((fractions >= 0) & (fractions <= 1))).any():
            first = int(np.flatnonzero(bad)[0])
            raise DatasetError(
                f"{path}: {bad.sum()} values of {label} are not fractions in [0, 1], the first for item "
                f"{table['id'].iloc[first]}: {table[label].iloc[first]!r}"
            )
        k, n = _k_of_n(fractions, str(path), reading)
    name = table["set"] if "set" in table else path.name.split(".")[0]
    items = pd.DataFrame({"item": table["id"].astype(str), "set": name, "k": k, "n": n})
    if "metric" in table:  # a table of distances repeats its judgments for each metric
        items = items.drop_duplicates()
    if (twice := items.duplicated(["set", "item"])).any():
        raise DatasetError(f"{path}: two rows for item {items['item'][twice].iloc[0]}")
    facts = table[[fact for fact in FACTS if fact in table]].loc[items.index]
    same = _identical(items["item"], reading)
    if set(HASHES) <= set(table):
        same = same | identical_by_hash(table.loc[items.index])
    items = pd.concat([items, facts], axis=1).assign(identical=same)
    return Judgments(task, items.reset_index(drop=True), None)


def _k_of_n(fractions: np.ndarray, name: str, reading: Reading) -> tuple[np.ndarray, np.ndarray]:
    if reading.votes is None:
        raise DatasetError(f"{name}: has fractions only; say how many votes are behind each with --votes, such as 5")
    try:
        return votes_of_fractions(fractions, reading.votes), np.full(len(fractions), reading.votes)
    except DatasetError as error:
        raise DatasetError(f"{name}: {error}") from error


def _identical(items: pd.Series, reading: Reading) -> np.ndarray:
    if not reading.identical:
        return np.zeros(len(items), bool)
    mask = np.array([fnmatchcase(item, reading.identical) for item in items])
    if not mask.any():
        raise DatasetError(f"no item matches --identical {reading.identical}; items are like {items.iloc[0]}")
    return mask


def _with_facts(judgments: Judgments, reading: Reading) -> Judgments:
    if reading.facts is None:
        return judgments
    facts = of_task(reading.facts, judgments.task).drop(columns=["k", "n"], errors="ignore")
    known_answers = judgments.answers
    tables = [("what people said", judgments.items), ("the table of items", facts)]
    items, facts, *answers = respelled(*tables, *([] if known_answers is None else [("the answers", known_answers)]))
    check_found(items, facts, of="what people said", name="the table of items")
    keys = [key for key in ("set", "item") if key in facts]
    rest = items.drop(columns=[fact for fact in FACTS if fact in items and fact in facts])
    items = rest.merge(facts, on=keys, how="left", suffixes=("", "_by_facts"))
    if "identical_by_facts" in items:
        items["identical"] |= items.pop("identical_by_facts").eq(True)
    return replace(judgments, items=items, answers=answers[0] if answers else None)


def _whole(values: pd.Series, name: str, path: Path) -> np.ndarray:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    if (bad := ~(numbers == np.rint(numbers))).any():
        first = int(np.flatnonzero(bad)[0])
        raise DatasetError(
            f"{path}: {bad.sum()} values of {name} are no whole number, the first in row {first + 1}: "
            f"{values.iloc[first]!r}"
        )
    return numbers.astype(np.int64)


def _columns(path: Path) -> list[str]:
    return list(read_table(path, rows=0).columns)
