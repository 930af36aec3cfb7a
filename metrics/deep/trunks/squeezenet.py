"""SqueezeNet 1.1 (Iandola et al., arXiv 1602.07360, and its release 1.1), with pools that round up."""

import torch
from torch import Tensor, nn

from metrics.deep.trunks.trunk import TrunkSpec, register_trunk


class Fire(nn.Module):
    """Squeeze to few channels, then expand by 1x1 and 3x3 convolutions side by side."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, 2 expanded, H, W), after ReLU."""
        x = self.squeeze(x).relu_()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1).relu_()


def _pool() -> nn.Module:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def _layers() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 64, 3, stride=2),
        nn.ReLU(inplace=True),  # 1: tap
        _pool(),
        Fire(64, 16, 64),
        Fire(128, 16, 64),  # 4: tap
        _pool(),
        Fire(128, 32, 128),
        Fire(256, 32, 128),  # 7: tap
        _pool(),
        Fire(256, 48, 192),  # 9: tap
        Fire(384, 48, 192),  # 10: tap
        Fire(384, 64, 256),  # 11: tap
        Fire(512, 64, 256),  # 12: tap
    ]


SQUEEZENET = register_trunk(
    TrunkSpec(
        net="squeeze",
        weights="squeezenet1_1",
        layers=_layers,
        taps=(1, 4, 7, 9, 10, 11, 12),
        channels=(64, 128, 256, 384, 384, 512, 512),
        smallest_side=17,
    )
)
