"""Spatial distortions: pixels move, sampled by bilinear interpolation.

The margin of real image that `generate` keeps lets content move in from outside of the patch: at severity 1
nothing in a 64x64 patch comes from further than MARGIN pixels. Names and family are of Zhang et al.,
CVPR 2018, Table 2; the parametrisations and strengths are this project's.
"""

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from distortions.distortion import REFLECTED, Parameter, Patch, Ramp, distortion
from distortions.traditional.displacement import SPACING, Floats, displacement

_MOVE_X = Parameter(-1000, 1000, "pixels", "to the right")
_MOVE_Y = Parameter(-1000, 1000, "pixels", "down")


def _any_direction(length: float, rng: np.random.Generator) -> dict[str, float]:
    angle = 2 * math.pi * rng.random()
    return {"dx": length * math.cos(angle), "dy": length * math.sin(angle)}


def _sampled(image: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Take each pixel (x, y) from where a matrix (2, 3) or (3, 3) maps it in the image."""
    warp = cv2.warpAffine if len(matrix) == 2 else cv2.warpPerspective
    height, width = image.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    output = warp(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(output, np.uint8)


def _moved(image: NDArray[np.uint8], dx: float, dy: float) -> NDArray[np.uint8]:
    return _sampled(image, np.array([[1, 0, -dx], [0, 1, -dy]]))


@distortion(ramp=Ramp(1.9, 1.1), draw=_any_direction, border=REFLECTED, dx=_MOVE_X, dy=_MOVE_Y)
def shift(patch: Patch, rng: np.random.Generator, *, dx: float, dy: float) -> Patch:
    """Move everything by one amount.

    Distance grows with severity in the mean over crops, but not on each: half a pixel also blurs, which a whole one
    does not, and where a texture repeats a longer move may look nearer. By lpips-alex, which sees the blur more than
    the move, it does not grow in the mean either between half a pixel and a whole one.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Not used.
    dx, dy : float
        To the right and down, in [-1000, 1000] pixels. The direction is drawn; the length is the strength.
    """
    return _moved(patch, dx, dy)


def _draw_affine(strength: float, rng: np.random.Generator) -> dict[str, float]:
    direction = rng.standard_normal(4).tolist()
    scale = strength / math.hypot(*direction)
    return {name: scale * value for name, value in zip(("xx", "xy", "yx", "yy"), direction, strict=True)}


@distortion(
    ramp=Ramp(0.135, 1.2),
    draw=_draw_affine,
    border=REFLECTED,
    xx=Parameter(-0.5, 0.5, "pixels per pixel", "change of the x looked up, along x"),
    xy=Parameter(-0.5, 0.5, "pixels per pixel", "change of the x looked up, along y"),
    yx=Parameter(-0.5, 0.5, "pixels per pixel", "change of the y looked up, along x"),
    yy=Parameter(-0.5, 0.5, "pixels per pixel", "change of the y looked up, along y"),
)
def affine_warp(patch: Patch, rng: np.random.Generator, *, xx: float, xy: float, yx: float, yy: float) -> Patch:
    """Turn, stretch and shear about the centre.

    The pixel at (x, y) from the centre is looked up at (x + xx x + xy y, y + yx x + yy y).

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Not used.
    xx, xy, yx, yy : float
        In [-.5, .5]. The direction of the four is drawn, even over the sphere; its length is the
        strength, so that no corner of a 64x64 patch moves by more than 45 times that in pixels.
    """
    height, width = patch.shape[:2]
    x, y = (width - 1) / 2, (height - 1) / 2  # the centre, which stays
    return _sampled(patch, np.array([[1 + xx, xy, -xx * x - xy * y], [yx, 1 + yy, -yx * x - yy * y]]))


_CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)


def _draw_homography(strength: float, rng: np.random.Generator) -> dict[str, float]:
    drawn = {}
    for corner, turn in enumerate(rng.random(4).tolist()):
        angle = 2 * math.pi * turn
        drawn[f"x{corner}"], drawn[f"y{corner}"] = strength * math.cos(angle), strength * math.sin(angle)
    return drawn


@distortion(
    ramp=Ramp(0.034, 1.2),
    draw=_draw_homography,
    border=REFLECTED,
    x0=Parameter(-0.2, 0.2, "widths", "where the upper left corner is looked up, from itself"),
    y0=Parameter(-0.2, 0.2, "heights", "the same, down"),
    x1=Parameter(-0.2, 0.2, "widths", "the upper right corner"),
    y1=Parameter(-0.2, 0.2, "heights", "the same, down"),
    x2=Parameter(-0.2, 0.2, "widths", "the lower right corner"),
    y2=Parameter(-0.2, 0.2, "heights", "the same, down"),
    x3=Parameter(-0.2, 0.2, "widths", "the lower left corner"),
    y3=Parameter(-0.2, 0.2, "heights", "the same, down"),
)
def homography(
    patch: Patch,
    rng: np.random.Generator,
    *,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    x3: float,
    y3: float,
) -> Patch:
    """Show the image as a plane seen from elsewhere: its four corners move, each on its own.

    As with `shift`, distance grows with severity in the mean over crops, but not on each.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Not used.
    x0, y0, ..., x3, y3 : float
        From where the corner lies to where it is looked up, clockwise from the upper left one, in
        [-.2, .2] widths and heights of the image. A direction is drawn for each corner; the length
        is the strength, and 96 times that in pixels of a 64x64 patch with its margin.

    References
    ----------
    DeTone, Malisiewicz and Rabinovich, Deep image homography estimation, 2016, arXiv 1606.03798, section II:
    a homography by the moves of four corners.
    """
    height, width = patch.shape[:2]
    size = np.array([width, height], np.float32)
    moves = np.array([[x0, y0], [x1, y1], [x2, y2], [x3, y3]], np.float32)
    matrix = cv2.getPerspectiveTransform(_CORNERS * size, (_CORNERS + moves) * size)
    return _sampled(patch, np.asarray(matrix, np.float64))


@lru_cache(maxsize=16)
def _pixel_grid(height: int, width: int) -> tuple[Floats, Floats]:
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x, y


# Moves are counted so, which is in pixels where points are 16 pixels apart: a field of another spacing is the same
# field, magnified.
_OF_SPACING = "16ths of the spacing"
_BETWEEN = Parameter(1, 1024, "pixels", "between control points", whole=True)


def _warped(patch: Patch, amplitude: float, spacing: int, field: Floats) -> Patch:
    moves = np.float32(amplitude * (spacing / SPACING)) * field
    x, y = _pixel_grid(*patch.shape[:2])
    output = cv2.remap(patch, x + moves[0], y + moves[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(output, np.uint8)


@distortion(
    ramp=Ramp(3.9, 1.2),
    draw=lambda strength, rng: {"amplitude": strength},
    border=REFLECTED,
    amplitude=Parameter(0, 4, _OF_SPACING, "largest move of a control point along x and along y"),
    spacing=_BETWEEN,
)
def linear_warp(patch: Patch, rng: np.random.Generator, *, amplitude: float, spacing: int = SPACING) -> Patch:
    """Move the points of a coarse grid at random, and all between them by linear interpolation.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Gives the moves of control points, even over ±amplitude along x and y.
    amplitude : float
        In [0, 4] sixteenths of the spacing, by default pixels: the strength. Below 4, a quarter of the spacing, no
        point is shown twice: in the worst case moves of neighbours differ by half of it along x and along y.
    spacing : int
        Pixels between control points, in [1, 1024].
    """
    return _warped(patch, amplitude, spacing, displacement(patch.shape[:2], rng, degree=1, spacing=spacing))


@distortion(
    ramp=Ramp(5.3, 1.2),
    draw=lambda strength, rng: {"amplitude": strength},
    border=REFLECTED,
    amplitude=Parameter(0, 16, _OF_SPACING, "largest move of a control point along x and along y"),
    spacing=_BETWEEN,
)
def cubic_warp(patch: Patch, rng: np.random.Generator, *, amplitude: float, spacing: int = SPACING) -> Patch:
    """Move the points of a coarse grid at random, and all between them by cubic splines.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Gives the moves of control points, even over ±amplitude along x and y.
    amplitude : float
        In [0, 16] sixteenths of the spacing, by default pixels: the strength. Splines smooth: pixels move by a third
        of it as a rule.
    spacing : int
        Pixels between control points, in [1, 1024].

    References
    ----------
    Rueckert et al., Nonrigid registration using free-form deformations, IEEE TMI 1999, doi 10.1109/42.796284:
    cubic B-splines on a grid of control points.
    """
    return _warped(patch, amplitude, spacing, displacement(patch.shape[:2], rng, degree=3, spacing=spacing))


@distortion(
    ramp=Ramp(0.55, 0.85),
    draw=lambda strength, rng: {"opacity": strength, **_any_direction(rng.uniform(8, 15), rng)},
    border=REFLECTED,
    opacity=Parameter(0, 1, "", "weight of the moved copy; the image keeps the rest"),
    dx=_MOVE_X,
    dy=_MOVE_Y,
)
def ghosting(patch: Patch, rng: np.random.Generator, *, opacity: float, dx: float, dy: float) -> Patch:
    """Blend the image with a moved copy of itself.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Not used.
    opacity : float
        In [0, 1]: the strength.
    dx, dy : float
        Of the copy, to the right and down, in [-1000, 1000] pixels. Drawn in any direction at a distance even
        over 8 to 15 pixels, whatever the severity.
    """
    return np.asarray(cv2.addWeighted(patch, 1 - opacity, _moved(patch, dx, dy), opacity, 0), np.uint8)


@distortion(ramp=Ramp(4, 1.15), draw=_any_direction, border=REFLECTED, dx=_MOVE_X, dy=_MOVE_Y)
def chromatic_aberration(patch: Patch, rng: np.random.Generator, *, dx: float, dy: float) -> Patch:
    """Move red one way and blue the other, as a lens does away from its axis.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Not used.
    dx, dy : float
        Of red, to the right and down, in [-1000, 1000] pixels; blue moves by as much the other way and green
        stays. The direction is drawn; the length is the strength.
    """
    red, green, blue = (np.asarray(channel, np.uint8) for channel in cv2.split(patch))
    return np.asarray(cv2.merge([_moved(red, dx, dy), green, _moved(blue, -dx, -dy)]), np.uint8)
