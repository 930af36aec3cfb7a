"""Losses as torch modules: the numbers of their metrics, against other packages, and what a training needs of them."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from bapps_builder.errors import MetricError
from bapps_builder.images.image_files import read_image
from metrics.classic.ssim import ssim_similarity
from metrics.image_math.tensors import to_unit_tensor
from metrics.losses import Loss, loss
from metrics.metric import Setup
from metrics.registry import entries, load

Images = NDArray[np.uint8]
TRUNKS = ("alex", "vgg", "squeeze")
NAMES = sorted(entry.name for entry in entries().values() if entry.has_loss)
CLASSIC = [name for name in NAMES if name.removeprefix("lpips-") not in TRUNKS]


@pytest.fixture(scope="module")
def examples(shared_data: Path) -> tuple[Images, Images]:
    folder = shared_data / "lpips-examples"
    return read_image(folder / "ex_ref.png")[None], read_image(folder / "ex_p0.png")[None]


def test_what_has_a_loss() -> None:
    assert {"l1", "l2", "ssim", "dssim", "ms-ssim-3", "ms-ssim-5", "fsim", "fsimc", "gmsd", "haarpsi", "mdsi"} < set(
        CLASSIC
    )
    assert {"nlpd", "vif", "vsi"} < set(CLASSIC)
    assert set(NAMES) - set(CLASSIC) == {*TRUNKS, *(f"lpips-{net}" for net in TRUNKS)}
    for name in CLASSIC:
        assert isinstance(loss(name), nn.Module)


# --- the differentiable SSIM -------------------------------------------------------------------------


@pytest.mark.parametrize("side", [64, 97])
def test_ssim_and_its_gradient_are_those_of_pytorch_msssim(side: int) -> None:
    oracle = pytest.importorskip("pytorch_msssim")
    a, b = (torch.rand(2, 3, side, side + 6, dtype=torch.float64, generator=torch.manual_seed(k)) for k in (1, 2))
    taps = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    window = (taps / taps.sum()).repeat(3, 1, 1, 1)
    found, wanted = a.clone().requires_grad_(), a.clone().requires_grad_()
    ours = loss("ssim")(found, b)
    theirs = 1 - oracle.ssim(wanted, b, data_range=1, win=window, size_average=False)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    ours.sum().backward()
    theirs.sum().backward()
    torch.testing.assert_close(found.grad, wanted.grad, rtol=0, atol=1e-12)
    torch.testing.assert_close(ssim_similarity(a, b), 1 - ours, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["ssim", "ssim@full", "dssim"])
@pytest.mark.parametrize("sides", [(64, 70), (385, 400), (515, 640)])  # the last two shrink, and mirror at an edge
def test_ssim_of_floats_is_ssim_of_bytes(name: str, sides: tuple[int, int]) -> None:
    a, b = (np.random.default_rng(seed).integers(0, 256, (2, *sides, 3), np.uint8) for seed in (1, 2))
    found = loss(name)(to_unit_tensor(a), to_unit_tensor(b)).numpy()
    np.testing.assert_allclose(found, load(name)(a, b), rtol=0, atol=1e-9)


# --- nets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lpips-squeeze", "lpips-squeeze@0.0", "squeeze", "squeeze@random"])
def test_loss_of_a_net_is_its_metric(name: str, squeezenet: Setup, examples: tuple[Images, Images]) -> None:
    made = loss(name, squeezenet)
    image, target = (to_unit_tensor(one, dtype=torch.float32) for one in examples)
    image.requires_grad_()
    found = made(image, target)
    np.testing.assert_allclose(found.detach().numpy(), load(name, squeezenet)(*examples), rtol=1e-5)
    found.sum().backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()
    assert image.grad.abs().max() > 0
    assert not any(parameter.requires_grad for parameter in made.parameters())
    assert made.state_dict()
    with pytest.raises(MetricError, match=r"input_range=\(0, 1\), got values from -1"):
        made(image * 2 - 1, target)


# --- what a training needs ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSIC)
def test_a_loss_leads_to_the_target(name: str) -> None:
    """From noise beside it, one small step against the gradient of either image brings the two nearer."""
    side = max(64, load(name).smallest_side)
    target = 0.25 + 0.5 * torch.rand(1, 3, side, side, generator=torch.manual_seed(3))
    image = (target + 0.05 * torch.randn(target.shape, generator=torch.manual_seed(4))).requires_grad_()
    made = loss(name)
    before = made(image, target)
    (gradient,) = torch.autograd.grad(before.sum(), image)
    assert gradient.dtype == torch.float32
    step = image - 1e-3 * gradient / gradient.abs().max()
    assert made(step, target) < before


@pytest.mark.parametrize("name", CLASSIC)
def test_a_loss_can_be_sent_to_another_process(name: str) -> None:
    made = pickle.loads(pickle.dumps(loss(name)))  # noqa: S301 - written one line before
    assert isinstance(made, Loss)
    assert made.name == name
    assert str(made) == f"Loss({name!r})"


@pytest.mark.parametrize("name", ["psnr", "l2-lab", "ssim@luma", "gmsd@matlab"])
def test_a_metric_without_gradients_is_no_loss(name: str) -> None:
    with pytest.raises(MetricError, match=rf"metric {name} has no gradients.*use one of .*ssim"):
        loss(name)
