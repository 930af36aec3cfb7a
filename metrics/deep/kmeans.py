"""Stacked k-means initialisation of a trunk: features learned from photographs, without labels or gradients.

Krähenbühl, Doersch, Donahue and Darrell, Data-dependent Initializations of Convolutional Neural Networks,
ICLR 2016, arXiv 1511.06856, section 3.1. Layer by layer, from the input on: patches of the layer's input are
whitened by PCA (at most as many components as the layer has outputs) and scaled to length 1; the k-means
centroids of them, taken back through the whitening, are the filters; each output is then scaled and
shifted to mean .1 and deviation 1 over the patches. The paper's last step, which balances the sizes of
layers against each other for later training, is left out: it multiplies whole layers by constants, and
LPIPS normalises each feature vector.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bapps_builder.errors import ImageError, WeightsError
from bapps_builder.images.photographs import PHOTO_SUFFIXES, read_photo
from metrics.deep.lpips import SCALE, SHIFT
from metrics.deep.trunks.trunk import Trunk, TrunkSpec
from metrics.weights.store import FOLDER_VARIABLE, WeightStore, default_cache

SIDE = 64
BIAS = 0.1
ITERATIONS = 20
# Added to eigenvalues before division, relative to the largest: directions that hold nothing but rounding
# errors would be blown up to the size of the others.
_FLOOR = 1e-5
# Images at once: all windows of a layer of VGG on sixteen are 150 MB.
_CHUNK = 16


def kmeans_file(net: str, store: WeightStore) -> Path:
    """The file behind `NET@kmeans`: in the user's folder of weights, or the cache.

    Raises
    ------
    WeightsError
        If there is none; the message says how to make it.
    """
    folder = store.folder or (Path(path) if (path := os.environ.get(FOLDER_VARIABLE)) else None)
    places = [*([folder] if folder else []), store.cache or default_cache()]
    for place in places:
        if (file := place / f"{net}-kmeans.safetensors").is_file():
            return file
    raise WeightsError(
        f"there is no {net}-kmeans.safetensors in {' or '.join(map(str, places))}; make it of your photos with "
        f"`bapps-train trunk --net {net} --method kmeans --photos DIR`"
    )


def random_crops(folder: Path, *, count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Cut crops at random places, evenly from all photos of a folder.

    Returns
    -------
    uint8 array of shape (count, 64, 64, 3)

    Raises
    ------
    ImageError
        If there are no photos, or one is too small.
    """
    photos = sorted(path for path in folder.glob("*") if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file())
    if not photos:
        raise ImageError(f"{folder}: no photos in it; expected {', '.join(sorted(PHOTO_SUFFIXES))}")
    crops: list[NDArray[np.uint8]] = []
    for number, path in enumerate(photos):
        photo = read_photo(path)
        height, width = photo.shape[:2]
        if min(height, width) < SIDE:
            raise ImageError(f"{path}: is {width}x{height}, expected at least {SIDE} pixels a side")
        for _ in range(number, count, len(photos)):
            y, x = int(rng.integers(height - SIDE + 1)), int(rng.integers(width - SIDE + 1))
            crops.append(photo[y : y + SIDE, x : x + SIDE])
    return np.stack(crops)


def scaled(crops: NDArray[np.uint8]) -> Tensor:
    """uint8 crops (N, H, W, 3) as LPIPS 0.1 gives them to a trunk, (N, 3, H, W)."""
    shift, scale = (torch.tensor(values)[:, None, None] for values in (SHIFT, SCALE))
    return (torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1 - shift) / scale


