"""LPIPS as a torch module: Zhang et al., CVPR 2018, arXiv 1801.03924, equation 1.

For each layer l of a trunk, features are unit-normalised over channels, squared differences are weighted
by a head w_l >= 0, averaged over positions, and summed over layers. Without heads (all weights 1) this
is the paper's uncalibrated distance.

Key names of the state are those of the official release, so checkpoints go both ways. How a choice here
differs from that release is said where it is made; docs/tutorials/switching-from-lpips.md lists them.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from bapps_builder.errors import MetricError, WeightsError
from metrics.deep.lpips_state import (
    VERSIONS,
    Version,
    as_tensors,
    canonical_names,
    fitting,
    is_head,
    is_heads_only,
    read_state,
    released_version,
    spec_of_heads,
    trunk_tensors,
)
from metrics.deep.tiles import Place, feature_pairs, feature_sizes, is_large
from metrics.deep.trunks.trunk import Trunk, TrunkSpec, trunk_specs
from metrics.weights.readers import weight_file
from metrics.weights.store import Weights, WeightStore

INPUT_RANGES = ((-1.0, 1.0), (0.0, 1.0))
# How far outside its range an input may lie: resampling and half precision overshoot by a little.
RANGE_TOLERANCE = 1e-2

# Subtracted and divided by on [-1, 1] input: ImageNet's mean and standard deviation on [0, 1], rounded.
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


class LPIPS(nn.Module):
    """Learned perceptual distance between two batches of images.

    Built with published weights, in evaluation mode, every parameter frozen: ready as a metric or a loss. Input lies in
    [-1, 1], like that of the official release; `bapps.loss("lpips-vgg")` is the same on [0, 1], as all losses are.

    Parameters
    ----------
    net : "alex", "vgg" or "squeeze"
    version : "0.1", "0.0" or None
        Of the released heads. 0.0 also skips the scaling of the input, as its release did. None: no
        heads, the uncalibrated distance.
    trunk_seed : int, optional
        Take a trunk of Gaussian weights drawn from this seed instead of the one trained on ImageNet.
    input_range : (-1, 1) or (0, 1)
        What the values of the input mean.
    check_range : bool
        Refuse input that cannot be in `input_range`: values outside it by more than 0.01, or, for
        (-1, 1), a batch that varies without going below -0.01, which is what [0, 1] images look like.
        Turn it off for predictions that overshoot, for batches of nothing but bright crops, and to spare
        a GPU the wait for the check.
    weights : WeightStore, optional
        Where weights come from.

    Raises
    ------
    MetricError
        For an unknown net or version.
    WeightsError
        If weights cannot be obtained.

    Notes
    -----
    Dropout of 0.5 stands before the heads and acts in training mode only, as in the paper. Gradients are
    finite everywhere: a feature vector of zeros counts as a zero unit vector with gradient zero, where
    the official release divides by zero in the backward pass (a ReLU before the tap hides that from the
    image; a trunk tapped elsewhere has nothing to hide it).

    Examples
    --------
    >>> import bapps, torch
    >>> lpips = bapps.LPIPS("alex")  # expects [-1, 1]
    >>> target = 2 * torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 1
    >>> image = target.neg().requires_grad_()
    >>> lpips(image, target).mean().backward()
    >>> bool(image.grad.isfinite().all())
    True
    """

    def __init__(
        self,
        net: str = "alex",
        *,
        version: Version | None = "0.1",
        trunk_seed: int | None = None,
        input_range: tuple[float, float] = (-1, 1),
        check_range: bool = True,
        weights: WeightStore | None = None,
    ) -> None:
        spec = _spec(net)
        if version is not None and version not in VERSIONS:
            raise MetricError(f"LPIPS version must be one of {', '.join(VERSIONS)} or None, got {version!r}")
        self._build(spec, version)
        self.input_range = _known_range(input_range)
        self.check_range = check_range
        store = weights or WeightStore()
        loaded = []
        if trunk_seed is None:
            loaded.append(store.load(spec.weights))
            with fitting(loaded[-1], net):
                self.net.load_features(trunk_tensors(loaded[-1]))
        else:
            self.net.randomise(trunk_seed)
        if version is not None:
            loaded.append(store.load(f"lpips-{net}-{version}"))
            with fitting(loaded[-1], net):
                self._load_heads(as_tensors(loaded[-1]))
        self.weights: tuple[Weights, ...] = tuple(each.without_tensors() for each in loaded)
        self.requires_grad_(False).eval()

    @classmethod
    def blank(cls, net: str, *, version: Version | None = "0.1") -> "LPIPS":
        """Build without any published weights, for `load_state_dict`: trunk as torch draws it, heads all 1."""
        module = cls.__new__(cls)
        module._build(_spec(net), version)
        module.input_range, module.check_range, module.weights = (-1.0, 1.0), True, ()
        return module.requires_grad_(False).eval()

    @classmethod
    def from_file(
        cls,
        path: Path,
        *,
        version: Version | None = None,
        input_range: tuple[float, float] = (-1, 1),
        check_range: bool = True,
        weights: WeightStore | None = None,
    ) -> "LPIPS":
        """Build from a head file or a training checkpoint in the key names of the official release.

        The net is known by the widths of the heads. A file of heads alone takes the trunk trained on
        ImageNet; a checkpoint brings its own.

        Parameters
        ----------
        path : Path
            A .pth or .safetensors file, or the folder of a training run.
        version : "0.1", "0.0" or None
            Whether the heads were trained on scaled input (0.1) or not (0.0). None: what the file says, as
            those of our own runs do; else 0.0 for the released heads of that version, and 0.1 for all others.
        input_range, check_range, weights
            As for the class.

        Raises
        ------
        WeightsError
            If the file is not such a file, or holds anything but tensors.
        """
        try:
            tensors, about = read_state(weight_file(Path(path)))
            state = canonical_names(tensors)
            spec = spec_of_heads(state)
            module = cls.blank(spec.net, version=version or about or released_version(spec.net, state) or "0.1")
            module.input_range, module.check_range = _known_range(input_range), check_range
            if is_heads_only(state):
                loaded = (weights or WeightStore()).load(spec.weights)
                module.net.load_features(trunk_tensors(loaded))
                module.weights = (loaded.without_tensors(),)
            module.load_state_dict(state)
        except (OSError, RuntimeError, SafetensorError, WeightsError) as error:
            raise WeightsError(f"{path}: no LPIPS weights: {error}") from error
        return module

    def _build(self, spec: TrunkSpec, version: Version | None) -> None:
        super().__init__()
        self.spec = spec
        self.version = version
        self.scaling_layer = _Scaling(version != "0.0")
        self.net = Trunk(spec)
        self.calibrated = version is not None
        if self.calibrated:
            for k, channels in enumerate(spec.channels):
                self.add_module(f"lin{k}", _Head(channels))

    @property
    def heads(self) -> list["_Head"]:
        """The heads, one a layer; empty for the uncalibrated distance."""
        heads = [getattr(self, f"lin{k}") for k in range(len(self.spec.channels))] if self.calibrated else []
        return heads

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of N pairs, shape (N,), from images (N, 3, H, W) in `input_range`.

        Raises
        ------
        MetricError
            If shapes differ, sides are too small, or values are out of range.
        """
        return self.per_layer(a, b).sum(1)

    def per_layer(self, a: Tensor, b: Tensor) -> Tensor:
        """What each of L layers adds to the distance, shape (N, L)."""
        return torch.stack([local.mean((1, 2)) for local in self._local(a, b)], 1)

    def spatial(self, a: Tensor, b: Tensor) -> Tensor:
        """Map of local distances, shape (N, H, W); its mean is near, not equal to, the distance.

        Each layer is enlarged bilinearly to the size of the input, then layers are summed.
        """
        size = a.shape[-2:]
        enlarged = [
            nn.functional.interpolate(local[:, None], size=size, mode="bilinear", align_corners=False)
            for local in self._local(a, b)
        ]
        return torch.stack(enlarged).sum(0)[:, 0]

    def unit_features(self, scaled: Tensor) -> list[Tensor]:
        """Unit-normalised features of scaled images (N, 3, H, W): one (N, C_l, h_l, w_l) a layer."""
        return [unit_normalise(feature) for feature in self.net(scaled)]

    def tile_squares(
        self, height: int, width: int, crops: Callable[[Place], tuple[Tensor, Tensor]]
    ) -> Iterator[tuple[int, Place, Tensor]]:
        """Squared differences of the unit features of two large images: layer, place in its map, (N, C_l, h, w) there.

        `crops` gives a place of both images, scaled; see `metrics.deep.tiles`.
        """
        for layer, place, x, y in feature_pairs(self.net, height, width, crops):
            yield layer, place, (unit_normalise(x) - unit_normalise(y)).square_()

    def _local(self, a: Tensor, b: Tensor) -> list[Tensor]:
        """Weighted squared feature differences of each layer, (N, h_l, w_l)."""
        self._check(a, b)
        has_gradient = torch.is_grad_enabled() and any(each.requires_grad for each in (a, b, *self.parameters()))
        if is_large(*a.shape[2:]) and not has_gradient and not self.training:
            return self._local_in_tiles(a, b)
        if self.input_range[0] == 0:
            a, b = 2 * a - 1, 2 * b - 1
        a, b = self.scaling_layer(a), self.scaling_layer(b)
        pairs = zip(self.unit_features(a), self.unit_features(b), strict=True)
        squares = [(x - y).square() for x, y in pairs]
        if not self.calibrated:
            return [square.sum(1) for square in squares]
        return [head(square) for head, square in zip(self.heads, squares, strict=True)]

    def _local_in_tiles(self, a: Tensor, b: Tensor) -> list[Tensor]:
        height, width = a.shape[2:]
        dtype = torch.promote_types(a.dtype, torch.float32)  # as `unit_normalise`
        maps = [a.new_empty((len(a), *size), dtype=dtype) for size in feature_sizes(self.net, height, width)]

        def scaled(images: Tensor, place: Place) -> Tensor:
            part = images[..., place[0], place[1]]
            return self.scaling_layer(2 * part - 1 if self.input_range[0] == 0 else part)

        for n in range(len(a)):
            x, y = a[n : n + 1], b[n : n + 1]
            crops = lambda place, x=x, y=y: (scaled(x, place), scaled(y, place))  # noqa: E731
            for layer, place, square in self.tile_squares(height, width, crops):
                maps[layer][n : n + 1, place[0], place[1]] = (
                    self.heads[layer](square) if self.calibrated else square.sum(1)
                )
        return maps

    def _check(self, a: Tensor, b: Tensor) -> None:
        for images in (a, b):
            if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
                raise MetricError(
                    f"LPIPS takes float images (N, 3, H, W), got shape {tuple(images.shape)}, type {images.dtype}"
                )
        if a.shape != b.shape:
            raise MetricError(f"LPIPS takes two batches of one shape, got {tuple(a.shape)} and {tuple(b.shape)}")
        if min(a.shape[2:]) < self.spec.smallest_side:
            raise MetricError(
                f"LPIPS with {self.spec.net} takes images of at least {self.spec.smallest_side} pixels a side, "
                f"got {a.shape[3]}x{a.shape[2]}"
            )
        if self.check_range and len(a):
            _check_range(a, b, self.input_range)

    def _load_heads(self, tensors: Mapping[str, Tensor]) -> None:
        state = {**{key: value for key, value in self.state_dict().items() if not is_head(key)}, **tensors}
        super().load_state_dict(state, strict=True)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load our own state, an official head file (heads only) or an official training checkpoint.

        Always strict but for one thing: a file that holds every head and nothing else replaces the
        heads and leaves the trunk. (The official loader skips what it does not recognise, and so can
        silently leave heads random.)
        """
        state = canonical_names(state_dict)
        if not strict:
            raise WeightsError("LPIPS loads strictly; strict=False would leave weights random without a word")
        released = released_version(self.spec.net, state)
        if self.calibrated and released and released != self.version:
            raise WeightsError(
                f"these are the released heads of version {released}, whose input is scaled otherwise than in "
                f'version {self.version}: build LPIPS("{self.spec.net}", version="{released}")'
            )
        if self.calibrated and is_heads_only(state):
            own = {key: value for key, value in self.state_dict().items() if not is_head(key)}
            state = {**own, **state}
        return super().load_state_dict(state, strict=True, assign=assign)


class _Scaling(nn.Module):
    """The input scaling of version 0.1: (x - shift) / scale; version 0.0 passes x on."""

    def __init__(self, active: bool) -> None:
        super().__init__()
        self.active = active
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", torch.tensor(SHIFT)[None, :, None, None])
        self.register_buffer("scale", torch.tensor(SCALE)[None, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.shift) / self.scale if self.active else x


class _Head(nn.Module):
    """Dropout and a 1x1 convolution to one channel, under the names of the official release."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(channels, 1, 1, bias=False))
        nn.init.ones_(self.weight)

    @property
    def weight(self) -> Tensor:
        """Shape (1, C, 1, 1)."""
        return self.model.get_submodule("1").get_parameter("weight")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, H, W). Written as a sum, which autocast leaves in the precision of x."""
        dropped = self.model.get_submodule("0")(x)
        return (dropped * self.weight.to(x.dtype)).sum(1)


def unit_normalise(feature: Tensor) -> Tensor:
    """f / (|f| + 1e-10) over channels, in float32 or better; zero vectors stay zero, with gradient zero."""
    feature = feature.float() if feature.dtype in (torch.float16, torch.bfloat16) else feature
    norm = torch.linalg.vector_norm(feature, dim=1, keepdim=True)
    # A dead vector gets the factor 0 and not 1e10, which would be its gradient too.
    return feature * torch.where(norm > 0, 1 / (norm + 1e-10), 0)


def _spec(net: str) -> TrunkSpec:
    specs = trunk_specs()
    if net not in specs:
        raise MetricError(f"LPIPS net must be one of {', '.join(specs)}, got {net!r}")
    return specs[net]


def _known_range(input_range: tuple[float, float]) -> tuple[float, float]:
    low, high = input_range
    if (float(low), float(high)) not in INPUT_RANGES:
        raise MetricError(f"input_range must be (-1, 1) or (0, 1), got {input_range!r}")
    return float(low), float(high)


def _check_range(a: Tensor, b: Tensor, input_range: tuple[float, float]) -> None:
    with torch.no_grad():
        ranges = torch.stack([torch.stack(images.aminmax()) for images in (a, b)]).tolist()
    low, high = min(lowest for lowest, _ in ranges), max(highest for _, highest in ranges)
    setting = f"LPIPS was set up for input_range=({input_range[0]:g}, {input_range[1]:g})"
    if not all(
        lowest >= input_range[0] - RANGE_TOLERANCE and highest <= input_range[1] + RANGE_TOLERANCE
        for lowest, highest in ranges
    ):
        raise MetricError(
            f"{setting}, got values from {low:.4g} to {high:.4g}; scale the images, or name their range with "
            "input_range (check_range=False accepts overshoot)"
        )
    for lowest, highest in ranges:
        # A constant batch, such as zeros to start an optimisation from, says nothing about its range.
        if input_range[0] < 0 and lowest >= -RANGE_TOLERANCE and highest - lowest > RANGE_TOLERANCE:
            raise MetricError(
                f"{setting}, got a batch with values from {lowest:.4g} to {highest:.4g}, which look like [0, 1]: pass "
                "2 * x - 1, or set input_range=(0, 1); if nothing in it is darker than mid-grey, set check_range=False"
            )
