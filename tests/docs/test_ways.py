"""Whoever opens the first page finds what they came for within two clicks, by the links in the text alone."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt

DOCS = Path(__file__).resolve().parents[2] / "docs"
# A question, the page with its answer, and words of that answer.
ANSWERS = {
    "How do I install it?": ("start/install.md", "pip install"),
    "How do I score my own metric?": ("tutorials/your-metric.md", "--metric my_metrics:worst_channel"),
    "Which range do inputs have?": ("python.md", "floats in [-1, 1]"),
    "How long does a study take, and what does it cost?": ("start/faq.md", "6.4 hours"),
    "Which preset do I take?": ("collecting.md", "are for replication"),
    "What is a ceiling?": ("agreement.md", "The ceiling is the score of the best metric"),
    "How do I cite it?": ("start/citing.md", "@inproceedings"),
    "How do people come from Prolific?": ("tutorials/prolific-study.md", 'name = "prolific"'),
    "Can I use it as a loss?": ("python.md", "A loss is a `torch.nn.Module`"),
    "What does an export hold?": ("formats.md", "One row an answer"),
    "What is promised about security?": ("security.md", "| promise |"),
    "Are there texts for the GDPR?": ("collecting.md", "Article 13 of the GDPR"),
}


def links(page: Path) -> set[Path]:
    """The pages that the text of a page links to."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text())
    found = [str(child.attrs.get("href", "")) for token in tokens for child in token.children or []]
    paths = [urlsplit(link).path for link in found if link and not urlsplit(link).scheme]
    return {target for path in paths if (target := (page.parent / path).resolve()).suffix == ".md" and target.exists()}


def clicks() -> dict[Path, int]:
    """How many clicks from the first page each page is, up to two."""
    found = {DOCS / "index.md": 0}
    for distance in (1, 2):
        for page in [page for page, steps in found.items() if steps == distance - 1]:
            for target in links(page):
                found.setdefault(target, distance)
    return found


@pytest.mark.parametrize("question", ANSWERS)
def test_an_answer_is_two_clicks_away(question: str) -> None:
    name, words = ANSWERS[question]
    assert words in re.sub(r"\s+", " ", (DOCS / name).read_text())
    assert clicks().get(DOCS / name, 3) <= 2


def test_pages_that_nothing_leads_to_are_far() -> None:
    assert clicks()[DOCS / "index.md"] == 0
    assert DOCS / "project" / "changelog.md" not in clicks()
