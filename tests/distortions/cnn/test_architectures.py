"""Each of the 96: builds, takes two training steps, is written and read again, and then gives the same, bit for bit."""

from pathlib import Path

import numpy as np
import pytest
import torch

from distortions.cnn.apply import Network
from distortions.cnn.plan import multiply_adds
from distortions.cnn.results import write_generator
from distortions.cnn.streaming import Examples
from distortions.cnn.training import Learner, Training
from distortions.cnn.variants import Variant, variants
from distortions.cnn.zoo import read_entry

_SMALL = 40e6  # multiply-adds


def examples(seed: int, count: int = 2, side: int = 32) -> Examples:
    clean, corrupted = np.random.default_rng(seed).integers(0, 256, (2, count, side, side, 3), dtype=np.uint8)
    return Examples(clean, corrupted)


def ways(row: Variant):
    return pytest.param(row, id=row.name, marks=() if multiply_adds(row) < _SMALL else pytest.mark.slow)


@pytest.mark.parametrize("row", [ways(row) for row in variants().values()])
@torch.no_grad()
def test_builds_trains_and_comes_back(row: Variant, tmp_path: Path) -> None:
    half = row.number % 2 == 1
    learner = Learner(row, Training(2, batch=2, side=32, vgg_patches=1, vgg_side=32, half=half))
    before = [parameter.clone() for parameter in learner.generator.parameters()]
    with torch.enable_grad():
        losses = [learner.step(step, examples(step)) for step in range(2)]
    for loss in losses:
        assert np.isfinite([loss.l1, loss.vgg, loss.adversarial, loss.discriminator]).all()
        assert loss.l1 > 0
        assert (loss.vgg > 0) == (row.vgg > 0)
        assert (loss.adversarial > 0) == (loss.discriminator > 0) == (row.discriminator > 0)
    assert learner.is_finite()
    # Biases before an instance normalization have no effect and no gradient; all kernels must have moved.
    moved = [
        bool((parameter != old).any())
        for parameter, old in zip(learner.generator.parameters(), before, strict=True)
        if parameter.dim() == 4
    ]
    assert moved
    assert all(moved)

    if half:
        learner.round_to_half()
    path = tmp_path / f"{row.name}.safetensors"
    write_generator(learner, path, {"format": 1, "row": read_row(row)})
    network = Network(read_entry(path))
    x = torch.from_numpy(np.random.default_rng(9).normal(size=(8, 3, 32, 32)).astype(np.float32))
    x = x.contiguous(memory_format=torch.channels_last)
    learner.generator.eval()
    assert torch.equal(network.generator(x), learner.generator(x))
    # What stands in the other places of a batch, and in which place a patch stands, changes nothing.
    order = torch.randperm(8)
    mixed = x[order].contiguous(memory_format=torch.channels_last)
    assert torch.equal(network.generator(mixed), network.generator(x)[order])


def read_row(row: Variant) -> dict:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}
