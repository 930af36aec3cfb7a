"""The convolution trunks behind deep metrics: one architecture a file, registered where it is defined.

A trunk is the convolution part of a classifier, cut into slices; a feature is tapped after each slice.
Layers carry the numbers they have in torchvision's `features`, and slices the names they have in the
official LPIPS release (`slice1.0.weight`), so that weights of either origin fit by name.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from metrics.deep import trunks


@dataclass(frozen=True)
class TrunkSpec:
    """A trunk's architecture.

    Attributes
    ----------
    net : str
        Name in metrics: alex, vgg, squeeze.
    weights : str
        Name of the record of its ImageNet weights.
    layers : callable
        Builds the layers, numbered as in torchvision's `features`.
    taps : tuple of int
        Numbers of the layers behind which a feature is taken.
    channels : tuple of int
        Channels of each feature.
    smallest_side : int
        Shortest image side for which every feature has a pixel.
    """

    net: str
    weights: str
    layers: Callable[[], list[nn.Module]]
    taps: tuple[int, ...]
    channels: tuple[int, ...]
    smallest_side: int


_SPECS: dict[str, TrunkSpec] = {}


def register_trunk(spec: TrunkSpec) -> TrunkSpec:
    """Add a trunk.

    Raises
    ------
    ValueError
        If its name is taken.
    """
    if spec.net in _SPECS:
        raise ValueError(f"two trunks have the name {spec.net!r}")
    _SPECS[spec.net] = spec
    return spec


@cache
def trunk_specs() -> dict[str, TrunkSpec]:
    """Every trunk by name."""
    for module in pkgutil.iter_modules(trunks.__path__):
        importlib.import_module(f"{trunks.__name__}.{module.name}")
    return dict(sorted(_SPECS.items()))


class Trunk(nn.Module):
    """The slices of a trunk; called with (N, 3, H, W), gives the feature behind each slice."""

    def __init__(self, spec: TrunkSpec) -> None:
        super().__init__()
        self.spec = spec
        layers, start = spec.layers(), 0
        for number, tap in enumerate(spec.taps, start=1):
            children = {str(layer): layers[layer] for layer in range(start, tap + 1)}
            piece = nn.Sequential()
            for name, layer in children.items():
                piece.add_module(name, layer)
            self.add_module(f"slice{number}", piece)
            start = tap + 1

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of images (N, 3, H, W): one (N, C_l, h_l, w_l) a slice."""
        features = []
        for piece in self.children():
            x = piece(x)
            features.append(x)
        return features

    def load_features(self, tensors: Mapping[str, Tensor]) -> None:
        """Load weights with torchvision's names (`features.N...`), all of them and no others."""
        of_layer = {layer: f"slice{k}" for k, piece in enumerate(self.children(), 1) for layer in _layers_of(piece)}
        renamed = {}
        for name, value in tensors.items():
            layer, _, rest = name.removeprefix("features.").partition(".")
            renamed[f"{of_layer.get(layer, 'features')}.{layer}.{rest}"] = value
        self.load_state_dict(renamed, strict=True)

    def randomise(self, seed: int) -> None:
        """Fill with Gaussian weights of variance 2 / fan-in (He 2015) and zero biases.

        The scale is immaterial to LPIPS, which normalises each feature vector; biases are zero so that
        it stays so.
        """
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    fan_in = module.weight[0].numel()
                    noise = torch.randn(module.weight.shape, generator=generator)
                    module.weight.copy_(noise * (2 / fan_in) ** 0.5)
                    if module.bias is not None:
                        module.bias.zero_()


def _layers_of(piece: nn.Module) -> Iterable[str]:
    return (name for name, _ in piece.named_children())
