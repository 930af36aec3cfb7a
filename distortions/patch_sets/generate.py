"""Make a patch set from photos: crops at random places, distorted by random recipes.

An item depends on the seed, its number and the list of photos alone, so any number of workers, in any order,
with any interruptions, gives the same files.
"""

import importlib.metadata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL

from bapps_builder.errors import ImageError, PatchSetError
from bapps_builder.images.enlargement import PATCH_SIDE
from bapps_builder.images.photographs import MAX_PIXELS, RAW_SUFFIXES
from bapps_builder.layout import IMAGE_FOLDERS, check_set_names
from bapps_builder.patch_sets.manifest import Border, Item, Made, item_id
from bapps_builder.patch_sets.patch_set import Description, write_patch
from distortions.cnn.zoo import STARTER, Zoo, open_zoo
from distortions.crops import cut, smallest_photo_side, without_margin
from distortions.distortion import MARGIN, Patch
from distortions.patch_sets.chosen import Outside, chosen, sources_of, try_out
from distortions.patch_sets.resumable import Part, UnfinishedSet, start
from distortions.patch_sets.sampling import (
    Place,
    Settings,
    Treatment,
    apply_treatments,
    check_numbers,
    draw_place_with_contrast,
    draw_treatments,
    evenly,
    item_seed,
    recipe_names,
    with_other_strengths,
)
from distortions.photos import (
    MAX_SKIPPED_SHARE,
    Collection,
    Photo,
    Skipped,
    check_skipped,
    list_photos,
    reason_of,
)
from distortions.recipes import IDENTITY
from distortions.workers import Workers, settle_opencv

# Items of one photo that are one unit of work: what an interruption costs at most, for each worker. Large photos
# take longer to decode, so more is made of them at a time.
_UNIT = 256
_PIXELS_AN_ITEM = 4000
# Items that are all drawn, then all distorted, then all written. Each code and its tables stay in the processor's
# caches meanwhile, which takes a quarter off the time.
TOGETHER = 64
# The same where networks take part, whose batches are filled up the better the more there are.
_TOGETHER_IN_NETWORKS = 256
# What severities mean, in patchset.json: sets without it have the first scale, that of lpips-alex alone. Strengths of
# two scales must not end up in one set.
SEVERITY_SCALE = 2
# Photos that are tried for an item, if the first are damaged or too flat.
_ATTEMPTS = 20
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
        zoo = open_zoo(self.zoo) if self.zoo else None
        together = _TOGETHER_IN_NETWORKS if zoo else TOGETHER
        made: list[Item] = []
        redrawn: Counter[str] = Counter()
        for at in range(0, len(unit.indices), together):
            some = unit.indices[at : at + together]
            drawings = [drawn_items(unit, pixels, index=index, settings=self.settings, zoo=zoo) for index in some]
            made += make_items(self.folder, unit, drawings, settings=self.settings, zoo=zoo, redrawn=redrawn)
        return Part(made, redrawn=redrawn)


def generate(
    settings: Settings,
    *,
    photos: Sequence[Path],
    folder: Path,
    workers: Workers | None = None,
    zoo: Path | None = None,
    max_pixels: int = MAX_PIXELS,
    max_skipped_share: float = MAX_SKIPPED_SHARE,
    advance: Callable[[int], None] = lambda steps: None,
    skip: Callable[[Skipped], None] = lambda skipped: None,
) -> bool:
    """Make a patch set, or finish one that was interrupted.

    Parameters
    ----------
    settings : Settings
    photos : sequence of Path
        Folders of photos; those within count too.
    folder : Path
        Of the patch set: new, empty, or one begun with the same settings and photos.
    workers : Workers, optional
    zoo : Path, optional
        Folder of the trained variants that the families cnn and mix draw from; by default the starter zoo.
    max_pixels : int
        Photos with more are skipped.
    max_skipped_share : float
        Of all photos, how many may be skipped as damaged, too small or too large; see `photos.check_skipped`.
    advance : callable
        Told how many more items are done.
    skip : callable
        Told of each photo that is skipped.

    Returns
    -------
    False if the patch set was complete already, else True.

    Raises
    ------
    BappsError, OSError
        If a setting, the photos or the folder are no good. What is done stays.
    """
    check_numbers(items=settings.items, seed=settings.seed, rescale=settings.rescale)
    check_set_names([settings.set_name], "--set")
    settings = replace(settings, distortions=chosen(settings.distortions))
    trained = open_zoo(zoo or STARTER) if settings.family != "traditional" else None
    recipe_names(settings, trained)  # there are enough
    try_out(settings.distortions)
    outside = Outside(sources_of(settings.distortions))
    workers = replace(workers or Workers(), fresh=bool(outside.sources))
    collection = list_photos(
        photos,
        smallest_side=smallest_photo_side(settings.rescale[1] if settings.rescale else 1.0),
        max_pixels=max_pixels,
        max_skipped_share=max_skipped_share,
        threads=workers.count,
    )
    making = start(folder, describe(settings, collection, trained, outside), roles=IMAGE_FOLDERS[settings.task])
    if making is None:
        return False
    for skipped in collection.skipped:
        skip(skipped)
    work = PhotoWork(folder, settings, max_pixels, outside, trained.folder if trained else None)
    damaged, redrawn = _make_all(making, work, collection, workers, max_skipped_share, advance, skip)
    skipped = sorted([*collection.skipped, *damaged], key=lambda entry: entry.photo)
    making.finish(
        items=settings.items,
        findings={
            "folders": [str(path) for path in photos],
            "skipped": [asdict(entry) for entry in skipped],
            "redrawn": redrawn,
            **({"zoo": str(trained.folder)} if trained and zoo else {}),
            **outside.findings,
        },
    )
    return True


