"""How fast the fast way of lin is, and that it reaches what the exact way reaches.

    python benchmarks/train.py             some minutes on two cores
    python benchmarks/train.py --quick     fewer items and seeds

One run, end to end: from PNG files to the trained heads, validation after each of ten epochs included, with
an empty cache. The exact way goes through the images in every epoch, with dropout at every position. Then
more seeds of both give the spread of the validation score; the fast way's further seeds use its cache.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from baseline.simulated_people import judged, photos_of, triplets_of, write_set

from bapps_builder.files.cores import cores
from metrics.training.recipe import Recipe
from metrics.training.session import Settings, train

KODAK = Path(__file__).resolve().parents[2] / "shared" / "data" / "kodak"
HELD_OUT = 3
FLOOR = 8.0


@contextmanager
def silent(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    yield lambda steps: None


def make_dataset(root: Path, patches: int) -> None:
    """A training set of most photos and a validation set of the others, by SIMULATED people."""
    rng = np.random.default_rng(0)
    for number, (stem, photo) in enumerate(photos_of(KODAK).items()):
        split = "val" if number < HELD_OUT else "train"
        items = triplets_of(photo, patches, rng)
        write_set(root, f"{split}/{stem}", items, judged(items, rng))


def trained(root: Path, out: Path, cache: Path, *, exact: bool, seed: int) -> tuple[float, float]:
    """Seconds, and the mean 2AFC score on the validation sets after the last epoch."""
    train_sets, val_sets = (
        tuple(f"{split}/{path.name}" for path in sorted((root / "2afc" / split).iterdir()))
        for split in ("train", "val")
    )
    # Each way with all cores: the fast one takes items through the trunk in threads of its own.
    threads = cores()
    recipe = Recipe(
        "lin", "alex", train_sets, val_sets, exact=exact, seed=seed, lr=1e-2, torch_threads=threads if exact else 1
    )
    start = time.perf_counter()
    log = train(recipe, Settings(root, out, cache=cache, threads=threads), progress=silent)
    return time.perf_counter() - start, float(np.mean(log[-1].val))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    patches, seeds = (20, 2) if quick else (100, 4)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_dataset(folder / "data", patches)
        found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        trained(folder / "data", folder / "warm", folder / "warm-cache", exact=False, seed=99)  # threads and imports
        for seed in range(seeds):
            for exact in (True, False):
                out = folder / f"run-{exact}-{seed}"
                found[exact].append(trained(folder / "data", out, folder / "cache", exact=exact, seed=seed))
                seconds, score = found[exact][-1]
                print(
                    f"seed {seed} {'exact' if exact else 'fast':5} {seconds:7.1f} s  2AFC {100 * score:.2f}", flush=True
                )
    ratio = found[True][0][0] / found[False][0][0]
    print(
        f"\nlin on alex, {12 * patches} items, ten epochs, end to end, empty cache: {ratio:.1f} times as fast "
        f"(floor {FLOOR:g})"
    )
    print(f"with its cache: {found[True][1][0] / found[False][1][0]:.1f} times as fast")
    for exact, name in ((True, "exact"), (False, "fast")):
        scores = [100 * score for _, score in found[exact]]
        mean, deviation = statistics.mean(scores), statistics.stdev(scores)
        print(f"{name:5} 2AFC on held-out photos over {seeds} seeds: {mean:.2f} ± {deviation:.2f}")


if __name__ == "__main__":
    main()
