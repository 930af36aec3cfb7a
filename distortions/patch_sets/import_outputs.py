"""Make a patch set from images that other programs made: superresolution, codecs, generative models.

Each item shows a place of a reference between the outputs of two algorithms. References and pairs of
algorithms come evenly, sides at random. As in `generate`, an item depends on the seed, its number and the
images alone.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from bapps_builder.errors import BappsError, PatchSetError
from bapps_builder.images.enlargement import PATCH_SIDE
from bapps_builder.images.photographs import MAX_PIXELS
from bapps_builder.layout import IMAGE_FOLDERS, check_set_names
from bapps_builder.patch_sets.manifest import Item, Made, Split, item_id
from bapps_builder.patch_sets.patch_set import Description, write_patch
from distortions.crops import cut, smallest_photo_side
from distortions.distortion import Patch
from distortions.patch_sets.generate import tool, versions
from distortions.patch_sets.outside_images import (
    Images,
    Look,
    Registration,
    decoded,
    fitted,
    look,
    pair_files,
    registrations,
)
from distortions.patch_sets.resumable import Part, start
from distortions.patch_sets.sampling import Place, check_numbers, draw_place, evenly, item_seed
from distortions.workers import Workers, settle_opencv

_UNIT = 256  # items of one reference that are made at a time


@dataclass(frozen=True)
class ImportSettings:
    """What the items of an imported patch set depend on, besides the images.

    Attributes
    ----------
    items : int
    set : str
        Name of the set.
    split : "train" or "val"
    seed : int
        From 0 up.
    scale : float or None
        Of outputs to their references; see `outside_images.fitted`.
    rescale : (low, high) or None
        All three images are scaled by a number drawn evenly from this range before they are cut, as far as a
        patch fits.
    """

    items: int
    set: str
    split: Split
    seed: int
    scale: float | None = 1.0
    rescale: tuple[float, float] | None = None


@dataclass(frozen=True)
class ImageUnit:
    """Some items that are to be made of one reference, each with the algorithms of p0 and p1."""

    images: Images
    reference_sha256: str
    indices: tuple[int, ...]
    sides: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """Unique, since an item occurs once."""
        return item_id(self.indices[0])


@dataclass(frozen=True)
class ImageWork:
    """What a worker does with a unit."""

    folder: Path
    settings: ImportSettings
    max_pixels: int

    def __call__(self, unit: ImageUnit) -> Part:
        """Decode the reference and the outputs that the unit shows, and cut all its items."""
        settle_opencv()
        reference, _ = decoded(unit.images.reference, max_pixels=self.max_pixels)
        images = {"": reference}
        for name in sorted({name for sides in unit.sides for name in sides}):
            path = unit.images.outputs[name]
            output, _ = decoded(path, max_pixels=self.max_pixels)
            images[name] = fitted(output, reference, scale=self.settings.scale, name=str(path))
        pairs = zip(unit.indices, unit.sides, strict=True)
        return Part([self._item(unit, images, index=index, sides=sides) for index, sides in pairs])

    def _item(self, unit: ImageUnit, images: Mapping[str, Patch], *, index: int, sides: tuple[str, str]) -> Item:
        seed = item_seed(self.settings.seed, index, 0)
        size = (PATCH_SIDE, PATCH_SIDE)
        place = draw_place(images[""], np.random.default_rng(seed), size=size, rescale=self.settings.rescale)
        digests = [
            self._write(role, index, images[name], place)
            for role, name in zip(("ref", "p0", "p1"), ("", *sides), strict=True)
        ]
        return Item(
            id=item_id(index),
            task="2afc",
            set=self.settings.set,
            split=self.settings.split,
            photo=unit.images.name,
            photo_sha256=unit.reference_sha256,
            box=(place.left, place.top, PATCH_SIDE, PATCH_SIDE),
            scale=place.scale,
            seed=seed,
            border="image",
            ref_sha256=digests[0],
            p0=Made(sides[0], 0, (), digests[1]),
            p1=Made(sides[1], 0, (), digests[2]),
        )

    def _write(self, role: str, index: int, image: Patch, place: Place) -> str:
        patch, _ = cut(image, left=place.left, top=place.top, scale=place.scale, margin=0)
        return write_patch(self.folder, role, item_id(index), patch)


def import_outputs(
    settings: ImportSettings,
    *,
    reference: Path,
    outputs: Mapping[str, Path],
    folder: Path,
    workers: Workers | None = None,
    max_pixels: int = MAX_PIXELS,
    advance: Callable[[int], None] = lambda steps: None,
) -> list[Registration]:
    """Make a 2AFC patch set from the outputs of algorithms, or finish one that was interrupted.

    Every image is looked at before anything is written, so a wrong one costs no work.

    Parameters
    ----------
    settings : ImportSettings
    reference : Path
        Folder of the originals.
    outputs : mapping of algorithm to Path
        At least two folders.
    folder : Path
        Of the patch set: new, empty, or one begun with the same settings and images.
    workers : Workers, optional
    max_pixels : int
        An image with more is refused.
    advance : callable
        Told how many more items are done.

    Returns
    -------
    The registration of each algorithm, in the order of `outputs`.

    Raises
    ------
    BappsError, OSError
        If a setting, an image or the folder is no good. What is done stays.
    """
    _check(settings, outputs)
    workers = workers or Workers()
    images = pair_files(reference, outputs)
    smallest = smallest_photo_side(settings.rescale[1] if settings.rescale else 1.0)
    glance = partial(_look_or_error, scale=settings.scale, smallest_side=smallest, max_pixels=max_pixels)
    looks = []
    with workers.mapped(glance, images) as results:
        for seen in results:
            if isinstance(seen, Exception):
                raise seen
            looks.append(seen)
    looks.sort(key=lambda seen: seen.images.name)
    found = registrations(looks)
    making = start(folder, _describe(settings, looks), roles=IMAGE_FOLDERS["2afc"])
    if making:
        work = ImageWork(folder, settings, max_pixels)
        with making.run(_units(looks, settings), work, workers) as outcomes:
            for outcome in outcomes:
                advance(len(outcome.unit.indices))
        making.finish(items=settings.items, findings={"registration": [asdict(entry) for entry in found]})
    return found


def _check(settings: ImportSettings, outputs: Mapping[str, Path]) -> None:
    if len(outputs) < 2:
        raise PatchSetError(f"a triplet needs the outputs of two algorithms, got {len(outputs)}")
    check_set_names([settings.set], "--set")
    check_numbers(items=settings.items, seed=settings.seed, rescale=settings.rescale)
    if settings.scale is not None and settings.scale <= 0:
        raise PatchSetError(f"scale must be above 0, got {settings.scale}")


def _look_or_error(
    images: Images, *, scale: float | None, smallest_side: int, max_pixels: int
) -> "Look | BappsError | OSError":
    settle_opencv()
    try:
        return look(images, scale=scale, smallest_side=smallest_side, max_pixels=max_pixels)
    except (BappsError, OSError) as error:
        return error


def _describe(settings: ImportSettings, looks: Sequence[Look]) -> Description:
    content: dict[str, Any] = asdict(settings)
    seed = content.pop("seed")
    lines = "".join(f"{seen.images.name}\0{name}\0{digest}\n" for seen in looks for name, digest in seen.sha256.items())
    content.update(
        patch_side=PATCH_SIDE,
        algorithms=list(looks[0].images.outputs),
        images=len(looks),
        images_sha256=hashlib.sha256(lines.encode()).hexdigest(),
    )
    return Description(tool=tool("import"), versions=versions(), seed=seed, settings=content, findings={})


def _units(looks: Sequence[Look], settings: ImportSettings) -> list[ImageUnit]:
    """Give each item a reference and two algorithms, both evenly, and cut the items of a reference into units."""
    pairs = list(combinations(looks[0].images.outputs, 2))
    of_images, of_pairs, of_sides = (
        np.random.default_rng(child) for child in np.random.SeedSequence(settings.seed, spawn_key=(1,)).spawn(3)
    )
    chosen = evenly(settings.items, len(looks), of_images)
    shown = [
        pairs[pair] if first else pairs[pair][::-1]
        for pair, first in zip(
            evenly(settings.items, len(pairs), of_pairs), of_sides.random(settings.items) < 0.5, strict=True
        )
    ]
    of_reference: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(chosen.tolist()):
        of_reference[number].append(index)
    units = []
    for number, indices in of_reference.items():
        seen = looks[number]
        for at in range(0, len(indices), _UNIT):
            some = tuple(indices[at : at + _UNIT])
            units.append(ImageUnit(seen.images, seen.sha256[""], some, tuple(shown[index] for index in some)))
    return units
