"""What is about images: metrics, losses, distortions, and patch sets made with them."""

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bapps_builder.errors import Notice
from bapps_builder.files.cores import cores
from bapps_builder.layout import Task
from bapps_builder.patch_sets.manifest import Split
from bapps_builder.patch_sets.patch_set import PatchSet
from distortions import recipes, registry
from distortions.patch_sets.generate import generate as make_patch_set
from distortions.patch_sets.sampling import Family, Settings, SeverityLaw
from distortions.sizes import PatchSize, Strength
from distortions.workers import Workers
from metrics.image_inputs import ImageLike, Range, as_batch
from metrics.image_math.torch_threads import keep_to_our_cores
from metrics.losses import Loss
from metrics.losses import loss as make_loss
from metrics.metric import Metric, Precision, Setup
from metrics.registry import as_metric, entries, load
from metrics.weights.store import WeightStore

PathLike = str | os.PathLike[str]
MetricLike = str | Metric | Callable[..., object]


def load_metric(
    name: str, *, device: str = "cpu", precision: Precision = "fp32", weights: PathLike | None = None
) -> Metric:
    """Make the metric of a name.

    Parameters
    ----------
    name : str
        One that `list_metrics` has, perhaps with a variant ("ssim@luma"); "lpips:FILE" for weights of your own, or
        "module:function" for a function of two uint8 batches (N, H, W, 3) to N distances.
    device : str
        Where metrics with nets run, such as "cuda".
    precision : "fp32" or "bf16"
        Of the nets' convolutions.
    weights : path, optional
        Folder with weight files; by default the variable BAPPS_WEIGHTS, then the cache.

    Returns
    -------
    Metric
        A function of two uint8 batches (N, H, W, 3) to N distances: bigger is further, for every metric.

    Raises
    ------
    BappsError
        If the name is unknown (the message says what is close to it) or its weights cannot be obtained.

    Examples
    --------
    >>> import bapps, numpy as np
    >>> black, white = np.zeros((2, 16, 16, 3), np.uint8), np.full((2, 16, 16, 3), 255, np.uint8)
    >>> bapps.load_metric("l2")(black, white)
    array([4., 4.])
    """
    return load(name, _setup(device, precision, weights))


def list_metrics() -> dict[str, str]:
    """Every metric of this package by name, with a line about it; variants stand behind an "@".

    Those that other distributions publish can be loaded, too, but are not listed.

    Examples
    --------
    >>> import bapps
    >>> bapps.list_metrics()["l2"]
    'mean squared difference, RGB in [-1, 1]'
    """
    return {
        spelling: entry.summary
        for entry in entries().values()
        for spelling in (entry.name, *(f"{entry.name}@{variant}" for variant in entry.variants))
    }


@overload
def distance(
    metric: MetricLike,
    a: PathLike | Image.Image,
    b: ImageLike,
    *,
    value_range: Range | None = ...,
    device: str = ...,
    precision: Precision = ...,
    weights: PathLike | None = ...,
) -> float: ...
@overload
def distance(
    metric: MetricLike,
    a: ImageLike,
    b: ImageLike,
    *,
    value_range: Range | None = ...,
    device: str = ...,
    precision: Precision = ...,
    weights: PathLike | None = ...,
) -> float | NDArray[np.float64]: ...
def distance(
    metric: MetricLike,
    a: ImageLike,
    b: ImageLike,
    *,
    value_range: Range | None = None,
    device: str = "cpu",
    precision: Precision = "fp32",
    weights: PathLike | None = None,
) -> float | NDArray[np.float64]:
    """How far apart two images are, or the images of two batches one by one; bigger is further, for every metric.

    Parameters
    ----------
    metric : str, Metric or callable
        A name as `load_metric` takes it, or a function of two uint8 batches (N, H, W, 3) to N distances.
    a, b : path, Pillow image, array (H, W, 3) or (N, H, W, 3), or tensor (3, H, W) or (N, 3, H, W)
        RGB, of one size. For metrics that are not symmetric, `a` is the reference.
    value_range : (low, high), optional
        What black and white are among floats, such as (0, 1); needed for them. They are rounded to 8 bits, on which
        metrics are defined; `loss` takes floats as they are.
    device, precision, weights
        As for `load_metric`.

    Returns
    -------
    float, or array of shape (N,)
        Of two batches an array.

    Raises
    ------
    BappsError
        If the images are not of one size, or the metric fails.

    Examples
    --------
    >>> import bapps, numpy as np
    >>> grey, white = np.full((32, 32, 3), 0.5), np.ones((32, 32, 3))
    >>> bapps.distance("l1", grey, white, value_range=(0, 1))
    0.996078431372549
    """
    function = as_metric(metric, _setup(device, precision, weights))
    first, many = as_batch(a, value_range=value_range, name="a")
    second, _ = as_batch(b, value_range=value_range, name="b")
    distances = function(first, second)
    return distances if many else float(distances[0])


def loss(name: str, *, weights: PathLike | None = None) -> Loss:
    """Make the loss of a metric: a `torch.nn.Module` with finite gradients, on images (N, 3, H, W) in [0, 1].

    It is a distance, as the metric is: bigger is further, so it is what to make small. For trained nets its
    parameters are frozen. `LPIPS` is the module behind `loss("lpips-vgg")`; by itself it takes [-1, 1], as the
    official one does.

    Parameters
    ----------
    name : str
        Such as "ssim", "ms-ssim-3", "fsim", "gmsd", "vif", "l1" or "lpips-vgg"; "lpips:FILE" for weights of your own.
    weights : path, optional
        Folder with weight files, as for `load_metric`.

    Returns
    -------
    torch.nn.Module
        From two batches of RGB images, float (N, 3, H, W) in [0, 1], to N distances. Values out of range are an error
        (for those with nets, beyond .01 outside of it).

    Raises
    ------
    BappsError
        If the name is unknown, or the metric has no gradients.

    Examples
    --------
    >>> import bapps, torch
    >>> target = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> image = torch.full_like(target, 0.5).requires_grad_()
    >>> bapps.loss("ssim")(image, target).mean().backward()
    >>> bool(image.grad.isfinite().all())
    True
    """
    return make_loss(name, _setup("cpu", "fp32", weights))


