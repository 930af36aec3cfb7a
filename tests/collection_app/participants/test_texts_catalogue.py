"""The texts of the pages: the languages agree with each other, and with what pages and scripts ask for."""

import re
from pathlib import Path

import pytest

from collection_app.participants.texts_catalogue import FALLBACK, catalogues, choose

PLACEHOLDER = re.compile(r"\{(\w+)\}")


def test_there_are_at_least_two_languages() -> None:
    assert {"en", "de"} <= set(catalogues())


@pytest.mark.parametrize("language", sorted(set(catalogues()) - {FALLBACK}))
def test_languages_have_the_same_keys_and_placeholders(language: str) -> None:
    ours, theirs = catalogues()[FALLBACK].texts, catalogues()[language].texts
    assert list(theirs) == list(ours)
    for name, text in theirs.items():
        assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(ours[name])), name
        assert text.strip(), name


def asked(repository: Path) -> set[str]:
    """Names of texts that templates and scripts ask for, with * where a name is put together."""
    app = repository / "collection_app"
    pages = (app / "templates" / "study.html").read_text()
    # Of an expression inside text(...), every string that looks like a name is one.
    found = set(re.findall(r"[\"'](\w+\.\w+)[\"']", pages))
    for script in (app / "static" / "study").glob("*.js"):
        for quoted in re.findall(r"[\"`]([a-z]+\.[\w${}.]+?)[\"`]", script.read_text()):
            found.add(re.sub(r"\$\{[^}]*\}", "*", quoted))
    tables = {name.partition(".")[0] for name in catalogues()[FALLBACK].texts}
    return {name for name in found if name.partition(".")[0] in tables}


def test_every_text_is_asked_for_and_there(repository: Path) -> None:
    texts, names = set(catalogues()[FALLBACK].texts), asked(repository)
    patterns = [re.compile(name.replace(".", r"\.").replace("*", r"\w+")) for name in names]
    assert not {name for name in names if "*" not in name} - texts
    unused = {text for text in texts if not any(pattern.fullmatch(text) for pattern in patterns)}
    assert unused == {"language.name"}


def test_a_language_that_there_is_not_is_english() -> None:
    assert [choose(language).language for language in ("de", "en", "xx", "")] == ["de", "en", FALLBACK, FALLBACK]


def test_a_text_without_its_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="total"):
        catalogues()[FALLBACK].text("instructions.length")
