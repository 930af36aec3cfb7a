"""What the pages say, in each language: one TOML file a language in texts/, and one in the texts/ of each task.

A text is named by its table and key, such as `consent.agree`, and may hold {placeholders}; a task's own come on top.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from collection_app.tasks import task_of

FALLBACK = "en"


@dataclass(frozen=True)
class Catalogue:
    """The texts of a language, by name."""

    language: str
    texts: dict[str, str]

    def text(self, name: str, **values: object) -> str:
        """Give a text with its placeholders filled in; KeyError if there is no such text or value."""
        return self.texts[name].format_map(values)

    def of(self, *tables: str) -> dict[str, str]:
        """The texts of some tables."""
        return {name: text for name, text in self.texts.items() if name.partition(".")[0] in tables}


@cache
def catalogues(task: str) -> dict[str, Catalogue]:
    """The catalogues of a task's pages by their language's code: of all languages that have both files."""
    shared, own = (_texts(folder) for folder in (files("collection_app"), task_of(task).folder))
    return {code: Catalogue(code, texts | own[code]) for code, texts in shared.items() if code in own}


def _texts(folder: Traversable) -> dict[str, dict[str, str]]:
    by_language = {}
    for file in sorted(folder.joinpath("texts").iterdir(), key=lambda file: file.name):
        code, _, kind = file.name.partition(".")
        if kind == "toml":
            tables = tomllib.loads(file.read_text("utf-8"))
            by_language[code] = {f"{table}.{key}": text for table, keys in tables.items() for key, text in keys.items()}
    return by_language


def choose(language: str, task: str) -> Catalogue:
    """The catalogue of a language, or English where there is none."""
    return catalogues(task).get(language, catalogues(task)[FALLBACK])
