"""Where the loop gets (d0, d1) of items from: their images, or averages of their features made before.

With the trunk frozen the distance is linear in the heads: d = sum_c w_c m_c, where m_c is the squared
difference of channel c averaged over positions. So a pair is one vector m of all layers' channels, which
is computed once and kept (`metrics.training.averages`).

Dropout before the heads drops single positions: with share p, m_c becomes (1/n) sum_i x_ci b_ci / (1-p),
whose mean is m_c and whose variance is p/(1-p) sum_i x_ci^2 / n^2, independent between channels. The
spread s_c = sqrt(sum_i x_ci^2) / n is kept beside m_c, and noise of that deviation stands for dropout.
(Dropping entries of m instead would be a noise n times stronger in variance, and another regulariser.)
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from bapps_builder.datasets.load_mode import LoadMode
from bapps_builder.datasets.reader import Batch
from metrics.deep.lpips import LPIPS
from metrics.metric import Precision
from metrics.training.averages import Averages
from metrics.training.features import squared_differences
from metrics.training.judgments import Indices, Judgments

Payload = Any


class Distances(Protocol):
    """Gives items as payloads, prepared ahead, and the distances of a payload."""

    def payloads(self, portions: Iterable[Indices]) -> Iterator[tuple[Indices, Payload]]:
        """Prepare portions of item numbers, in order."""
        ...

    def __call__(self, payload: Payload) -> tuple[Tensor, Tensor]:
        """Give (d0, d1), each of shape (N,), with gradients; with dropout if the module is in training mode."""
        ...


@dataclass(frozen=True)
class FromImages:
    """Distances by running the trunk; every layer that is not frozen gets its gradient."""

    module: LPIPS
    judgments: Judgments
    load: LoadMode
    precision: Precision = "fp32"
    threads: int = 2

    def payloads(self, portions: Iterable[Indices]) -> Iterator[tuple[Indices, list[Batch]]]:
        """Decode images in threads."""
        return self.judgments.decoded(portions, load=self.load, threads=self.threads)

    def __call__(self, payload: list[Batch]) -> tuple[Tensor, Tensor]:
        """Distances of decoded items."""
        parts = [self._of_batch(batch) for batch in payload]
        d0, d1 = zip(*parts, strict=True)
        return torch.cat(d0), torch.cat(d1)

    def _of_batch(self, batch: Batch) -> tuple[Tensor, Tensor]:
        squares = squared_differences(self.module, batch, self.precision)
        heads = self.module.heads
        d0, d1 = (
            torch.stack([head(x[k]).mean((1, 2)) for head, x in zip(heads, squares, strict=True)]).sum(0)
            for k in (0, 1)
        )
        return d0, d1


@dataclass(frozen=True)
class FromAverages:
    """Distances from averages kept on disk; only heads get a gradient."""

    module: LPIPS
    averages: Averages
    dropout: float

    def payloads(self, portions: Iterable[Indices]) -> Iterator[tuple[Indices, Tensor]]:
        """Gather rows; they are small enough to be read when they are wanted."""
        device = next(self.module.parameters()).device
        for indices in portions:
            yield indices, torch.from_numpy(self.averages.rows(indices)).to(device)

    def __call__(self, payload: Tensor) -> tuple[Tensor, Tensor]:
        """Distances of rows (N, 4, K): m of the pair (ref, p0), m of (ref, p1), s of the one and the other."""
        mean, spread = payload[:, :2], payload[:, 2:]
        if self.module.training and self.dropout:
            deviation = (self.dropout / (1 - self.dropout)) ** 0.5
            mean = mean + deviation * spread * torch.randn_like(spread)
        weights = torch.cat([head.weight.flatten() for head in self.module.heads])
        d0, d1 = (mean @ weights).unbind(1)
        return d0, d1
