"""How hard a patch set is: the share of its pairs that are nearly equally far from the original.

A pair is hard if its two distances differ by less than a tenth of the mean distance. Pairs that are all easy
tell nothing about metrics; BAPPS has a seventh of hard ones.
"""

import numpy as np
from numpy.typing import NDArray

from bapps_builder.errors import WeightsError
from bapps_builder.patch_sets.patch_set import PatchSet
from metrics.metric import joint_distances
from metrics.registry import load
from metrics.weights.store import WeightStore

METRIC = "lpips-alex"
# Of BAPPS val/traditional: 687 of the 4,720 pairs in the published table of distances by a retrained AlexNet LPIPS
# (Ghildyal and Liu, Shift-tolerant Perceptual Similarity Metric, ECCV 2022), whose mean is .246.
BAPPS_SHARE = 0.1456
_WEIGHTS = ("alexnet", "lpips-alex-0.1")
_TENTH = 0.1


def hard_share(d0: NDArray[np.float64], d1: NDArray[np.float64]) -> float:
    """The share of pairs with |d0 - d1| below a tenth of the mean of all distances; arrays of shape (N,)."""
    return float(np.mean(np.abs(d0 - d1) < _TENTH * np.mean([d0, d1])))


def sampled_distances(patch_set: PatchSet, *, sample: int = 500, seed: int = 0) -> NDArray[np.float64]:
    """Distances of both patches to the original, for a random sample of a 2AFC set: shape (2, N).

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
    rows = np.random.default_rng(seed).choice(len(patch_set), min(sample, len(patch_set)), replace=False)
    items = [patch_set[row] for row in sorted(rows.tolist())]
    ref, p0, p1 = (np.stack([patch_set.read(item, role) for item in items]) for role in ("ref", "p0", "p1"))
    return joint_distances([metric], ref, p0, p1)[0]
