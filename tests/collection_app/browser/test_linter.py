"""Threat 8: the linter that CI runs finds what the oldest browsers lack, and nothing in the pages as they are."""

import os
import subprocess
from pathlib import Path

import pytest

# `make check-pages` installs it.
pytestmark = pytest.mark.needs(".ci/pages/node_modules/.bin/eslint")

BROWSERS = "chrome >= 100, firefox >= 102, safari >= 15.4, ios_saf >= 15.4"


def lint(repository: Path, *asked: str, code: str | None = None) -> "subprocess.CompletedProcess[str]":
    folder = repository / ".ci" / "pages"
    program = folder / "node_modules" / ".bin" / "eslint"
    command = [str(program), "--config", str(folder / "eslint.config.mjs"), *asked]
    environment = {**os.environ, "BROWSERSLIST": BROWSERS}
    return subprocess.run(
        command, cwd=repository, env=environment, input=code, capture_output=True, text=True, check=False
    )


def test_threat_8_the_pages_use_nothing_beyond_their_browsers(repository: Path) -> None:
    found = lint(repository, "collection_app/static", "collection_app/tasks")
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("export const a = AbortSignal.any([]);", "no-restricted-properties"),
        ("export const a = AbortSignal.timeout(3);", "no-restricted-properties"),
        ("export const a = [2, 1].toSorted();", "es-x/no-array-prototype-tosorted"),
        ("export const a = [2, 1].findLast((x) => x);", "compat/compat"),
        ("export class A { static { self.b = 1; } }", "es-x/no-class-static-block"),
        ("export const a = /(?<=a)b/;", "es-x/no-regexp-lookbehind-assertions"),
        ("requestIdleCallback(() => {});", "compat/compat"),
    ],
)
def test_threat_8_what_they_lack_is_found(repository: Path, code: str, rule: str) -> None:
    found = lint(repository, "--stdin", "--stdin-filename", "collection_app/static/study/new.js", code=code)
    assert (found.returncode, rule in found.stdout) == (1, True), found.stdout + found.stderr


def test_the_script_that_tells_old_browsers_is_written_for_them(repository: Path) -> None:
    where = "collection_app/static/study/support.js"
    found = lint(repository, "--stdin", "--stdin-filename", where, code="const a = () => 1;")
    assert "ES2015 block-scoped variables are forbidden" in found.stdout
    assert "ES2015 arrow function expressions are forbidden" in found.stdout
