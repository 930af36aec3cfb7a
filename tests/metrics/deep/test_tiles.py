"""Large images in tiles: the distances and maps of the whole image, whatever its sides, in the memory of one tile."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from bapps_builder.errors import MetricError
from metrics.deep import tiles
from metrics.deep.lpips import LPIPS
from metrics.deep.trunks.trunk import Trunk, TrunkSpec, trunk_specs
from metrics.metric import joint_distances
from metrics.registry import load

Floats = NDArray[np.float64]
MakePair = Callable[[int, int, int], tuple[NDArray[np.uint8], NDArray[np.uint8]]]
NAMES = ("lpips-alex", "alex@random-3", "lpips-vgg", "vgg@random-3", "squeeze@random-3")
SIZES = ((199, 131), (33, 194))


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "LARGE", 0)
    monkeypatch.setattr(tiles, "TILE", 96)


def in_tiles_and_whole(compute: Callable[[], Floats], monkeypatch: pytest.MonkeyPatch) -> tuple[Floats, Floats]:
    whole = compute()
    with monkeypatch.context() as patch:
        patch.setattr(tiles, "LARGE", 0)
        patch.setattr(tiles, "TILE", 96)
        return compute(), whole


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
def test_distances_are_those_of_the_whole_image(
    name: str, size: tuple[int, int], made_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = made_pair(2, *size)
    metric = load(name)
    some, whole = in_tiles_and_whole(lambda: metric(a, b), monkeypatch)
    np.testing.assert_allclose(some, whole, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_maps_are_those_of_the_whole_image(name: str, made_pair: MakePair, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = made_pair(1, 115, 201)
    spatial = load(name).spatial
    assert spatial
    some, whole = in_tiles_and_whole(lambda: spatial(a, b), monkeypatch)
    assert some.shape == whole.shape == (1, 115, 201)
    np.testing.assert_allclose(some, whole, atol=1e-6 * whole.max())


@pytest.mark.parametrize(
    ("net", "size"),
    [
        *(
            (net, (side, 230 - side)) for net in ("alex", "squeeze") for side in range(100, 116)
        ),  # every remainder of 16
        ("vgg", (107, 120)),
    ],
)
def test_each_feature_is_taken_once_and_is_that_of_the_whole_image(
    net: str, size: tuple[int, int], small_tiles: None
) -> None:
    trunk = Trunk(trunk_specs()[net]).eval().requires_grad_(False)
    trunk.randomise(1)
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    whole = trunk(images)
    assert [tuple(feature.shape[2:]) for feature in whole] == tiles.feature_sizes(trunk, *size)
    seen = [torch.full_like(feature, torch.nan) for feature in whole]
    for tap, place, here, _ in tiles.feature_pairs(trunk, *size, lambda place: (images[..., *place],) * 2):
        assert seen[tap][..., *place].isnan().all()
        seen[tap][..., *place] = here
    for feature, found in zip(whole, seen, strict=True):
        torch.testing.assert_close(found, feature, rtol=0, atol=2e-6 * float(feature.max()))


def test_a_module_without_gradient_goes_by_tiles_and_with_one_whole(
    made_pair: MakePair, small_tiles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = (torch.from_numpy(images).movedim(3, 1) / 255 for images in made_pair(1, 90, 120))
    lpips = LPIPS("alex", input_range=(0, 1))
    in_tiles = lpips(a, b)
    whole = lpips(a.clone().requires_grad_(), b)
    assert whole.requires_grad
    torch.testing.assert_close(in_tiles, whole.detach(), rtol=1e-6, atol=0)
    monkeypatch.setattr(LPIPS, "_local_in_tiles", None)
    lpips(a.clone().requires_grad_(), b).sum().backward()
    with pytest.raises(TypeError):
        lpips(a, b)


def test_usual_sizes_are_not_cut(made_pair: MakePair) -> None:
    assert not tiles.is_large(1024, 1024)
    assert tiles.is_large(3000, 4000)
    embedding = load("lpips-alex").embed(made_pair(1, 256, 256)[0])
    assert isinstance(embedding, list)


def test_a_tile_at_a_time_goes_through_the_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = np.random.default_rng(0).integers(0, 256, (2, 1, 1300, 1250, 3), np.uint8)
    pixels = []
    first = nn.Conv2d.forward

    def counted(self: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
        pixels.append(images.shape[0] * images.shape[2] * images.shape[3])
        return first(self, images)

    monkeypatch.setattr(nn.Conv2d, "forward", counted)
    assert joint_distances([load("lpips-alex")], a, b).shape == (1, 1, 1)
    assert max(pixels) <= tiles.LARGE


def test_a_layer_that_sees_the_whole_image_is_refused() -> None:
    spec = TrunkSpec("x", "x", lambda: [nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(4)], (1,), (2,), 4)
    images = torch.zeros(1, 3, 40, 40)
    with pytest.raises(MetricError, match="AdaptiveAvgPool2d is no layer whose reach is known; use smaller images"):
        list(tiles.feature_pairs(Trunk(spec), 40, 40, lambda _: (images, images)))


def test_images_of_half_the_bits_lose_nothing_in_tiles(made_pair: MakePair, monkeypatch: pytest.MonkeyPatch) -> None:
    module = LPIPS("alex", version=None, trunk_seed=3, check_range=False).bfloat16()
    a, b = (torch.from_numpy(x).permute(0, 3, 1, 2).div(127.5).sub(1).bfloat16() for x in made_pair(1, 199, 131))
    whole = module(a, b)
    monkeypatch.setattr(tiles, "LARGE", 0)
    monkeypatch.setattr(tiles, "TILE", 96)
    some = module(a, b)
    assert some.dtype == whole.dtype == torch.float32
    assert some.item() == pytest.approx(whole.item(), rel=2e-3)
