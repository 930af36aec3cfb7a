"""How fast and how lean scoring is, against the official evaluation loop on the same machine and weights.

    python benchmarks/score.py              all of it, some ten minutes on two cores
    python benchmarks/score.py --quick      fewer items and rounds
    python benchmarks/score.py --only nets  one part; --net lpips-alex one metric of it
    python benchmarks/score.py --only native    pictures of 256x256, not shrunk

Baseline and ours take turns in one process, and the ratio is the median over rounds, because machines
are noisy. Every speed is end to end, from PNG files to distances, but where it says "in memory".
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baseline.official_loop import PlainLPIPS, evaluate_plain, official_batches
from baseline.triplets import triplet_arrays, write_triplets
from low_level import low_level
from PIL import Image
from skimage.color import rgb2lab
from skimage.metrics import structural_similarity
from torch import nn

from analysis.scoring.evaluate import evaluate
from bapps_builder.datasets.reader import ItemSet
from bapps_builder.files.cores import cores
from metrics.deep.lpips import LPIPS
from metrics.deep.lpips_state import Version
from metrics.metric import Metric, Precision, Setup, joint_distances
from metrics.registry import load, load_all
from metrics.weights.store import WeightStore

# What the project asks of itself: (fp32, bf16).
FLOORS = {"lpips-alex": (2.0, 3.0), "lpips-vgg": (1.35, 2.0), "six metrics": (2.7, None)}
NATIVE_FLOOR = 1.5
_DISTANCE = "from metrics.commands.distance import distance; distance()"
SIX = ["alex", "lpips-alex", "vgg", "lpips-vgg", "squeeze", "lpips-squeeze"]
PARTS = ("nets", "native", "limits", "classical", "low-level", "half", "memory", "large")
THREADS = cores()


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def in_turns(actions: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Times of each action in each round, after one uncounted run of the last (its threads and caches)."""
    actions[-1]()
    return [[seconds(action) for action in actions] for _ in range(rounds)]


def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 natively; elsewhere it is emulated, and slow."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def with_random_squeezenet(folder: Path) -> WeightStore:
    """A store whose SqueezeNet is random: speed does not depend on weights, and its file may be out of reach."""
    trunk = LPIPS.blank("squeeze").net
    trunk.randomise(0)
    tensors = {f"features.{key.split('.', 1)[1]}": value.numpy() for key, value in trunk.state_dict().items()}
    np.savez(folder / "squeezenet.npz", **tensors)
    return WeightStore().with_unverified("squeezenet1_1", folder / "squeezenet.npz")


def baseline_model(name: str, store: WeightStore) -> PlainLPIPS:
    version: Version | None = "0.1" if name.startswith("lpips-") else None
    return PlainLPIPS(LPIPS(name.removeprefix("lpips-"), version=version, weights=store))


# --- the parts ---------------------------------------------------------------------------------------


def machine() -> None:
    a = torch.randn(2048, 2048)
    torch.mm(a, a)
    peak = max(2 * 2048**3 / seconds(lambda: torch.mm(a, a)) / 1e9 for _ in range(5))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, bf16 {'yes' if has_bf16() else 'no'}")
    print(f"fp32 matrix product: {peak:.0f} GFLOP/s, the limit for convolutions")


def nets(folder: Path, store: WeightStore, rounds: int, scale: float, only: Sequence[str]) -> None:
    print("\nnets, end to end, triplets/s (medians), baseline: official loop with the better of 0 and 4 workers")
    print(f"{'metric':12} {'files':>9} {'items':>6} {'precision':>9} {'baseline':>9} {'ours':>8} {'ratio':>6}  floor")
    for title, names, count in (
        ("lpips-alex", ["lpips-alex"], 1000),
        ("lpips-vgg", ["lpips-vgg"], 60),
        ("six metrics", SIX, 30),
    ):
        if title not in only:
            continue
        models = [baseline_model(name, store) for name in names]
        for side in (64, 256):
            items = write_triplets(folder / f"{title}-{side}".replace(" ", "-"), int(count * scale), file_side=side)
            for precision in ("fp32", "bf16") if has_bf16() else ("fp32",):
                compare(title, names, models, items, side, precision, store, rounds)
    if not has_bf16():
        print("no bf16 rows: this processor has neither avx512_bf16 nor amx_bf16")


def compare(
    title: str,
    names: list[str],
    models: Sequence[nn.Module],
    items: ItemSet,
    side: int,
    precision: Precision,
    store: WeightStore,
    rounds: int,
) -> None:
    metrics = load_all(names, Setup(precision=precision, weights=store))

    def plain(workers: int) -> list[tuple[np.ndarray, np.ndarray]]:
        return [evaluate_plain(model, items.folder.path, workers=workers) for model in models]

    def ours() -> np.ndarray:
        return evaluate(metrics, items, threads=THREADS).distances

    if precision == "fp32":
        difference = np.abs(np.array(plain(0)) - ours()).max()
        assert difference < 2e-5, difference
    times = in_turns([lambda: plain(0), lambda: plain(4), ours], rounds)
    ratio = statistics.median(min(row[:2]) / row[2] for row in times)
    base = len(items) / statistics.median(min(row[:2]) for row in times)
    speed = len(items) / statistics.median(row[2] for row in times)
    floor = FLOORS[title][precision == "bf16"]
    print(
        f"{title:12} {side:>4}x{side:<4} {len(items):>6} {precision:>9} {base:>9.1f} {speed:>8.1f} {ratio:>6.2f}"
        f"  {floor or '-'}",
        flush=True,
    )


