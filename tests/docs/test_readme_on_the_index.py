"""The README as the package index shows it, where a link into the repository would lead nowhere."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from markdown_it import MarkdownIt

LINKS = "https://github.com/someone/bapps/blob/v9.8.7/"
PICTURES = "https://raw.githubusercontent.com/someone/bapps/v9.8.7/"


def test_links_and_pictures_lead_to_the_files_of_the_tag(tmp_path: Path, repository: Path) -> None:
    shutil.copy(repository / "README.md", tmp_path)
    script = repository / ".ci/absolute_links.py"
    subprocess.run([sys.executable, script, tmp_path / "README.md", "someone/bapps", "v9.8.7"], check=True)
    page = MarkdownIt("commonmark").enable("table").render((tmp_path / "README.md").read_text())
    targets = re.findall(r'(?:href|src|srcset)="([^"]+)"', page)
    files = [target.removeprefix(LINKS).removeprefix(PICTURES) for target in targets]
    ours = [file for file, target in zip(files, targets, strict=True) if file != target]
    assert {"docs/start/install.md", "CHANGELOG.md", "docs/pictures/journey-dark.png"} <= set(ours)
    assert [file for file in ours if not (repository / file).is_file()] == []
    assert [target for target in files if not target.startswith("https://") and target not in ours] == []
    assert all((PICTURES if file.endswith(".png") else LINKS) + file in targets for file in ours)
