"""What a distortion is, and how a function becomes one: `@distortion(...)` above it.

A distortion of this project is named after its function (`gaussian_blur` is `gaussian-blur`), its family after its
file (`distortions/traditional/blur.py` is "blur"). One from outside is named as `distortions.registry` finds it.
"""

import inspect
import math
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from bapps_builder.errors import DistortionError
from distortions.source import Source, source_of

Patch = NDArray[np.uint8]  # (H, W, 3), RGB
Values = Mapping[str, float]

# Where the distortions of this project are defined: one family a file.
OURS = "distortions.traditional"
# Pixels of real image that `generate` keeps around a patch while it is distorted, and cuts off at the end.
# A multiple of 16, so that the 8x8 blocks and 16x16 chroma blocks of JPEG start at the patch's own corner.
MARGIN = 16
# What most distortions do where they would need pixels beyond the border: OpenCV's BORDER_REFLECT_101.
REFLECTED = "mirrored at the edge pixel"
_NONE = inspect.Parameter.empty
# Digits of a drawn value. Enough to be continuous, few enough to read; a recipe holds exactly these.
_DIGITS = 6


@dataclass(frozen=True)
class Parameter:
    """One number of a distortion.

    Attributes
    ----------
    low, high : float
        Accepted range, both ends included. Severity draws from a part of it.
    unit : str
        Such as "pixels" or "levels"; "" for a plain number. Of "pixels", "pixels per pixel", "widths" and "heights" it
        depends on the patch's size what a severity comes to; see `distortions.sizes`.
    meaning : str
        One line for listings.
    whole : bool
        Whether only whole numbers are accepted.
    """

    low: float
    high: float
    unit: str
    meaning: str
    whole: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a parameter needs two finite bounds, low < high; got {self.low!r} and {self.high!r}")


@dataclass(frozen=True)
class Ramp:
    """How strength grows with severity: strength = top * severity ** power.

    The numbers come from `benchmarks/severity.py`, which puts all distortions on one scale: the mean of six
    distances to the original, each in units of its mean over the twenty at severity 1.

    Attributes
    ----------
    top : float
        Strength at severity 1, in the unit of the parameter that it becomes.
    power : float
    """

    top: float
    power: float

    def __call__(self, severity: float) -> float:
        """Strength at a severity in [0, 1]."""
        return self.top * severity**self.power

    def __str__(self) -> str:
        return f"{self.top:g} s^{self.power:g}" if self.power != 1 else f"{self.top:g} s"


