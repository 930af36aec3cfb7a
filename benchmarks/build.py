"""How fast and how lean building and verifying are, beside the loops one would write.

    python benchmarks/build.py            150,000 items, some ten minutes on two cores
    python benchmarks/build.py --quick    20,000 items

Patch set and dataset consist of hard links to some thousand different files, so everything is read from the
page cache and disks play no part. Baselines do a part of the items, and their speed is what is compared.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from numpy.typing import NDArray
from PIL import Image

from bapps_builder.answers.answer_table import read_answers
from bapps_builder.building.answer_files import Answers
from bapps_builder.building.build import build
from bapps_builder.building.item_files import Writing
from bapps_builder.building.item_sources import read_source
from bapps_builder.checking.set_files import list_files
from bapps_builder.checking.verify import verify
from bapps_builder.datasets.dataset_record import Round, Settings
from bapps_builder.files.cores import cores
from bapps_builder.images.enlargement import PATCH_SIDE
from bapps_builder.images.image_files import encode_png
from bapps_builder.patch_sets.manifest import Item, Made, item_id, item_table
from bapps_builder.patch_sets.patch_set import Description, finish_patch_set, pixel_digest

DIFFERENT = 1_500  # triplets
ANSWERS = 2
# What the project asks of itself, on two cores.
BUILD_SECONDS, PATCHES_PER_SECOND, OFFICIAL_PER_SECOND = 120, 3_000, 900
Pixels = NDArray[np.uint8]


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def texture(rng: np.random.Generator, side: int = PATCH_SIDE) -> Pixels:
    """As hard to compress as patches of photographs are: 9 KB a PNG."""
    coarse = np.asarray(Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((side, side)))
    return np.clip(coarse + rng.normal(0, 5, coarse.shape), 0, 255).astype(np.uint8)


def write_patch_set(folder: Path, items: int) -> None:
    """A patch set of `items` items that share DIFFERENT triplets."""
    rng = np.random.default_rng(0)
    digests: dict[str, list[str]] = {"ref": [], "p0": [], "p1": []}
    for role, found in digests.items():
        (folder / role).mkdir(parents=True)
        for index in range(min(items, DIFFERENT)):
            pixels = texture(rng)
            (folder / role / f"{item_id(index)}.png").write_bytes(encode_png(pixels))
            found.append(pixel_digest(pixels))
        for index in range(DIFFERENT, items):
            os.link(folder / role / f"{item_id(index % DIFFERENT)}.png", folder / role / f"{item_id(index)}.png")

    def tables():
        for start in range(0, items, 1000):
            rows = []
            for index in range(start, min(start + 1000, items)):
                of = {role: found[index % DIFFERENT] for role, found in digests.items()}
                made = (Made("gaussian-blur(sigma=1.35)+jpeg(quality=23)", 1, (0.5, 0.5), of[p]) for p in ("p0", "p1"))
                photo = f"{index % 5000:05d}.png"
                place: dict[str, Any] = {
                    "box": (0, 0, 64, 64),
                    "scale": 1.0,
                    "seed": index,
                    "border": "image",
                    "ref_sha256": of["ref"],
                }
                rows.append(
                    Item(
                        item_id(index),
                        "2afc",
                        "mix",
                        "train",
                        photo,
                        f"{index % 5000:064x}",
                        **place,
                        p0=next(made),
                        p1=next(made),
                    )
                )
            yield item_table(rows)

    finish_patch_set(folder, tables(), Description("benchmark", {}, 0, {}, {}))


def write_answers(path: Path, items: int) -> None:
    rng = np.random.default_rng(1)
    rows = items * ANSWERS
    pd.DataFrame(
        {
            "study": "benchmark",
            "set": "train/mix",
            "item": np.tile([item_id(index) for index in range(items)], ANSWERS),
            "participant": np.repeat([f"person-{index:05d}" for index in range(-(-rows // 100))], 100)[:rows],
            "trial": np.arange(rows) % 100,
            "choice": rng.choice(["p0", "p1"], rows),
            "side": rng.choice(["left", "right"], rows),
            "reaction_ms": rng.normal(2000, 300, rows),
        }
    ).to_parquet(path, index=False)


def official_set(root: Path, items: int) -> None:
    """Enlarged files in the layout of the release, compressed as hard as those are: their filters differ by row."""
    shown = np.floor((PATCH_SIDE - 1) * np.arange(4 * PATCH_SIDE) / (4 * PATCH_SIDE - 1) + 0.5).astype(int)
    rng = np.random.default_rng(2)
    folder = root / "2afc/val/mine"
    for role in ("ref", "p0", "p1"):
        (folder / role).mkdir(parents=True)
        for index in range(items):
            target = folder / role / f"{item_id(index)}.png"
            if index < 300:
                Image.fromarray(texture(rng)[shown][:, shown]).save(target, optimize=True)
            else:
                os.link(folder / role / f"{item_id(index % 300)}.png", target)
    (folder / "judge").mkdir()
    for index in range(items):
        np.save(folder / "judge" / f"{item_id(index)}.npy", np.array([index % 6 / 5], np.float32))


def plain_build(patches: Path, answers: Path, out: Path, items: int) -> None:
    """The loop one would write: copy three files, look the answers up, save the fraction."""
    chosen = pd.read_parquet(answers).groupby("item")["choice"].apply(lambda choices: (choices == "p1").mean())
    for role in ("ref", "p0", "p1", "judge"):
        (out / role).mkdir(parents=True)
    for index in range(items):
        name = item_id(index)
        for role in ("ref", "p0", "p1"):
            shutil.copy(patches / role / f"{name}.png", out / role / f"{name}.png")
        np.save(out / "judge" / f"{name}.npy", np.array([chosen[name]], np.float32))


def plain_check(folder: Path, items: int) -> None:
    """The loop one would write: open everything, look at shapes and ranges."""
    for index in range(items):
        name = item_id(index)
        images = [np.asarray(Image.open(folder / role / f"{name}.png").convert("RGB")) for role in ("ref", "p0", "p1")]
        if len({image.shape for image in images}) != 1 or not 0 <= np.load(folder / "judge" / f"{name}.npy") <= 1:
            raise SystemExit(f"{name}: wrong")


def ours(patches: Path, answers: Path, out: Path) -> None:
    table = read_answers(answers)
    given = Answers(table, Round(answers.name, "", ("benchmark",), len(table)))
    settings = Settings("benchmark", min_answers=ANSWERS)
    build([read_source(patches)], [given], out, settings=settings, writing=Writing(workers=cores()))


def checked(root: Path) -> None:
    report = verify(root, list_files(root), workers=cores())
    if report.failed:
        raise SystemExit(report.as_text())


def peak_megabytes() -> int:
    """Of this process and of the largest of its workers, which live on, so that the system has no sum of them yet."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = [Path(f"/proc/{worker.pid}/status").read_text() for worker in psutil.Process().children(recursive=True)]
    return (own + max((int(text.split("VmHWM:")[1].split()[0]) for text in said), default=0)) // 1024


