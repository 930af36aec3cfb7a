"""What the type checker of the pages believes of the server's messages is what the server says."""

import re
from pathlib import Path

import pytest

from collection_app.web import messages

pytestmark = pytest.mark.needs(".ci/pages/messages.d.ts")  # left out of source distributions

INTERFACE = re.compile(r"interface (\w+) \{\n(.*?)\n\}", re.DOTALL)
FIELD = re.compile(r"^  (\w+)\??:", re.MULTILINE)


def interfaces() -> dict[str, set[str]]:
    text = (Path(__file__).resolve().parents[3] / ".ci" / "pages" / "messages.d.ts").read_text()
    return {name: set(FIELD.findall(body)) for name, body in INTERFACE.findall(text)}


@pytest.mark.parametrize("name", ["SessionState", "Trial", "Answer", "AnswerReceipt", "Comprehension", "ExposureTimes"])
def test_types_of_the_pages_have_the_fields_of_the_messages(name: str) -> None:
    assert interfaces()[name] == set(getattr(messages, name).model_fields)
