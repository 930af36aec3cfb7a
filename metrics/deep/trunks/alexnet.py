"""AlexNet in the widths of "One weird trick for parallelizing convolutional neural networks" (2014)."""

from torch import nn

from metrics.deep.trunks.trunk import TrunkSpec, register_trunk


def _layers() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(inplace=True),  # 1: tap
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(inplace=True),  # 4: tap
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(inplace=True),  # 7: tap
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(inplace=True),  # 9: tap
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(inplace=True),  # 11: tap
    ]


ALEXNET = register_trunk(
    TrunkSpec(
        net="alex",
        weights="alexnet",
        layers=_layers,
        taps=(1, 4, 7, 9, 11),
        channels=(64, 192, 384, 256, 256),
        smallest_side=31,
    )
)
