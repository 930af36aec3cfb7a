"""`dataset.json`: everything that a dataset built here came from, as a record."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bapps_builder.answers.exclusions import FlowStep, parse_rule
from bapps_builder.datasets.splits import SplitBy, SplitProof
from bapps_builder.errors import DatasetError
from bapps_builder.layout import DESCRIPTION

FORMAT = 2


@dataclass(frozen=True)
class Settings:
    """What a build was asked for.

    Attributes
    ----------
    name : str
        Of the dataset.
    min_answers : int
        Answers that count which an item must have.
    leave_out_short : bool
        Whether items with fewer are left out; else they end the build.
    split_by : "given", "photo" or "collection"
        Whether items keep their split, or the photographs (or collections of them) are divided anew.
    val_share : float
        Share of photographs drawn for validation; not for "given".
    seed : int
        Of that draw.
    rules : tuple of str
        Rules of exclusion besides what the study recorded.
    planned : bool
        Whether these rules were chosen before anyone looked at the answers.
    """

    name: str
    min_answers: int = 1
    leave_out_short: bool = False
    split_by: SplitBy = "given"
    val_share: float = 0.2
    seed: int = 0
    rules: tuple[str, ...] = ()
    planned: bool = False

    @classmethod
    def of_build(cls, out: Path, *, name: str = "", rules: Sequence[str] = (), **others: Any) -> "Settings":
        """Settings of a dataset at `out`, whose name is that of the folder by default; rules as people write them."""
        return cls(name or out.absolute().name, rules=tuple(str(parse_rule(rule)) for rule in rules), **others)

    @property
    def post_hoc(self) -> bool:
        """Whether answers were excluded by rules that were not planned."""
        return bool(self.rules) and not self.planned


@dataclass(frozen=True)
class Round:
    """One file of answers.

    Attributes
    ----------
    file, sha256 : str
    studies : tuple of str
    rows : int
    consent : str
        Version of the text that people agreed to; "" if not known.
    raw_answers_public : bool
        Whether that text says that single answers will be published.
    """

    file: str
    sha256: str
    studies: tuple[str, ...]
    rows: int
    consent: str = ""
    raw_answers_public: bool = False


@dataclass(frozen=True)
class SetSummary:
    """One set in numbers.

    Attributes
    ----------
    items, people : int
    answers, recorded : int
        Answers that count, and all.
    fewest, most : int
        Answers that count, per item.
    agreement : float
        Mean of p² + (1 - p)², the paper's "Human".
    agreement_unbiased : float or None
        Mean share of equal pairs of votes, over items with two or more; None if there are none.
    items_sha256, answers_sha256 : str
        Of the two tables beside the set.
    """

    items: int
    people: int
    answers: int
    recorded: int
    fewest: int
    most: int
    agreement: float
    agreement_unbiased: float | None
    items_sha256: str
    answers_sha256: str


@dataclass(frozen=True)
class DatasetRecord:
    """All that `dataset.json` says; see the parts.

    Attributes
    ----------
    tool : str
    versions : mapping of str to str
    settings : Settings
    simulated : bool
        Whether any answer was given by a program.
    people : int
        Who gave at least one answer that counts.
    left_out : int
        Items that got too few answers.
    sources : tuple of mapping
        Name, hash and, of patch sets, the whole description of where items came from.
    rounds : tuple of Round
    flow, post_hoc_flow : tuple of FlowStep
    split : SplitProof
    sets : mapping of str to SetSummary
        By `SetFolder.key`.
    """

    tool: str
    versions: Mapping[str, str]
    settings: Settings
    simulated: bool
    people: int
    left_out: int
    sources: tuple[Mapping[str, Any], ...]
    rounds: tuple[Round, ...]
    flow: tuple[FlowStep, ...]
    post_hoc_flow: tuple[FlowStep, ...]
    split: SplitProof
    sets: Mapping[str, SetSummary]


def is_built(root: Path) -> bool:
    """Whether a dataset was built here, rather than by others."""
    return (root / DESCRIPTION).is_file()


def write_record(root: Path, record: DatasetRecord) -> None:
    """Write `dataset.json` into a folder that is being made."""
    content = {"format": FORMAT, "post_hoc": record.settings.post_hoc, **asdict(record)}
    (root / DESCRIPTION).write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_record(root: Path) -> DatasetRecord:
    """Read `dataset.json`.

    Raises
    ------
    DatasetError
        If it is missing, not readable, or of another format.
    """
    path = root / DESCRIPTION
    try:
        content = json.loads(path.read_text())
        if content.get("format") != FORMAT:
            raise DatasetError(f"{path}: format {content.get('format')!r}; this version reads format {FORMAT}")
        return DatasetRecord(
            tool=content["tool"],
            versions=content["versions"],
            settings=Settings(**_with_tuple(content["settings"], "rules")),
            simulated=content["simulated"],
            people=content["people"],
            left_out=content["left_out"],
            sources=tuple(content["sources"]),
            rounds=tuple(Round(**_with_tuple(one, "studies")) for one in content["rounds"]),
            flow=tuple(FlowStep(**step) for step in content["flow"]),
            post_hoc_flow=tuple(FlowStep(**step) for step in content["post_hoc_flow"]),
            split=SplitProof(**_with_tuple(content["split"], "both")),
            sets={key: SetSummary(**value) for key, value in content["sets"].items()},
        )
    except DatasetError:
        raise
    except FileNotFoundError as error:
        raise DatasetError(f"{root}: no {DESCRIPTION} in it, so it was not built with `bapps-build build`") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path}: not readable as the record of a dataset: {error!r}") from error


def _with_tuple(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {**values, name: tuple(values[name])}
