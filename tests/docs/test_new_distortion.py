"""The tutorial on a new distortion, without a shell: its code in a file, 50 items made with it, and replayed."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bapps_builder.patch_sets.patch_set import read_patch_set
from distortions.commands.bapps_distort import distort


@pytest.fixture
def page(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page; its file is in the current folder, and forgotten in the end."""
    text = (repository / "docs" / "tutorials" / "new-distortion.md").read_text()
    found = re.search(r"^```python\n# my_module\.py\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found
    (tmp_path / "my_module.py").write_text(found[1])
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield text
    sys.path[:] = path
    sys.modules.pop("my_module", None)


def commands(text: str) -> list[list[str]]:
    """Every command of the page on its own distortion, as words."""
    lines = re.findall(r"^bapps-distort (.*(?:my_module|replay).*)$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def test_its_distortion_is_listed_shown_applied_drawn_and_replayed(page: str, tmp_path: Path) -> None:
    from skimage import data

    from bapps_builder.images.image_files import encode_png

    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "astronaut.png").write_bytes(encode_png(data.astronaut()))
    said = {}
    for words in commands(page):
        workers = ["--workers", "1"] if words[0] == "generate" else []
        done = CliRunner().invoke(distort, [*words, *workers])
        assert done.exit_code == 0, (words, done.output)
        said[words[0]] = done.stdout
    assert list(said) == ["list", "preview", "apply", "generate", "replay"]
    assert said["list"].startswith("my_module:posterise (my_module): Round every value to a multiple of a step.\n")
    assert said["replay"] == "50 rows, 150 patches, 0 differ from the manifest\n"
    found = read_patch_set(tmp_path / "patches")
    names = {re.sub(r"\(.*?\)", "", made.recipe) for item in found for made in (item.p0, item.p1)}
    own, other = "my_module:posterise", "gaussian-blur"
    assert names == {own, other, f"{own}+{other}", f"{other}+{own}"}
