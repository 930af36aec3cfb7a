"""Make a patch set from images that other programs made: superresolution, codecs, generative models.

Each item shows a place of a reference, or all of it, between the outputs of two algorithms, or for JND beside that of
one. As in `generate`, an item depends on the seed, its number and the images alone.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bapps_builder.errors import BappsError, PatchSetError
from bapps_builder.images.enlargement import PATCH_SIDE
from bapps_builder.images.photographs import MAX_PIXELS
from bapps_builder.layout import IMAGE_FOLDERS, Task, check_set_names
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
from distortions.patch_sets.sampling import Place, check_numbers, draw_place, item_seed
from distortions.patch_sets.shown_algorithms import Pairs, Shown, choices, item_count, shown_in_items
from distortions.recipes import IDENTITY
from distortions.sizes import PatchSize
from distortions.workers import Workers, settle_opencv

_UNIT = 256  # items of one reference that are made at a time


@dataclass(frozen=True)
class ImportSettings:
    """What the items of an imported patch set depend on, besides the images.

    Attributes
    ----------
    items : int or None
        None for every choice of algorithms beside every image, where images are shown whole.
    set : str
        Name of the set.
    split : "train" or "val"
    seed : int
        From 0 up.
    scale : float or None
        Of outputs to their references; see `outside_images.fitted`.
    rescale : (low, high) or None
        All images are scaled by a number drawn evenly from this range before they are cut, as far as a patch fits.
    size : (width, height) or None
        Of the crops; None shows images whole.
    task : "2afc" or "jnd"
        JND items are a reference and the output of one algorithm.
    pairs : "even" or "all"
        Whether every item has a place of its own and algorithms come evenly, or every place comes with all of them.
    """

    items: int | None
    set: str
    split: Split
    seed: int
    scale: float | None = 1.0
    rescale: tuple[float, float] | None = None
    size: tuple[int, int] | None = (PATCH_SIDE, PATCH_SIDE)
    task: Task = "2afc"
    pairs: Pairs = "even"


@dataclass(frozen=True)
class ImageUnit:
    """Some items that are to be made of one reference, each with what it shows."""

    images: Images
    reference_sha256: str
    indices: tuple[int, ...]
    shown: tuple[Shown, ...]

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
        for name in sorted({name for shown in unit.shown for name in shown.sides}):
            path = unit.images.outputs[name]
            output, _ = decoded(path, max_pixels=self.max_pixels)
            images[name] = fitted(output, reference, scale=self.settings.scale, name=str(path))
        todo = zip(unit.indices, unit.shown, strict=True)
        return Part([self._item(unit, images, index=index, shown=shown) for index, shown in todo])

    def _item(self, unit: ImageUnit, images: Mapping[str, Patch], *, index: int, shown: Shown) -> Item:
        task, reference = self.settings.task, images[""]
        seed = item_seed(self.settings.seed, shown.place, 0)
        height, width = reference.shape[:2]
        size: tuple[int, int] = self.settings.size or (width, height)
        place = draw_place(reference, np.random.default_rng(seed), size=size, rescale=self.settings.rescale)
        original, *digests = [
            self._write(role, index, images[name], place, size)
            for role, name in zip(IMAGE_FOLDERS[task], ("", *shown.sides), strict=True)
        ]
        sides = [Made(name, 0, (), digest) for name, digest in zip(shown.sides, digests, strict=True)]
        return Item(
            id=item_id(index),
            task=task,
            set=self.settings.set,
            split=self.settings.split,
            photo=unit.images.name,
            photo_sha256=unit.reference_sha256,
            box=(place.left, place.top, *size),
            scale=place.scale,
            seed=seed,
            border="image",
            ref_sha256=original if task == "2afc" else None,
            p0=sides[0] if task == "2afc" else Made(IDENTITY, 0, (), original),
            p1=sides[-1],
        )

    def _write(self, role: str, index: int, image: Patch, place: Place, size: tuple[int, int]) -> str:
        patch, _ = cut(image, left=place.left, top=place.top, size=size, scale=place.scale, margin=0)
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
    """Make a patch set from the outputs of algorithms, or finish one that was interrupted.

    Every image is looked at before anything is written, so a wrong one costs no work.

    Parameters
    ----------
    settings : ImportSettings
    reference : Path
        Folder of the originals.
    outputs : mapping of algorithm to Path
        At least two folders, for JND one.
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
    items = item_count(
        settings.items,
        pairs=settings.pairs,
        whole=settings.size is None,
        references=len(images),
        choices=len(choices(settings.task, list(outputs))),
    )
    check_numbers(items=items, seed=settings.seed, rescale=settings.rescale)
    settings = replace(settings, items=items)
    largest = settings.rescale[1] if settings.rescale else 1.0
    width, height = (smallest_photo_side(largest, side) for side in settings.size or (1, 1))
    glance = partial(_look_or_error, scale=settings.scale, smallest=(width, height), max_pixels=max_pixels)
    looks = []
    with workers.mapped(glance, images) as results:
        for seen in results:
            if isinstance(seen, Exception):
                raise seen
            looks.append(seen)
    looks.sort(key=lambda seen: seen.images.name)
    shifts = registrations(looks)
    making = start(folder, _describe(settings, looks), roles=IMAGE_FOLDERS[settings.task])
    if making:
        work = ImageWork(folder, settings, max_pixels)
        with making.run(_units(looks, settings, items), work, workers) as outcomes:
            for outcome in outcomes:
                advance(len(outcome.unit.indices))
        making.finish(items=items, findings={"registration": [asdict(entry) for entry in shifts]})
    return shifts


