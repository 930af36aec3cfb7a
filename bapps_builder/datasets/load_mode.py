"""What becomes of an image file when it is read for a metric.

A BAPPS file is not a patch: it is a patch of 64x64 (a few: 63x63) enlarged to 256x256 (252x252).

auto        official for sets whose files are such enlargements, native for all others. Pixels decide, not
            names or sizes: people's own images of 256x256 are no enlargements, and stay as they are.
official    Pillow's BILINEAR resize to 64x64 and nothing else. All published scores are on these
            slightly blurred patches. A 64x64 file stays as it is.
exact       The enlargement undone, accepted only if enlarging again gives the file bit for bit.
native      The file as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bapps_builder.errors import ImageError
from bapps_builder.images.enlargement import PATCH_SIDE, blurred, patch_of, shrink, undo_enlargement
from bapps_builder.images.image_files import read_image

LoadMode = Literal["auto", "official", "exact", "native"]
LOAD_MODES: tuple[LoadMode, ...] = ("auto", "official", "exact", "native")

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class LoadChoice:
    """How the files of one set are read.

    Attributes
    ----------
    mode : "official", "exact" or "native"
    why : str
        For auto, what the files looked at are; else "".
    warning : str
        What is wrong with official on these files; "" if nothing is.
    checked : bool
        Whether a file that is no enlargement is refused, because official was chosen for a set of enlargements.
    """

    mode: LoadMode
    why: str = ""
    warning: str = ""
    checked: bool = False

    @property
    def in_words(self) -> str:
        """The mode, with the reason for it and against it."""
        return (
            self.mode
            + (f", since {self.why}" if self.why else "")
            + (f", though {self.warning}" if self.warning else "")
        )


def choose_load(mode: LoadMode, files: Sequence[Path]) -> LoadChoice:
    """Choose how a set is read, from a sample of its image files.

    Images of one colour are enlargements of anything, so they say nothing; nor does a patch of 64x64, which
    is the same in every mode. A file that cannot be read says nothing here; whoever reads the set meets it.
    """
    if mode in ("exact", "native"):
        return LoadChoice(mode)
    enlarged, others = [], []
    for path in files:
        try:
            image = read_image(path)
        except ImageError:
            continue
        if image.shape[:2] == (PATCH_SIDE, PATCH_SIDE) or bool((image == image[0, 0]).all()):
            continue
        (enlarged if _is_enlarged(image) else others).append((path, image))
    if mode == "official":
        return LoadChoice("official", warning=_warning(others, len(files)))
    if others:
        path, image = others[0]
        size = f"{image.shape[1]}x{image.shape[0]}"
        return LoadChoice("native", f"its files are no enlarged patches of BAPPS, such as {path.name}, {size}")
    if enlarged:
        return LoadChoice("official", "its files are enlarged patches, as BAPPS's are", checked=True)
    return LoadChoice("native", f"its files are patches of {PATCH_SIDE}x{PATCH_SIDE} or of one colour")


def load_image(path: Path, choice: LoadChoice) -> Pixels:
    """Read a file as chosen, uint8 (H, W, 3).

    Raises
    ------
    ImageError
        If it cannot be read, or the mode does not fit it.
    """
    return as_chosen(read_image(path), path, choice)


def as_chosen(image: Pixels, path: Path, choice: LoadChoice) -> Pixels:
    """Give an image that was read from `path` as chosen; see `load_image`."""
    if choice.mode == "native":
        return image
    if choice.mode == "exact":
        return undo_enlargement(image, name=str(path))
    height, width = image.shape[:2]
    if height != width:
        raise ImageError(f"{path}: is {width}x{height}; the load mode official takes square patches, use native")
    if not choice.checked or height == PATCH_SIDE:
        return shrink(image)
    patch = patch_of(image)
    if patch is None:
        raise ImageError(
            f"{path}: is not an enlarged patch, though the set's other files are; say --load official to shrink all "
            "files to 64x64, or --load native to take all as they are"
        )
    return blurred(patch)


def _is_enlarged(image: Pixels) -> bool:
    return image.shape[0] == image.shape[1] and patch_of(image) is not None


def _warning(others: Sequence[tuple[Path, Pixels]], count: int) -> str:
    if not others:
        return ""
    path, image = others[0]
    return (
        f"{len(others)} of {count} files looked at are no enlarged patches of BAPPS, such as {path}, "
        f"{image.shape[1]}x{image.shape[0]}; official shrinks them to {PATCH_SIDE}x{PATCH_SIDE}, which no published "
        "score does to such files; --load auto or native takes them as they are"
    )