def list_distortions() -> dict[str, str]:
    """Every distortion by name, with a line about it: this project's first, then those of installed distributions.

    Of the latter, one that cannot be used is left out with a warning. Those of modules of your own need no listing:
    "my_module:posterise" is their name.

    Examples
    --------
    >>> import bapps
    >>> bapps.list_distortions()["contrast"]
    'Draw all levels towards the mean luma of the patch, or away from it.'
    """
    installed, wrong = registry.plugins()
    for reason in wrong:
        warnings.warn(reason, Notice, stacklevel=2)
    return {name: one.summary for name, one in (registry.distortions() | installed).items()}


def distort(
    image: ImageLike, recipe: str | recipes.Recipe, *, seed: int = 0, value_range: Range | None = None
) -> NDArray[np.uint8]:
    """Distort one image by a recipe; beyond its edges it is reflected.

    Parameters
    ----------
    image : path, Pillow image, array (H, W, 3) or tensor (3, H, W)
    recipe : str or Recipe
        Such as "gaussian-blur(sigma=1.35)+jpeg(quality=23)", or the name of a network, such as "cnn-050".
    seed : int
        Of what the recipe leaves to chance, such as a field of noise.
    value_range : (low, high), optional
        As for `distance`.

    Returns
    -------
    uint8 array of shape (H, W, 3)

    Raises
    ------
    BappsError
        If the recipe does not parse, or the image is none.

    Examples
    --------
    >>> import bapps, numpy as np
    >>> bapps.distort(np.zeros((8, 8, 3), np.uint8), "lightness-shift(levels=20)").mean()
    np.float64(20.0)
    """
    parsed = recipes.parse(recipe) if isinstance(recipe, str) else recipe
    batch, many = as_batch(image, value_range=value_range)
    if many:
        raise ValueError(f"distort takes one image, got a batch of {len(batch)}")
    return parsed.apply(batch[0], np.random.default_rng(seed))


def generate(
    photos: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    items: int,
    task: Task = "2afc",
    family: Family = "traditional",
    distortions: Sequence[str] = (),
    split: Split = "val",
    seed: int = 0,
    severity_law: SeverityLaw | None = None,
    rescale: tuple[float, float] | None = None,
    min_contrast: float = 0,
    size: int | tuple[int, int] = 64,
    strength: Strength = "pixels",
    zoo: PathLike | None = None,
    workers: int | None = None,
) -> PatchSet:
    """Make a patch set from photos, or finish one that was interrupted, as `bapps-distort generate` does.

    Parameters
    ----------
    photos : path or sequence of paths
        Folders of photos; those within count too.
    out : path
        Of the patch set: new, empty, or one begun with the same settings and photos.
    items : int
    task : "2afc" or "jnd"
        2AFC items are two patches with different recipes and their original, JND items a patch and its original.
    family : "traditional", "cnn" or "mix"
    distortions : sequence of str
        Names to draw from instead of all that the family has, "module:function" for one of your own among them.
    split : "train" or "val"
    seed : int
    severity_law : "uniform" or "threshold", optional
        By default the one of the task.
    rescale : (low, high), optional
        Scale photos first by a number from this range.
    min_contrast : float
        Take no patch with less.
    size : int or (width, height)
        Of the patches, in pixels.
    strength : "pixels" or "relative"
        At other sizes than 64, whether lengths such as the width of a blur stay the same number of pixels, or grow with
        the longer side.
    zoo : path, optional
        Folder of trained networks; by default the starter zoo.
    workers : int, optional
        Processes; by default one a core.

    Returns
    -------
    PatchSet
        Its items, one by one, with their recipes.

    Raises
    ------
    BappsError
        If a setting, the photos or the folder are no good. What is done stays.

    Examples
    --------
    >>> import bapps
    >>> patches = bapps.generate("photos", "new-patches", items=3, workers=1)
    >>> len(patches), patches.roles
    (3, ('ref', 'p0', 'p1'))
    """
    settings = Settings(
        items,
        task,
        family,
        split,
        seed,
        severity_law,
        rescale=rescale,
        min_contrast=min_contrast,
        distortions=tuple(distortions),
        size=PatchSize(*((size, size) if isinstance(size, int) else size), strength),
    )
    result = make_patch_set(
        settings,
        photos=_paths(photos),
        folder=Path(out),
        workers=Workers(workers or cores()),
        zoo=_path(zoo),
    )
    for entry in result.skipped:
        warnings.warn(f"skipped {entry.photo}: {entry.reason}", Notice, stacklevel=2)
    return result.patch_set


def _setup(device: str, precision: Precision, weights: PathLike | None) -> Setup:
    keep_to_our_cores()
    return Setup(device=device, precision=precision, weights=WeightStore(Path(weights) if weights else None))


def _paths(paths: PathLike | Sequence[PathLike]) -> list[Path]:
    return [Path(paths)] if isinstance(paths, str | os.PathLike) else [Path(one) for one in paths]


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)
