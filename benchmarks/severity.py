"""How strong each distortion is at each severity: the table behind the ramps.

    python benchmarks/severity.py                          all of it, some five minutes on two cores
    python benchmarks/severity.py shift jpeg --crops 100   these only, on fewer crops

Crops are taken at random from a folder of photos with the margin that `generate` keeps, distorted, cut to
64x64 and compared with the original. A crop has the same random directions at every severity.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from bapps_builder.images.image_files import read_image
from distortions.distortion import MARGIN, Distortion
from distortions.registry import distortions, find
from metrics.metric import Metric
from metrics.registry import load

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "kodak"
SIDE = 64
# What the project asks of the mean LPIPS at each severity of the table.
BANDS = {0.0: (0.0, 0.01), 0.5: (0.04, 0.12), 1.0: (0.10, 0.35)}
TEN_LEVELS = [level / 10 for level in range(1, 11)]
# Crops for the rank correlation, which asks for more levels.
RANKED = 200

Crops = NDArray[np.uint8]  # (N, H, W, 3)


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


def distorted(found: Distortion, crops: Crops, severity: float) -> Crops:
    made = []
    for number, crop in enumerate(crops):
        values = found.at(severity, np.random.default_rng([number, 0]))
        made.append(found.apply(crop, np.random.default_rng([number, 1]), values))
    return inner(np.stack(made))


def mean_distances(
    found: Distortion, crops: Crops, severities: Sequence[float], metrics: Sequence[Metric]
) -> NDArray[np.float64]:
    """Mean distance to the original: (metric, severity)."""
    originals = inner(crops)
    columns = []
    for severity in severities:
        made = distorted(found, crops, severity)
        columns.append([metric(originals, made).mean() for metric in metrics])
    return np.array(columns).T


def rank_correlation(a: Sequence[float], b: Sequence[float] | NDArray[np.float64]) -> float:
    """Spearman's."""
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="DISTORTION")
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--crops", type=int, default=500)
    arguments = parser.parse_args()

    crops = random_crops(arguments.photos, count=arguments.crops)
    metrics = [load("lpips-alex"), load("l2")]
    print(f"{len(crops)} crops of {arguments.photos.name}; rank correlation over ten severities of {RANKED} of them")
    print(f"{'':22} {'mean lpips-alex':>23} {'mean l2':>26} {'Spearman of severity':>23}")
    severities = "".join(f"{f's = {severity:g}':>8}" for severity in BANDS)
    print(f"{'':22} {severities}  {severities}  {'lpips-alex':>12} {'l2':>8}")
    outside = 0
    for name in arguments.names or distortions():
        table = mean_distances(find(name), crops, list(BANDS), metrics)
        ranked = mean_distances(find(name), crops[:RANKED], TEN_LEVELS, metrics)
        ranks = [rank_correlation(TEN_LEVELS, row) for row in ranked]
        good = all(low <= mean <= high for mean, (low, high) in zip(table[0], BANDS.values(), strict=True))
        outside += not good
        perceptual, plain = ("".join(f"{mean:8.4f}" for mean in row) for row in table)
        print(
            f"{name:22} {perceptual}  {plain}  {ranks[0]:12.3f} {ranks[1]:8.3f}{'' if good else '  outside'}",
            flush=True,
        )
    bands = ", ".join(f"[{low:g}, {high:g}] at {severity:g}" for severity, (low, high) in BANDS.items())
    print(f"outside the wanted bands of lpips-alex ({bands}): {outside}")


if __name__ == "__main__":
    main()
