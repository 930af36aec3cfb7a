"""Make the pictures beside this file anew, by following the pages on photographs that scikit-image brings along.

    python docs/pictures/draw.py [FOLDER]

FOLDER keeps what the pages' commands make; what is there already is not made again. The people are simulated. Takes
some minutes; screenshots of reports need Playwright with a Chromium, and those of the demo a `make demo`.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle
from PIL import Image
from skimage import data

from bapps_builder.images.image_files import encode_png, read_image

Row = dict[Any, Any]  # of items.parquet
HERE = Path(__file__).resolve().parent
DOCS = HERE.parent
PHOTOS = ("astronaut", "chelsea")
ITEM = "000084"  # of the quickstart: what was done to its patches is seen at a glance
# Ground, ink and faint ink, as the pages have them by day and by night.
THEMES = {"light": ("#ffffff", "#1b1d21", "#8a8f98"), "dark": ("#131416", "#e6e8eb", "#7d828a")}
BLUE, ORANGE = "#3b7dd8", "#e08a2e"
# 2AFC, val/traditional, from the paper: docs/tutorials/paper-table.md.
PAPER = {"L2": 59.9, "SSIM": 60.3, "LPIPS": 73.9, "people": 80.8}


def main(folder: Path) -> None:
    """Follow the pages, then draw."""
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for name in PHOTOS:
        (folder / "photos" / f"{name}.png").write_bytes(encode_png(np.ascontiguousarray(getattr(data, name)())))
    follow("start/quickstart.md", folder, "report.html")
    follow("tutorials/new-distortion.md", folder, "sheet.png", blocks=1)
    table = pd.read_parquet(folder / "dataset/2afc/val/traditional/items.parquet")
    items: dict[str, Row] = {row["id"]: row for row in table.to_dict("records")}
    for theme in THEMES:
        save(journey(folder, items[ITEM], theme), f"journey-{theme}.png")
    save(some_items(folder, items), "items.png")
    shrink(Image.open(folder / "sheet.png"), "sheet.png", width=1000)
    where_they_differ(folder)
    screenshots(folder / "report.html", {"report.png": "scores", "contradictions.png": "contradictions"})
    screenshots(DOCS.parent / "demo/report.html", {"demo-report.png": "scores"}, height=1250)
    shrink(Image.open(DOCS.parent / "demo/lin/curves.png"), "curves.png")


def follow(page: str, folder: Path, last: str, blocks: int | None = None) -> None:
    """Run the commands of a page, the first blocks of it or all, unless what comes out last is there."""
    if (folder / last).exists():
        return
    text = (DOCS / page).read_text()
    for name, code in re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        (folder / name).write_text(code)
    for script in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)[:blocks]:
        subprocess.run(["bash", "-euc", script], cwd=folder, check=True)


def patch_of(folder: Path, role: str, item: str = ITEM) -> np.ndarray:
    """A patch of the quickstart's dataset."""
    return read_image(folder / "dataset/2afc/val/traditional" / role / f"{item}.png")


def journey(folder: Path, item: Row, theme: str) -> Figure:
    """From a photo to a score in four panels, legible at the width of a phone."""
    ground, ink, faint = THEMES[theme]
    with mpl.rc_context({"text.color": ink, "font.size": 15}):
        figure = Figure(figsize=(9, 6), facecolor=ground)
        places = ((0.02, 0.52), (0.53, 0.52), (0.02, 0.0), (0.53, 0.0))
        titles = ("1  A photo", "2  Distorted patches", "3  People choose", "4  Metrics are scored")
        parts = []
        for (left, bottom), title in zip(places, titles, strict=True):
            figure.text(left, bottom + 0.46, title, va="top", fontsize=19, fontweight="bold")
            part = figure.add_axes((left, bottom + 0.02, 0.45, 0.37), anchor="NW")
            part.set_axis_off()
            parts.append(part)
        photo_with_box(parts[0], read_image(folder / "photos" / item["photo"]), item["box"])
        triplet(parts[1], [patch_of(folder, role) for role in ("p0", "ref", "p1")], ink)
        votes(parts[2], int(item["n"] - item["k"]), int(item["k"]), ink)
        scores(parts[3], ink, faint)
        for height in (0.75, 0.23):
            figure.add_artist(
                FancyArrowPatch((0.47, height), (0.515, height), arrowstyle="simple", mutation_scale=22, color=faint)
            )
    return figure


def photo_with_box(part: Axes, photo: np.ndarray, box: np.ndarray) -> None:
    """The photo, with the square that a patch is cut from."""
    left, top, width, height = box
    part.imshow(photo)
    part.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor="white", linewidth=5))
    part.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=BLUE, linewidth=2.5))


def triplet(part: Axes, patches: list[np.ndarray], ink: str) -> None:
    """The reference between the patches that are to be compared."""
    names = ("A", "original", "B")
    for k, (patch, name) in enumerate(zip(patches, names, strict=True)):
        part.imshow(patch, extent=(k * 1.1, k * 1.1 + 1, 0, 1), interpolation="nearest")
        part.text(k * 1.1 + 0.5, -0.06, name, ha="center", va="top", color=ink)
    part.set(xlim=(0, 3.2), ylim=(-0.3, 1))


