"""What the pages say, in each language: one TOML file a language in texts/, found by itself.

A text is named by its table and key, such as `consent.agree`, and may hold {placeholders}.
"""

import tomllib
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


def choose(wanted: str) -> Catalogue:
    """The catalogue of a language, or English where there is none."""
    return catalogues().get(wanted, catalogues()[FALLBACK])
