"""How fast and how lean `bapps-distort generate` is, and where its time goes.

    python benchmarks/generate.py                   all of it, one or two minutes on two free cores
    python benchmarks/generate.py --items 2000      fewer items
    python benchmarks/generate.py --folder /dev/shm where patches are written

End to end means from photo files to PNG files and manifest, with the start of the processes. ext4 is slow at
making files for some minutes after many were deleted, so the cost of a bare file is printed beside.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bapps_builder.errors import WeightsError
from bapps_builder.images.enlargement import PATCH_SIDE
from bapps_builder.images.image_files import encode_png, read_image
from bapps_builder.patch_sets.manifest import Item, item_id, item_table
from bapps_builder.patch_sets.patch_set import patch_path, pixel_digest, read_patch_set, write_file
from distortions.crops import cut, without_margin
from distortions.distortion import MARGIN, Patch
from distortions.patch_sets.generate import generate
from distortions.patch_sets.photo_items import TOGETHER, PhotoUnit, drawn_items
from distortions.patch_sets.sampling import Family, Settings, apply_treatments
from distortions.photos import list_photos
from distortions.registry import distortions
from distortions.workers import Workers, settle_opencv

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "kodak"
FLOOR = 1500  # 2AFC triplets a second, on two cores
CNN_FLOOR = 500  # the same with two networks each
WORKERS = 2
BAPPS_TRIPLETS = 151_400


def settings(items: int, family: Family = "traditional") -> Settings:
    return Settings(items, "2afc", family, "train", seed=1, severity_law="uniform")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--folder", type=Path, help="where to write; the default is the system's temporary folder")
    arguments = parser.parse_args()
    if not arguments.photos.is_dir():
        raise SystemExit(f"{arguments.photos}: no such folder of photos; name one with --photos")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        whole(Path(folder), arguments.photos, arguments.items)
        sample(Path(folder) / "whole")
        networks(Path(folder), arguments.photos, arguments.items // 4)
        stages(Path(folder), arguments.photos, count=16 * TOGETHER)
        memory(Path(folder), arguments.photos, arguments.items)


def whole(folder: Path, photos: Path, items: int) -> None:
    start = time.perf_counter()
    generate(settings(items), photos=[photos], folder=folder / "whole", workers=Workers(WORKERS))
    rate = items / (time.perf_counter() - start)
    verdict = "as wanted" if rate >= FLOOR else f"BELOW {FLOOR}"
    print(f"end to end: {items} triplets, {rate:.0f}/s with {WORKERS} workers, {verdict}; ", end="")
    print(f"BAPPS's {BAPPS_TRIPLETS} training triplets would take {BAPPS_TRIPLETS / rate:.0f} s")
    start = time.process_time()
    generate(settings(items // 5), photos=[photos], folder=folder / "alone")
    each = (time.process_time() - start) / (items // 5)
    print(
        f"processor time of a triplet, in one process: {each * 1e6:.0f} us, so {WORKERS / each:.0f}/s on two free cores"
    )


def sample(folder: Path) -> None:
    """What `bapps-distort generate` does once at its end, for any number of items; no rate here holds it."""
    start, began = time.perf_counter(), time.process_time()
    from distortions.patch_sets.hardness import METRIC, sampled_distances  # loading torch is a part of it

    try:
        pairs = sampled_distances(read_patch_set(folder)).shape[1]
    except WeightsError as error:
        print(f"not measured, what the command prints at its end: {error}")
        return
    print(
        f"once at the end of the command, {METRIC} of {pairs} pairs: {time.process_time() - began:.1f} s of a "
        f"processor, {time.perf_counter() - start:.1f} s on the clock"
    )


def networks(folder: Path, photos: Path, items: int) -> None:
    """The same with networks of the starter zoo: two for each triplet, or one beside a traditional recipe."""
    floors: dict[Family, int] = {"cnn": CNN_FLOOR, "mix": 0}
    for family, floor in floors.items():
        start = time.perf_counter()
        generate(settings(items, family), photos=[photos], folder=folder / family, workers=Workers(WORKERS))
        rate = items / (time.perf_counter() - start)
        verdict = f", {'as wanted' if rate >= floor else f'BELOW {floor}'}" if floor else ""
        print(f"family {family}: {items} triplets, {rate:.0f}/s with {WORKERS} workers{verdict}")


class Clock:
    """Seconds of processor time by stage: other programs that run do not count."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds[stage] += time.process_time() - start


