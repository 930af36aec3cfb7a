"""Make the items of one photo: draw each, distort its crops, and write its patches.

draw place, recipes and strengths -> distort -> do all patches differ? else draw again -> write
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from bapps_builder.errors import ImageError
from bapps_builder.layout import IMAGE_FOLDERS
from bapps_builder.patch_sets.manifest import Border, Item, Made, item_id
from bapps_builder.patch_sets.patch_set import write_patch
from distortions.cnn.zoo import Zoo, open_zoo
from distortions.crops import cut, without_margin
from distortions.distortion import Patch
from distortions.patch_sets.chosen import Outside
from distortions.patch_sets.resumable import Part
from distortions.patch_sets.sampling import (
    Place,
    Settings,
    Treatment,
    apply_treatments,
    draw_place_with_contrast,
    draw_treatments,
    item_seed,
    with_other_strengths,
)
from distortions.photos import Photo, reason_of
from distortions.recipes import IDENTITY
from distortions.workers import settle_opencv

# Items of 64x64, and fewer of larger ones, that are all drawn, then all distorted, then all written. Each code and its
# tables stay in the processor's caches meanwhile, which takes a quarter off the time.
TOGETHER = 64
# The same where networks take part, whose batches are filled up the better the more there are.
_TOGETHER_IN_NETWORKS = 256
# Where two patches of an item come out pixel for pixel the same, strengths are drawn anew this often, then the place,
# with as many strengths, this often, then the item goes to another photo.
_STRENGTHS, _PLACES = 10, 10


@dataclass(frozen=True)
class PhotoUnit:
    """Some items that are to be made from one photo."""

    photo: Photo
    attempt: int
    indices: tuple[int, ...]

    @property
    def name(self) -> str:
        """Unique, since an item occurs once in each attempt."""
        return f"{self.attempt}-{item_id(self.indices[0])}"


@dataclass(frozen=True)
class PhotoWork:
    """What a worker does with a unit."""

    folder: Path
    settings: Settings
    max_pixels: int
    outside: Outside
    zoo: Path | None = None

    def __call__(self, unit: PhotoUnit) -> Part:
        """Decode the photo once and make all items of the unit from it."""
        settle_opencv()
        self.outside.check()
        try:
            pixels = unit.photo.read(max_pixels=self.max_pixels)
        except ImageError as error:
            return Part((), skipped=reason_of(error, str(unit.photo.path)))
        (height, width), (least_width, least_height) = pixels.shape[:2], self.settings.smallest_photo
        if width < least_width or height < least_height:  # upright, which its header does not tell
            reason = f"is {width}x{height}, but a patch needs at least {least_width}x{least_height} pixels"
            return Part((), skipped=reason)
        zoo = open_zoo(self.zoo) if self.zoo else None
        together = self.settings.size.share_of(_TOGETHER_IN_NETWORKS if zoo else TOGETHER)
        results: list[Item] = []
        redrawn: Counter[str] = Counter()
        for at in range(0, len(unit.indices), together):
            some = unit.indices[at : at + together]
            drawings = [drawn_items(unit, pixels, index=index, settings=self.settings, zoo=zoo) for index in some]
            results += make_items(self.folder, unit, drawings, settings=self.settings, zoo=zoo, redrawn=redrawn)
        return Part(results, redrawn=redrawn)


@dataclass(frozen=True)
class Drawn:
    """What chance decided for one item, and the crop with its margin that it decided for.

    `redrawn` says what was drawn again in this photo: "strength", "place" or, the first time, nothing.
    """

    index: int
    seed: int
    place: Place
    crop: Patch
    border: Border
    treatments: tuple[Treatment, ...]
    redrawn: str = ""


def drawn_items(
    unit: PhotoUnit, photo: Patch, *, index: int, settings: Settings, zoo: Zoo | None = None
) -> Iterator[Drawn]:
    """Draw one item, and what to take in its place if two of its patches come out the same.

    First the strengths of its distortions are drawn again, then its place, both some times. It ends where the
    photo has no place for it.

    Parameters
    ----------
    unit : PhotoUnit
    photo : uint8 array of shape (H, W, 3)
        The unit's.
    index : int
        Of the item.
    settings : Settings
    zoo : Zoo, optional
        For families with networks.
    """
    seed = item_seed(settings.seed, index, unit.attempt)
    rng = np.random.default_rng(seed)
    treatments: tuple[Treatment, ...] = ()
    for place_number in range(1 + _PLACES):
        place = draw_place_with_contrast(photo, rng, settings)
        if place is None:
            return
        crop, border = cut(
            photo,
            left=place.left,
            top=place.top,
            size=settings.size.sides,
            scale=place.scale,
            margin=settings.size.margin,
        )
        for strength_number in range(1 + _STRENGTHS):
            if treatments:
                treatments = with_other_strengths(treatments, rng, settings)
            else:
                treatments = draw_treatments(settings, rng, zoo=zoo)
            redrawn = "place" if place_number else "strength" if strength_number else ""
            yield Drawn(index, seed, place, crop, border, treatments, redrawn)


def make_items(
    folder: Path,
    unit: PhotoUnit,
    drawings: Sequence[Iterator[Drawn]],
    *,
    settings: Settings,
    zoo: Zoo | None = None,
    redrawn: Counter[str] | None = None,
) -> list[Item]:
    """Distort items, write their patches to a folder, and give their rows.

    An item of which two patches are pixel for pixel the same is drawn again, as long as its drawing goes on, and
    left out if it ends: what is drawn to look different must be different. `redrawn` counts the items whose
    strength or place was drawn again, and those that need another photo.
    """
    redrawn = Counter() if redrawn is None else redrawn
    margin = settings.size.margin
    results: dict[int, Item] = {}
    waiting = dict(enumerate(drawings))
    identical: set[int] = set()
    while waiting:
        drawn = {number: one for number, drawing in waiting.items() if (one := next(drawing, None))}
        redrawn["photo"] += len(identical - drawn.keys())
        todo = [(one.crop, treatment) for one in drawn.values() for treatment in one.treatments]
        distorted = iter(apply_treatments([t for _, t in todo], [crop for crop, _ in todo], margin=margin, zoo=zoo))
        identical = set()
        for number, one in drawn.items():
            patches = [without_margin(one.crop, margin), *(next(distorted) for _ in one.treatments)]
            if all_differ(patches):
                results[number] = _write_item(folder, unit, one, patches, settings)
                redrawn.update([one.redrawn] if one.redrawn else [])
            else:
                identical.add(number)
        waiting = {number: drawings[number] for number in sorted(identical)}
    return [results[number] for number in sorted(results)]


def all_differ(patches: Sequence[Patch]) -> bool:
    """Whether no two patches of one shape have the same pixels."""
    pixels = [patch.tobytes() for patch in patches]  # compared twenty times faster than arrays
    return not any(a == b for a, b in combinations(pixels, 2))


def _write_item(folder: Path, unit: PhotoUnit, drawn: Drawn, patches: Sequence[Patch], settings: Settings) -> Item:
    """Write the patches of an item, its original first."""
    name, is_jnd = item_id(drawn.index), settings.task == "jnd"
    roles = IMAGE_FOLDERS[settings.task]
    original, *digests = (write_patch(folder, role, name, patch) for role, patch in zip(roles, patches, strict=True))
    distorted = [
        Made(str(t.recipe), t.seed, t.severity, digest, t.recipe.family)
        for t, digest in zip(drawn.treatments, digests, strict=True)
    ]
    return Item(
        id=name,
        task=settings.task,
        set=settings.set_name,
        split=settings.split,
        photo=unit.photo.name,
        photo_sha256=unit.photo.sha256,
        box=(drawn.place.left, drawn.place.top, *settings.size.sides),
        scale=drawn.place.scale,
        seed=drawn.seed,
        border=drawn.border,
        ref_sha256=None if is_jnd else original,
        p0=Made(IDENTITY, 0, (), original) if is_jnd else distorted[0],
        p1=distorted[-1],
    )
