"""Make a patch set from photos: crops at random places, distorted by random recipes.

    list photos -> give each item a photo -> make the items of each photo (photo_items.py), in many processes

An item depends on the seed, its number and the list of photos alone, so any number of workers, in any order,
with any interruptions, gives the same files.
"""

import importlib.metadata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL

from bapps_builder.errors import PatchSetError
from bapps_builder.images.photographs import MAX_PIXELS, RAW_SUFFIXES
from bapps_builder.layout import IMAGE_FOLDERS, check_set_names
from bapps_builder.patch_sets.patch_set import Description, PatchSet, read_patch_set
from distortions.cnn.zoo import STARTER, Zoo, open_zoo
from distortions.patch_sets.chosen import Outside, chosen, sources_of, try_out
from distortions.patch_sets.photo_items import PhotoUnit, PhotoWork
from distortions.patch_sets.resumable import UnfinishedSet, start
from distortions.patch_sets.sampling import (
    TASK_LAWS,
    Settings,
    check_numbers,
    evenly,
    recipe_names,
)
from distortions.photos import (
    MAX_SKIPPED_SHARE,
    Collection,
    Photo,
    Skipped,
    check_skipped,
    list_photos,
)
from distortions.workers import Workers

# Items of one photo that are one unit of work, of 64x64, and fewer of larger ones: what an interruption costs at most,
# for each worker. Large photos take longer to decode, so more is made of them at a time.
_UNIT = 256
_PIXELS_AN_ITEM = 4000
# What severities mean, in patchset.json: sets without it have the first scale, that of lpips-alex alone. Strengths of
# two scales must not end up in one set.
SEVERITY_SCALE = 2
# Photos that are tried for an item, if the first are damaged or too flat.
_ATTEMPTS = 20


@dataclass(frozen=True)
class Generated:
    """A patch set that is made.

    Attributes
    ----------
    patch_set : PatchSet
    new : bool
        False if it was complete before, so that nothing was left to do.
    skipped : tuple of Skipped
        Photos that could not be used, in the order in which that was found.
    """

    patch_set: PatchSet
    new: bool
    skipped: tuple[Skipped, ...]


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
) -> Generated:
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

    Raises
    ------
    BappsError, OSError
        If a setting, the photos or the folder are no good. What is done stays.
    """
    check_numbers(items=settings.items, seed=settings.seed, rescale=settings.rescale)
    check_set_names([settings.set_name], "--set")
    law = settings.severity_law or TASK_LAWS[settings.task]
    settings = replace(settings, distortions=chosen(settings.distortions), severity_law=law)
    trained = open_zoo(zoo or STARTER) if settings.family != "traditional" else None
    recipe_names(settings, trained)  # there are enough
    try_out(settings.distortions)
    outside = Outside(sources_of(settings.distortions))
    workers = replace(workers or Workers(), fresh=bool(outside.sources))
    collection = list_photos(
        photos,
        smallest_side=min(settings.smallest_photo),
        max_pixels=max_pixels,
        max_skipped_share=max_skipped_share,
        threads=workers.count,
    )
    making = start(folder, describe(settings, collection, trained, outside), roles=IMAGE_FOLDERS[settings.task])
    if making is None:
        return Generated(read_patch_set(folder), new=False, skipped=())
    for skipped in collection.skipped:
        skip(skipped)
    work = PhotoWork(folder, settings, max_pixels, outside, trained.folder if trained else None)
    damaged, redrawn = _make_all(making, work, collection, workers, max_skipped_share, advance, skip)
    all_skipped = (*collection.skipped, *damaged)
    making.finish(
        items=settings.items,
        findings={
            "folders": [str(path) for path in photos],
            "skipped": [asdict(entry) for entry in sorted(all_skipped, key=lambda entry: entry.photo)],
            "redrawn": redrawn,
            **({"zoo": str(trained.folder)} if trained and zoo else {}),
            **outside.findings,
        },
    )
    return Generated(read_patch_set(folder), new=True, skipped=all_skipped)


def describe(settings: Settings, collection: Collection, zoo: Zoo | None, outside: Outside) -> Description:
    """What `patchset.json` will say, without findings."""
    # What was left to the family, and 64x64, is not mentioned, so that sets begun before there was a choice can be
    # finished.
    content: dict[str, Any] = {
        name: value
        for name, value in asdict(settings).items()
        if name != "size" and (value or name not in ("distortions", "set"))
    }
    seed = content.pop("seed")
    content.update(
        settings.size.record,
        margin=settings.size.margin,
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
        with making.run(units(photos, waiting, work.settings, attempt), work, workers) as outcomes:
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


def units(photos: Sequence[Photo], indices: Iterable[int], settings: Settings, attempt: int) -> list[PhotoUnit]:
    """Give each item a photo, evenly in random order, and cut the items of a photo into units of work."""
    indices = list(map(int, indices))
    chosen = evenly(
        len(indices), len(photos), np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=(1, attempt)))
    )
    of_photo: dict[int, list[int]] = defaultdict(list)
    for index, number in zip(indices, chosen.tolist(), strict=True):
        of_photo[number].append(index)
    parts = []
    for number, some in of_photo.items():
        photo = photos[number]
        size = settings.size.share_of(max(_UNIT, photo.width * photo.height // _PIXELS_AN_ITEM))
        parts += [PhotoUnit(photo, attempt, tuple(some[at : at + size])) for at in range(0, len(some), size)]
    return parts
