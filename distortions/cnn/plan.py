"""A row of the table as the list of its generator's convolutions, which also counts weights and multiply-adds.

The generator is a ladder (Ronneberger et al., arXiv 1505.04597): `layers` convolutions down, as many up. All
kernels are 3x3. Skip connections add. The first layer has the row's stride, later ones halve the sides until they
have been halved four times, so that sides that are multiples of 16 fit any row.
"""

from dataclasses import dataclass
from math import prod

from distortions.cnn.variants import Variant

MULTIPLE = 16  # sides that every generator takes
_HALVINGS = 4
_KERNEL = 9  # 3x3


@dataclass(frozen=True)
class Layer:
    """One convolution with what belongs to it.

    Attributes
    ----------
    inputs, outputs : int
        Channels.
    factor : int
        2 if it halves (down) or doubles (up) the sides, else 1.
    depth : int
        How often the sides of the finer of its input and output were halved.
    skip : bool
        Up: whether the encoder's output of the same size is added behind it.
    dropout : bool
    normalized : bool
        Whether normalization and activation follow; only the very last layer has neither.
    """

    inputs: int
    outputs: int
    factor: int
    depth: int
    skip: bool
    dropout: bool
    normalized: bool


@dataclass(frozen=True)
class Plan:
    """The encoder's layers from the input on, the decoder's from the deepest on."""

    down: tuple[Layer, ...]
    up: tuple[Layer, ...]


def plan(variant: Variant) -> Plan:
    """Lay out the generator of a row."""
    count = variant.layers
    widths = [3, *(min(variant.first_channels << level, variant.max_channels) for level in range(count))]
    factors, halved = [], 0
    for level in range(count):
        stride = variant.first_stride if level == 0 else 2
        factors.append(stride if halved < _HALVINGS else 1)
        halved += factors[-1] == 2
    depths = [sum(factor == 2 for factor in factors[:level]) for level in range(count)]
    down = tuple(
        Layer(
            inputs=widths[level],
            outputs=widths[level + 1],
            factor=factors[level],
            depth=depths[level],
            skip=False,
            dropout=level == count - 1 and variant.dropout >= 1,
            normalized=level > 0,
        )
        for level in range(count)
    )
    up = tuple(
        Layer(
            inputs=widths[level + 1],
            outputs=widths[level],
            factor=factors[level],
            depth=depths[level],
            skip=count - level <= variant.skips or (level == 0 and variant.top_skip),
            dropout=level > 0 and count - level + 1 <= variant.dropout,
            normalized=level > 0,
        )
        for level in reversed(range(count))
    )
    return Plan(down, up)


def weights(variant: Variant) -> int:
    """Count the numbers that training finds: kernels, biases, scales and shifts of the normalization."""
    shape = plan(variant)
    layers = [
        *((layer, layer.outputs) for layer in shape.down),
        *((layer, _convolved(layer, variant)) for layer in shape.up),
    ]
    total = 0
    for layer, outputs in layers:
        total += outputs * (layer.inputs * _KERNEL + 1)
        if layer.normalized and variant.normalization != "none":
            total += 2 * layer.outputs
    return total


def multiply_adds(variant: Variant, side: int = 64) -> int:
    """Count those of the convolutions for one patch of side x side."""
    shape = plan(variant)
    total = 0
    for layer in shape.down:
        pixels = (side >> layer.depth) // layer.factor
        total += pixels**2 * prod((layer.inputs, layer.outputs, _KERNEL))
    for layer in shape.up:
        at_coarse = layer.factor == 2 and variant.upsampling in ("transposed", "pixel-shuffle")
        pixels = (side >> layer.depth) // (2 if at_coarse else 1)
        total += pixels**2 * prod((layer.inputs, _convolved(layer, variant), _KERNEL))
    return total


def _convolved(layer: Layer, variant: Variant) -> int:
    """Channels behind the convolution of a layer of the decoder."""
    return layer.outputs * (4 if layer.factor == 2 and variant.upsampling == "pixel-shuffle" else 1)
