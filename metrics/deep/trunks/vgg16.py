"""VGG16 without batch normalisation (Simonyan and Zisserman, arXiv 1409.1556, configuration D)."""

from torch import nn

from metrics.deep.trunks.trunk import TrunkSpec, register_trunk

_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def _layers() -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for block in _BLOCKS:
        if layers:
            layers.append(nn.MaxPool2d(2, stride=2))
        for width in block:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
    return layers


VGG16 = register_trunk(
    TrunkSpec(
        net="vgg",
        weights="vgg16",
        layers=_layers,
        taps=(3, 8, 15, 22, 29),  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3
        channels=(64, 128, 256, 512, 512),
        smallest_side=16,
    )
)