def native(folder: Path, store: WeightStore, rounds: int, scale: float) -> None:
    """Pictures of 256x256 as they are: ours from files, the official loop from files and from tensors in memory."""
    side, count = 256, int(1000 * scale)
    items = write_triplets(folder / "native", count, file_side=side, side=side)
    model, metrics = baseline_model("lpips-alex", store), [load("lpips-alex", Setup(weights=store))]
    batches = [
        tuple(batch[role] for role in ("ref", "p0", "p1")) for batch in official_batches(items.folder.path, side)
    ]

    def from_tensors() -> None:
        for ref, p0, p1 in batches:
            model(ref, p0)
            model(ref, p1)

    def plain(workers: int) -> tuple[np.ndarray, np.ndarray]:
        return evaluate_plain(model, items.folder.path, workers=workers, side=side)

    def ours() -> np.ndarray:
        return evaluate(metrics, items, threads=THREADS).distances

    difference = np.abs(np.array(plain(0)) - ours()[0]).max()
    assert difference < 2e-5, difference
    times = in_turns([from_tensors, lambda: plain(0), lambda: plain(4), ours], rounds)
    print(f"\nlpips-alex at {side}x{side} as they are, {count} triplets, triplets/s (medians)")
    print(f"ours, from files: {count / statistics.median(row[3] for row in times):.1f}")
    for name, columns in (("tensors in memory", slice(0, 1)), ("files, the better of 0 and 4 workers", slice(1, 3))):
        base = [min(row[columns]) for row in times]
        ratio = statistics.median(slow / row[3] for slow, row in zip(base, times, strict=True))
        print(
            f"official loop, {name}: {count / statistics.median(base):.1f}, ratio {ratio:.2f}  floor {NATIVE_FLOOR}",
            flush=True,
        )


def limits(folder: Path, store: WeightStore) -> None:
    """Where the time goes: decoding alone, metrics alone, and the convolutions' share of the machine's limit."""
    print("\nwhere the time goes, core-milliseconds a triplet")
    for name, count in (("lpips-alex", 400), ("lpips-vgg", 40)):
        metric = load(name, Setup(weights=store))
        for side in (64, 256):
            items = write_triplets(folder / f"limit-{name}-{side}", count, file_side=side)
            start = time.process_time()
            batches = list(items.batches(threads=1))
            decoding = (time.process_time() - start) / count
            run = min(seconds(lambda: [joint_distances([metric], *b.images) for b in batches]) for _ in range(3))  # noqa: B023
            operations = 3 * 2 * multiply_adds(name.removeprefix("lpips-"))
            print(
                f"{name} {side}x{side}: decoding {1e3 * decoding:.2f}, metric {1e3 * THREADS * run / count:.2f} "
                f"({operations * count / run / 1e9:.0f} GFLOP/s in convolutions)"
            )


def multiply_adds(net: str) -> int:
    """Of the trunk, for one 64x64 image."""
    trunk = LPIPS.blank(net).net
    counted = []

    def count(module: nn.Conv2d, inputs: object, output: torch.Tensor) -> None:
        counted.append(module.weight.numel() * output.shape[2] * output.shape[3])

    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    trunk(torch.zeros(1, 3, 64, 64))
    return sum(counted)


def classical(folder: Path, rounds: int, scale: float) -> None:
    count = int(500 * scale)
    a, b, _ = triplet_arrays(count, seed=1)

    similarity: Any = structural_similarity

    def slow_ssim(x: np.ndarray, y: np.ndarray) -> float:
        return 1 - similarity(
            x, y, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
        )

    def slow_l2_lab(x: np.ndarray, y: np.ndarray) -> float:
        return 0.5 * float(np.mean((rgb2lab(x) / 100 - rgb2lab(y) / 100) ** 2))

    print("\nclassical metrics in memory, pairs/s, baseline: scikit-image one pair at a time")
    for name, slow in (("ssim", slow_ssim), ("l2-lab", slow_l2_lab)):
        metric = load(name)
        some = slice(0, 100)
        expected = [slow(x, y) for x, y in zip(a[some], b[some], strict=True)]
        assert np.abs(metric(a[some], b[some]) - expected).max() < 1e-9

        times = in_turns(
            [
                lambda: [slow(x, y) for x, y in zip(a[some], b[some], strict=True)],  # noqa: B023
                lambda: metric(a, b),  # noqa: B023
            ],
            max(rounds, 5),
        )
        ratio = statistics.median(row[0] / 100 / (row[1] / count) for row in times)
        base, speed = 100 / statistics.median(r[0] for r in times), count / statistics.median(r[1] for r in times)
        print(f"{name:8} baseline {base:>6.0f}  ours {speed:>7.0f}  ratio {ratio:>5.1f}  floor 20", flush=True)
        for side in (64, 256):
            end_to_end(metric, write_triplets(folder / f"{name}-{side}", int(400 * scale), file_side=side))