@torch.no_grad()
def kmeans_trunk(
    spec: TrunkSpec,
    images: Tensor,
    *,
    rng: np.random.Generator,
    patches: int = 20_000,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, Tensor]:
    """Initialise every convolution of a trunk.

    Parameters
    ----------
    spec : TrunkSpec
    images : tensor of shape (N, 3, H, W), scaled as the trunk gets them
    rng : numpy Generator
    patches : int
        How many patches each layer is learned from.
    advance : callable
        Called with 1 after each convolution.

    Returns
    -------
    dict
        Weights with torchvision's key names, `features.N...`.

    Raises
    ------
    WeightsError
        If a layer has fewer patches than outputs.
    """
    trunk = Trunk(spec).eval()
    for convolution in _convolutions(trunk):
        samples = _patches(trunk, convolution, images, patches, rng)
        outputs = convolution.out_channels
        if len(samples) < outputs:
            raise WeightsError(f"{len(samples)} patches for {outputs} filters; take more crops")
        filters = centroids(samples, outputs, rng)
        response = samples @ filters.T
        deviation = response.std(0).clamp_min(1e-12)
        convolution.weight.copy_((filters / deviation[:, None]).view_as(convolution.weight))
        if convolution.bias is not None:
            convolution.bias.copy_(BIAS - response.mean(0) / deviation)
        advance(1)
    return {f"features.{name.split('.', 1)[1]}": value for name, value in trunk.state_dict().items()}


def centroids(patches: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """Filters (count, D) for patches (P, D): spherical k-means centroids in whitened space, taken back.

    A filter's product with a patch is, up to a constant, the product of its centroid with the whitened patch.
    """
    centred = (patches - patches.mean(0)).double()
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(patches))
    last = slice(-min(count, patches.shape[1]), None)
    values, vectors = values[last], vectors[:, last]
    whitening = vectors / (values.clamp_min(0) + _FLOOR * values[-1]).sqrt()  # (D, components)
    white = (centred @ whitening).float()
    white /= white.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return (_lloyd(white, count, rng).double() @ whitening.T).float()


def _lloyd(points: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """Centroids (count, C) of points (P, C) of length 1, from as many of the points, drawn without repetition."""
    centres = points[torch.from_numpy(rng.permutation(len(points))[:count])].clone()
    for _ in range(ITERATIONS):
        nearest = (points @ centres.T - centres.square().sum(1) / 2).argmax(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        sizes = torch.bincount(nearest, minlength=count)
        filled = sizes > 0
        centres[filled] = sums[filled] / sizes[filled, None]
    return centres


def _convolutions(trunk: Trunk) -> Sequence[nn.Conv2d]:
    """In the order in which they run, which is that of their definition."""
    return [module for module in trunk.modules() if isinstance(module, nn.Conv2d)]


class _Reached(Exception):
    """The forward pass came to the convolution whose input is wanted."""


def _input(trunk: Trunk, convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """What a convolution gets when the trunk sees images; layers behind it do not run."""
    centres: list[Tensor] = []

    def stop(_: nn.Module, arguments: tuple[Tensor]) -> None:
        centres.append(arguments[0])
        raise _Reached

    handle = convolution.register_forward_pre_hook(stop)
    try:
        trunk(images)
    except _Reached:
        return centres[0]
    finally:
        handle.remove()
    raise TypeError("the trunk never runs this convolution")


def _patches(trunk: Trunk, convolution: nn.Conv2d, images: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """Patches (P, D) of a convolution's input under its window, evenly from all images."""
    size, stride, padding = convolution.kernel_size, convolution.stride, convolution.padding
    if isinstance(padding, str):
        raise TypeError("a trunk's convolutions are padded by numbers")
    each = -(-count // len(images))
    parts = []
    for some in images.split(_CHUNK):
        inputs = _input(trunk, convolution, some)
        unfolded = nn.functional.unfold(inputs, size, padding=padding, stride=stride).transpose(1, 2)  # (n, L, D)
        n, positions, _ = unfolded.shape
        order = np.argsort(rng.random((n, positions)), axis=1)[:, :each]
        parts.append(unfolded[torch.arange(n)[:, None], torch.from_numpy(order)].flatten(0, 1))
    return torch.cat(parts)
