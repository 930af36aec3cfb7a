"""What a check of a dataset found: a list of failures and notes, for people and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

# Every check, and what it means. Those that only tell never fail.
CHECKS = {
    "record": "dataset.json can be read and agrees with what is there",
    "card": "there is a dataset card",
    "empty": "a set has items",
    "folder": "every folder of a set is there",
    "foreign": "nothing else lies among the files",
    "paired": "every item has a file in each folder",
    "contiguous": "items are numbered from 000000 without gaps",
    "decodable": "every image can be decoded",
    "size": "the images of an item are of one size, square, and one the release has",
    "enlargement": "official files are enlarged patches by the release's rule",
    "label": "every label is one fraction in [0, 1], float32 of shape (1,)",
    "lattice": "fractions are whole numbers of votes",
    "count": "sets of the paper have the paper's number of items",
    "identical": "how many items have identical p0 and p1 (real ones exist)",
    "hash": "images are those of items.parquet",
    "items": "items.parquet can be read and lists the items that are there",
    "fraction": "labels are k/n of items.parquet",
    "answers": "answers.parquet can be read and holds answers to these items alone",
    "votes": "answers that count add up to k and n",
    "simulated": "simulated answers are called so",
    "photos": "no photograph is in training and validation",
    "duplicates": "no patch is in training and validation, nor one that looks the same",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    check : str
        A key of CHECKS.
    where : str
        The set's key, or "" for the whole dataset.
    fails : bool
        Else it is a note.
    count : int
        How many items, files or rows.
    what : str
        One line, with the first of them.
    """

    check: str
    where: str
    fails: bool
    count: int
    what: str

    def __post_init__(self) -> None:
        if self.check not in CHECKS:
            raise ValueError(f"no check is called {self.check!r}")


@dataclass(frozen=True)
class SetFacts:
    """What a set is, right or wrong.

    Attributes
    ----------
    items : int
        With a file in every folder.
    sizes : mapping of str to int
        Items of each size, as WIDTHxHEIGHT.
    identical : int
        Items whose p0 and p1 have the same pixels.
    """

    items: int
    sizes: Mapping[str, int]
    identical: int


@dataclass(frozen=True)
class Report:
    """All findings about a dataset.

    Attributes
    ----------
    dataset : str
    sets : mapping of str to SetFacts
        By the set's key; without those that hold nothing.
    findings : tuple of Finding
    """

    dataset: str
    sets: Mapping[str, SetFacts]
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> bool:
        """Whether anything failed."""
        return any(finding.fails for finding in self.findings)

    def as_json(self) -> str:
        """Everything as one JSON object."""
        content = {"dataset": self.dataset, "passed": not self.failed, **asdict(self)}
        return json.dumps(content, indent=2)

    def as_text(self) -> str:
        """A table of the sets, one of the findings, failures first, and the verdict."""
        sets = Table("set", "items", "sizes", "identical p0 and p1", box=SIMPLE_HEAD)
        for key, one in self.sets.items():
            sizes = ", ".join(f"{size} ({count})" for size, count in one.sizes.items())
            sets.add_row(key, str(one.items), sizes, str(one.identical))
        table = Table("", "check", "set", "count", "what", box=SIMPLE_HEAD)
        for one in sorted(self.findings, key=lambda problem: not problem.fails):
            table.add_row("FAILURE" if one.fails else "note", one.check, one.where, str(one.count), one.what)
        console = Console(width=160, highlight=False, markup=False)
        with console.capture() as captured:
            console.print(sets)
            if self.findings:
                console.print(table)
        failures = sum(one.fails for one in self.findings)
        total = sum(one.items for one in self.sets.values())
        verdict = f"{total} items in {len(self.sets)} sets, " + (
            f"{failures} failures" if failures else "nothing failed"
        )
        lines = [line.rstrip() for line in captured.get().splitlines()]
        return "\n".join([*lines, f"{self.dataset}: {verdict}"])


def finding(check: str, where: str, bad: Sequence[object], what: str, *, fails: bool = True) -> list[Finding]:
    """Give one finding about some items, naming the first few, or none if there are none."""
    if not len(bad):
        return []
    examples = ", ".join(str(one) for one in bad[:3]) + (", ..." if len(bad) > 3 else "")
    return [Finding(check, where, fails, len(bad), f"{what}: {examples}")]
