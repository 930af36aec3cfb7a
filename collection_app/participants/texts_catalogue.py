"""What the pages say, in each language: one TOML file a language in texts/, found by itself.

A text is named by its table and key, such as `consent.agree`, and may hold {placeholders}.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

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
def catalogues() -> dict[str, Catalogue]:
    """All catalogues by their language's code."""
    found = {}
    for file in sorted(files("collection_app").joinpath("texts").iterdir(), key=lambda file: file.name):
        code, _, kind = file.name.partition(".")
        if kind == "toml":
            tables = tomllib.loads(file.read_text("utf-8"))
            texts = {f"{table}.{key}": text for table, keys in tables.items() for key, text in keys.items()}
            found[code] = Catalogue(code, texts)
    return found


def choose(*wanted: str, accepted: Iterable[str] = ()) -> Catalogue:
    """The first language there is: of those wanted, then of those the browser accepts, best first; else English."""
    for tag in (*wanted, *accepted):
        if found := catalogues().get(tag.partition("-")[0].lower()):
            return found
    return catalogues()[FALLBACK]
