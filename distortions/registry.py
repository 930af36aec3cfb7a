"""Distortions by name: the name that a list prints is the name that a recipe parses.

A distortion registers itself where it is defined. The function's name is the distortion's name
(`gaussian_blur` is `gaussian-blur`), the module's name its family (`distortions/traditional/blur.py` is "blur").
"""

import difflib
import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from bapps_builder.errors import DistortionError

Patch = NDArray[np.uint8]  # (H, W, 3), RGB
Values = Mapping[str, float]

# The five families of the paper, in its order; each is a file of `distortions.traditional`.
FAMILIES = ("photometric", "noise", "blur", "spatial", "compression")
# Pixels of real image that `generate` keeps around a patch while it is distorted, and cuts off at the end.
# A multiple of 16, so that the 8x8 blocks and 16x16 chroma blocks of JPEG start at the patch's own corner.
MARGIN = 16
# What most distortions do where they would need pixels beyond the border: OpenCV's BORDER_REFLECT_101.
REFLECTED = "mirrored at the edge pixel"
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
        Such as "pixels" or "levels"; "" for a plain number.
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


@dataclass(frozen=True)
class Ramp:
    """How strength grows with severity: strength = top * severity ** power.

    The numbers come from `benchmarks/severity.py`, which puts all distortions on one scale: a mean LPIPS
    (AlexNet) to the original of about .07 at severity .5 and .2 at 1.

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
        One of FAMILIES.
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
    """

    name: str
    family: str
    function: Callable[..., Patch]
    parameters: Mapping[str, Parameter]
    ramp: Ramp
    draw: Callable[[float, np.random.Generator], Values]
    border: str

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
            If the patch is no such array, or the values are not those of the parameters.
        """
        if not isinstance(patch, np.ndarray) or patch.dtype != np.uint8 or patch.ndim != 3 or patch.shape[2] != 3:
            shape, kind = getattr(patch, "shape", None), getattr(patch, "dtype", type(patch).__name__)
            raise DistortionError(f"{self.name}: patch must be (H, W, 3) uint8 RGB, got shape {shape} and type {kind}")
        if not patch.size:
            raise DistortionError(f"{self.name}: patch must not be empty, got shape {patch.shape}")
        checked = self.checked(values)
        try:
            return self.function(np.ascontiguousarray(patch), rng, **checked)
        except cv2.error as error:  # such as a side over 32,767 pixels in a warp
            raise DistortionError(
                f"{self.name}: OpenCV refuses an image of shape {patch.shape}: {error.err}"
            ) from error

    def checked(self, values: Values) -> dict[str, float]:
        """Give the values in the order of the parameters, each in range, or raise DistortionError."""
        for name in values:
            if name not in self.parameters:
                raise DistortionError(
                    f"{self.name} has no parameter {name!r}; it has {', '.join(self.parameters) or 'none'}"
                )
        found = {}
        for name, parameter in self.parameters.items():
            if name not in values:
                raise DistortionError(f"{self.name} wants {', '.join(self.parameters)}, but {name} is missing")
            value = values[name]
            if not math.isfinite(value) or not parameter.low <= value <= parameter.high:
                unit = f" {parameter.unit}" if parameter.unit else ""
                raise DistortionError(
                    f"{self.name}: {name} must be in [{parameter.low:g}, {parameter.high:g}]{unit}, got {value!r}"
                )
            if parameter.whole and value != int(value):
                raise DistortionError(f"{self.name}: {name} must be a whole number, got {value!r}")
            found[name] = int(value) if parameter.whole else float(value)
        return found

    def at(self, severity: float, rng: np.random.Generator) -> dict[str, float]:
        """Draw values of a severity in [0, 1], rounded to the digits that a recipe prints."""
        if not 0 <= severity <= 1:
            raise DistortionError(f"severity must be in [0, 1], got {severity!r}")
        drawn = self.draw(self.ramp(severity), rng)
        # Adding 0 turns -0.0, as it comes from a direction times nothing, into 0.0.
        return self.checked({name: float(f"{value:.{_DIGITS}g}") + 0.0 for name, value in drawn.items()})


_ENTRIES: dict[str, Distortion] = {}


def distortion(
    *,
    ramp: Ramp,
    draw: Callable[[float, np.random.Generator], Values],
    border: str,
    **parameters: Parameter,
) -> Callable[[Callable[..., Patch]], Callable[..., Patch]]:
    """Register the decorated function as a distortion; see `Distortion` for what the arguments mean.

    Raises
    ------
    ValueError
        If the name is taken, or the function's keywords are not the parameters.
    """

    def register(function: Callable[..., Patch]) -> Callable[..., Patch]:
        name, family = function.__name__.replace("_", "-"), function.__module__.rsplit(".", 1)[-1]
        if name in _ENTRIES:
            raise ValueError(f"two distortions want the name {name!r}")
        if list(inspect.signature(function).parameters)[2:] != list(parameters):
            raise ValueError(f"{name} must take (patch, rng, *, {', '.join(parameters)})")
        _ENTRIES[name] = Distortion(name, family, function, parameters, ramp, draw, border)
        return function

    return register


def distortions() -> dict[str, Distortion]:
    """Give all distortions by name, in the order of families and, within one, of definition."""
    return dict(_in_order())


@cache
def _in_order() -> Mapping[str, Distortion]:
    for family in FAMILIES:
        importlib.import_module(f"distortions.traditional.{family}")
    return dict(sorted(_ENTRIES.items(), key=lambda item: FAMILIES.index(item[1].family)))


def find(name: str) -> Distortion:
    """Give the distortion of a name, or raise DistortionError with the nearest names."""
    known = _in_order()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=2, cutoff=0.45)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(known)}"
    raise DistortionError(f"unknown distortion {name!r}; {hint}")
