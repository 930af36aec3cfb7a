"""`bapps-report` on large pictures: crops on the page, and whole pictures beside it or inside it."""

import base64
import errno
import json
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from playwright.sync_api import Browser, sync_playwright

from analysis.commands.report import report
from bapps_builder.images.image_files import decode_image, encode_png, read_image

# Sets of one dataset, with (height, width), and where a set's pictures differ: 20x20 pixels at (top, left).
SIZES = {"small": (64, 64), "middle": (100, 90), "large": (256, 256), "wide": (150, 400)}
PLANTED = {"large": (200, 30), "wide": (10, 350)}
ROLES = ("ref", "p0", "p1")
ITEMS = ["000000", "000001", "000002"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Sets of four sizes with three items each; of the first two of each, two metrics say the opposite."""
    rng = np.random.default_rng(0)
    frames = []
    for name, (height, width) in SIZES.items():
        folder = tmp_path / "data" / "2afc" / "val" / name
        for role in (*ROLES, "judge"):
            (folder / role).mkdir(parents=True)
        for item in ITEMS:
            reference = rng.integers(0, 200, (height, width, 3), dtype=np.uint8)
            for role in ROLES:
                picture = reference.copy()
                if role == "p1":
                    top, left = PLANTED.get(name, (0, 0))
                    picture[top : top + 20, left : left + 20] += 55
                (folder / role / f"{item}.png").write_bytes(encode_png(picture))
            np.save(folder / "judge" / f"{item}.npy", np.array([0.8], np.float32))
        for metric, d1 in (("near", [1.5, 0.5, 1.1]), ("far", [0.5, 1.5, 1.1])):
            facts = {"metric": metric, "set": f"val/{name}", "id": ITEMS, "d0": 1.0, "d1": d1}
            frames.append(pd.DataFrame({**facts, "judge": 0.8}))
    pd.concat(frames).to_csv(tmp_path / "mine.csv", index=False)
    return tmp_path


def run(data: Path, *more: object, out: str = "report.html") -> Result:
    arguments = ("--distances", data / "mine.csv", "--data", data / "data", "--out", data / out, "--draws", 100)
    return CliRunner().invoke(report, list(map(str, (*arguments, "--contradictions", 8, *more))))


class Pictures(HTMLParser):
    """The pictures of a page by their names, where a link or button round each leads, and pop-ups with theirs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.shown: list[tuple[str, np.ndarray, str]] = []
        self.inside: dict[str, np.ndarray] = {}
        self.text = ""
        self._leads, self._popover = "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = {name: value or "" for name, value in attrs}
        if tag == "div":
            self._popover = facts["id"] if "popover" in facts else ""
        if tag in ("a", "button"):
            self._leads = facts.get("href") or facts.get("popovertarget", "")
        if tag == "img" and facts["src"].startswith("data:image/png;base64,"):
            pixels = decode_image(base64.b64decode(facts["src"].partition(",")[2]), name="shown")
            if self._popover:
                self.inside[self._popover] = pixels
            else:
                self.shown.append((facts["alt"], pixels, self._leads))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("a", "button"):
            self._leads = ""

    def handle_data(self, data: str) -> None:
        self.text += data


def test_crops_hold_the_planted_difference_and_lead_to_the_whole_pictures(data: Path) -> None:
    result = run(data)
    assert result.exit_code == 0, result.output
    assert "report-pictures: 12 whole pictures" in result.stderr
    page = Pictures((data / "report.html").read_text())
    assert len(page.shown) == 24
    assert {pixels.shape[:2] for _, pixels, leads in page.shown if not leads} == {(64, 64), (100, 90)}
    crops = [(pixels, leads) for _, pixels, leads in page.shown if leads]
    assert len(crops) == 12
    listed = json.loads((data / "report-pictures" / "pictures.json").read_text())
    assert {path.name for path in (data / "report-pictures").iterdir()} == {"pictures.json", *listed["files"]}
    for pixels, leads in crops:
        key, item, role = listed["files"][Path(leads).name].split(", ")
        folder = data / "data" / key
        path = folder / role / f"{item.removeprefix('item ')}.png"
        whole = read_image(path)
        np.testing.assert_array_equal(read_image(data / leads), whole)
        top, left = PLANTED[folder.name]
        windows = np.lib.stride_tricks.sliding_window_view(whole, (128, 128, 3))[:, :, 0]
        [[row, column]] = np.argwhere((windows[:, :, :2, :2] == pixels[:2, :2]).all(axis=(2, 3, 4)))
        np.testing.assert_array_equal(windows[row, column], pixels)
        assert row <= top
        assert row + 128 >= top + 20
        assert column <= left
        assert column + 128 >= left + 20
        height, width = whole.shape[:2]
        said = f"Crop of 128x128 out of {width}x{height}, {column} pixels from the left and {row} from the top."
        assert said in page.text


def test_whole_pictures_may_be_inside_the_page(data: Path) -> None:
    assert run(data, "--pictures", "inside").exit_code == 0
    assert not (data / "report-pictures").exists()
    page = Pictures((data / "report.html").read_text())
    assert {leads for _, _, leads in page.shown if leads} == set(page.inside)
    assert sorted(pixels.shape for pixels in page.inside.values()) == [(150, 400, 3)] * 6 + [(256, 256, 3)] * 6


def test_small_pictures_need_no_folder(data: Path) -> None:
    table = pd.read_csv(data / "mine.csv", dtype={"id": str})
    table[table["set"] == "val/small"].to_csv(data / "mine.csv", index=False)
    assert run(data).exit_code == 0
    assert not (data / "report-pictures").exists()
    text = (data / "report.html").read_text()
    assert "crop" not in Pictures(text).text
    assert 'class="patches as-is"' not in text


def test_a_report_written_again_replaces_its_folder_and_no_other(data: Path) -> None:
    assert run(data).exit_code == 0
    folder = data / "report-pictures"
    (folder / "001-ref.png").unlink()
    before = (data / "report.html").read_bytes()
    assert run(data).exit_code == 0
    assert (folder / "001-ref.png").is_file()
    assert (data / "report.html").read_bytes() == before
    (folder / "mine.txt").write_text("notes")
    for out, said in (("report.html", "holds mine.txt, which"), ("report.htm", "holds the pictures of the page")):
        result = run(data, out=out)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert said in result.stderr
    assert (folder / "mine.txt").read_text() == "notes"
    shutil.rmtree(folder)
    folder.write_text("a file")
    result = run(data)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "is no folder of pictures that bapps-report wrote" in result.stderr
    assert run(data, "--pictures", "inside").exit_code == 0


def test_a_full_disk_leaves_the_older_report_as_it_was(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(data).exit_code == 0
    before = {path: path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()}
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "003-p0.png":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    result = run(data, "--title", "another")
    assert result.exit_code == 2
    assert "No space left on device" in result.stderr
    assert "Traceback" not in result.stderr
    assert {path: path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()} == before


def test_pictures_of_unequal_size_within_an_item_are_refused(data: Path) -> None:
    odd = data / "data" / "2afc" / "val" / "large" / "p1" / "000001.png"
    odd.write_bytes(encode_png(np.zeros((256, 255, 3), np.uint8)))
    result = run(data)
    assert result.exit_code == 2
    assert "item 000001 have different sizes (ref 256x256, p0 256x256, p1 255x256)" in result.stderr
    assert not (data / "report.html").exists()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize(("where", "width"), [("beside", 1280), ("inside", 390)])
def test_a_browser_shows_crops_at_their_size_and_opens_the_whole(
    data: Path, chromium: Browser, where: str, width: int
) -> None:
    """By mouse and by keyboard, from a page of a file with a name that an address must spell otherwise."""
    result = run(data, "--pictures", where, out="50% & #1.html")
    assert result.exit_code == 0, result.output
    page = chromium.new_page(viewport={"width": width, "height": 800})
    page.goto((data / "50% & #1.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    crops = page.locator(".open img")
    assert crops.count() == 12
    for index in range(12):
        box = crops.nth(index).bounding_box()
        assert box is not None
        assert (box["width"], box["height"]) == (128, 128)
    for by_keyboard in (False, True):
        opening = page.locator(".open").first
        if by_keyboard:
            opening.focus()
            page.keyboard.press("Enter")
        else:
            opening.click()
        whole = page.locator("body > img" if where == "beside" else ".whole:popover-open img")
        whole.wait_for(state="visible")
        size = whole.evaluate("img => img.decode().then(() => [img.naturalHeight, img.naturalWidth])")
        assert tuple(size) in (SIZES["large"], SIZES["wide"])
        if where == "beside":
            page.go_back()
        else:
            page.keyboard.press("Escape")
            whole.wait_for(state="hidden")
    page.close()
