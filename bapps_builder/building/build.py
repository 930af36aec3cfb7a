"""Build a dataset in the BAPPS layout from items and answers, or add a later round of answers to one.

    count the votes of every candidate (answers/vote_counts.py)
      -> choose the items, with set, number and votes (chosen_items.py)
      -> write the sets (set_writing.py)
      -> write the record

The target appears whole or not at all. Memory holds the names of items and the answers; images, and
rows of patch sets, pass through it a few at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from bapps_builder.answers.exclusions import parse_rule
from bapps_builder.answers.vote_counts import VoteCounts, count_votes, match, match_kept, merged
from bapps_builder.building.answer_files import Answers
from bapps_builder.building.candidates import Candidates, candidates_of, extended, opened, with_splits
from bapps_builder.building.chosen_items import ChosenItems, choose_items
from bapps_builder.building.item_files import Writing
from bapps_builder.building.item_sources import Source
from bapps_builder.building.set_writing import write_sets
from bapps_builder.datasets.dataset_card import card
from bapps_builder.datasets.dataset_record import DatasetRecord, Round, SetSummary, Settings, read_record, write_record
from bapps_builder.errors import DatasetError
from bapps_builder.files.parallel import workers_for
from bapps_builder.files.whole_folder import folder_made_whole
from bapps_builder.layout import CARD, set_of_key

_LIBRARIES = ("bapps", "numpy", "opencv-python-headless", "pandas", "pyarrow")


@dataclass(frozen=True)
class _Origins:
    """Where items and answers came from, as the record says it."""

    sources: tuple[Mapping[str, Any], ...]
    rounds: tuple[Round, ...]


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
        candidates = with_splits(candidates_of(sources), settings)
        table = _matched(candidates, answers)
        return _write(root, candidates, table, settings, _origins(sources, answers), writing)


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
    kept, earlier = opened([set_of_key(out, key) for key in record.sets])
    candidates = with_splits(extended(kept, sources), record.settings)
    table = _matched(candidates, answers, match_kept(earlier, candidates.named))
    with folder_made_whole(out, replace=True) as root:
        return _write(root, candidates, table, record.settings, _origins(sources, answers, record), writing)


def _write(
    root: Path,
    candidates: Candidates,
    answers: pd.DataFrame,
    settings: Settings,
    origins: _Origins,
    writing: Writing,
) -> DatasetRecord:
    rules = [parse_rule(rule) for rule in settings.rules]
    votes = count_votes(answers, items=len(candidates), rules=rules, post_hoc=settings.post_hoc)
    items = choose_items(candidates, votes, settings)
    writing = replace(writing, workers=writing.workers or workers_for(len(candidates)))
    sets = write_sets(root, items, votes.answers, writing)
    record = _record(settings, origins, votes, items, sets)
    write_record(root, record)
    (root / CARD).write_text(card(record))
    return record


def _record(
    settings: Settings, origins: _Origins, votes: VoteCounts, items: ChosenItems, sets: Mapping[str, SetSummary]
) -> DatasetRecord:
    at = votes.answers["at"].to_numpy()
    used = (at >= 0) & items.chosen[at] & votes.answers["use"].to_numpy()
    counting = votes.answers.filter(["participant", "simulated"])[used]
    return DatasetRecord(
        tool=f"bapps-build {version('bapps')}",
        versions={name: version(name) for name in _LIBRARIES},
        settings=settings,
        simulated=bool("simulated" in counting and counting["simulated"].any()),
        people=int(counting["participant"].nunique()),
        left_out=int((~items.chosen).sum()),
        sources=origins.sources,
        rounds=origins.rounds,
        flow=votes.flow,
        post_hoc_flow=votes.post_hoc_flow,
        split=items.split,
        sets=sets,
    )


def _origins(sources: Sequence[Source], answers: Sequence[Answers], record: DatasetRecord | None = None) -> _Origins:
    """Add sources and answers to those that a record names already."""
    earlier_sources, rounds = (record.sources, record.rounds) if record else ((), ())
    new = [{"name": source.name, "sha256": source.sha256, "origin": source.origin} for source in sources]
    added = [one for one in new if one not in earlier_sources]
    return _Origins((*earlier_sources, *added), (*rounds, *(one.origin for one in answers)))


def _matched(candidates: Candidates, answers: Sequence[Answers], earlier: pd.DataFrame | None = None) -> pd.DataFrame:
    """All answers together, with the items they are to."""
    for one in answers:
        at = match(one.table, candidates.named, name=one.origin.file)
        earlier = at if earlier is None else merged(earlier, at, name=one.origin.file)
    if earlier is None:
        raise DatasetError("no answers were given, so there is nothing to build")
    return earlier


def _check_same_study(record: DatasetRecord, answers_from: Round) -> None:
    studies = {study for one in record.rounds for study in one.studies}
    if foreign := sorted(set(answers_from.studies) - studies):
        raise DatasetError(
            f"{answers_from.file}: answers of the study {', '.join(map(repr, foreign))}, and the dataset holds those "
            f"of {', '.join(map(repr, sorted(studies))) or 'none'}; build a dataset of its own for another study"
        )
