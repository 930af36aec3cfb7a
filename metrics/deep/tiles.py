"""Features of large images piece by piece, so that memory does not grow with the image.

An image is cut into tiles. Each goes through the trunk with a margin as wide as a feature sees, and begins at a
multiple of all strides together, so that convolutions and pools fall on the places where they fall in the whole image;
zeros are padded at its own borders alone. Every feature is taken from the one tile whose place it is, and is that of
the whole image but for the order in which a convolution adds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import cast

from torch import Tensor, nn

from bapps_builder.errors import MetricError
from metrics.deep.trunks.trunk import Trunk

# Images of more pixels are cut. A tile of 1024x1024 with its margin has as many, so there is nothing to gain below.
LARGE = 1536 * 1024
TILE = 1024  # pixels a side, without the margin, at most

_POINTWISE = (nn.ReLU, nn.Dropout, nn.Identity)

Place = tuple[slice, slice]


@dataclass(frozen=True)
class _Step:
    """A convolution or pool along one axis."""

    kernel: int
    stride: int
    padding: int
    rounds_up: bool = False

    def length(self, size: int) -> int:
        """How many outputs `size` inputs give."""
        room = size + 2 * self.padding - self.kernel
        outputs = (-(-room // self.stride) if self.rounds_up else room // self.stride) + 1
        # torch drops a window that would lie in the padding alone.
        late = self.rounds_up and (outputs - 1) * self.stride >= size + self.padding
        return outputs - late


@dataclass(frozen=True)
class _Tap:
    """What a feature behind some steps sees along one axis: feature k sees kernel pixels from k stride - padding on."""

    steps: tuple[_Step, ...]

    @property
    def stride(self) -> int:
        stride = 1
        for step in self.steps:
            stride *= step.stride
        return stride

    @property
    def reach(self) -> tuple[int, int]:
        """How many pixels it sees before its first pixel k stride and behind its last, (k + 1) stride - 1."""
        kernel, stride, padding = 1, 1, 0
        for step in self.steps:
            kernel += (step.kernel - 1) * stride
            padding += step.padding * stride
            stride *= step.stride
        return padding, max(0, kernel - stride - padding)

    def length(self, size: int) -> int:
        for step in self.steps:
            size = step.length(size)
        return size


@dataclass(frozen=True)
class _Piece:
    """A part of one axis: the pixels that go through the trunk, and for each tap the features taken of them."""

    pixels: slice
    features: tuple[slice, ...]
    strides: tuple[int, ...]

    def within(self, tap: int) -> slice:
        """The features of a tap, counted from the first that the trunk gives for these pixels."""
        offset = self.pixels.start // self.strides[tap]
        return slice(self.features[tap].start - offset, self.features[tap].stop - offset)


def is_large(height: int, width: int) -> bool:
    """Whether images of this size are cut into tiles."""
    return height * width > LARGE


def feature_sizes(trunk: Trunk, height: int, width: int) -> list[tuple[int, int]]:
    """Height and width of the feature of each tap."""
    taps = zip(_taps(trunk, 0), _taps(trunk, 1), strict=True)
    return [(tall.length(height), wide.length(width)) for tall, wide in taps]


def feature_pairs(
    trunk: Trunk, height: int, width: int, crops: Callable[[Place], tuple[Tensor, Tensor]]
) -> Iterator[tuple[int, Place, Tensor, Tensor]]:
    """Features of two large images, tile by tile and tap by tap.

    Parameters
    ----------
    trunk : Trunk
    height, width : int
        Of both images.
    crops : callable
        A place to those parts of both images, (N, 3, h, w) each, scaled as the trunk needs it.

    Yields
    ------
    tap, place, first, second
        The number of a tap, a place in its feature map, and the features (N, C, h, w) of both images there. Places of a
        tap cover its map, each position once.

    Raises
    ------
    MetricError
        If the trunk has a layer that sees more than a neighbourhood.
    """
    tall, wide = _pieces(_taps(trunk, 0), height), _pieces(_taps(trunk, 1), width)
    for rows, columns in product(tall, wide):
        first, second = crops((rows.pixels, columns.pixels))
        for tap, layers in enumerate(trunk.children()):
            first, second = layers(first), layers(second)
            place = rows.features[tap], columns.features[tap]
            if all(part.start < part.stop for part in place):
                here = (..., rows.within(tap), columns.within(tap))
                yield tap, place, first[here], second[here]


def _pieces(taps: list[_Tap], size: int) -> list[_Piece]:
    strides = tuple(tap.stride for tap in taps)
    step = max(strides)  # a multiple of the others: strides only multiply on the way
    before = -(-max(tap.reach[0] for tap in taps) // step) * step
    behind = max(tap.reach[1] for tap in taps)
    count = -(-size // max(TILE, step))
    side = -(-size // (count * step)) * step
    ends = [tap.length(size) for tap in taps]
    pieces = []
    for start in range(0, size, side):
        stop = start + side
        last = stop >= size
        features = tuple(
            slice(min(start // stride, end), end if last else min(stop // stride, end))
            for stride, end in zip(strides, ends, strict=True)
        )
        pieces.append(_Piece(slice(max(0, start - before), min(size, stop + behind)), features, strides))
    return pieces


def _taps(trunk: Trunk, axis: int) -> list[_Tap]:
    steps: tuple[_Step, ...] = ()
    taps = []
    for layers in trunk.children():
        # The branches of a Fire module count as one behind another: 1x1 convolutions see nothing more.
        steps += tuple(step for module in layers.modules() if (step := _step(module, axis)))
        taps.append(_Tap(steps))
    return taps


def _step(module: nn.Module, axis: int) -> _Step | None:
    if isinstance(module, nn.Conv2d | nn.MaxPool2d):
        kernel, stride, padding, dilation = (
            _along(value, axis) for value in (module.kernel_size, module.stride, module.padding, module.dilation)
        )
        rounds_up = isinstance(module, nn.MaxPool2d) and module.ceil_mode
        return _Step((kernel - 1) * dilation + 1, stride, padding, rounds_up)
    if any(module.children()) or isinstance(module, _POINTWISE):
        return None
    raise MetricError(
        f"images of more than {LARGE} pixels go through a trunk in tiles, and {type(module).__name__} is no layer "
        "whose reach is known; use smaller images"
    )


def _along(value: object, axis: int) -> int:
    if isinstance(value, str):
        raise TypeError("a trunk's convolutions are padded by numbers")
    return cast("tuple[int, int]", value)[axis] if isinstance(value, tuple) else cast("int", value)
