"""Losses: the metrics that have gradients, as torch modules. A loss is a distance too: bigger is further."""

from collections.abc import Callable

from torch import Tensor, nn

from bapps_builder.errors import MetricError
from metrics.metric import Setup
from metrics.registry import entries, load


class Loss(nn.Module):
    """A metric as a torch module, with gradients with respect to both images.

    Attributes
    ----------
    name : str
        Of the metric.
    distance : callable
        From two batches to distances; a module of its own where there are weights, which are frozen.
    """

    def __init__(self, name: str, distance: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.name = name
        self.distance = distance

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of N pairs, shape (N,), of RGB images in [0, 1], float tensors of shape (N, 3, H, W).

        Raises
        ------
        MetricError
            If shapes differ, sides are too small, or values are out of range.
        """
        return self.distance(a, b)

    def extra_repr(self) -> str:
        """What `print` says of it."""
        return repr(self.name)


def loss(name: str, setup: Setup | None = None) -> Loss:
    """Make the loss of a metric.

    Raises
    ------
    MetricError
        If the name is unknown, or the metric has no gradients; the message says which have.
    WeightsError
        If its weights cannot be obtained.
    """
    metric = load(name, setup)
    if metric.make_loss is None:
        having = ", ".join(entry.name for entry in entries().values() if entry.has_loss)
        raise MetricError(f"metric {metric.name} has no gradients and cannot be used as a loss; use one of {having}")
    return Loss(metric.name, metric.make_loss())
