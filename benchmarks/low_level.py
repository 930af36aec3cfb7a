"""How fast the low-level metrics are: other packages one pair at a time against ours in batches.

    python benchmarks/low_level.py            some two minutes on two cores
    python benchmarks/low_level.py --quick    fewer pairs and rounds

64x64 patches in memory. Baseline and ours take turns in one process, and the ratio is the median over rounds,
because machines are noisy. The baseline starts from tensors that are ready, ours from uint8 images, and of one
torch thread and all of them the baseline gets the faster. The first 50 distances of either must agree.

piq: pip install --no-deps -c constraints.txt piq==0.8.0
flip and cvvdp run their authors' own packages, so there is nothing to compare.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from baseline.oracles import Image, Oracle, oracles
from baseline.triplets import triplet_arrays

from metrics.registry import load

# Images/s of ours over those of the oracle.
FLOOR = 5
THREADS = torch.get_num_threads()


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def compare(oracle: Oracle, a: Image, b: Image, *, few: int, rounds: int) -> None:
    """Print a row: speeds on the pairs of a and b, the first `few` of them for the oracle."""
    metric = load(oracle.metric)
    prepared = [(oracle.prepare(x), oracle.prepare(y)) for x, y in zip(a[:few], b[:few], strict=True)]

    def one_by_one() -> list[float]:
        return [oracle.distance(x, y) for x, y in prepared]

    def on_threads(threads: int) -> float:
        torch.set_num_threads(threads)
        taken = seconds(one_by_one)
        torch.set_num_threads(THREADS)
        return taken

    difference = np.abs(metric(a, b)[:few] - one_by_one()).max()
    if difference > oracle.within:
        raise SystemExit(
            f"{oracle.metric} is {difference:.1e} from {oracle.package}, at most {oracle.within} is expected"
        )
    theirs, ours = [], []
    for _ in range(rounds):
        theirs.append(few / min(on_threads(1), on_threads(THREADS)))
        ours.append(len(a) / seconds(lambda: metric(a, b)))
    ratio = statistics.median(fast / slow for fast, slow in zip(ours, theirs, strict=True))
    print(
        f"{oracle.metric:10} {oracle.package:9} {statistics.median(theirs):>9.0f} {statistics.median(ours):>9.0f} "
        f"{ratio:>6.1f} {FLOOR:>6} {difference:>11.0e}  {oracle.differs}",
        flush=True,
    )


def low_level(*, quick: bool) -> None:
    """Print the table."""
    a, b, _ = triplet_arrays(200 if quick else 600, seed=1)
    print(f"\nlow-level metrics, 64x64 pairs in memory, {THREADS} torch threads; images/s: pairs/s, medians")
    print(f"{'metric':10} {'oracle':9} {'oracle/s':>9} {'ours/s':>9} {'ratio':>6} {'floor':>6} {'difference':>11}")
    with warnings.catch_warnings():
        # The oracles' packages warn of their own imports and of what they do to odd sizes.
        warnings.simplefilter("ignore")
        for name, make in oracles(Path(__file__).resolve().parent.parent).items():
            try:
                oracle = make()
            except ImportError as error:
                print(f"{name:10} {error}")
                continue
            compare(oracle, a, b, few=10 if quick else 50, rounds=3 if quick else 7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer pairs and rounds")
    low_level(quick=parser.parse_args().quick)


if __name__ == "__main__":
    main()