def votes(part: Axes, first: int, second: int, ink: str) -> None:
    """A dot a person, under what they chose."""
    part.text(0, 1.16, "Which is closer to the original?", va="top", color=ink, style="italic")
    for row, (name, count, color) in enumerate((("A", first, BLUE), ("B", second, ORANGE))):
        height = 0.62 - 0.42 * row
        part.text(0, height, name, va="center", color=ink, fontsize=19)
        for k in range(count):
            part.add_patch(Circle((0.35 + 0.3 * k, height), 0.12, color=color))
    said = f"{max(first, second)} of {first + second} simulated people choose {'A' if first > second else 'B'}"
    part.text(0, -0.22, said, va="center", color=ink)
    part.set(xlim=(0, 3.2), ylim=(-0.4, 1.2), aspect="equal")


def scores(part: Axes, ink: str, faint: str) -> None:
    """How often metrics choose as people do, and people themselves, as in the paper."""
    for k, (name, score) in enumerate(PAPER.items()):
        people = name == "people"
        part.barh(-k, score - 50, left=50, height=0.62, color=faint if people else BLUE)
        part.text(49, -k, name, ha="right", va="center", color=ink)
        part.text(score + 0.8, -k, f"{score:.1f}%", va="center", color=ink)
    part.text(50, -len(PAPER) + 0.05, "BAPPS, traditional; 50% is chance", va="center", color=ink, fontsize=13)
    part.set(xlim=(37, 92), ylim=(-4.4, 0.5))


def some_items(folder: Path, items: dict[str, Row]) -> Figure:
    """Six items as rows of a table: the patches, and how many people chose each."""
    with mpl.rc_context({"font.size": 13}):
        figure = Figure(figsize=(9, 2.6), facecolor="white")
        parts = figure.subplots(2, 3, gridspec_kw={"wspace": 0.06, "hspace": 0.06})
        for part, item in zip(parts.flat, list(items)[:6], strict=True):
            part.set_axis_off()
            row = items[item]
            chosen = (f"{row['n'] - row['k']} of {row['n']}", "original", f"{row['k']} of {row['n']}")
            triplet(part, [patch_of(folder, role, item) for role in ("p0", "ref", "p1")], "black")
            for text, said in zip(part.texts, chosen, strict=True):
                text.set_text(said)
        figure.subplots_adjust(left=0.01, right=0.99, top=1, bottom=0.02)
    return figure


def where_they_differ(folder: Path) -> None:
    """A photo, what an encoder left of it, and the map of their distance, as the recipe makes it."""
    crop, damaged, found = (folder / f"{name}.png" for name in ("crop", "damaged", "where"))
    crop.write_bytes(encode_png(np.ascontiguousarray(data.astronaut()[:256, 96:352])))
    for words in (
        ["bapps-distort", "apply", "jpeg(quality=12)", crop, damaged],
        ["bapps-distance", "--metric", "lpips-vgg", crop, damaged, "--map", found],
    ):
        subprocess.run(words, cwd=folder, check=True)
    shrink(Image.fromarray(np.hstack([read_image(each) for each in (crop, damaged, found)])), "map.png", width=768)


def screenshots(report: Path, anchors: dict[str, str], height: int = 760) -> None:
    """Parts of a report, by the names of the pictures: its head where that is the scores, else from an anchor on."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play, tempfile.TemporaryDirectory() as folder:
        chromium = shutil.which("chromium")
        flags = ["--no-sandbox", "--disable-background-networking"]
        browser = play.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.goto(report.resolve().as_uri())
        for name, anchor in anchors.items():
            top = 0 if anchor == "scores" else page.evaluate(f"document.getElementById('{anchor}').offsetTop") - 10
            page.screenshot(
                path=f"{folder}/{name}", full_page=True, clip={"x": 0, "y": top, "width": 1000, "height": height}
            )
            shrink(Image.open(f"{folder}/{name}"), name, width=1000)
        browser.close()


def save(figure: Figure, name: str) -> None:
    """Draw a figure into a small file."""
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        figure.savefig(file.name, dpi=110, facecolor=figure.get_facecolor())
        shrink(Image.open(file.name), name)


def shrink(picture: Image.Image, name: str, width: int | None = None) -> None:
    """Write a picture with at most 256 colours, no wider than asked for."""
    pixels = np.asarray(picture.convert("RGB"))
    if width and pixels.shape[1] > width:
        size = (width, round(pixels.shape[0] * width / pixels.shape[1]))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    few = Image.fromarray(pixels).quantize(256, dither=Image.Dither.NONE)
    few.save(HERE / name, optimize=True)
    print(f"{HERE / name}: {(HERE / name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit("usage: draw.py [FOLDER]")
    main(Path(sys.argv[1]).resolve() if len(sys.argv) == 2 else Path(tempfile.mkdtemp()))
