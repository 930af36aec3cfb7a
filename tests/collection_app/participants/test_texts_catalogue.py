"""The texts of the pages: the languages agree with each other, and with what pages and scripts ask for."""

import re
from pathlib import Path

import pytest

from collection_app.participants.texts_catalogue import FALLBACK, catalogues, choose
from collection_app.tasks import task_of, tasks

PLACEHOLDER = re.compile(r"\{(\w+)\}")


TASKS = [*tasks()]


@pytest.mark.parametrize("task", TASKS)
def test_there_are_at_least_two_languages(task: str) -> None:
    assert {"en", "de"} <= set(catalogues(task))


@pytest.mark.parametrize("task", TASKS)
def test_languages_have_the_same_keys_and_placeholders(task: str) -> None:
    ours = catalogues(task)[FALLBACK].texts
    for language in set(catalogues(task)) - {FALLBACK}:
        theirs = catalogues(task)[language].texts
        assert list(theirs) == list(ours)
        for name, text in theirs.items():
            assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(ours[name])), name
            assert text.strip(), name


def asked(repository: Path, task: str) -> set[str]:
    """Names of texts that templates and scripts ask for, with * where a name is put together."""
    app = repository / "collection_app"
    own = repository / task_of(task).package.replace(".", "/")
    # Of an expression inside text(...), every string that looks like a name is one.
    found: set[str] = set()
    for page in (app / "templates" / "study.html", own / "templates" / "page.html"):
        found |= set(re.findall(r"[\"'](\w+\.\w+)[\"']", page.read_text()))
    for script in [*(app / "static" / "study").glob("*.js"), *(own / "static").glob("*.js")]:
        for quoted in re.findall(r"[\"`]([a-z]+\.[\w${}.]+?)[\"`]", script.read_text()):
            found.add(re.sub(r"\$\{[^}]*\}", "*", quoted))
    tables = {name.partition(".")[0] for name in catalogues(task)[FALLBACK].texts}
    return {name for name in found if name.partition(".")[0] in tables}


@pytest.mark.parametrize("task", TASKS)
def test_every_text_is_asked_for_and_there(repository: Path, task: str) -> None:
    texts, names = set(catalogues(task)[FALLBACK].texts), asked(repository, task)
    patterns = [re.compile(name.replace(".", r"\.").replace("*", r"\w+")) for name in names]
    assert not {name for name in names if "*" not in name} - texts
    unused = {text for text in texts if not any(pattern.fullmatch(text) for pattern in patterns)}
    assert unused == {"language.name"}


def test_a_language_that_there_is_not_is_english() -> None:
    assert [choose(code, "jnd").language for code in ("de", "en", "xx", "")] == ["de", "en", FALLBACK, FALLBACK]


def test_a_text_without_its_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="total"):
        catalogues("2afc")[FALLBACK].text("instructions.length")