def describe(settings: Settings, collection: Collection, zoo: Zoo | None, outside: Outside) -> Description:
    """What `patchset.json` will say, without findings."""
    # What was left to the family is not mentioned, so that sets begun before there was a choice can be finished.
    content: dict[str, Any] = {
        name: value for name, value in asdict(settings).items() if value or name not in ("distortions", "set")
    }
    seed = content.pop("seed")
    content.update(
        patch_side=PATCH_SIDE,
        margin=MARGIN,
        severity_scale=SEVERITY_SCALE,
        photos=len(collection.photos),
        photos_sha256=collection.digest,
    )
    content.update(outside.settings)
    deciding = versions()
    if any(photo.path.suffix.lower() in RAW_SUFFIXES for photo in collection.photos):
        deciding["rawpy"] = importlib.metadata.version("rawpy")
    if zoo:
        content["zoo_sha256"] = zoo.digest
        deciding["torch"] = importlib.metadata.version("torch")
    return Description(tool=tool("generate"), versions=deciding, seed=seed, settings=content, findings={})


def tool(command: str) -> str:
    """Name a command with its version."""
    return f"bapps-distort {command} {importlib.metadata.version('bapps')}"


def versions() -> dict[str, str]:
    """Versions of the libraries that decide on pixels, and on the bytes they are kept in."""
    installed = {"zlib-ng": importlib.metadata.version("zlib-ng")}
    return {"numpy": np.__version__, "opencv": cv2.__version__, "pillow": PIL.__version__, **installed}


def _make_all(
    making: UnfinishedSet,
    work: PhotoWork,
    collection: Collection,
    workers: Workers,
    max_skipped_share: float,
    advance: Callable[[int], None],
    skip: Callable[[Skipped], None],
) -> tuple[list[Skipped], dict[str, int]]:
    """Make every item; those whose photo proved useless from another one.

    Gives the damaged photos, and of how many items the strength, the place or the photo was drawn again.
    """
    photos, waiting = list(collection.photos), np.arange(work.settings.items)
    damaged: dict[Photo, Skipped] = {}
    redrawn: Counter[str] = Counter(strength=0, place=0, photo=0)
    for attempt in range(_ATTEMPTS):
        missing: list[int] = []
        with making.run(units(photos, waiting, work.settings.seed, attempt), work, workers) as outcomes:
            for outcome in outcomes:
                missing += outcome.missing
                redrawn.update(outcome.redrawn)
                advance(len(outcome.unit.indices) - len(outcome.missing))
                photo = outcome.unit.photo
                if outcome.skipped and photo not in damaged:
                    damaged[photo] = Skipped(photo.name, outcome.skipped)
                    skip(damaged[photo])
                    check_skipped(
                        [*collection.skipped, *damaged.values()], total=len(collection), max_share=max_skipped_share
                    )
        if not missing:
            return list(damaged.values()), dict(redrawn)
        photos = [photo for photo in photos if photo not in damaged]
        waiting = np.sort(missing)
    least = work.settings.min_contrast
    raise PatchSetError(
        f"{len(waiting)} items found no patch with a contrast of {least:g} in {_ATTEMPTS} photos; "
        "lower --min-contrast, and choose a new folder"
        if least
        else f"{len(waiting)} items found no patch that its distortions change in {_ATTEMPTS} photos; the photos are "
        "flat: leave them out, and choose a new folder"
    )


def units(photos: Sequence[Photo], indices: Iterable[int], seed: int, attempt: int) -> list[PhotoUnit]:
    """Give each item a photo, evenly in random order, and cut the items of a photo into units of work."""
    indices = list(map(int, indices))
    chosen = evenly(
        len(indices), len(photos), np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, attempt)))
    )
    of_photo: dict[int, list[int]] = defaultdict(list)
    for index, number in zip(indices, chosen.tolist(), strict=True):
        of_photo[number].append(index)
    found = []
    for number, some in of_photo.items():
        photo = photos[number]
        size = max(_UNIT, photo.width * photo.height // _PIXELS_AN_ITEM)
        found += [PhotoUnit(photo, attempt, tuple(some[at : at + size])) for at in range(0, len(some), size)]
    return found


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
        crop, border = cut(photo, left=place.left, top=place.top, scale=place.scale)
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
    made: dict[int, Item] = {}
    waiting = dict(enumerate(drawings))
    identical: set[int] = set()
    while waiting:
        drawn = {number: one for number, drawing in waiting.items() if (one := next(drawing, None))}
        redrawn["photo"] += len(identical - drawn.keys())
        todo = [(one.crop, treatment) for one in drawn.values() for treatment in one.treatments]
        distorted = iter(apply_treatments([t for _, t in todo], [crop for crop, _ in todo], zoo=zoo))
        identical = set()
        for number, one in drawn.items():
            patches = [without_margin(one.crop), *(next(distorted) for _ in one.treatments)]
            if all_differ(patches):
                made[number] = _write_item(folder, unit, one, patches, settings)
                redrawn.update([one.redrawn] if one.redrawn else [])
            else:
                identical.add(number)
        waiting = {number: drawings[number] for number in sorted(identical)}
    return [made[number] for number in sorted(made)]


def all_differ(patches: Sequence[Patch]) -> bool:
    """Whether no two patches of one shape have the same pixels."""
    return not any(np.array_equal(a, b) for a, b in combinations(patches, 2))


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
        box=(drawn.place.left, drawn.place.top, PATCH_SIDE, PATCH_SIDE),
        scale=drawn.place.scale,
        seed=drawn.seed,
        border=drawn.border,
        ref_sha256=None if is_jnd else original,
        p0=Made(IDENTITY, 0, (), original) if is_jnd else distorted[0],
        p1=distorted[-1],
    )