@dataclass(frozen=True)
class Distortion:
    """A way to damage a patch.

    Attributes
    ----------
    name : str
    family : str
        The last part of the module's name.
    function : callable
        (patch, rng, **values) to a patch of the same shape; never writes into its input. Chance comes from
        rng alone: fields of noise and of displacement, but no strength, which is among the values.
    parameters : mapping of name to Parameter
    ramp : Ramp
        Severity to strength.
    draw : callable
        (strength, rng) to values. It takes the same random directions from rng at every strength and only
        scales them, so that one rng state gives one distortion at growing strength.
    border : str
        What it does where it needs pixels beyond the border of its input, in a few words.
    source : Source or None
        Of one from outside, whose function is checked as it runs; None for one of this project.
    """

    name: str
    family: str
    function: Callable[..., Patch]
    parameters: Mapping[str, Parameter]
    ramp: Ramp
    draw: Callable[[float, np.random.Generator], Values]
    border: str
    source: Source | None = None

    @cached_property  # reading a signature takes longer than many a distortion
    def defaults(self) -> Values:
        """The function's own defaults, which a recipe does not mention and no severity draws."""
        signature = inspect.signature(self.function).parameters
        return {name: signature[name].default for name in self.parameters if signature[name].default is not _NONE}

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.function) or "").split("\n", 1)[0]

    def apply(self, patch: Patch, rng: np.random.Generator, values: Values) -> Patch:
        """Distort one patch.

        Parameters
        ----------
        patch : uint8 array of shape (H, W, 3)
            Any size from 1x1 up; the strengths are tuned for content at the scale of 64x64 patches.
        rng : numpy Generator
        values : mapping
            One number for each parameter.

        Raises
        ------
        DistortionError
            If the patch is no such array, the values are not those of the parameters, or a function from outside
            fails or returns anything but a patch.
        """
        if not isinstance(patch, np.ndarray) or patch.dtype != np.uint8 or patch.ndim != 3 or patch.shape[2] != 3:
            shape, kind = getattr(patch, "shape", None), getattr(patch, "dtype", type(patch).__name__)
            raise DistortionError(f"{self.name}: patch must be (H, W, 3) uint8 RGB, got shape {shape} and type {kind}")
        if not patch.size:
            raise DistortionError(f"{self.name}: patch must not be empty, got shape {patch.shape}")
        checked = self.checked(values)
        if self.source:
            return self._apply_from_outside(patch, rng, checked)
        try:
            return self.function(np.ascontiguousarray(patch), rng, **checked)
        except cv2.error as error:  # such as a side over 32,767 pixels in a warp
            raise DistortionError(
                f"{self.name}: OpenCV refuses an image of shape {patch.shape}: {error.err}"
            ) from error

    def _apply_from_outside(self, patch: Patch, rng: np.random.Generator, values: Values) -> Patch:
        """Give the function a copy to write into if it likes, and take a copy of what it may keep."""
        with self._guarded(), warnings.catch_warnings():
            # NaN and infinity become arbitrary levels, which would look like any others.
            warnings.filterwarnings("error", "invalid value encountered in cast", RuntimeWarning)
            output = self.function(patch.copy(), rng, **values)
        if not isinstance(output, np.ndarray) or output.dtype != np.uint8 or output.shape != patch.shape:
            raise DistortionError(
                f"{self.name} returned {_described(output)}; a distortion returns a uint8 array of its patch's shape, "
                f"here {patch.shape}: round, clip to 0..255 and convert at its end"
            )
        return np.array(output)

    def _guarded(self) -> AbstractContextManager[None]:
        """Turn whatever code from outside raises into one line; errors of our own stay as they are."""
        return _errors_on_one_line(self.name, self.source) if self.source else nullcontext()

    def checked(self, values: Values) -> dict[str, float]:
        """Give the values in the order of the parameters, each in range, or raise DistortionError.

        Those that are the function's own default are left out.
        """
        for name in values:
            if name not in self.parameters:
                raise DistortionError(
                    f"{self.name} has no parameter {name!r}; it has {', '.join(self.parameters) or 'none'}"
                )
        defaults, complete = self.defaults, {}
        for name, parameter in self.parameters.items():
            if name not in values:
                if name in defaults:
                    continue
                needed = ", ".join(each for each in self.parameters if each not in defaults)
                raise DistortionError(f"{self.name} needs {needed}, but {name} is missing")
            value = values[name]
            if not math.isfinite(value) or not parameter.low <= value <= parameter.high:
                unit = f" {parameter.unit}" if parameter.unit else ""
                raise DistortionError(
                    f"{self.name}: {name} must be in [{parameter.low:g}, {parameter.high:g}]{unit}, got {value!r}"
                )
            if parameter.whole and value != int(value):
                raise DistortionError(f"{self.name}: {name} must be a whole number, got {value!r}")
            if value != defaults.get(name):
                complete[name] = int(value) if parameter.whole else float(value)
        return complete

    def at(
        self, severity: float, rng: np.random.Generator, *, factors: Mapping[str, float] = MappingProxyType({})
    ) -> dict[str, float]:
        """Draw values of a severity in [0, 1], rounded to the digits that a recipe prints.

        Parameters
        ----------
        severity : float
        rng : numpy Generator
        factors : mapping of unit to float
            What values of a unit are multiplied by, for patches that are not 64x64; see `PatchSize.factors`.

        Raises
        ------
        DistortionError
            If the severity is out of range, or a value is, which a factor may have taken there.
        """
        if not 0 <= severity <= 1:
            raise DistortionError(f"severity must be in [0, 1], got {severity!r}")
        with self._guarded():
            drawn = self.draw(self.ramp(severity), rng).items()
            values = {name: self._scaled(name, value, factors) for name, value in [*self.defaults.items(), *drawn]}
        return self.checked(values)

    def _scaled(self, name: str, value: float, factors: Mapping[str, float]) -> float:
        parameter = self.parameters.get(name)
        factor = factors.get(parameter.unit, 1) if parameter else 1
        if parameter and parameter.whole and factor != 1:
            return round(value * factor)
        # Adding 0 turns -0.0, as it comes from a direction times nothing, into 0.0.
        return float(f"{value * factor:.{_DIGITS}g}") + 0.0