def end_to_end(metric: Metric, items: ItemSet) -> None:
    whole = min(seconds(lambda: evaluate([metric], items, threads=THREADS)) for _ in range(3))
    decoding = min(seconds(lambda: list(items.batches(threads=THREADS))) for _ in range(3))
    print(
        f"         end to end from {items.folder.name[4:]} px files: {len(items) / whole:.0f} triplets/s, "
        f"decoding alone {100 * decoding / whole:.0f}% of it"
    )


def half_precision(count: int) -> None:
    """How many 2AFC choices bf16 flips; emulated where the processor lacks it, with the same arithmetic."""
    triplets = triplet_arrays(count, seed=2)
    print(f"\nbf16 against fp32, lpips-alex, {count} triplets")
    found = []
    for precision in ("fp32", "bf16"):
        metric = load("lpips-alex", Setup(precision=precision))
        parts = [
            joint_distances([metric], *(images[k : k + 50] for images in triplets))[0] for k in range(0, count, 50)
        ]
        found.append(np.concatenate(parts, axis=1))
    exact, half = (distances[0] - distances[1] for distances in found)
    flipped = np.sign(exact) != np.sign(half)
    worst = np.abs(exact[flipped]).max() if flipped.any() else 0.0
    print(
        f"choices flipped: {flipped.sum()} ({100 * flipped.mean():.3f}%; floor .2%), largest |d0 - d1| among them "
        f"{worst:.1e} (floor 3e-3), largest change of a distance {np.abs(found[0] - found[1]).max():.1e}"
    )


def memory(folder: Path, scale: float) -> None:
    """Peak memory of the command for few and many items (the same files, linked again and again)."""
    print("\npeak memory of bapps-score --metric lpips-alex --metric l2")
    few = int(1000 * scale)
    small = write_triplets(folder / "few", few, file_side=64).folder
    for role in ("ref", "p0", "p1", "judge"):
        target = folder / "many" / "2afc" / "val" / "side64" / role
        target.mkdir(parents=True)
        for path in sorted((small.path / role).iterdir()):
            for copy in range(20):
                os.link(path, target / f"{int(path.stem) + copy * few:06d}{path.suffix}")
    command = [sys.executable, "-c", "from analysis.commands.score import score; score()", "--metric", "lpips-alex"]
    for name, count in (("few", few), ("many", 20 * few)):
        arguments = [*command, "--metric", "l2", "--data", str(folder / name), "--csv"]
        child = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        print(f"{count:>6} items: {usage.ru_maxrss / 1024:.0f} MiB", flush=True)


def large(folder: Path, nets: Sequence[str]) -> None:
    """Peak memory of the command for one pair of 12 megapixels, noise since its content does not matter."""
    print("\npeak memory of bapps-distance on a pair of 4000x3000")
    rng = np.random.default_rng(0)
    pair = [folder / f"{name}.png" for name in "ab"]
    for path in pair:
        Image.fromarray(rng.integers(0, 256, (3000, 4000, 3), np.uint8)).save(path, compress_level=1)
    for net in nets:
        child = subprocess.Popen(
            [sys.executable, "-c", _DISTANCE, "--metric", net, *map(str, pair)], stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        print(f"{net:12} {usage.ru_maxrss / 2**20:.2f} GiB, {usage.ru_utime + usage.ru_stime:.0f} s of CPU", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer items and rounds")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be given again (default: all)")
    parser.add_argument("--net", choices=FLOORS, action="append", help="of the nets, a row; may be given again")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="(?s).*This DataLoader will create", category=UserWarning)
    rounds, scale = (1, 0.2) if options.quick else (3, 1.0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        store = with_random_squeezenet(folder)
        parts: dict[str, Callable[[], None]] = {
            "nets": lambda: nets(folder, store, rounds, scale, options.net or list(FLOORS)),
            "native": lambda: native(folder, store, rounds, scale),
            "limits": lambda: limits(folder, store),
            "classical": lambda: classical(folder, rounds, scale),
            "low-level": lambda: low_level(quick=options.quick),
            "half": lambda: half_precision(1000 if options.quick else 5000),
            "memory": lambda: memory(folder, scale),
            "large": lambda: large(folder, ["lpips-alex"] if options.quick else ["lpips-alex", "lpips-vgg"]),
        }
        machine()
        for part in options.only or PARTS:
            parts[part]()


if __name__ == "__main__":
    main()
