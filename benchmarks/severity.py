"""How strong each distortion is at each severity: the table behind the ramps.

    python benchmarks/severity.py                            all twenty, some ten minutes on a quiet core
    python benchmarks/severity.py --crops 12                 on fewer crops
    python benchmarks/severity.py --csv distances.csv        and every single distance as a table
    python benchmarks/severity.py my_module:posterise jpeg   these beside the twenty as they were last measured

Crops are taken at random from a folder of photos with the margin that `generate` keeps, distorted, cut to
64x64 and compared with the original by six metrics of different kinds. A crop has the same random directions at
every severity. Each metric's distance is divided by its mean over the twenty distortions at severity 1, so that all
six count alike; the mean of the six is what the ramps keep on one curve, the mean over the twenty. Every distance
stands beside it, and follows no bound.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bapps_builder.images.image_files import read_image
from distortions.distortion import MARGIN, Distortion
from distortions.registry import find
from distortions.traditional import TWENTY
from metrics.metric import Metric, joint_distances
from metrics.registry import load_all

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "kodak"
SIDE = 64
METRICS = ("lpips-alex", "lpips-vgg", "ssim", "fsimc", "vif", "nlpd")
# Severities of the table, and the factor within which each distortion must follow the curve there.
FACTORS = {0.1: 2.0, 0.25: 1.5, 0.5: 1.5, 0.75: 1.5, 1.0: 1.5}
SEVERITIES = tuple(FACTORS)
# As last measured for the twenty, on 36 crops of Kodak: the mean of each metric at severity 1, and the curve.
UNITS = (0.1859, 0.2849, 0.3723, 0.1444, 0.6217, 0.3152)
CURVE = (0.085, 0.285, 0.577, 0.809, 1.000)
_TOGETHER = 24  # crops whose features are in memory, at every severity

Crops = NDArray[np.uint8]  # (N, H, W, 3)
Floats = NDArray[np.float64]


def random_crops(folder: Path, *, count: int, seed: int = 0) -> Crops:
    """Crops with their margins, as many from each PNG photo of a folder."""
    rng, side = np.random.default_rng(seed), SIDE + 2 * MARGIN
    photos = [read_image(path) for path in sorted(folder.glob("*.png"))]
    if not photos:
        raise SystemExit(f"{folder}: no PNG photos; name a folder with --photos")
    crops = []
    for number in range(count):
        photo = photos[number % len(photos)]
        top, left = (int(rng.integers(length - side + 1)) for length in photo.shape[:2])
        crops.append(photo[top : top + side, left : left + side])
    return np.stack(crops)


def inner(crops: Crops) -> Crops:
    return np.ascontiguousarray(crops[:, MARGIN:-MARGIN, MARGIN:-MARGIN])


def distorted(found: Distortion, crops: Crops, severity: float, first: int = 0) -> Crops:
    """Distort crops, of which the first has the number `first`, and cut their margins off."""
    made = []
    for number, crop in enumerate(crops, first):
        values = found.at(severity, np.random.default_rng([number, 0]))
        made.append(found.apply(crop, np.random.default_rng([number, 1]), values))
    return inner(np.stack(made))


def distances(found: Distortion, crops: Crops, metrics: Sequence[Metric]) -> Floats:
    """Distance to the original: (metric, severity, crop)."""
    parts = []
    for start in range(0, len(crops), _TOGETHER):
        some = crops[start : start + _TOGETHER]
        made = [distorted(found, some, severity, start) for severity in SEVERITIES]
        parts.append(joint_distances(metrics, inner(some), *made))
    return np.concatenate(parts, axis=-1)


def on_one_scale(means: Floats, units: Sequence[float] | Floats) -> Floats:
    """The mean over metrics of mean distances (distortion, metric, severity) in their units: (distortion, severity)."""
    return (means / np.asarray(units)[:, None]).mean(axis=1)


def falling(of_crops: Floats) -> Floats:
    """The share of crops whose distance (..., severity, crop) falls from one severity to the next somewhere."""
    return (np.diff(of_crops, axis=-2) < 0).any(axis=-2).mean(axis=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="DISTORTION")
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--crops", type=int, default=36)
    parser.add_argument("--csv", type=Path, help="where every mean distance is written")
    arguments = parser.parse_args()

    crops = random_crops(arguments.photos, count=arguments.crops)
    names = arguments.names or TWENTY
    metrics, measured = load_all(METRICS), []
    for name in names:
        print(f"measuring {name}", flush=True)
        measured.append(distances(find(name), crops, metrics))
    found = np.stack(measured)  # (distortion, metric, severity, crop)
    means = found.mean(axis=-1)
    units = UNITS if arguments.names else means[:, :, -1].mean(axis=0)
    scale = on_one_scale(means, units)
    curve = CURVE if arguments.names else scale.mean(axis=0)
    ratios = scale / curve
    low, high = ratios.min(axis=0), ratios.max(axis=0)
    within = (high <= list(FACTORS.values())) & (1 / low <= list(FACTORS.values()))

    print(f"\n{len(crops)} crops of {arguments.photos.name}; mean of {', '.join(METRICS)}, each in units of its mean")
    print("over the twenty at severity 1; and the share of crops whose lpips-alex falls between two of the severities")
    print(row("", [f"s = {severity:g}" for severity in SEVERITIES], "falls"))
    for name, values, share in zip(names, scale, falling(found[:, 0]), strict=True):
        print(row(name, [f"{value:.3f}" for value in values], f"{share:.0%}"))
    print(row("curve", [f"{value:.3f}" for value in curve], ""))
    print(row("lowest, of the curve", [f"{value:.2f}" for value in low], ""))
    print(row("highest, of the curve", [f"{value:.2f}" for value in high], ""))
    print(row("wanted within a factor", [f"{factor:g}" for factor in FACTORS.values()], ""))
    print(row("is within", [("no", "yes")[int(good)] for good in within], ""))

    for metric, name in enumerate(METRICS):
        print(f"\nmean {name}")
        print(row(f"in units of {units[metric]:.4f}", [f"s = {severity:g}" for severity in SEVERITIES], ""))
        for distortion, values in zip(names, means[:, metric], strict=True):
            print(row(distortion, [f"{value:.4f}" for value in values], ""))
    if arguments.csv:
        with arguments.csv.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["distortion", "metric", *SEVERITIES])
            table.writerows(
                [name, metric, *means[k, m]] for k, name in enumerate(names) for m, metric in enumerate(METRICS)
            )


def row(name: str, cells: Sequence[str], last: str) -> str:
    return f"{name:24}" + "".join(f"{cell:>10}" for cell in cells) + f"{last:>8}"


if __name__ == "__main__":
    main()
