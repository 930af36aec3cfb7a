"""What a metric is: d(a, b) = head(contrast(embed(a), embed(b))).

`embed` sees one image at a time (a Lab conversion, the features of a net), `contrast` a pair of
embeddings (an SSIM, squared feature differences), `head` makes distances of it (a scale, the weights of
LPIPS). Metrics whose first steps are the same object share their work: see `joint_distances`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bapps_builder.errors import MetricError
from metrics.weights.store import Weights, WeightStore

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Setup:
    """Where and how the metrics with nets run.

    Attributes
    ----------
    device : str
        A torch device, such as "cpu" or "cuda:1".
    precision : "fp32" or "bf16"
        Of the convolutions; distances are always computed in float32 or better.
    weights : WeightStore
        Where weights come from.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    weights: WeightStore = field(default_factory=WeightStore)


def identity(images: Any) -> Any:
    """Give back what came: the step of a metric that has nothing to do in it."""
    return images


@dataclass(frozen=True)
class Metric:
    """A distance between images, in batches: bigger is further apart.

    Attributes
    ----------
    name : str
        Prints and parses back through `metrics.registry.load`.
    description : str
        One line with every setting that changes a number.
    contrast : callable
        Two embeddings of N images each, to whatever `head` takes.
    embed : callable
        uint8 (N, H, W, 3) to an embedding.
    head : callable
        What `contrast` gave to N distances.
    weights : tuple of Weights
        The files behind the numbers, for the description of a result.
    spatial : callable or None
        Two uint8 batches to a map of local distances (N, H, W) float64.
    smallest_side : int
        Images with a shorter side are refused.
    concurrent : bool
        Whether several threads may compute it at once, each on images of its own: no state is changed.
    make_loss : callable or None
        Makes a function or torch module of two float batches (N, 3, H, W), RGB in [0, 1], to the same N distances with
        gradients; None where there is none. See `metrics.losses`.

    Examples
    --------
    >>> import bapps, numpy as np
    >>> def brightness(a, b):
    ...     return abs(a.mean((1, 2, 3)) - b.mean((1, 2, 3)))
    >>> metric = bapps.Metric("brightness", "difference of the mean level", contrast=brightness)
    >>> metric(np.zeros((1, 8, 8, 3), np.uint8), np.full((1, 8, 8, 3), 50, np.uint8))
    array([50.])
    """

    name: str
    description: str
    contrast: Callable[[Any, Any], Any]
    embed: Callable[[Images], Any] = identity
    head: Callable[[Any], Any] = identity
    weights: tuple[Weights, ...] = ()
    spatial: Callable[[Images, Images], Floats] | None = None
    smallest_side: int = 1
    concurrent: bool = False
    make_loss: Callable[[], Callable[[Any, Any], Any]] | None = None

    @property
    def verified(self) -> bool:
        """Whether every weight file is the published one."""
        return all(weights.verified for weights in self.weights)

    def __call__(self, a: Images, b: Images) -> Floats:
        """Distances of N pairs, shape (N,) float64, from two uint8 RGB batches of shape (N, H, W, 3).

        Raises
        ------
        MetricError
            If the input is no such pair of batches, the metric fails, or returns what is no distance.
        """
        return joint_distances([self], a, b)[0, 0]


def from_function(name: str, function: Callable[..., Any], description: str) -> Metric:
    """Make a metric of a function of two uint8 batches (N, H, W, 3) that returns N distances.

    The function gets copies, so that one which writes into its input spoils no other metric.
    """

    def contrast(a: Images, b: Images) -> Any:
        return function(a.copy(), b.copy())

    return Metric(name=name, description=description, contrast=contrast)


def joint_distances(metrics: Sequence[Metric], reference: Images, *others: Images) -> Floats:
    """Distances of several metrics from one batch to one or more others, shared work done once.

    Each image is embedded once per distinct `embed` (a reference serves all the others, a trunk all the
    heads on it), each pair contrasted once per distinct `contrast`.

    Parameters
    ----------
    metrics : sequence of M metrics
    reference : uint8 array of shape (N, H, W, 3)
    *others : K uint8 arrays of shape (N, H, W, 3)

    Returns
    -------
    array of shape (M, K, N), float64
        No NaN; infinite where a definition says so (PSNR of equal images).

    Raises
    ------
    MetricError
        Naming the metric and what was wrong.
    """
    for other in others:
        check_pair(reference, other)
    reference, *rest = (_plain(images) for images in (reference, *others))
    result = np.empty((len(metrics), len(others), len(reference)))
    if not len(reference):
        return result
    embedded: dict[Any, list[Any]] = {}
    contrasted: dict[Any, list[Any]] = {}
    for row, metric in enumerate(metrics):
        side = min(reference.shape[1:3])
        if side < metric.smallest_side:
            raise MetricError(
                f"metric {metric.name}: images must have at least {metric.smallest_side} pixels a side, got {side}"
            )
        try:
            if metric.embed not in embedded:
                embedded[metric.embed] = [metric.embed(images) for images in (reference, *rest)]
            steps = (metric.embed, metric.contrast)
            if steps not in contrasted:
                first, *second = embedded[metric.embed]
                contrasted[steps] = [metric.contrast(first, other) for other in second]
            for column, pair in enumerate(contrasted[steps]):
                result[row, column] = _checked(metric, metric.head(pair), len(reference))
        except MetricError:
            raise
        except Exception as error:  # a metric may be anybody's code
            raise MetricError(
                f"metric {metric.name} raised {type(error).__name__}: {error} (set BAPPS_TRACEBACK=1 to see where)"
            ) from error
    return result


def check_pair(a: Images, b: Images) -> None:
    """Raise MetricError unless a and b are uint8 RGB batches of one shape (N, H, W, 3)."""
    for images in (a, b):
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            shape = getattr(images, "shape", None)
            kind = getattr(images, "dtype", type(images).__name__)
            raise MetricError(f"images must be (N, H, W, 3) uint8 RGB, got shape {shape} and type {kind}")
    if a.shape != b.shape:
        raise MetricError(f"two batches must have one shape, got {a.shape} and {b.shape}")


def _plain(images: Images) -> Images:
    """The same images in one writable block of memory, which torch insists on: flips and views are none."""
    block = np.ascontiguousarray(images)
    return block if block.flags.writeable else block.copy()


def _checked(metric: Metric, values: Any, n: int) -> Floats:
    try:
        distances = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"metric {metric.name} returned no array of numbers: {error}") from error
    if distances.shape != (n,):
        raise MetricError(f"metric {metric.name} must return {n} distances, shape ({n},), got {distances.shape}")
    bad = np.flatnonzero(np.isnan(distances))
    if bad.size:
        raise NotADistance(f"metric {metric.name} returned NaN for {bad.size} of {n} pairs", index=int(bad[0]))
    return distances


class NotADistance(MetricError):
    """A metric returned NaN; `index` is the first such pair of the batch, so that a caller can name it."""

    def __init__(self, message: str, *, index: int) -> None:
        super().__init__(message)
        self.index = index
