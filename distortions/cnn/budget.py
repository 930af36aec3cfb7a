"""How many operations a training takes, and so how long: counted from the rows, times one measured rate."""

import time
from dataclasses import replace
from math import prod

import numpy as np
import torch

from distortions.cnn.discriminator import widths
from distortions.cnn.plan import multiply_adds
from distortions.cnn.streaming import Examples
from distortions.cnn.training import Learner, Training
from distortions.cnn.variants import TAPS, Variant
from metrics.deep.trunks.trunk import trunk_specs
from metrics.weights.store import WeightStore

# A gradient with respect to the input takes as many operations as the way forward, one for the weights as many again.
_FORWARD, _LEARN, _PASS_BACK = 1, 3, 2
_WARM_UP, _MEASURED = 3, 10


def operations(variant: Variant, training: Training) -> int:
    """Count those of one training step in its convolutions, a multiply-add as two.

    Generator: forward and backward. VGG: forward on the clean patches, forward and back to the made ones.
    Discriminator: forward and back to the made patches, then forward and backward on both kinds.
    """
    total = _LEARN * training.batch * multiply_adds(variant, training.side)
    if variant.vgg:
        total += (_FORWARD + _PASS_BACK) * training.vgg_patches * _vgg(TAPS.index(variant.vgg_tap), training.vgg_side)
    if variant.adversarial:
        total += (_PASS_BACK + 2 * _LEARN) * training.batch * _discriminator(variant.discriminator, training.side)
    return 2 * total


def measured_rate(variant: Variant, training: Training, *, device: str, threads: int, weights: WeightStore) -> float:
    """Operations a second of some steps of one variant on noise, after some to warm up; nothing is kept of them."""
    torch.set_num_threads(threads)
    learner = Learner(variant, replace(training, half=False), device=device, weights=weights)
    shape = (training.batch, training.side, training.side, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    began = 0.0
    for step in range(_WARM_UP + _MEASURED):
        if step == _WARM_UP:
            began = time.perf_counter()
        learner.step(step, Examples(noise, noise))  # its losses are read, so a GPU has done the work
    return operations(variant, training) * _MEASURED / (time.perf_counter() - began)


def _vgg(tap: int, side: int) -> int:
    total, depth = 0, 0
    spec = trunk_specs()["vgg"]
    for layer in spec.layers()[: spec.taps[tap]]:
        if isinstance(layer, torch.nn.MaxPool2d):
            depth += 1
        elif isinstance(layer, torch.nn.Conv2d):
            total += (side >> depth) ** 2 * prod((layer.in_channels, layer.out_channels, *layer.kernel_size))
    return total


def _discriminator(layers: int, side: int) -> int:
    channels = widths(layers)
    halved = [side >> level for level in range(1, layers + 1)]
    down = sum(pixels**2 * 16 * a * b for pixels, a, b in zip(halved, channels, channels[1:], strict=False))
    return down + halved[-1] ** 2 * 9 * channels[-1]
