"""The participants' page as the server gives it: words, consent, headers; and what it needs of the interface."""

import re
import uuid
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.database.connections import read
from collection_app.errors import StudyError
from collection_app.settings import Settings
from collection_app.signing import Tokens
from collection_app.studies.presets import preset
from collection_app.studies.study import Study
from collection_app.tasks import tasks
from collection_app.tasks.task_module import TaskModule

KEY = "a signing key that is long enough for tests"
CHECK = [
    {"question": "What do you choose?", "choices": ["The nicer one", "The one more like the reference"], "right": 2},
    {"question": "How long may you look?", "choices": ["As long as you like", "One second"], "right": 1},
]


@pytest.fixture
def client(engine: Engine, place: Any, small_set: PatchSet, jnd_set: PatchSet) -> Any:
    def make(**settings: Any) -> Any:
        study = preset("paper-2afc", items_per_session=4, **settings)
        place(engine, study, jnd_set if study.task == "jnd" else small_set)
        app = create_app(study, engine, key=KEY, settings=Settings(arrivals_per_minute=0))
        return app.test_client()

    return make


class Inline(HTMLParser):
    """Collects what a strict content policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.found += [f"{tag} {name}" for name in names if name == "style" or name.startswith("on")]
        self.found += [tag for _ in "x" if tag == "style" or (tag == "script" and "src" not in names)]
        self.found += [str(v) for k, v in names.items() if k in ("src", "href") and "//" in str(v)]


def test_the_page_is_strict_and_isolated(client: Any) -> None:
    page = client().get("/?id=somebody")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert page.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    seen = Inline()
    seen.feed(page.text)
    assert seen.found == []
    assert "somebody" not in page.text  # an id in the address does not come back in the page


def test_consent_is_markdown_and_no_way_in(client: Any) -> None:
    consent = 'You **agree**.\n\n- [more](https://example.org/terms)\n- [bad](javascript:alert(1))\n- 1 & 2 "quoted"\n'
    page = client(consent=consent).get("/").text
    assert "<strong>agree</strong>" in page
    assert '<a href="https://example.org/terms">more</a>' in page
    assert 'href="javascript' not in page
    with pytest.raises(StudyError, match="Markdown without HTML"):
        preset("paper-2afc", consent="<img src=x>")


@pytest.mark.parametrize(
    ("query", "accepted", "setting", "language"),
    [
        ("", "", "", "en"),
        ("", "de-CH,fr;q=0.5", "", "en"),
        ("", "en", "de", "de"),
        ("?lang=de", "de", "en", "en"),
        ("?lang=../../etc/passwd", "", "", "en"),
    ],
)
def test_the_language_is_the_studys_whatever_a_browser_asks_for(
    client: Any, query: str, accepted: str, setting: str, language: str
) -> None:
    """Threat 18: German buttons round an English consent were two conditions in one study."""
    page = client(language=setting).get(f"/{query}", headers={"Accept-Language": accepted}).text
    assert f'<html lang="{language}">' in page
    assert {"en": "Before you begin", "de": "Bevor Sie beginnen"}[language] in page


@pytest.mark.parametrize("task", tasks().values(), ids=list(tasks()))
def test_every_module_and_style_is_served(client: Any, repository: Path, task: TaskModule) -> None:
    app = repository / "collection_app"
    own = app / task.package.replace(".", "/").removeprefix("collection_app/") / "static"
    browser = client(task=task.name, sentinels={}, training={})
    page = browser.get("/").text
    for file in [*(app / "static").rglob("*.*"), *own.iterdir()]:
        with browser.get(f"/{file.relative_to(app)}") as reply:
            assert reply.status_code == 200
        for imported in re.findall(r'from "(\.[\w./-]+\.js)"', file.read_text() if file.suffix == ".js" else ""):
            assert (file.parent / imported).resolve().is_relative_to(app)
            assert (file.parent / imported).exists()
    assert f'src="/{(own / "task.js").relative_to(app)}"' in page


def arrive(browser: Any, name: str = "somebody") -> tuple[dict[str, Any], dict[str, str]]:
    session = browser.post("/api/arrivals", json={"key": uuid.uuid4().hex, "parameters": {"id": name}}).json
    return session, {"Authorization": f"Bearer {session['token']}"}


def test_a_comprehension_check_allows_two_tries(client: Any) -> None:
    browser = client(comprehension=CHECK)
    session, bearer = arrive(browser)
    assert session["comprehension"] == {
        "questions": [{key: asked[key] for key in ("question", "choices")} for asked in CHECK],
        "passed": False,
        "tries_left": 2,
    }
    begin = {"consent_sha256": session["consent_sha256"]}
    assert browser.post("/api/start", json=begin, headers=bearer).json["error"] == "comprehension"
    assert browser.post("/api/comprehension", json={"choices": [1]}, headers=bearer).json["error"] == "choices"
    once = browser.post("/api/comprehension", json={"choices": [2, 2]}, headers=bearer).json
    assert (once["state"], once["comprehension"]["tries_left"]) == ("arrived", 1)
    passed = browser.post("/api/comprehension", json={"choices": [2, 1]}, headers=bearer).json
    assert passed["comprehension"]["passed"]
    assert browser.post("/api/start", json=begin, headers=bearer).json["state"] == "started"

    _, bearer = arrive(browser, "another")
    browser.post("/api/comprehension", json={"choices": [1, 1]}, headers=bearer)
    ended = browser.post("/api/comprehension", json={"choices": [1, 1]}, headers=bearer).json
    assert (ended["state"], ended["outcome"]) == ("turned away", "failed_checks")
    assert ended["code"]


def test_a_question_needs_a_right_choice_that_is_there() -> None:
    with pytest.raises(StudyError, match="right must be one of the 2 choices, got 3"):
        preset("paper-2afc", comprehension=[{**CHECK[0], "right": 3}])


def test_the_time_of_consent_is_kept(client: Any, engine: Engine) -> None:
    browser = client()
    session, bearer = arrive(browser)
    begin = {"consent_sha256": session["consent_sha256"], "consented_at": 1_700_000_000_123}
    browser.post("/api/start", json=begin, headers=bearer)
    kept = read(engine, lambda c: c.execute(text("SELECT detail FROM event WHERE kind = 'consent'")).scalar_one())
    assert kept == f"{session['consent_sha256']} at 1700000000123 by the browser's clock"


def test_a_proof_names_the_session_and_is_no_key(client: Any) -> None:
    browser = client()
    session, _ = arrive(browser)
    tokens = Tokens(KEY)
    assert tokens.proven(session["proof"]) == tokens.session_of(session["token"])
    assert tokens.session_of(session["proof"]) is None
    assert tokens.proven(session["token"]) is None
    assert tokens.proven(session["proof"] + "x") is None


def test_questions_survive_the_study_file(tmp_path: Path) -> None:
    from collection_app.studies.presets import as_toml
    from collection_app.studies.study_file import read_study

    study = preset("paper-2afc", comprehension=CHECK, language="de")
    (tmp_path / "study.toml").write_text(as_toml(study))
    assert read_study(tmp_path / "study.toml") == study
    assert isinstance(study, Study)