def stages(folder: Path, photos: Path, *, count: int) -> None:
    """The work on the items that `generate` makes, step by step in one process, as many together as there."""
    settle_opencv()
    pixels = [read_image(path) for path in sorted(photos.glob("*.png"))]
    listed = list_photos([photos], smallest_side=PATCH_SIDE).photos
    target = folder / "stages"
    for role in ("ref", "p0", "p1", "bare"):
        (target / role).mkdir(parents=True)
    clock = Clock()
    for start in range(0, count + TOGETHER, TOGETHER):
        number = start // TOGETHER % len(pixels)
        indices = tuple(range(start, start + TOGETHER))
        if start == TOGETHER:
            clock = Clock()  # the first time, tables are made
        one_group(target, PhotoUnit(listed[number], 0, indices), pixels[number], clock)
    rows: list[Item] = list(read_patch_set(folder / "whole"))[:count]
    with clock("manifest"):
        pq.write_table(item_table(rows), target / "part.parquet")
    with clock("bare files"):
        for index in range(count):
            write_file(patch_path(target, "bare", item_id(index)), b"x" * 8000)
    bare = clock.seconds.pop("bare files") / count

    total = sum(clock.seconds.values())
    print(f"\none process, {count} triplets, microseconds each: {total / count * 1e6:.0f}")
    for stage, seconds in sorted(clock.seconds.items(), key=lambda entry: -entry[1]):
        print(f"  {stage:<12}{seconds / count * 1e6:8.0f}  {seconds / total:6.1%}")
    print(f"  a bare file of 8 kB takes {bare * 1e6:.0f}, and an item has three")
    now, free = (WORKERS * count / seconds for seconds in (total, total - clock.seconds["distort"]))
    print(f"ceiling with {WORKERS} workers: {now:.0f}/s as it is, {free:.0f}/s if distorting were free")
    by_distortion(pixels)


def one_group(folder: Path, unit: PhotoUnit, photo: Patch, clock: Clock) -> None:
    """What `generate` does with some items of a photo."""
    with clock("draw, crop"):
        drawings = [drawn_items(unit, photo, index=index, settings=settings(1)) for index in unit.indices]
        drawn = [next(drawing, None) for drawing in drawings]
    with clock("distort"):
        todo = [(treatment, one.crop) for one in drawn if one for treatment in one.treatments]
        made = iter(apply_treatments(*zip(*todo, strict=True), margin=MARGIN, zoo=None))
    for one in filter(None, drawn):
        for role, patch in zip(("ref", "p0", "p1"), (without_margin(one.crop), next(made), next(made)), strict=True):
            with clock("encode"):
                data = encode_png(patch)
            with clock("write"):
                write_file(patch_path(folder, role, item_id(one.index)), data)
            with clock("hash"):
                pixel_digest(patch)


def by_distortion(photos: list[Patch]) -> None:
    """Each distortion by itself, at random severities."""
    rng, medians = np.random.default_rng(0), dict[str, float]()
    crops = [cut(photos[k % len(photos)], left=16 + k, top=16 + k)[0] for k in range(100)]
    for name, found in distortions().items():
        times = []
        for crop in crops:
            values = found.at(rng.random(), rng)
            start = time.process_time()
            found.apply(crop, rng, values)
            times.append(time.process_time() - start)
        medians[name] = float(np.median(times)) * 1e6
    print("\ndistortions on 96x96, microseconds in the median:")
    for name, median in sorted(medians.items(), key=lambda entry: -entry[1]):
        print(f"  {name:<24}{median:7.0f}")


def memory(folder: Path, photos: Path, items: int) -> None:
    """Largest process of the command, for growing numbers of items."""
    print("\nlargest process:", end="")
    for count in (items // 10, items):
        given = arguments(folder / str(count), photos, count)
        command = f"from distortions.commands.bapps_distort import distort; distort({given})"
        subprocess.run([sys.executable, "-c", command], check=True, capture_output=True)
        print(f"  {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB for {count} items", end="")
    print()


def arguments(folder: Path, photos: Path, items: int) -> list[str]:
    options = {"--photos": photos, "--out": folder, "--items": items, "--task": "jnd", "--workers": WORKERS}
    return ["generate", *(str(word) for option in options.items() for word in option)]


if __name__ == "__main__":
    main()
