"""Smooth random fields of displacement: B-splines over control points that move at random."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SPACING = 16  # pixels between control points, unless a recipe says otherwise


def displacement(shape: tuple[int, int], rng: np.random.Generator, *, degree: int, spacing: int = SPACING) -> Floats:
    """Moves along x and y of every pixel, within [-1, 1] and smooth: (2, H, W).

    Control points every `spacing` pixels have moves drawn evenly from [-1, 1]; between them, moves are B-splines
    of degree 1 (linear interpolation) or 3.
    """
    height, width = shape
    cells = [-(-length // spacing) for length in shape]
    points = 2 * rng.random((2, cells[0] + degree, cells[1] + degree), dtype=np.float32) - 1
    rows = _refined(points.swapaxes(1, 2), degree, spacing)[..., :height].swapaxes(1, 2)
    return _refined(rows, degree, spacing)[..., :width]  # last, so that pixels of a row lie side by side in memory


def _refined(points: Floats, degree: int, spacing: int) -> Floats:
    """Fill the last axis up from control points (..., cells + degree) to pixels (..., cells * spacing)."""
    cells = points.shape[-1] - degree
    reached = np.arange(cells)[:, None] + np.arange(degree + 1)
    return (points[..., reached].reshape(-1, degree + 1) @ _spline(degree, spacing)).reshape(*points.shape[:-1], -1)


@cache
def _spline(degree: int, spacing: int) -> Floats:
    """Weights, at each pixel of a cell, of the control points that reach into it: (degree + 1, spacing)."""
    first = 0 if degree == 1 else -1  # the first of them, in spacings from the start of the cell
    distance = np.abs(np.arange(spacing) / spacing - (np.arange(degree + 1) + first)[:, None])
    if degree == 1:
        return np.maximum(1 - distance, 0).astype(np.float32)
    near, far = 2 / 3 - distance**2 + distance**3 / 2, np.maximum(2 - distance, 0) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)