def measured_apart(step: str, folder: Path, items: int) -> tuple[float, int]:
    """Seconds and peak memory of one step in a process of its own, so that memory is its alone."""
    done = subprocess.run(
        [sys.executable, __file__, "--step", step, "--folder", str(folder), "--items", str(items)],
        check=True,
        capture_output=True,
        text=True,
    )
    took, memory = done.stdout.split()[-2:]
    return float(took), int(memory)


def one_step(step: str, folder: Path) -> None:
    if step == "build":
        took = seconds(lambda: ours(folder / "patches", folder / "answers.parquet", folder / "dataset"))
    else:
        took = seconds(lambda: checked(folder / step))
    print(took, peak_megabytes())


def compare(what: str, rate: float, plain: float, wanted: float, memory: int) -> None:
    verdict = "reached" if rate >= wanted else "MISSED"
    print(
        f"{what:28} {rate:8.0f} items/s ({wanted:.0f} asked for: {verdict}), plain loop {plain:6.0f}, "
        f"{rate / plain:.2f} times; peak {memory} MB"
    )


def of_patches(folder: Path, size: int) -> None:
    patches, answers, few = folder / "patches", folder / "answers.parquet", min(size, 3_000)
    write_patch_set(patches, size)
    write_answers(answers, size)
    plain = few / seconds(lambda: plain_build(patches, answers, folder / "plain", few))
    took, memory = measured_apart("build", folder, size)
    compare(f"build {size} in {took:.0f} s", size / took, plain, 150_000 / BUILD_SECONDS, memory)
    plain = few / seconds(lambda: plain_check(folder / "dataset/2afc/train/mix", few))
    took, memory = measured_apart("dataset", folder, size)
    compare(f"verify {size} of 64x64", size / took, plain, PATCHES_PER_SECOND, memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--items", type=int)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        return one_step(options.step, options.folder)
    items = options.items or (20_000 if options.quick else 150_000)
    print(
        f"{cores()} cores, load {os.getloadavg()[0]:.1f}, {items} items of three 64x64 patches, {ANSWERS} answers each"
    )
    for size in (items // 2, items):
        with tempfile.TemporaryDirectory() as temporary:
            of_patches(Path(temporary), size)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        size = 2_000 if options.quick else 10_000
        official_set(folder / "official", size)
        plain = 300 / seconds(lambda: plain_check(folder / "official/2afc/val/mine", 300))
        took, memory = measured_apart("official", folder, size)
        compare(f"verify {size} of 256x256", size / took, plain, OFFICIAL_PER_SECOND, memory)


if __name__ == "__main__":
    main()
