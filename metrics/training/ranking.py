"""The ranking net of the paper: from two distances to the probability that people choose p1.

Zhang et al., CVPR 2018, section 3 ("Training on our data"): two fully connected layers of 32 channels
with ReLU, then one of 1 channel and a sigmoid, trained with binary cross entropy against the fraction.
"""

import torch
from torch import Tensor, nn


class RankingNet(nn.Module):
    """Maps (d0, d1) to the log-odds that p1 is chosen.

    Parameters
    ----------
    hidden : int
        Width of both hidden layers.
    ratio_offset : float
        Added to the divisors of the two ratios.
    """

    def __init__(self, *, hidden: int = 32, ratio_offset: float = 0.1) -> None:
        super().__init__()
        self.ratio_offset = ratio_offset
        self.layers = nn.Sequential(
            nn.Linear(5, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, d0: Tensor, d1: Tensor) -> Tensor:
        """Log-odds of N items, shape (N,), from distances of shape (N,)."""
        ratios = d0 / (d1 + self.ratio_offset), d1 / (d0 + self.ratio_offset)
        return self.layers(torch.stack([d0, d1, d0 - d1, *ratios], 1))[:, 0]


def summed_cross_entropy(log_odds: Tensor, fractions: Tensor) -> Tensor:
    """Binary cross entropy of N log-odds against the fractions for p1, summed over items."""
    return nn.functional.binary_cross_entropy_with_logits(log_odds, fractions, reduction="sum")
