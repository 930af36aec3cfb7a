"""Links of the Markdown files lead somewhere: to files and headings here, and to addresses that are well formed.

Sphinx checks links between pages of the documentation; `make check-links` asks for the addresses outside.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = {path.name for path in REPOSITORY.iterdir() if path.is_dir()}
PATH = re.compile(r"[\w.-]+(/[\w.-]+)+/?")


def is_generated(path: Path) -> bool:
    """Whether `make docs` writes it."""
    return not {"_build", "commands", "reference"}.isdisjoint(path.parts)


PAGES = sorted(
    page.relative_to(REPOSITORY).as_posix()
    for pattern in ("*.md", ".github/**/*.md", "docs/**/*.md")
    for page in REPOSITORY.glob(pattern)
    if not is_generated(page)
)


def tokens(page: Path) -> Iterator[Token]:
    """All tokens of a page, those inside paragraphs and tables too."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text()):
        yield token
        yield from token.children or []


def anchors(page: Path) -> set[str]:
    """What GitHub and MyST call the headings of a page."""
    titles = re.findall(r"^#+ +(.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def leads_somewhere(link: str, page: Path) -> bool:
    parts = urlsplit(link)
    if parts.scheme:
        return parts.scheme == "https" and "." in parts.netloc and " " not in link
    target = page.parent / parts.path if parts.path else page
    return is_generated(target) or (target.exists() and (not parts.fragment or parts.fragment in anchors(target)))


def dangling(page: Path) -> list[str]:
    """Links of a page, and paths of the repository in its text, that lead nowhere."""
    links = [str(token.attrs.get("href") or token.attrs.get("src") or "") for token in tokens(page)]
    code = [token.content for token in tokens(page) if token.type == "code_inline"]
    paths = [REPOSITORY / text for text in code if PATH.fullmatch(text) and text.split("/")[0] in FOLDERS]
    return [link for link in links if link and not leads_somewhere(link, page)] + [
        path.relative_to(REPOSITORY).as_posix() for path in paths if not path.exists() and not is_generated(path)
    ]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    assert dangling(REPOSITORY / name) == []


def test_links_that_lead_nowhere_are_listed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A good heading\n\n[a](#a-good-heading) [b](other.md) ![c](none.png) [d](#bad) [e](http://example.org/)\n\n"
        "| x |\n|---|\n| [f](page.md#worse), `docs/index.md` and `docs/nothing.md` |\n"
    )
    bad = ["other.md", "none.png", "#bad", "http://example.org/", "page.md#worse", "docs/nothing.md"]
    assert dangling(page) == bad
