"""How far features of VGG16, trained on ImageNet, of two batches of patches are apart (Johnson et al., ECCV 2016)."""

import torch
from torch import Tensor, nn

from distortions.cnn.variants import TAPS, Tap
from metrics.deep.trunks.trunk import Trunk, trunk_specs
from metrics.weights.store import WeightStore

# Of RGB in [0, 1], which the weights were trained on.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FeatureLoss(nn.Module):
    """Mean absolute difference of the features behind one layer.

    Parameters
    ----------
    tap : str
        Name of the layer, such as relu2_2.
    weights : WeightStore

    Raises
    ------
    WeightsError
        If VGG16 cannot be obtained.
    """

    sha256: str
    scale: Tensor
    shift: Tensor

    def __init__(self, tap: Tap, weights: WeightStore) -> None:
        super().__init__()
        spec = trunk_specs()["vgg"]
        trunk = Trunk(spec)
        loaded = weights.load(spec.weights)
        trunk.load_features({name: torch.from_numpy(array) for name, array in loaded.tensors.items()})
        self.sha256 = loaded.sha256
        self.layers = nn.Sequential(*list(trunk.children())[: TAPS.index(tap) + 1])
        self.requires_grad_(False)
        self.register_buffer("scale", 0.5 / torch.tensor(_DEVIATION).reshape(3, 1, 1))
        self.register_buffer("shift", (0.5 - torch.tensor(_MEAN).reshape(3, 1, 1)) * 2 * self.scale)

    def forward(self, output: Tensor, aim: Tensor) -> Tensor:
        """Compare patches (N, 3, H, W) in [-1, 1]; gradients reach the first alone."""
        with torch.no_grad():
            target = self.layers(aim * self.scale + self.shift)
        return (self.layers(output * self.scale + self.shift) - target).abs().mean()