def _check(settings: ImportSettings, outputs: Mapping[str, Path]) -> None:
    if len(outputs) < (2 if settings.task == "2afc" else 1):
        raise PatchSetError(f"a triplet needs the outputs of two algorithms, got {len(outputs)}")
    check_set_names([settings.set], "--set")
    if settings.size:
        PatchSize(*settings.size)  # is one
    elif settings.rescale:
        raise PatchSetError("whole images are shown as they are; rescale needs a size to cut")
    if settings.scale is not None and settings.scale <= 0:
        raise PatchSetError(f"scale must be above 0, got {settings.scale}")


def _look_or_error(
    images: Images, *, scale: float | None, smallest: tuple[int, int], max_pixels: int
) -> "Look | BappsError | OSError":
    settle_opencv()
    try:
        return look(images, scale=scale, smallest=smallest, max_pixels=max_pixels)
    except (BappsError, OSError) as error:
        return error


def _describe(settings: ImportSettings, looks: Sequence[Look]) -> Description:
    # 2AFC, pairs that come evenly and 64x64 are not mentioned, so that sets begun before there was a choice can be
    # finished.
    usual = {"task": "2afc", "pairs": "even"}
    content: dict[str, Any] = {
        name: value for name, value in asdict(settings).items() if name != "size" and value != usual.get(name, ...)
    }
    seed = content.pop("seed")
    lines = "".join(f"{seen.images.name}\0{name}\0{digest}\n" for seen in looks for name, digest in seen.sha256.items())
    content.update(
        _size_record(settings.size),
        algorithms=list(looks[0].images.outputs),
        images=len(looks),
        images_sha256=hashlib.sha256(lines.encode()).hexdigest(),
    )
    return Description(tool=tool("import"), versions=versions(), seed=seed, settings=content, findings={})


def _size_record(size: tuple[int, int] | None) -> dict[str, Any]:
    if size == (PATCH_SIDE, PATCH_SIDE):
        return {"patch_side": PATCH_SIDE}
    return {"patch_size": list(size) if size else "full"}


def _units(looks: Sequence[Look], settings: ImportSettings, items: int) -> list[ImageUnit]:
    """Give each item what it shows, and cut the items of a reference into units."""
    shown = shown_in_items(
        items,
        task=settings.task,
        pairs=settings.pairs,
        whole=settings.size is None,
        references=len(looks),
        algorithms=list(looks[0].images.outputs),
        seed=settings.seed,
    )
    of_reference: dict[int, list[int]] = defaultdict(list)
    for index, one in enumerate(shown):
        of_reference[one.reference].append(index)
    units = []
    for number, indices in of_reference.items():
        seen = looks[number]
        for at in range(0, len(indices), _UNIT):
            some = tuple(indices[at : at + _UNIT])
            units.append(ImageUnit(seen.images, seen.sha256[""], some, tuple(shown[index] for index in some)))
    return units
