"""`bapps-report`: one page that holds everything, escapes every name, and is the same for the same input."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from analysis.commands.consistency import consistency
from analysis.commands.report import report
from analysis.report.latex import escaped
from bapps_builder.commands.bapps_build import build
from bapps_builder.images.image_files import decode_image, encode_png

EVIL = "<script>alert('1')</script>&amp;$x_1$"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(report, [str(argument) for argument in arguments])


def make_data(root: Path) -> Path:
    """A dataset of two tasks with photos, recipes and answers, and distances of four metrics to it."""
    rng = np.random.default_rng(0)
    frames = []
    for task, count in (("2afc", 60), ("jnd", 60)):
        folder = root / "data" / task / "val" / "cnn"
        roles = ("ref", "p0", "p1") if task == "2afc" else ("p0", "p1")
        ids = [f"{k:06d}" for k in range(count)]
        lead = rng.normal(size=count)
        k = rng.binomial(5, 1 / (1 + np.exp(-2 * lead)))
        for role in roles:
            (folder / role).mkdir(parents=True)
            for item in ids:
                image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
                (folder / role / f"{item}.png").write_bytes(encode_png(image))
        label = "judge" if task == "2afc" else "same"
        (folder / label).mkdir()
        for item, votes in zip(ids, k, strict=True):
            np.save(folder / label / f"{item}.npy", np.array([votes / 5], np.float32))
        facts = {"id": ids, "photo": [EVIL + str(i // 6) for i in range(count)], "p1_recipe": EVIL, "k": k, "n": 5}
        pd.DataFrame(facts).to_parquet(folder / "items.parquet")
        words = ("p1", "p0") if task == "2afc" else ("same", "different")
        choices = [word for votes in k for word in [words[0]] * votes + [words[1]] * (5 - votes)]
        people = [EVIL + str((i * 7 + j) % 20) for i in range(count) for j in range(5)]
        answers = pd.DataFrame({"item": np.repeat(ids, 5), "participant": people, "choice": choices, "simulated": True})
        answers.to_parquet(folder / "answers.parquet")
        for name, noise in ((EVIL, 0.1), ("lpips-alex", 0.5), ("ssim", 1.0), ("l2", 3.0)):
            seen = lead + noise * rng.normal(size=count)
            values = (
                {"d0": 3.0, "d1": 3 - seen, "judge": k / 5} if task == "2afc" else {"distance": -seen, "same": k / 5}
            )
            frames.append(pd.DataFrame({"metric": name, "set": "val/cnn", "id": ids, **values}))
    for task in ("2afc", "jnd"):
        mine = [frame for frame in frames if ("d0" in frame) == (task == "2afc")]
        pd.concat(mine).to_csv(root / f"{task}.csv", index=False)
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path)


class Page(HTMLParser):
    """Tags that stand open, addresses that would be loaded, ids and links, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.alts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "data", "action") or (name == "href" and tag != "a"):
                self.loaded.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "href" and tag == "a":
                self.links.append(value or "")
            if name == "alt":
                self.alts.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, str]:
    data = make_data(tmp_path_factory.mktemp("report"))
    result = run("--distances", data / "2afc.csv", "--distances", data / "jnd.csv", "--data", data / "data",
                 "--out", data / "report.html", "--draws", 200, "--title", EVIL)  # fmt: skip
    assert result.exit_code == 0, result.output
    text = (data / "report.html").read_text()
    page = Page()
    page.feed(text)
    return page, text


def test_the_page_holds_everything_and_loads_nothing(parsed: tuple[Page, str]) -> None:
    page, text = parsed
    assert page.loaded
    assert all(address.startswith("data:image/") for address in page.loaded)
    assert not re.search(r"url\(|@import|<link", text)
    assert "default-src 'none'" in text
    assert sum(address.startswith("data:image/png") for address in page.loaded) >= 3
    assert all(page.alts)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)


def test_every_name_is_escaped(parsed: tuple[Page, str]) -> None:
    page, text = parsed
    assert "script" not in page.tags
    assert "<script" not in text
    assert page.text.count(EVIL) > 10


def test_the_sections_are_there(parsed: tuple[Page, str]) -> None:
    page, _ = parsed
    for part in (
        "2AFC: % of people", "JND: average precision", "Who is tied (2AFC)", "Who is tied (JND)", "Metrics compared",
        "Beside the 2AFC score", "One task against the other", "2AFC score by recipe", "2AFC score by margin",
        "Where two metrics contradict each other", "Agreement of people (2AFC)", "Flow of exclusions", "People (JND)",
        "two-way t over photos and 20 people", "SHA-256", "Simulated: a program gave these answers", "bapps-report",
    ):  # fmt: skip
        assert part in page.text, part


def test_the_same_input_gives_the_same_bytes_and_figures_are_whole(data: Path) -> None:
    outputs = []
    for name in ("one", "two"):
        folder = data / name
        folder.mkdir()
        arguments = ("--distances", data / "2afc.csv", "--votes", 5, "--out", folder / "r.html", "--draws", 200)
        assert run(*arguments, "--figures", folder, "--latex", folder / "t.tex").exit_code == 0
        outputs.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert outputs[0] == outputs[1]
    assert {"r.html", "t.tex", "scores-2afc.svg", "scores-2afc.pdf"} <= set(outputs[0])
    for name, content in outputs[0].items():
        if name.endswith(".svg"):
            ElementTree.fromstring(content)
        if name.endswith(".pdf"):
            assert content.startswith(b"%PDF")


