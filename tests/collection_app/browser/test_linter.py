"""Threat 8: the linters that CI runs find what the oldest browsers lack, and nothing in the pages as they are."""

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
    found = lint(repository, "collection_app")
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


def lint_styles(repository: Path, *asked: str, code: str | None = None) -> "subprocess.CompletedProcess[str]":
    folder = repository / ".ci" / "pages"
    config = ["--config", str(folder / "stylelint.config.mjs"), "--config-basedir", str(folder)]
    command = [str(folder / "node_modules" / ".bin" / "stylelint"), *config, *asked]
    return subprocess.run(command, cwd=repository, input=code, capture_output=True, text=True, check=False)


def test_threat_8_the_styles_use_nothing_beyond_their_browsers(repository: Path) -> None:
    done = lint_styles(repository, "collection_app/**/*.css")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("a:has(b) { color: red; }", 'Selector "has"'),
        ("a { & b { color: red; } }", "nesting"),
        ("@container (min-width: 3px) { a { color: red; } }", 'At-rule "@container"'),
        ("a { grid-template-columns: subgrid; }", 'Value "subgrid"'),
        ("a { color: light-dark(red, blue); }", 'Function "light-dark"'),
        ("@media (width > 3px) { a { color: red; } }", "media-feature-range-notation"),
    ],
)
def test_threat_8_styles_that_they_lack_are_found(repository: Path, code: str, complaint: str) -> None:
    done = lint_styles(repository, "--stdin", "--stdin-filename", "collection_app/static/new.css", code=code)
    output = done.stdout + done.stderr
    assert done.returncode == 2, output
    assert complaint in output, output
