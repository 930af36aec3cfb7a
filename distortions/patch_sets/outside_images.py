"""Images that other programs made of references: pairing, sizes, and how well they lie over each other.

A reference and the outputs of all algorithms are files of one name but for the suffix, such as
originals/boat.png and mine/boat.jpg.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bapps_builder.answers.item_ids import padding_said, spellings
from bapps_builder.errors import ImageError
from bapps_builder.files.by_stem import files_by_stem, unpaired
from bapps_builder.files.file_names import say_passed_over
from bapps_builder.images.photographs import MAX_PIXELS, PHOTO_SUFFIXES, decode_photo
from distortions.distortion import Patch
from distortions.photos import file_digest

Luma = NDArray[np.float32]  # (H, W)

# From here on an output is said to be misregistered, in pixels.
HALF_A_PIXEL = 0.5
_HIGHEST_FREQUENCY = 0.2  # cycles a pixel, below which resampling and compression leave the phase alone
_REFINEMENTS = 2  # the peak may be a pixel off
_WINDOW = 512  # pixels of the middle of an image that are looked at for its registration


@dataclass(frozen=True)
class Images:
    """A reference and the outputs of all algorithms for it, by algorithm."""

    name: str
    reference: Path
    outputs: Mapping[str, Path]


@dataclass(frozen=True)
class Look:
    """What a first look at the images of one reference gives.

    Attributes
    ----------
    images : Images
    sha256 : mapping
        Hash of each file: of the outputs by algorithm, of the reference under "".
    shifts : mapping of algorithm to float
        Length of the shift to the reference, in pixels.
    """

    images: Images
    sha256: Mapping[str, str]
    shifts: Mapping[str, float]


@dataclass(frozen=True)
class Registration:
    """How far an algorithm's outputs lie beside their references.

    Attributes
    ----------
    algorithm : str
    median : float
        Of the lengths of the shifts, in pixels.
    share : float
        Of the images that are shifted by more than half a pixel.
    """

    algorithm: str
    median: float
    share: float


def pair_files(reference: Path, outputs: Mapping[str, Path]) -> list[Images]:
    """Pair the files of folders by their paths within them, without suffixes; sorted.

    Raises
    ------
    ImageError
        If a folder is missing or empty, two files share a name, or one has no partner in another folder.
    """
    references = _by_name(reference)
    folders = {algorithm: _by_name(folder) for algorithm, folder in outputs.items()}
    changed = spellings([references, *folders.values()])
    references = _padded(references, changed, str(reference))
    folders = {algorithm: _padded(files, changed, str(outputs[algorithm])) for algorithm, files in folders.items()}
    for algorithm, files in folders.items():
        alone = unpaired({"reference": references, "output": files})
        if missing := alone["output"]:
            raise ImageError(
                f"{outputs[algorithm]}: no output of {algorithm} for {missing[0]} ({len(missing)} of {len(references)} "
                f"missing); the files there are named like {next(iter(files))}. Each reference needs an output of the "
                "same name; the suffix may differ"
            )
        if extra := alone["reference"]:
            raise ImageError(
                f"{files[extra[0]]}: no reference {extra[0]} in {reference}; remove it or add the reference"
            )
    return [
        Images(
            name=path.relative_to(reference).as_posix(),
            reference=path,
            outputs={algorithm: files[stem] for algorithm, files in folders.items()},
        )
        for stem, path in sorted(references.items())
    ]


def look(images: Images, *, scale: float | None, smallest: tuple[int, int], max_pixels: int = MAX_PIXELS) -> Look:
    """Decode a reference and its outputs, check their sizes, and measure how they lie; see `fitted` for `scale`.

    `smallest` is the width and the height that a reference must have.

    Raises
    ------
    ImageError
        If a file is no image, an output is not of the size it should have, or the reference is too small.
    """
    reference, digest = decoded(images.reference, max_pixels=max_pixels)
    height, width = reference.shape[:2]
    if width < smallest[0] or height < smallest[1]:
        raise ImageError(
            f"{images.reference}: is {_size(reference)}, but a patch needs at least {smallest[0]}x{smallest[1]} "
            "pixels; use a larger reference or a smaller --size"
        )
    digests, shifts = {"": digest}, {}
    for algorithm, path in images.outputs.items():
        output, digests[algorithm] = decoded(path, max_pixels=max_pixels)
        shifts[algorithm] = shift(reference, fitted(output, reference, scale=scale, name=str(path)))
    return Look(images, digests, shifts)


def decoded(path: Path, *, max_pixels: int) -> tuple[Patch, str]:
    """Pixels of an image file, uint8 (H, W, 3), and the hash of the file."""
    data = path.read_bytes()
    return decode_photo(data, name=str(path), max_pixels=max_pixels), file_digest(data)


def fitted(output: Patch, reference: Patch, *, scale: float | None, name: str) -> Patch:
    """Resize an output to the size of its reference with Pillow's bicubic filter.

    Parameters
    ----------
    output, reference : uint8 arrays of shape (H, W, 3)
    scale : float or None
        The factor that takes the output's size to the reference's, to a pixel. 1 takes outputs as they are and
        needs equal sizes. None takes any factor that is the same for width and height, to a pixel.
    name : str
        What an error calls the output.

    Raises
    ------
    ImageError
        If the sizes do not fit.
    """
    height, width = reference.shape[:2]
    if output.shape == reference.shape:
        return output
    factor = scale if scale is not None else width / output.shape[1]
    off = max(abs(width - output.shape[1] * factor), abs(height - output.shape[0] * factor))
    if scale == 1 or off > max(1, factor):
        hint = "its proportions differ" if scale is None else "name the factor with --scale, or say --scale auto"
        raise ImageError(f"{name}: is {_size(output)}, its reference {_size(reference)}; {hint}")
    return np.array(Image.fromarray(output).resize((width, height), Image.Resampling.BICUBIC))


def shift(reference: Patch, output: Patch) -> float:
    """Length of the shift between the middles of two images of one size, in pixels, by phase correlation of luma.

    The peak of the correlation gives whole pixels. What is left is the slope of the phase over the lower
    frequencies, by least squares weighted with their power (Stone, Orchard, Chang and Martucci, IEEE Transactions
    on Geoscience and Remote Sensing 39, 2001).
    """
    height, width = (min(side, _WINDOW) for side in reference.shape[:2])
    top, left = ((whole - part) // 2 for whole, part in zip(reference.shape[:2], (height, width), strict=True))
    a, b = (
        cv2.cvtColor(image[top : top + height, left : left + width], cv2.COLOR_RGB2GRAY).astype(np.float32)
        for image in (reference, output)
    )
    (dx, dy), _ = cv2.phaseCorrelate(a.copy(), b.copy(), _window(a))  # it may multiply the window into its input
    for _ in range(_REFINEMENTS):
        x, y = round(dx), round(dy)
        if max(abs(x), abs(y)) > min(height, width) // 2:
            break  # hardly anything is left to compare
        rest_x, rest_y = _phase_slope(
            a[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)],
            b[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)],
        )
        dx, dy = x + rest_x, y + rest_y
    return float(np.hypot(dx, dy))


def _phase_slope(a: Luma, b: Luma) -> tuple[float, float]:
    """The shift (x, y) from a to b, below about a pixel, of planes of one size."""
    window = _window(a)
    spectra = [np.fft.rfft2((plane - plane.mean()) * window) for plane in (a, b)]
    cross = spectra[0].conj() * spectra[1]
    v, u = np.fft.fftfreq(a.shape[0])[:, None], np.fft.rfftfreq(a.shape[1])[None]
    low = np.hypot(u, v) < _HIGHEST_FREQUENCY
    slopes = -2 * np.pi * np.stack(np.broadcast_arrays(u, v))[:, low]  # (2, frequencies)
    weights, phases = np.abs(cross[low]), np.angle(cross[low])
    x, y = np.linalg.lstsq((slopes * weights) @ slopes.T, (slopes * weights) @ phases, rcond=None)[0]
    return float(x), float(y)


def _window(plane: Luma) -> Luma:
    return np.asarray(cv2.createHanningWindow(plane.shape[::-1], cv2.CV_32F), np.float32)


def registrations(looks: Sequence[Look]) -> list[Registration]:
    """Sum up the shifts of each algorithm."""
    rows = []
    for algorithm in looks[0].shifts:
        shifts = np.array([seen.shifts[algorithm] for seen in looks])
        median, share = float(np.median(shifts)), float(np.mean(shifts > HALF_A_PIXEL))
        rows.append(Registration(algorithm, round(median, 3), round(share, 4)))
    return rows


def _by_name(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise ImageError(f"{folder}: no such folder of images")
    files = files_by_stem(folder, PHOTO_SUFFIXES, deep=True)
    for name in files.second:
        raise ImageError(f"{folder}: two files are called {PurePosixPath(name).with_suffix('')}; keep one")
    if not files.suffixes:
        raise ImageError(f"{folder}: no images in it")
    say_passed_over(folder, files.foreign)
    return files.paths()


def _padded(files: Mapping[str, Path], spelled: Mapping[str, str], name: str) -> dict[str, Path]:
    """Name files as other folders name theirs, which may have kept zeros that these lost."""
    if changed := {stem: spelled[stem] for stem in files if stem in spelled}:
        warnings.warn(padding_said(name, changed, len(changed)), stacklevel=2)
    return {spelled.get(stem, stem): path for stem, path in files.items()}


def _size(image: Patch) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
