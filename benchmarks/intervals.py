"""How fast intervals and comparisons are, against loops a researcher would write, and a report of 500,000 answers.

    python benchmarks/intervals.py            all of it, about four minutes on two cores
    python benchmarks/intervals.py --quick    fewer rounds, the loops on fewer draws

A loop and ours take turns in one process, and the ratio is the median over rounds, because machines are noisy.
Peak memory is that of a process of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.intervals import Resampling, Sample, bootstrap_means
from analysis.statistics.permutation_tests import compared_means

# The six validation sets of BAPPS together, and what the project asks of itself.
ITEMS, METRICS, DRAWS = 36_344, 10, 10_000
FLOOR_RATIO, FLOOR_SECONDS, FLOOR_MIB, FLOOR_REPORT = 12, 3, 500, 30
ANSWERS = 500_000
SAMPLE = Sample(np.zeros(ITEMS, np.intp), np.arange(ITEMS), "items")


def payoffs() -> NDArray[np.float64]:
    """What 36,344 items of five votes pay ten metrics."""
    return np.random.default_rng(0).integers(0, 6, (METRICS, ITEMS)) / 5


def loop(values: NDArray[np.float64], draws: int) -> NDArray[np.float64]:
    """The usual loop, metric by metric, which is faster than indexing all metrics at once."""
    rng = np.random.default_rng(0)
    found = np.empty((draws, len(values)))
    for draw in range(draws):
        rows = rng.integers(0, values.shape[1], values.shape[1])
        for metric, row in enumerate(values):
            found[draw, metric] = row[rows].mean()
    return found


def loop_of_flips(values: NDArray[np.float64], draws: int) -> NDArray[np.float64]:
    """Sign flips of the differences of every two metrics, pair by pair."""
    rng = np.random.default_rng(0)
    pairs = list(combinations(values, 2))
    found = np.empty((draws, len(pairs)))
    for draw in range(draws):
        signs = rng.choice((-1.0, 1.0), values.shape[1])
        for pair, (first, second) in enumerate(pairs):
            found[draw, pair] = signs @ (first - second) / values.shape[1]
    return found


def ours(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return bootstrap_means(values, SAMPLE, draws=DRAWS, rng=np.random.default_rng(0))


def our_flips(values: NDArray[np.float64]) -> list[float]:
    return [found.p for found in compared_means(values, SAMPLE, Resampling(DRAWS))]


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def intervals(rounds: int, draws_of_loop: int) -> None:
    values = payoffs()
    slow, fast = loop(values, draws_of_loop), ours(values)
    print(f"standard errors: loop {slow.std(0).mean():.6f}, ours {fast.std(0).mean():.6f}")
    compare("intervals", lambda: loop(values, draws_of_loop), lambda: ours(values), rounds, draws_of_loop)


def comparisons(rounds: int, draws_of_loop: int) -> None:
    values = payoffs()
    differences = np.array([np.mean(first - second) for first, second in combinations(values, 2)])
    slow = np.mean(np.abs(loop_of_flips(values, draws_of_loop)) >= np.abs(differences), axis=0)
    print(f"mean p: loop {slow.mean():.3f}, ours {np.mean(our_flips(values)):.3f}")
    compare(
        "comparisons", lambda: loop_of_flips(values, draws_of_loop), lambda: our_flips(values), rounds, draws_of_loop
    )


def compare(what: str, slow: Callable[[], object], fast: Callable[[], object], rounds: int, draws_of_loop: int) -> None:
    print(f"{what}: {DRAWS} draws, {METRICS} metrics, {ITEMS} items; the loop is timed on {draws_of_loop} draws")
    times = [(seconds(slow) * DRAWS / draws_of_loop, seconds(fast)) for _ in range(rounds)]
    ratio = statistics.median(a / b for a, b in times)
    base, mine = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"loop {base:.2f} s, ours {mine:.2f} s (floor {FLOOR_SECONDS} s), ratio {ratio:.1f} (floor {FLOOR_RATIO})")


def memory() -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import intervals as b; b.ours(b.payoffs())"
    print(f"peak memory of the intervals: {_peak([sys.executable, '-c', code]):.0f} MiB (floor {FLOOR_MIB})")


def consistency(folder: Path) -> None:
    rng = np.random.default_rng(0)
    items, votes, people = ANSWERS // 5, 5, 3000
    item = np.repeat(np.arange(items), votes)
    person = (item * votes + np.tile(np.arange(votes) * 7919, items)) % people
    chance = rng.beta(0.7, 0.7, items)[item]
    table = pd.DataFrame(
        {
            "set": np.where(item % 2, "val/cnn", "val/traditional"),
            "item": pd.Series(item).astype(str).str.zfill(6),
            "participant": "w" + pd.Series(person).astype(str),
            "choice": np.where(rng.random(ANSWERS) < chance, "p1", "p0"),
            "side": np.where(rng.random(ANSWERS) < 0.5, "left", "right"),
            "reaction_ms": rng.gamma(4, 600, ANSWERS).round(),
        }
    )
    path = folder / "answers.parquet"
    table.to_parquet(path, index=False)
    command = [sys.executable, "-c", "from analysis.commands.consistency import consistency as c; c()", str(path)]
    start = time.perf_counter()
    peak = _peak(command)
    print(
        f"consistency of {ANSWERS} answers: {time.perf_counter() - start:.1f} s (floor {FLOOR_REPORT}), {peak:.0f} MiB"
    )


def _peak(command: list[str]) -> float:
    """Run a command; the most memory it had, in MiB."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command[0]} ended with status {child.returncode}")
    return usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    intervals(rounds=1 if quick else 5, draws_of_loop=500 if quick else 2000)
    comparisons(rounds=1 if quick else 5, draws_of_loop=100 if quick else 200)
    memory()
    with tempfile.TemporaryDirectory() as folder:
        consistency(Path(folder))


if __name__ == "__main__":
    main()
