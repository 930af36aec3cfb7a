"""Noise: a field is added to the levels, and the sum rounded and clipped to 0..255.

Fields differ between the channels and are new for each patch; their strength is in the recipe and the rest
comes from rng. Names and family are of Zhang et al., CVPR 2018, Table 2; the strengths are this project's.
"""

import math
from functools import lru_cache
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from distortions.distortion import Parameter, Patch, Ramp, distortion

Field = NDArray[np.float32]  # (H, W, 3)

_NO_BORDER = "none: the field covers every pixel"
_SIGMA = Parameter(0, 255, "levels", "standard deviation of the field")


def uniform_field(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """White noise of shape (H, W, 3), even over (-1, 1)."""
    return (_words((*shape, 3), rng) - np.float32(32767.5)) * np.float32(1 / 32768)


def normal_field(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """White Gaussian noise of shape (H, W, 3), mean 0 and standard deviation 1."""
    return _normals((*shape, 3), rng)


def coloured_field(shape: tuple[int, int], rng: np.random.Generator, *, slope: float) -> Field:
    """Gaussian noise of shape (H, W, 3) whose power density goes as frequency ** slope.

    The density is that of the two-dimensional spectrum, as its mean over rings of equal frequency shows
    it. Normal coefficients are drawn where the spectrum is, times frequency ** (slope / 2) (Timmer and König,
    Astronomy and Astrophysics 300, 1995). The field is periodic, has mean 0 and expected variance 1.
    """
    height, width = shape
    amplitudes = _amplitudes(height, width, slope)
    spectra = _normals((3, *amplitudes.shape, 2), rng).view(np.complex64)[..., 0] * amplitudes
    # Two passes, each along memory, take half the time of irfft2.
    columns = np.fft.ifft(np.ascontiguousarray(spectra.swapaxes(1, 2)))
    planes = np.fft.irfft(np.ascontiguousarray(columns.swapaxes(1, 2)), width).astype(np.float32, copy=False)
    return np.asarray(cv2.merge(list(planes)), np.float32)


def _words(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.uint16]:
    """Random words, cut from those of 64 bits that the generator makes."""
    count = math.prod(shape)
    drawn = rng.integers(0, (1 << 64) - 1, -(-count // 4), dtype=np.uint64, endpoint=True)
    return drawn.astype("<u8", copy=False).view("<u2")[:count].reshape(shape)


def _normals(shape: tuple[int, ...], rng: np.random.Generator) -> Field:
    """Standard normals from 16 random bits each, some five times as fast as the generator's own."""
    return np.take(_quantiles(), _words(shape, rng), mode="clip")


@lru_cache(maxsize=1)
def _quantiles() -> Field:
    """The middles of 65,536 slices of equal probability under the normal curve, to ±4.3 sigma."""
    slices = 1 << 16
    return np.array([NormalDist().inv_cdf((i + 0.5) / slices) for i in range(slices)], np.float32)


def _amplitudes(height: int, width: int, slope: float) -> Field:
    """Factors on unit normals (real, imaginary) of a half spectrum (H, W // 2 + 1), for a field of variance 1."""
    log_frequency, multiplicity, gain = _half_spectrum(height, width)
    amplitudes = np.exp(np.float32(slope / 2) * log_frequency)
    # Parseval: irfft2 divides by H W, and a coefficient of two unit normals has power 2.
    power = 2 * float((multiplicity * amplitudes**2).sum(dtype=np.float64))
    return amplitudes * gain * np.float32(height * width / math.sqrt(power or 1))


@lru_cache(maxsize=16)
def _half_spectrum(height: int, width: int) -> tuple[Field, Field, Field]:
    """Of each coefficient: log frequency, how often it counts in the whole spectrum, and its gain."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = 1  # the mean, which the gain takes out
    # Coefficients in the first and, for even W, the last column mirror one another, so each counts once; an
    # inverse transform to real numbers keeps half of their power.
    own_mirror = [0, width // 2] if width % 2 == 0 else [0]
    multiplicity, gain = np.full(frequency.shape, 2.0), np.ones(frequency.shape)
    multiplicity[:, own_mirror], gain[:, own_mirror] = 1, math.sqrt(2)
    multiplicity[0, 0] = gain[0, 0] = 0
    return np.log(frequency).astype(np.float32), multiplicity.astype(np.float32), gain.astype(np.float32)


def _added(patch: Patch, field: Field, strength: float) -> Patch:
    return np.asarray(cv2.add(patch, field * np.float32(strength), dtype=cv2.CV_8U), np.uint8)


@distortion(
    ramp=Ramp(24.5, 0.88),
    draw=lambda strength, rng: {"amplitude": strength},
    border=_NO_BORDER,
    amplitude=Parameter(0, 255, "levels", "largest change"),
)
def uniform_white_noise(patch: Patch, rng: np.random.Generator, *, amplitude: float) -> Patch:
    """Add noise that is independent in every value and even between two bounds.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Gives the field.
    amplitude : float
        In [0, 255] levels; the field is even over ±amplitude: the strength.
    """
    return _added(patch, uniform_field(patch.shape[:2], rng), amplitude)


@distortion(
    ramp=Ramp(14.3, 0.88),
    draw=lambda strength, rng: {"sigma": strength},
    border=_NO_BORDER,
    sigma=_SIGMA,
)
def gaussian_white_noise(patch: Patch, rng: np.random.Generator, *, sigma: float) -> Patch:
    """Add Gaussian noise that is independent in every value.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Gives the field.
    sigma : float
        Standard deviation in [0, 255] levels: the strength.
    """
    return _added(patch, normal_field(patch.shape[:2], rng), sigma)


@distortion(
    ramp=Ramp(13, 0.88),
    draw=lambda strength, rng: {"sigma": strength},
    border=_NO_BORDER,
    sigma=_SIGMA,
)
def gaussian_pink_noise(patch: Patch, rng: np.random.Generator, *, sigma: float) -> Patch:
    """Add Gaussian noise whose power goes as 1 / frequency.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Gives the field.
    sigma : float
        Standard deviation in [0, 255] levels, over the whole image: the strength.
    """
    return _added(patch, coloured_field(patch.shape[:2], rng, slope=-1), sigma)


@distortion(
    ramp=Ramp(16, 0.9),
    draw=lambda strength, rng: {"sigma": strength},
    border=_NO_BORDER,
    sigma=_SIGMA,
)
def gaussian_blue_noise(patch: Patch, rng: np.random.Generator, *, sigma: float) -> Patch:
    """Add Gaussian noise whose power goes as frequency.

    Rounding and clipping to 0..255 add white noise, which flattens the spectrum on a real patch.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Gives the field.
    sigma : float
        Standard deviation in [0, 255] levels: the strength.
    """
    return _added(patch, coloured_field(patch.shape[:2], rng, slope=1), sigma)


def _draw_colored(strength: float, rng: np.random.Generator) -> dict[str, float]:
    slope = rng.uniform(-2, 2)
    # The finer noise is, the less of it is seen.
    return {"sigma": strength * 1.12**slope, "slope": slope}


@distortion(
    ramp=Ramp(14.2, 0.88),
    draw=_draw_colored,
    border=_NO_BORDER,
    sigma=_SIGMA,
    slope=Parameter(-2, 2, "", "exponent of power over frequency: -2 brown, 0 white, 2 violet"),
)
def gaussian_colored_noise(patch: Patch, rng: np.random.Generator, *, sigma: float, slope: float) -> Patch:
    """Add Gaussian noise whose power goes as any power of frequency from brown to violet.

    Rounding and clipping to 0..255 add white noise, which flattens blue and violet spectra on a real patch.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Gives the field.
    sigma : float
        Standard deviation in [0, 255] levels, over the whole image: the strength times 1.12^slope.
    slope : float
        In [-2, 2], drawn evenly: -2 brown, -1 pink, 0 white, 1 blue, 2 violet.
    """
    return _added(patch, coloured_field(patch.shape[:2], rng, slope=slope), sigma)


# How often a transposed convolution of kernel 3 and stride 2 writes to the pixels of a 2x2 cell: twice or
# once along each side.
_WRITES = np.outer([2, 1], [2, 1])
# Its deviation from the mean, scaled to a root mean square of 1.
_CELL = ((_WRITES - _WRITES.mean()) / _WRITES.std()).astype(np.float32)
_SPACING = 16  # pixels between the points where the strength of a checkerboard is drawn


@lru_cache(maxsize=16)
def _checkered(height: int, width: int, phase_x: int, phase_y: int) -> Field:
    cell = np.roll(_CELL, (phase_y, phase_x), (0, 1))
    return np.tile(cell, (height // 2 + 1, width // 2 + 1))[:height, :width, None]


@distortion(
    ramp=Ramp(15, 1.1),
    draw=lambda strength, rng: {
        "amplitude": strength,
        "phase_x": int(rng.integers(2)),
        "phase_y": int(rng.integers(2)),
    },
    border=_NO_BORDER,
    amplitude=Parameter(0, 255, "levels", "root mean square of the pattern where strength is average"),
    phase_x=Parameter(0, 1, "", "first column that is written twice", whole=True),
    phase_y=Parameter(0, 1, "", "first row that is written twice", whole=True),
)
def checkerboard(patch: Patch, rng: np.random.Generator, *, amplitude: float, phase_x: int, phase_y: int) -> Patch:
    """Add the 2x2 pattern that a transposed convolution leaves where its kernel overlaps unevenly.

    A kernel of 3 with stride 2 writes 4, 2, 2 and 1 times to the pixels of a 2x2 cell. The pattern is added,
    with a strength that differs between channels and from place to place, as that of a feature map would.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
        Gives the strength every 16 pixels, even between 0 and twice the amplitude; linear in between.
    amplitude : float
        In [0, 255] levels: the strength.
    phase_x, phase_y : int
        Where in the cell the pattern starts, 0 or 1 pixels, drawn evenly.

    References
    ----------
    Odena, Dumoulin and Olah, Deconvolution and checkerboard artifacts, Distill 2016, doi 10.23915/distill.00003.
    """
    height, width = patch.shape[:2]
    points = rng.random((height // _SPACING + 2, width // _SPACING + 2, 3), dtype=np.float32)
    strength = cv2.resize(points, (width, height), interpolation=cv2.INTER_LINEAR)
    pattern = _checkered(height, width, phase_x, phase_y)
    return _added(patch, pattern * np.asarray(strength, np.float32), 2 * amplitude)
