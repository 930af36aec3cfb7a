"""How hard a 2AFC set is: how far its patches are from their originals, and from each other's distance.

Pairs that are all far apart, or all near, tell little about metrics. The distances of a set stand beside those of the
BAPPS set of its family, where there are any. No distances of BAPPS by lpips-alex have been published, but those by a
retrained AlexNet LPIPS have (Ghildyal and Liu, Shift-tolerant Perceptual Similarity Metric, ECCV 2022), so what stands
for BAPPS is an estimate, and is marked as one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bapps_builder.errors import WeightsError
from bapps_builder.patch_sets.patch_set import PatchSet
from metrics.metric import joint_distances
from metrics.registry import load
from metrics.weights.store import WeightStore

METRIC = "lpips-alex"
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
# What takes the published distances to lpips-alex: least squares through zero over the 66 patches of BAPPS of which
# both are known.
TO_METRIC = 0.748
# A tenth of the mean distance in BAPPS traditional, by lpips-alex: two patches nearer than that are a hard pair.
HARD = 0.0184
_PIXELS_TOGETHER, _SAMPLED_PIXELS = 500 * 64 * 64, 64 * 500 * 64 * 64
_WEIGHTS = ("alexnet", "lpips-alex-0.1")


@dataclass(frozen=True)
class Spread:
    """How 2N distances, and N differences |d0 - d1| within pairs, are spread.

    Attributes
    ----------
    distances, differences : tuples of six numbers
        The mean and the quantiles of `QUANTILES`.
    hard : float
        The share of pairs whose difference is below `HARD`.
    """

    distances: tuple[float, ...]
    differences: tuple[float, ...]
    hard: float


# By the name of a set, as published: by the retrained AlexNet LPIPS, but for `hard`, which is the share of pairs
# below HARD / TO_METRIC.
PUBLISHED = {
    "traditional": Spread(
        (0.2460, 0.0276, 0.0616, 0.1595, 0.3647, 0.5895), (0.2229, 0.0160, 0.0518, 0.1451, 0.3172, 0.5609), 0.1456
    )
}


def spread(d0: NDArray[np.float64], d1: NDArray[np.float64], *, hard: float = HARD) -> Spread:
    """Give the spread of distances of pairs, arrays of shape (N,); pairs are hard below `hard`."""
    distances, differences = np.concatenate([d0, d1]), np.abs(d0 - d1)
    of_each = [(float(one.mean()), *map(float, np.quantile(one, QUANTILES))) for one in (distances, differences)]
    return Spread(*of_each, hard=float(np.mean(differences < hard)))


def estimated(name: str) -> Spread | None:
    """What is estimated for the BAPPS set of a name by `METRIC`, or None if nothing has been published of it."""
    published = PUBLISHED.get(name)
    if published is None:
        return None
    scaled = [tuple(TO_METRIC * value for value in row) for row in (published.distances, published.differences)]
    return Spread(*scaled, hard=published.hard)


def spread_lines(name: str, values: Spread, *, pairs: int) -> list[str]:
    """The lines that show the spread of a set of a name beside BAPPS; `pairs` is how many were measured."""
    bapps = estimated(name)
    heads = ("mean", *(f"{100 * q:g}%" for q in QUANTILES))
    lines = [_row(f"{METRIC} of {pairs} sampled pairs", heads, "")]
    for title, ours, theirs in (
        ("distance to the original", values.distances, bapps.distances if bapps else None),
        ("|d0 - d1|", values.differences, bapps.differences if bapps else None),
    ):
        lines.append(_row(title, [f"{value:.3f}" for value in ours], ""))
        if theirs:
            lines.append(_row(f"  BAPPS val/{name}", [f"{value:.3f}" for value in theirs], "*"))
    hard = f"hard pairs (|d0 - d1| below {HARD:g}): {values.hard:.1%}"
    if bapps is None:
        return [*lines, hard, f"no distances of a BAPPS set {name} have been published to compare with"]
    mark = f"* estimated: published distances by a retrained AlexNet LPIPS, times {TO_METRIC:g}"
    return [*lines, f"{hard}; BAPPS val/{name} {bapps.hard:.1%}*", mark]


def _row(title: str, cells: Sequence[str], mark: str) -> str:
    return (title.ljust(34) + "".join(f"{cell:>7}{mark:1}" for cell in cells)).rstrip()


def sampled_distances(patch_set: PatchSet, *, sample: int = 500, seed: int = 0) -> NDArray[np.float64]:
    """Distances of both patches to the original, for a random sample of a 2AFC set of one size: shape (2, N).

    The sample is smaller where patches are so large that it would take minutes.

    Raises
    ------
    WeightsError
        If the metric's weights are not on this machine; none are fetched.
    PatchSetError
        If a patch is missing or damaged.
    """
    store = WeightStore()
    if missing := [name for name in _WEIGHTS if store.locate(name) is None]:
        raise WeightsError(f"no weights {', '.join(missing)} here; `bapps-weights fetch {' '.join(missing)}` gets them")
    metric = load(METRIC)
    pixels = math.prod(patch_set[0].box[2:])
    count = min(sample, len(patch_set), max(1, _SAMPLED_PIXELS // pixels))
    rows = np.random.default_rng(seed).choice(len(patch_set), count, replace=False)
    items = [patch_set[row] for row in sorted(rows.tolist())]
    together = max(1, _PIXELS_TOGETHER // pixels)
    distances = []
    for at in range(0, count, together):
        some = items[at : at + together]
        ref, p0, p1 = (np.stack([patch_set.read(item, role) for item in some]) for role in ("ref", "p0", "p1"))
        distances.append(joint_distances([metric], ref, p0, p1)[0])
    return np.concatenate(distances, axis=1)
