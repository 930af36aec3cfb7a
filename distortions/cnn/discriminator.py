"""The discriminator: judges overlapping parts of a patch, photo or network's (Isola et al., CVPR 2017)."""

from itertools import pairwise

from torch import Tensor, nn

_FIRST, _MOST = 32, 256  # channels
_SLOPE = 0.2


def widths(layers: int) -> list[int]:
    """Channels of the patch and behind each layer."""
    return [3, *(min(_FIRST << level, _MOST) for level in range(layers))]


class Discriminator(nn.Sequential):
    """Patches (N, 3, H, W) in [-1, 1] to a score at each of (N, 1, h, w) places: near 1 for photos, 0 for others.

    Each layer halves the sides. Without layers it is empty, for variants that have none.
    """

    def __init__(self, layers: int) -> None:
        parts: list[nn.Module] = []
        for inputs, outputs in pairwise(widths(layers)):
            parts += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(_SLOPE, inplace=True)]
        super().__init__(*parts, *([nn.Conv2d(widths(layers)[-1], 1, 3, 1, 1)] if layers else []))


def judgment_loss(photos: Tensor, outputs: Tensor) -> Tensor:
    """What the discriminator minimises, by least squares (Mao et al., ICCV 2017), from its scores of both."""
    return ((photos - 1).square().mean() + outputs.square().mean()) / 2


def deception_loss(outputs: Tensor) -> Tensor:
    """What the generator minimises: how far its patches are from being taken for photos."""
    return (outputs - 1).square().mean()
