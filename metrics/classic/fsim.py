"""FSIM and FSIMc: Zhang, Zhang, Mou and Zhang, IEEE TIP 2011, doi 10.1109/TIP.2011.2109730.

Similarity of gradients and of phase congruency (Kovesi, Videre 1999), weighted by phase congruency, since
people look where the phases of many frequencies agree; FSIMc adds the similarity of colours.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bapps_builder.images.compiled import compiled
from metrics.image_math.channels import YIQ, in_levels, shrunk
from metrics.image_math.gradients import SCHARR, gradient_magnitude, length
from metrics.image_math.similarity import NO_WEIGHT, real_power, safe_sqrt, similarity, weighted_mean
from metrics.image_math.tensors import check_unit_pair
from metrics.image_math.torch_threads import contrast, embedding
from metrics.metric import Metric
from metrics.registry import register_metric

Floats = NDArray[np.float64]

# Section II-A in the authors' settings: log-Gabor filters over scales and orientations.
_SCALES, _ORIENTATIONS = 4, 4
_SHORTEST_WAVE, _WAVE_RATIO = 6, 2
_SIGMA_ON_FREQUENCY, _SPACING_ON_SIGMA = 0.55, 1.2
_NOISE_SIGMAS, _EPSILON = 2.0, 1e-4
# The authors divide the noise threshold by this, found by trial for this measure of congruency.
_NOISE_RESCALING = 1.7
# Butterworth low-pass that rounds the corners of the spectrum.
_CUTOFF, _SHARPNESS = 0.45, 15
# Section III: T1 for phase congruency, T2 for gradients, T3 = T4 for I and Q, and the power of colour.
_T1, _T2, _T3, _LAMBDA = 0.85, 160.0, 200.0, 0.03
# One period of the longest wave.
_SMALLEST_SIDE = _SHORTEST_WAVE * _WAVE_RATIO ** (_SCALES - 1)


def fsim_similarity(a: Tensor, b: Tensor) -> Tensor:
    """Feature similarity of luminance per pair, eq. 3 to 6; differentiable and symmetric.

    Luminance of YIQ on 0 to 255. Images with a shorter side of 384 or more are first shrunk F times by
    means of FxF blocks, F = round(shorter side / 256). Phase congruency: 4 scales, 4 orientations,
    shortest wavelength 6, ratio 2, sigma on frequency .55, angular spacing 1.2 sigma, k = 2, epsilon 1e-4.
    Scharr gradients divided by 16. T1 = .85, T2 = 160.

    Parameters
    ----------
    a, b : float tensors of shape (N, 3, H, W)
        RGB in [0, 1], H and W at least 48. Computed in float64.

    Returns
    -------
    tensor of shape (N,), float64
        In (0, 1], 1 for equal images.

    Raises
    ------
    MetricError
        If the tensors are no such pair.
    """
    check_unit_pair("fsim", a, b, smallest_side=_SMALLEST_SIDE)
    return _indices(_features(a.double(), phase_congruency), _features(b.double(), phase_congruency))[:, 0]


def fsimc_similarity(a: Tensor, b: Tensor) -> Tensor:
    """Feature similarity with colour per pair, eq. 7 to 10; differentiable and symmetric.

    As `fsim_similarity`, times the similarity of I and of Q (T3 = T4 = 200) to the power lambda = .03. Where their
    product is negative, the real part of the power counts, as in the authors' code.

    Parameters
    ----------
    a, b : float tensors of shape (N, 3, H, W)
        RGB in [0, 1], H and W at least 48. Computed in float64.

    Returns
    -------
    tensor of shape (N,), float64
        At most 1, for equal images.

    Raises
    ------
    MetricError
        If the tensors are no such pair.
    """
    check_unit_pair("fsimc", a, b, smallest_side=_SMALLEST_SIDE)
    return _indices(_features(a.double(), phase_congruency), _features(b.double(), phase_congruency))[:, 1]


def fsim_distance(a: Tensor, b: Tensor) -> Tensor:
    """1 - `fsim_similarity`."""
    return 1 - fsim_similarity(a, b)


def fsimc_distance(a: Tensor, b: Tensor) -> Tensor:
    """1 - `fsimc_similarity`."""
    return 1 - fsimc_similarity(a, b)


class _Features(NamedTuple):
    """Of N images, shrunk: phase congruency and gradient magnitude (N, 1, h, w), I and Q (N, 2, h, w)."""

    congruency: Tensor
    gradient: Tensor
    colours: Tensor


def _features(images: Tensor, congruency_of: Callable[[Tensor], Tensor]) -> _Features:
    yiq = shrunk(in_levels(images, YIQ))
    luminance = yiq[:, :1]
    congruency = congruency_of(luminance[:, 0])[:, None]
    return _Features(congruency, gradient_magnitude(luminance, SCHARR), yiq[:, 1:])


def _indices(a: _Features, b: _Features) -> Tensor:
    """FSIM and FSIMc: (N, 2)."""
    local = similarity(a.congruency, b.congruency, _T1) * similarity(a.gradient, b.gradient, _T2)
    i, q = similarity(a.colours, b.colours, _T3).split(1, 1)
    both = torch.cat([local, local * real_power(i * q, _LAMBDA)], 1)
    return weighted_mean(both, torch.maximum(a.congruency, b.congruency))


def phase_congruency(planes: Tensor) -> Tensor:
    """How far the phases of all scales agree, in [0, 1], per position: (N, H, W) to the same shape."""
    filters, noise_gains = _log_gabor_filters(*planes.shape[1:], planes.dtype, planes.device)
    # The filters take the mean out; without it a flat plane is exactly 0, not rounding noise.
    spectrum = torch.fft.fft2(planes - planes.mean((1, 2), keepdim=True))[:, None]  # (N, 1, H, W)
    energies, amplitudes = torch.zeros_like(planes), torch.zeros_like(planes)
    for of_scale, noise_gain in zip(filters, noise_gains, strict=True):
        response = torch.fft.ifft2(spectrum * of_scale)  # (N, scale, H, W)
        even, odd = torch.view_as_real(response).movedim(-1, 0).contiguous()  # apart, which is faster from here on
        total_even, total_odd = even.sum(1, keepdim=True), odd.sum(1, keepdim=True)
        amplitude, strength = length(even, odd), length(total_even, total_odd)[:, 0]
        # The responses along their mean phase, less what lies across it; both times the strength of the total.
        across = torch.addcmul(odd * total_even, even, total_odd, value=-1).abs().sum(1)
        energy = (strength.square() - across) / (strength + _EPSILON)
        # Noise is judged from the finest scale, where most of the response is noise.
        noise = noise_gain * safe_sqrt(_median(amplitude[:, 0].flatten(1).square()))[:, None, None]
        energies = energies + (energy - noise).clamp_min(0)
        amplitudes = amplitudes + amplitude.sum(1)
    return energies / (amplitudes + NO_WEIGHT)


def fast_phase_congruency(planes: Tensor) -> Tensor:
    """`phase_congruency` of planes in float32 in half the time, where no gradient is wanted."""
    filters, noise_gains = _log_gabor_filters(*planes.shape[1:], planes.dtype, planes.device)
    spectrum = torch.fft.fft2(planes - planes.mean((1, 2), keepdim=True))[:, None]
    energies, amplitudes = torch.zeros_like(planes), torch.zeros_like(planes)
    for of_scale, noise_gain in zip(filters, noise_gains, strict=True):
        response = torch.view_as_real(torch.fft.ifft2(spectrum * of_scale)).flatten(2, 3)
        _add_orientation(response.numpy(), noise_gain, energies.flatten(1).numpy(), amplitudes.flatten(1).numpy())
    return energies / (amplitudes + NO_WEIGHT)


@compiled
def _add_orientation(
    response: NDArray[np.float32], noise_gain: float, energies: NDArray[np.float32], amplitudes: NDArray[np.float32]
) -> None:
    """The body of the loop of `phase_congruency`: responses (N, scale, M, 2) to sums (N, M), in place."""
    count, scales, size, _ = response.shape
    even, odd, amplitude, across = np.empty((4, size), np.float32)
    finest = np.empty(size, np.float32)
    for n in range(count):
        even[:], odd[:], amplitude[:], across[:] = 0, 0, 0, 0
        for s in range(scales):
            for i in range(size):
                p, q = response[n, s, i, 0], response[n, s, i, 1]
                even[i] += p
                odd[i] += q
                amplitude[i] += np.sqrt(p * p + q * q)
            if s == 0:
                finest[:] = amplitude
        for s in range(scales):
            for i in range(size):
                across[i] += abs(response[n, s, i, 1] * even[i] - response[n, s, i, 0] * odd[i])
        noise = np.float32(noise_gain * np.median(finest))
        for i in range(size):
            amplitudes[n, i] += amplitude[i]
            squared = even[i] * even[i] + odd[i] * odd[i]
            energy = (squared - across[i]) / (np.sqrt(squared) + np.float32(_EPSILON))
            energies[n, i] += max(energy - noise, np.float32(0))


def _median(rows: Tensor) -> Tensor:
    """Medians of rows (N, M): for even M the mean of the middle two, where torch takes the lower."""
    middle = rows.shape[1] // 2
    # NumPy finds the places several times faster than torch, the faster for one place only.
    places = np.argpartition(rows.detach().numpy(force=True), middle, axis=1)[:, : middle + 1]
    lower = rows.gather(1, torch.from_numpy(places).to(rows.device))
    return lower[:, -1] if rows.shape[1] % 2 else (lower[:, -1] + lower[:, :-1].amax(1)) / 2


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)  # what that mode makes could not serve a gradient later
def _log_gabor_filters(
    height: int, width: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Sequence[float]]:
    """Filters on the spectrum, and the noise threshold of an orientation on its median amplitude.

    Returns
    -------
    filters : complex tensor of shape (orientation, scale, height, width)
    noise_gains : a number for each orientation
    """
    v, u = np.meshgrid(_frequencies(height), _frequencies(width), indexing="ij")
    radius, angle = np.hypot(u, v), np.arctan2(-v, u)
    low_pass = 1 / (1 + (radius / _CUTOFF) ** (2 * _SHARPNESS))
    radius[0, 0] = 1  # log 0; the mean is taken out below

    waves = _SHORTEST_WAVE * float(_WAVE_RATIO) ** np.arange(_SCALES)
    spread = 2 * math.log(_SIGMA_ON_FREQUENCY) ** 2
    radial = np.exp(-(np.log(radius * waves[:, None, None]) ** 2) / spread) * low_pass
    radial[:, 0, 0] = 0

    directions = np.arange(_ORIENTATIONS)[:, None, None] * math.pi / _ORIENTATIONS
    turned = np.abs(np.angle(np.exp(1j * (angle - directions))))
    sigma = math.pi / _ORIENTATIONS / _SPACING_ON_SIGMA
    angular = np.exp(-(turned**2) / (2 * sigma**2))
    filters = angular[:, None] * radial

    # White noise of power p responds with energy p Σ(Σ f)², f the filters of an orientation in space. The
    # squared amplitude at the finest scale has mean p Σ F² and median ln 2 of that; its root is Rayleigh.
    in_space = np.fft.ifft2(filters).real.sum(1) * math.sqrt(height * width)
    tau = np.sqrt((in_space**2).sum((1, 2)) / (math.log(2) * (filters[:, 0] ** 2).sum((1, 2))))
    sigmas = math.sqrt(math.pi / 2) + _NOISE_SIGMAS * math.sqrt(2 - math.pi / 2)
    return torch.from_numpy(filters).to(device, dtype.to_complex()), (tau * sigmas / _NOISE_RESCALING).tolist()


def _frequencies(n: int) -> Floats:
    """Cycles per pixel in the order of an FFT; an odd n is spread to ±.5 as in the authors' code."""
    return np.fft.ifftshift(np.arange(n) - n // 2) / (n - n % 2)


# One object each, so that both metrics share the work. Features in float32 move no index by more than 1e-6.
_embed = embedding(partial(_features, congruency_of=fast_phase_congruency), dtype=torch.float32)
_contrast = contrast(_indices)
_SETTINGS = (
    "phase congruency of 4 scales and 4 orientations, Scharr gradients, T1 = .85, T2 = 160, range 255, "
    "images from 384 pixels shrunk to about 256"
)

FSIM = register_metric(
    Metric(
        concurrent=True,
        name="fsim",
        description=f"1 - FSIM of luminance, {_SETTINGS}",
        embed=_embed,
        contrast=_contrast,
        head=lambda indices: 1 - indices[:, 0],
        smallest_side=_SMALLEST_SIDE,
        make_loss=lambda: fsim_distance,
    )
)
FSIMC = register_metric(
    Metric(
        concurrent=True,
        name="fsimc",
        description=f"1 - FSIMc, {_SETTINGS}, I and Q with T3 = T4 = 200, lambda = .03",
        embed=_embed,
        contrast=_contrast,
        head=lambda indices: 1 - indices[:, 1],
        smallest_side=_SMALLEST_SIDE,
        make_loss=lambda: fsimc_distance,
    )
)
