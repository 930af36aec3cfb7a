"""The deep metrics by name: alex, vgg, squeeze (uncalibrated), and lpips-alex, lpips-vgg, lpips-squeeze.

All of them run as trunk, then averaged squared differences of each feature channel, then a weighted
sum. So `alex` and `lpips-alex` share everything but the last step, which costs next to nothing.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapps_builder.errors import MetricError
from metrics.deep.kmeans import kmeans_file
from metrics.deep.lpips import LPIPS
from metrics.deep.lpips_state import Version, fitting, released_version
from metrics.deep.tiles import Place, feature_sizes, is_large
from metrics.deep.trunks.trunk import trunk_specs
from metrics.metric import Images, Metric, Setup
from metrics.registry import Entry, register, register_scheme
from metrics.weights.readers import weight_file
from metrics.weights.store import Weights, WeightStore

Floats = NDArray[np.float64]

_RANDOM = "random"
_KMEANS = "kmeans"
_TRUNK_SUFFIXES = (".npz", ".pth", ".safetensors")


class _Features:
    """An LPIPS module's trunk as the first two steps of a metric on uint8 images."""

    def __init__(self, module: LPIPS, setup: Setup) -> None:
        self.device = _device(setup.device)
        self.on_cpu = self.device.type == "cpu"
        self.half = setup.precision == "bf16"
        self.module = module
        # torch's annotations do not know memory_format
        cast("Any", module).to(device=self.device, memory_format=torch.channels_last)
        self.module.check_range = False  # bytes cannot be in the wrong range

    @torch.inference_mode()
    def embed(self, images: Images) -> list[Tensor] | Images:
        """Unit-normalised features of uint8 (N, H, W, 3): one (N, C_l, h_l, w_l) a layer.

        Large images stay as they are: their features are never in memory all at once.
        """
        if is_large(*images.shape[1:3]):
            return images
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            return self.module.unit_features(self.scaled(images))

    @torch.inference_mode()
    def contrast(self, a: list[Tensor] | Images, b: list[Tensor] | Images) -> Tensor:
        """Squared differences averaged over positions, all layers' channels side by side: (N, K)."""
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            pairs = zip(a, b, strict=True)
            return torch.stack([self._contrast_in_tiles(first, second) for first, second in pairs])
        return torch.cat([(x - y).square_().mean((2, 3)) for x, y in zip(a, b, strict=True)], 1)

    def _contrast_in_tiles(self, a: Images, b: Images) -> Tensor:
        """The same of one large pair, (K,): memory is that of one tile."""
        height, width = a.shape[:2]
        sizes = feature_sizes(self.module.net, height, width)
        sums = [torch.zeros(channels, dtype=torch.float64) for channels in self.module.spec.channels]

        def crops(place: Place) -> tuple[Tensor, Tensor]:
            first, second = (self.scaled(np.ascontiguousarray(image[place][None])) for image in (a, b))
            return first, second

        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            for layer, _, square in self.module.tile_squares(height, width, crops):
                here = square.shape[2] * square.shape[3]
                sums[layer] += square.mean((2, 3))[0].double().cpu() * here
        means = [total / (h * w) for total, (h, w) in zip(sums, sizes, strict=True)]
        return torch.cat(means).to(self.device)

    @torch.inference_mode()
    def spatial(self, a: Images, b: Images) -> Floats:
        """Map of local distances (N, H, W)."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            return self.module.spatial(self.to_tensor(a), self.to_tensor(b)).double().cpu().numpy()

    def to_tensor(self, images: Images) -> Tensor:
        """uint8 (N, H, W, 3) to float32 (N, 3, H, W) in [-1, 1], channels last in memory as they are."""
        return torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    def scaled(self, images: Images) -> Tensor:
        """The same, scaled as the trunk needs it.

        Levels to scaled values is one affine map a channel. Along whole rows of W x 3 numbers it takes
        a tenth of the time of a broadcast over an innermost dimension of 3.
        """
        n, height, width, _ = images.shape
        ends = self.module.scaling_layer(torch.tensor([-1.0, 1.0], device=self.device).expand(1, 3, 1, 2))
        low, high = (ends[0, :, 0, k].repeat(width) for k in (0, 1))  # images of the levels 0 and 255
        rows = torch.from_numpy(images).to(self.device).reshape(n * height, width * 3).float()
        return rows.mul_((high - low) / 255).add_(low).reshape(n, height, width, 3).permute(0, 3, 1, 2)


def _device(name: str) -> torch.device:
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise MetricError(f"the torch device {name!r} cannot be used: {error}") from error


@lru_cache(maxsize=16)
def _trunk(net: str, scaled: bool, seed: int | None, setup: Setup) -> _Features:
    """The one trunk that every head on it shares; version 0.0 alone runs it on unscaled input."""
    version: Version | None = None if scaled else "0.0"
    return _Features(LPIPS(net, version=version, trunk_seed=seed, weights=setup.weights), setup)


def _channel_sum(pair: Tensor) -> Floats:
    """The head of the uncalibrated distance: every channel counts 1."""
    return pair.double().sum(1).cpu().numpy()


def _weighted_sum(weights: Tensor) -> Callable[[Tensor], Floats]:
    def head(pair: Tensor) -> Floats:
        return (pair.double() @ weights.to(pair.device)).cpu().numpy()

    return head


def _head_vector(heads: Weights, channels: tuple[int, ...]) -> Tensor:
    """The weights of all heads side by side, (K,) float64."""
    layers = [torch.from_numpy(heads.tensors[f"lin{k}.model.1.weight"]).reshape(c) for k, c in enumerate(channels)]
    return torch.cat(layers).double()


def _describe(net: str, what: str, setup: Setup) -> str:
    return f"{what} on {net}, RGB in [-1, 1], {setup.precision}"


def _register_uncalibrated(net: str, smallest_side: int) -> None:
    def make(variant: str, setup: Setup) -> Metric:
        seed = _seed_of(variant)
        file = _file_of(net, variant, setup.weights)
        store = setup.weights
        if file:
            store = store.with_unverified(trunk_specs()[net].weights, file)
            trunk, weights = _trunk(net, True, None, replace(setup, weights=store)), f"weights of {file}"
        else:
            trunk = _trunk(net, True, seed, setup)
            weights = "ImageNet weights" if seed is None else f"Gaussian weights, seed {seed}"
        return Metric(
            name=f"{net}@{variant}" if variant else net,
            description=_describe(net, f"uncalibrated LPIPS (all heads 1), {weights},", setup),
            embed=trunk.embed,
            contrast=trunk.contrast,
            head=_channel_sum,
            weights=trunk.module.weights,
            spatial=trunk.spatial,
            smallest_side=smallest_side,
            concurrent=trunk.on_cpu,
            make_loss=lambda: LPIPS(net, version=None, trunk_seed=seed, input_range=(0, 1), weights=store),
        )

    register(
        Entry(
            name=net,
            summary=(
                f"uncalibrated features of {net}; @{_RANDOM} and @{_RANDOM}-SEED: Gaussian weights; @{_KMEANS}: "
                "k-means of your photos; @FILE: a state dict with torchvision's key names"
            ),
            make=make,
            variants=(_RANDOM, _KMEANS),
            open_ended=lambda variant: _seed_of(variant) is not None or variant.endswith(_TRUNK_SUFFIXES),
            has_loss=True,
        )
    )


def _register_lpips(net: str, smallest_side: int) -> None:
    def make(variant: str, setup: Setup) -> Metric:
        version: Version = "0.0" if variant == "0.0" else "0.1"
        trunk = _trunk(net, version == "0.1", None, setup)
        heads = setup.weights.load(f"lpips-{net}-{version}")
        with fitting(heads, net):
            vector = _head_vector(heads, trunk.module.spec.channels)
        return Metric(
            name=f"lpips-{net}@{variant}" if variant else f"lpips-{net}",
            description=_describe(net, f"LPIPS {version}, released heads", setup),
            embed=trunk.embed,
            contrast=trunk.contrast,
            head=_weighted_sum(vector),
            weights=(*trunk.module.weights[:1], heads.without_tensors()),
            spatial=lambda a, b: _Features(LPIPS(net, version=version, weights=setup.weights), setup).spatial(a, b),
            smallest_side=smallest_side,
            concurrent=trunk.on_cpu,
            make_loss=lambda: LPIPS(net, version=version, input_range=(0, 1), weights=setup.weights),
        )

    register(
        Entry(
            name=f"lpips-{net}",
            summary=f"LPIPS with the released heads on {net}, version 0.1 (@0.0 for the old one)",
            make=make,
            variants=("0.1", "0.0"),
            default="0.1",
            has_loss=True,
        )
    )


def _lpips_from_file(path: str, setup: Setup) -> Metric:
    """`lpips:PATH`: heads alone share the ImageNet trunk, a checkpoint or run may bring its own."""
    file = weight_file(Path(path).expanduser())
    module = LPIPS.from_file(file, weights=setup.weights)
    own = _Features(module, setup)
    trunk = _trunk(module.spec.net, module.version == "0.1", None, setup) if module.weights else own
    state = {key: value for key, value in module.state_dict().items() if key.startswith("lin")}
    heads = Weights(
        name=f"lpips:{path}",
        tensors={key: value.cpu().numpy() for key, value in state.items()},
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        verified=bool(module.weights) and released_version(module.spec.net, state) is not None,
        source=path,
    )
    return Metric(
        name=f"lpips:{path}",
        description=_describe(module.spec.net, f"LPIPS from a file, input scaled as in {module.version},", setup),
        embed=trunk.embed,
        contrast=trunk.contrast,
        head=_weighted_sum(_head_vector(heads, module.spec.channels)),
        weights=(*module.weights, heads.without_tensors()),
        spatial=own.spatial,
        smallest_side=module.spec.smallest_side,
        concurrent=own.on_cpu,
        make_loss=lambda: LPIPS.from_file(file, input_range=(0, 1), weights=setup.weights),
    )


def _file_of(net: str, variant: str, store: WeightStore) -> Path | None:
    """The file of a trunk that is neither published nor random."""
    if variant == _KMEANS:
        return kmeans_file(net, store)
    return Path(variant).expanduser() if variant.endswith(_TRUNK_SUFFIXES) else None


def _seed_of(variant: str) -> int | None:
    """The seed in "random" (0) or "random-SEED"; None for any other variant."""
    if variant == _RANDOM:
        return 0
    word, dash, seed = variant.partition("-")
    canonical = seed.isdecimal() and str(int(seed)) == seed and 0 < int(seed) < 2**63
    return int(seed) if word == _RANDOM and dash and canonical else None


for _spec in trunk_specs().values():
    _register_uncalibrated(_spec.net, _spec.smallest_side)
    _register_lpips(_spec.net, _spec.smallest_side)
register_scheme("lpips", _lpips_from_file)
