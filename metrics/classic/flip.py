"""FLIP: Andersson, Nilsson, Akenine-Möller, Oskarsson, Åström and Fairchild, HPG 2020, doi 10.1145/3406183.

The difference a viewer sees when flipping between two images at one place: colours as the eye blurs them,
compared in Lab with the Hunt effect, raised where edges or points differ. Computed by the authors' own
package, flip-evaluator (BSD 3-clause; `pip install "bapps[flip]"`), so this file only adapts it. The
settings that change a number:

form        LDR-FLIP, sRGB input
viewing     67.02 pixels per degree, the authors' default: a 0.7 m wide 3840-pixel screen seen from 0.7 m
pooled      mean of the error map, taken in float64; the map itself is float32

It is symmetric, has no gradient, and takes any size, since edges are repeated beyond the border; the blur
reaches 10 pixels, so patches much smaller than 64 are mostly border. Large images are not shrunk first.
"""

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bapps_builder.errors import MetricError
from metrics.metric import Images, Metric, Setup
from metrics.registry import Entry, register

PIXELS_PER_DEGREE = 3840 / 0.7 * 0.7 * math.pi / 180
_SUMMARY = f"FLIP (LDR) at {PIXELS_PER_DEGREE:.0f} pixels per degree, mean of the error map"


def _to_unit(images: Images) -> NDArray[np.float32]:
    """uint8 to float32 in [0, 1], which is what the package takes."""
    return np.divide(images, 255, dtype=np.float32, order="C")


def _maps_with(evaluate: Callable[..., tuple[Any, ...]]) -> Callable[..., NDArray[np.float64]]:
    def maps(reference: NDArray[np.float32], test: NDArray[np.float32]) -> NDArray[np.float64]:
        """Error maps (N, H, W), in [0, 1]; the package takes one pair at a time."""
        result = np.empty(reference.shape[:3])
        for row, (a, b) in enumerate(zip(reference, test, strict=True)):
            error, _, _ = evaluate(
                a, b, "LDR", applyMagma=False, computeMeanError=False, parameters={"ppd": PIXELS_PER_DEGREE}
            )
            result[row] = error[..., 0]
        return result

    return maps


def _mean(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    return maps.mean((1, 2))


def _make(variant: str, setup: Setup) -> Metric:
    try:
        package = importlib.import_module("flip_evaluator")
    except ImportError as error:
        raise MetricError(
            f'metric flip needs the package flip-evaluator ({error}): pip install "bapps[flip]"'
        ) from error
    maps = _maps_with(package.evaluate)
    return Metric(
        name="flip",
        description=f"{_SUMMARY}, by flip-evaluator",
        embed=_to_unit,
        contrast=maps,
        head=_mean,
        spatial=lambda a, b: maps(_to_unit(a), _to_unit(b)),
    )


register(Entry(name="flip", summary=_SUMMARY, make=_make))
