"""Build a dataset in the BAPPS layout from items and answers, or add a later round of answers to one.

    items (patch sets, tables, folders) + answers
      -> splits -> votes of each item -> numbers in each set -> files beside the target -> rename

The target appears whole or not at all. Memory holds the names of items and the answers; images, and
rows of patch sets, pass through it a few at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bapps_builder.answers.exclusions import parse_rule
from bapps_builder.answers.vote_tally import Tally, match, match_kept, merged, tally
from bapps_builder.building.item_files import Writing, write_files
from bapps_builder.building.item_pool import Pool, extended, members, opened, pool_of, with_splits
from bapps_builder.building.item_sources import ROLES, Source
from bapps_builder.datasets.dataset_card import card
from bapps_builder.datasets.dataset_record import DatasetRecord, Round, SetSummary, Settings, read_record, write_record
from bapps_builder.datasets.set_tables import ITEMS_SCHEMA, write_other_answers, write_tables
from bapps_builder.datasets.splits import prove_splits
from bapps_builder.errors import DatasetError
from bapps_builder.files.whole_folder import folder_made_whole
from bapps_builder.layout import CARD, SPLITS, TASKS, SetFolder, paper_order, set_of_key
from bapps_builder.patch_sets.manifest import item_id

_LIBRARIES = ("bapps", "numpy", "opencv-python-headless", "pandas", "pyarrow")


@dataclass(frozen=True)
class Answers:
    """A file of answers: its table (see `answer_table.check_answers`), and where it came from."""

    table: pd.DataFrame
    origin: Round


def build(
    sources: Sequence[Source],
    answers: Sequence[Answers],
    out: Path,
    *,
    settings: Settings,
    writing: Writing = Writing(),  # noqa: B008 - frozen
) -> DatasetRecord:
    """Build a dataset at `out`, which must not exist.

    Parameters
    ----------
    sources : sequence of Source
    answers : sequence of Answers
        A study each, or rounds of one.
    out : Path
    settings : Settings

    Raises
    ------
    DatasetError
        If answers and items do not belong together, items have too few answers, or a photograph would be
        on both sides.
    BappsError, OSError
        If an image is missing, damaged or not the one its source recorded, or cannot be written.
    """
    with folder_made_whole(out) as root:
        pool = with_splits(pool_of(sources), settings)
        table = _matched(pool, answers)
        blank = DatasetRecord("", {}, settings, False, 0, 0, (), (), (), (), prove_splits((), ()), {})
        return _write(root, pool, table, _grown(blank, sources, answers), writing=writing)


def append(
    out: Path,
    sources: Sequence[Source],
    answers: Sequence[Answers],
    *,
    writing: Writing = Writing(),  # noqa: B008 - frozen
) -> DatasetRecord:
    """Add a later round of answers to the dataset at `out`, under the settings it was built with.

    Items keep their numbers; items that only now have enough answers get the next ones. An answer that an
    earlier round had is not counted twice.

    Raises
    ------
    DatasetError
        Also if an item of the dataset would be left with too few answers, or the answers are of a study
        that the dataset knows nothing of.
    """
    record = read_record(out)
    for one in answers:
        _check_same_study(record, one.origin)
    there, earlier = opened([set_of_key(out, key) for key in record.sets])
    pool = with_splits(extended(there, sources), record.settings)
    table = _matched(pool, answers, match_kept(earlier, pool.named))
    with folder_made_whole(out, replace=True) as root:
        return _write(root, pool, table, _grown(record, sources, answers), writing=writing)


def _matched(pool: Pool, answers: Sequence[Answers], earlier: pd.DataFrame | None = None) -> pd.DataFrame:
    """All answers together, with the items they are to."""
    for one in answers:
        found = match(one.table, pool.named, name=one.origin.file)
        earlier = found if earlier is None else merged(earlier, found, name=one.origin.file)
    if earlier is None:
        raise DatasetError("no answers were given, so there is nothing to build")
    return earlier


def _check_same_study(record: DatasetRecord, answers_from: Round) -> None:
    known = {study for one in record.rounds for study in one.studies}
    if foreign := sorted(set(answers_from.studies) - known):
        raise DatasetError(
            f"{answers_from.file}: answers of the study {', '.join(map(repr, foreign))}, and the dataset holds those "
            f"of {', '.join(map(repr, sorted(known))) or 'none'}; build a dataset of its own for another study"
        )


def _grown(record: DatasetRecord, sources: Sequence[Source], answers: Sequence[Answers]) -> DatasetRecord:
    new = [{"name": source.name, "sha256": source.sha256, "origin": source.origin} for source in sources]
    added = [one for one in new if one not in record.sources]
    return replace(record, sources=(*record.sources, *added), rounds=(*record.rounds, *(one.origin for one in answers)))


def _write(root: Path, pool: Pool, answers: pd.DataFrame, record: DatasetRecord, *, writing: Writing) -> DatasetRecord:
    settings = record.settings
    rules = [parse_rule(rule) for rule in settings.rules]
    votes = tally(answers, items=len(pool), rules=rules, post_hoc=settings.post_hoc)
    inside = _inside(pool, votes, settings)
    proof = prove_splits(pool.shared("photo")[inside], pool.shared("split")[inside])
    if proof.both:
        raise DatasetError(
            f"{len(proof.both)} photographs would be in training and validation, the first {proof.both[0]!r}; "
            "divide them with --split photo"
        )
    sets = members(pool.set_keys, inside)
    summaries = {
        key: _write_set(set_of_key(root, key), pool, sets[key], votes, writing) for key in sorted(sets, key=_set_order)
    }
    at = votes.answers["at"].to_numpy()
    part = (at >= 0) & inside[at]
    write_other_answers(root, _in_words_of_study(votes.answers[~part], pool))
    counting = votes.answers.filter(["participant", "simulated"])[part & votes.answers["use"].to_numpy()]
    record = replace(
        record,
        tool=f"bapps-build {version('bapps')}",
        versions={name: version(name) for name in _LIBRARIES},
        simulated=bool("simulated" in counting and counting["simulated"].any()),
        people=int(counting["participant"].nunique()),
        left_out=int((~inside).sum()),
        flow=votes.flow,
        post_hoc_flow=votes.post_hoc_flow,
        split=proof,
        sets=summaries,
    )
    write_record(root, record)
    (root / CARD).write_text(card(record))
    return record


def _in_words_of_study(answers: pd.DataFrame, pool: Pool) -> pd.DataFrame:
    """Say the set of answers to items that were left out, so that a later round finds them."""
    sets = pool.texts("source_set").to_numpy(object)
    given = answers["set"] if "set" in answers else pd.Series("", answers.index)
    return answers.assign(set=np.where(answers["at"] >= 0, sets[answers["at"]], given))


def _write_set(folder: SetFolder, pool: Pool, of_set: NDArray[np.bool_], votes: Tally, writing: Writing) -> SetSummary:
    """Write one set; `of_set` tells which items of the pool are its members, in the order of their numbers."""
    k, n = votes.k[of_set], votes.n[of_set]
    items = write_files(folder, _numbered(folder, pool, of_set, k, n), writing, there=int(of_set[: pool.there].sum()))
    row = np.full(len(pool) + 1, -1)  # its last element is what `at` = -1 finds
    row[:-1][of_set] = np.arange(len(n))
    return write_tables(folder, items, votes.answers, row[votes.answers["at"].to_numpy()], k=k, n=n)


def _numbered(
    folder: SetFolder, pool: Pool, of_set: NDArray[np.bool_], k: NDArray[np.int64], n: NDArray[np.int64]
) -> Iterator[pa.Table]:
    """Yield the members of a set as items.parquet has them, and the paths of their images."""
    start = 0
    for items in pool.items(of_set):
        stop = start + len(items)
        known = {
            "id": [item_id(number) for number in range(start, stop)],
            "split": [folder.split] * len(items),
            "k": k[start:stop],
            "n": n[start:stop],
        }
        columns = {
            field.name: pa.array(known[field.name], field.type) if field.name in known else items[field.name]
            for field in ITEMS_SCHEMA
        }
        yield pa.table(columns | {role: items[role] for role in ROLES})
        start = stop


def _inside(pool: Pool, votes: Tally, settings: Settings) -> NDArray[np.bool_]:
    """Which items have enough answers; those that must have and have not end the build."""
    enough = votes.n >= settings.min_answers
    short = np.flatnonzero(~enough)
    there = short[short < pool.there]
    if len(there):
        raise DatasetError(
            f"{len(there)} items of the dataset would be left with fewer than {settings.min_answers} answers, the "
            f"first {pool.name(int(there[0]))} with {votes.n[there[0]]}; numbers are never taken back, so build anew"
        )
    if len(short) and not settings.leave_out_short:
        some = ", ".join(f"{pool.name(int(at))}: {votes.n[at]}" for at in short[:5])
        raise DatasetError(
            f"{len(short)} of {len(enough)} items have fewer than {settings.min_answers} answers that count ({some}"
            f"{', ...' if len(short) > 5 else ''}); collect more, lower --min-answers or leave them out with "
            "--leave-out-short"
        )
    if not enough.any():
        raise DatasetError(f"no item has {settings.min_answers} answers that count, so there is nothing to build")
    return enough


def _set_order(key: str) -> tuple[int, int, tuple[int, str]]:
    folder = set_of_key(Path(), key)
    return TASKS.index(folder.task), SPLITS.index(folder.split), paper_order(folder.name)
