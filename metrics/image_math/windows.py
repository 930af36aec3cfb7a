"""Separable windows over batches of planes, inside the image only."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

# Outputs one band matrix computes: wider wastes work on its zeros, narrower on calls.
_TILE = 32


@dataclass(frozen=True)
class Window:
    """A separable window, and whether covariances divide by n - 1 (sample) or n (population)."""

    taps: tuple[float, ...]
    sample_covariance: bool

    @property
    def side(self) -> int:
        """Its width in pixels."""
        return len(self.taps)

    @property
    def covariance_factor(self) -> float:
        """What the plain windowed covariance is multiplied by."""
        n = self.side**2
        return n / (n - 1) if self.sample_covariance else 1.0


def gaussian_window(side: int, sigma: float) -> Window:
    """A Gaussian of `side` taps that sum to 1, with population covariance."""
    x = np.arange(side) - (side - 1) / 2
    taps = np.exp(-(x**2) / (2 * sigma**2))
    return Window(tuple(taps / taps.sum()), sample_covariance=False)


def uniform_window(side: int) -> Window:
    """A flat window of `side` taps, with sample covariance."""
    return Window((1 / side,) * side, sample_covariance=True)


def windowed(planes: Tensor, taps: tuple[float, ...]) -> Tensor:
    """Correlate with a separable window: (..., H, W) to (..., H - k + 1, W - k + 1).

    Products with band matrices, a tile of outputs at a time: in float64 several times faster than a
    convolution of torch, and no less exact.
    """
    extra = len(taps) - 1
    along_rows = torch.cat(
        [
            planes[..., start : start + count + extra] @ _band(taps, count, planes.device)
            for start, count in _tiles(planes.shape[-1] - extra)
        ],
        -1,
    )
    return torch.cat(
        [
            _band(taps, count, planes.device).mT @ along_rows[..., start : start + count + extra, :]
            for start, count in _tiles(planes.shape[-2] - extra)
        ],
        -2,
    )


def _tiles(outputs: int) -> list[tuple[int, int]]:
    """Start and length of near-equal tiles."""
    count = -(-outputs // _TILE)
    cuts = [outputs * tile // count for tile in range(count + 1)]
    return [(start, end - start) for start, end in pairwise(cuts)]


@lru_cache(maxsize=64)
def _band(taps: tuple[float, ...], count: int, device: torch.device) -> Tensor:
    """The matrix (count + k - 1, count) whose product windows a row.

    Made outside of inference mode, whoever asks first: what that mode makes could not serve a gradient later.
    """
    band = np.zeros((count + len(taps) - 1, count))
    for column in range(count):
        band[column : column + len(taps), column] = taps
    with torch.inference_mode(mode=False):
        return torch.from_numpy(band).to(device)
