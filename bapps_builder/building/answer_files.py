"""Files of answers as a dataset is built from them: read, cut to one study, and known by their hash."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bapps_builder.answers.answer_table import read_answers
from bapps_builder.answers.foreign_answers import read_foreign_answers
from bapps_builder.datasets.dataset_record import Round
from bapps_builder.errors import DatasetError
from bapps_builder.files.download import sha256_of


@dataclass(frozen=True)
class Answers:
    """A file of answers: its table (see `answer_table.check_answers`), and where it came from."""

    table: pd.DataFrame
    origin: Round


def read_answer_file(
    file: Path,
    *,
    study: str = "",
    columns: Mapping[str, str] | None = None,
    words: Mapping[str, str] | None = None,
    consent: str = "",
    raw_answers_public: bool = False,
) -> Answers:
    """Read the answers of one study from a CSV or Parquet file.

    Parameters
    ----------
    file : Path
    study : str
        Needed where the file has answers of several.
    columns, words : mappings, optional
        Our columns and choices in their file; see `read_foreign_answers`.
    consent : str
        Version of the consent text that people agreed to.
    raw_answers_public : bool
        That text says that single answers will be published.

    Raises
    ------
    DatasetError
        If the file cannot be read, has answers of several studies and none was named, or none of the one named.
    """
    foreign = bool(columns or words)
    table = read_foreign_answers(file, columns=columns or {}, words=words or {}) if foreign else read_answers(file)
    studies = sorted(set(table["study"]) - {""}) if "study" in table else []
    if study and study not in studies:
        raise DatasetError(
            f"{file}: has no answers of the study {study!r}; it has {', '.join(studies) or 'none named'}"
        )
    if len(studies) > 1 and not study:
        raise DatasetError(
            f"{file}: has answers of {len(studies)} studies ({', '.join(studies)}); choose one with --study, or "
            "study= from Python"
        )
    if study:
        table, studies = table[table["study"] == study].reset_index(drop=True), [study]
    return Answers(table, Round(file.name, sha256_of(file), tuple(studies), len(table), consent, raw_answers_public))