@contextmanager
def _errors_on_one_line(name: str, source: Source) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:
        # Where, since an error that comes from a worker process has lost its traceback.
        frames = traceback.extract_tb(error.__traceback__)
        place = [frame for frame in frames if frame.filename.startswith(source.folder)][-1:] or frames[-1:]
        where = ", ".join(f"{Path(frame.filename).name}, line {frame.lineno}" for frame in place)
        raise DistortionError(f"{name} raised {type(error).__name__}: {error} ({where})") from error


def _described(value: object) -> str:
    """What a function returned, as an error message tells it."""
    if not isinstance(value, np.ndarray):
        return f"{value!r:.60}, a {type(value).__name__}"
    kind = f"{value.dtype} of shape {value.shape}"
    if value.size and value.dtype.kind in "iuf":
        kind += f" with values from {value.min():g} to {value.max():g}"  # nan if any is
    return kind


# What every function under @distortion was declared as, by its identity; the entry keeps it alive.
_DECLARED: dict[int, Distortion] = {}


def distortion(
    *,
    ramp: Ramp,
    draw: Callable[[float, np.random.Generator], Values],
    border: str,
    **parameters: Parameter,
) -> Callable[[Callable[..., Patch]], Callable[..., Patch]]:
    """Declare the decorated function to be a distortion; see `Distortion` for what the arguments mean.

    Examples
    --------
    In a file of one's own, `my_module.py`, it is found as `my_module:posterise`:

    >>> @distortion(
    ...     ramp=Ramp(48, 1),
    ...     draw=lambda strength, rng: {"levels": strength},
    ...     border="none: no pixel needs another",
    ...     levels=Parameter(0, 128, "levels", "width of a step"),
    ... )
    ... def posterise(patch, rng, *, levels):
    ...     step = max(levels, 1)
    ...     return np.clip(np.rint(patch / step) * step, 0, 255).astype(np.uint8)

    Raises
    ------
    ValueError
        If the function's keywords are not the parameters, or an argument is not of its type.
    """

    def declare(function: Callable[..., Patch]) -> Callable[..., Patch]:
        name, module = function.__name__.replace("_", "-"), function.__module__
        if not isinstance(ramp, Ramp) or not all(isinstance(each, Parameter) for each in parameters.values()):
            raise ValueError(f"{name}: ramp must be a Ramp(top, power), and each parameter a Parameter(low, high, ...)")
        if list(inspect.signature(function).parameters)[2:] != list(parameters):
            raise ValueError(f"{name} must take (patch, rng, *, {', '.join(parameters)})")
        source = None if module.startswith(f"{OURS}.") else source_of(module)
        family = module.rsplit(".", 1)[-1]
        _DECLARED[id(function)] = Distortion(name, family, function, parameters, ramp, draw, border, source)
        return function

    return declare


def declared(function: object) -> Distortion | None:
    """What an object was declared as, or None if it is no distortion."""
    entry = _DECLARED.get(id(function))
    return entry if entry and entry.function is function else None


def declared_here() -> dict[str, Distortion]:
    """The distortions of this project, as far as their files were imported, by name in order of definition.

    Raises
    ------
    ValueError
        If two have one name.
    """
    entries: dict[str, Distortion] = {}
    for entry in _DECLARED.values():
        if entry.source is None and entries.setdefault(entry.name, entry) is not entry:
            raise ValueError(f"two distortions have the name {entry.name!r}; rename the one in {entry.family}.py")
    return entries