def test_latex_names_are_escaped_and_numbers_are_the_scores(data: Path) -> None:
    run("--distances", data / "2afc.csv", "--out", data / "r.html", "--latex", data / "t.tex", "--draws", 200)
    text = (data / "t.tex").read_text()
    assert escaped(EVIL) == r"<script>alert('1')</script>\&amp;\$x\_1\$"
    assert escaped(EVIL) in text
    assert text.count(r"\textbf{") == 1
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    table = pd.read_csv(data / "2afc.csv")
    table = table[table["metric"] == "l2"]
    score = np.where(table["d1"] < table["d0"], table["judge"], 1 - table["judge"]).mean()
    assert f"l2 & {100 * score:.1f}" in text


def test_a_bad_target_is_said_before_the_work(data: Path) -> None:
    result = run("--distances", data / "2afc.csv", "--out", data / "none" / "r.html")
    assert result.exit_code == 2
    assert "no such folder" in result.stderr
    result = run("--distances", data / "none.csv", "--out", data / "r.html")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert not (data / "r.html").exists()


def test_distances_that_lost_their_zeros_keep_pictures_photos_and_people(data: Path) -> None:
    table = pd.read_csv(data / "2afc.csv", dtype={"id": str})
    table = table[table["metric"].isin(["ssim", "l2"])]
    pages = []
    for ids in (table["id"], table["id"].astype(int)):
        table.assign(id=ids).to_csv(data / "mine.csv", index=False)
        arguments = ("--distances", data / "mine.csv", "--data", data / "data", "--draws", 100)
        result = run(*arguments, "--out", data / "report.html")
        assert result.exit_code == 0, result.output
        pages.append(re.sub(r"[0-9a-f]{64}", "", (data / "report.html").read_text()))
    assert "60 ids had lost their zeros and were padded, as '0' to '000000'" in result.stderr
    assert "data:image/png" in pages[0]
    assert pages[0] == pages[1]


@pytest.fixture
def of_items(tmp_path: Path) -> Path:
    """A dataset built from a table of people's own images, of which no recipe is known, and distances to it."""
    rng = np.random.default_rng(0)
    items, answers = [], []
    for number in range(12):
        row = {"item": f"photo-{number}"}
        for role in ("ref", "p0", "p1"):
            row[role] = f"{role}-{number}.png"
            pixels = rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)
            (tmp_path / row[role]).write_bytes(encode_png(pixels))
        items.append(row)
        answers += [
            {"item": row["item"], "participant": f"w{p}", "choice": f"p{(number + p) % 3 % 2}"} for p in range(4)
        ]
    pd.DataFrame(items).to_csv(tmp_path / "items.csv", index=False)
    pd.DataFrame(answers).to_csv(tmp_path / "answers.csv", index=False)
    arguments = ["build", "--items", tmp_path / "items.csv", "--answers", tmp_path / "answers.csv"]
    result = CliRunner().invoke(build, [*map(str, arguments), "--out", str(tmp_path / "data")])
    assert result.exit_code == 0, result.output
    ids = [f"{number:06d}" for number in range(12)]
    judge = [float(np.load(tmp_path / "data/2afc/val/items/judge" / f"{one}.npy").item()) for one in ids]
    frames = [
        pd.DataFrame(
            {"metric": name, "set": "val/items", "id": ids, "d0": 1.0, "d1": 2 * rng.random(12), "judge": judge}
        )
        for name in ("a", "b")
    ]
    pd.concat(frames).to_csv(tmp_path / "mine.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(("load", "side"), [("auto", 128), ("official", 64)])
def test_a_dataset_of_own_images_has_a_report_with_pictures_or_crops_of_them(
    of_items: Path, load: str, side: int
) -> None:
    arguments = ("--distances", of_items / "mine.csv", "--data", of_items / "data", "--draws", 100, "--load", load)
    result = run(*arguments, "--out", of_items / "report.html")
    assert result.exit_code == 0, result.output
    assert "left out" in result.stderr
    text = (of_items / "report.html").read_text()
    assert (
        "nothing is known of the items by which to break down: 2AFC by recipe, 2AFC by family, 2AFC by severity" in text
    )
    assert "2AFC score by margin" in text
    pictures = re.findall(r"data:image/png;base64,([^\"]+)", text)
    assert pictures
    for picture in pictures:
        assert decode_image(base64.b64decode(picture), name="shown").shape == (side, side, 3)
    mode = "native, since" if load == "auto" else "official, though"
    assert f"Pictures of 2afc/val/items: {mode}" in text
    assert (of_items / "report-pictures").exists() == (load == "auto")


def test_people_of_a_dataset_of_own_images_are_shown_without_what_is_not_known(of_items: Path) -> None:
    result = CliRunner().invoke(consistency, [str(of_items / "data"), "--draws", "100"])
    assert result.exit_code == 0, result.output
    assert "without recipes: agreement by distortion and family" in result.stdout
    assert "without photos" in result.stdout
