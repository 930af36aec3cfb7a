"""Make patches of a patch set again, from its manifest and the photos, and compare their pixels."""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from bapps_builder.errors import PatchSetError
from bapps_builder.images.image_files import encode_png
from bapps_builder.images.photographs import MAX_PIXELS
from bapps_builder.patch_sets.manifest import Item, Made
from bapps_builder.patch_sets.patch_set import PatchSet, patch_path, pixel_digest
from distortions.cnn.zoo import STARTER, Zoo, open_zoo
from distortions.crops import cut, without_margin
from distortions.distortion import Patch
from distortions.patch_sets.chosen import check_again
from distortions.patch_sets.sampling import Treatment
from distortions.photos import Photo
from distortions.recipes import parse
from distortions.workers import settle_opencv

_ROWS = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class Replayed:
    """One patch made again: its item, role, file, and whether its pixels are those of the manifest."""

    item: Item
    role: str
    path: Path
    same: bool


def parse_rows(text: str, *, count: int) -> list[int]:
    """Read row numbers such as "3,17-20", from 0 below `count`, or raise PatchSetError."""
    rows: list[int] = []
    for part in text.split(","):
        match = _ROWS.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last < count:
            raise PatchSetError(f"rows are written like 3,17-20, from 0 to {count - 1}; got {part.strip()!r}")
        rows += range(first, last + 1)
    return sorted(set(rows))


def replay(
    patch_set: PatchSet,
    rows: Sequence[int],
    *,
    photos: Sequence[Path] = (),
    zoo: Path | None = None,
    folder: Path,
    max_pixels: int = MAX_PIXELS,
    advance: Callable[[int], None] = lambda steps: None,
    warn: Callable[[str], None] = warnings.warn,
) -> list[Replayed]:
    """Make the patches of some rows again, and write them to ref/, p0/ and p1/ of a folder.

    Parameters
    ----------
    patch_set : PatchSet
    rows : sequence of int
        Each once.
    photos : sequence of Path
        Folders that hold the photos; by default those that `generate` was given.
    zoo : Path, optional
        Where the set's networks are, by default where they were; it must be the same zoo.
    folder : Path
        Made if missing; files in it are replaced.
    max_pixels : int
    advance : callable
        Told how many more rows are done.
    warn : callable
        Told of a distortion from outside whose source is not what it was.

    Raises
    ------
    BappsError
        If a photo or a distortion from outside is missing, a photo is another, or the set was not generated here.
    """
    settle_opencv()
    settings = patch_set.description.settings
    margin = settings.get("margin")
    if not isinstance(margin, int) or margin < 1:
        raise PatchSetError(
            f"{patch_set.folder}: made by {patch_set.description.tool} with a margin of {margin}; only sets that "
            "`bapps-distort generate` made, which say their margin, can be made again"
        )
    check_again(patch_set, warn=warn)
    trained = _zoo(patch_set, zoo)
    folders = photos or [Path(name) for name in patch_set.description.findings["folders"]]
    for role in patch_set.roles:
        (folder / role).mkdir(parents=True, exist_ok=True)
    replayed = []
    pixels, decoded = None, ""
    for item in sorted((patch_set[row] for row in rows), key=attrgetter("photo_sha256", "id")):
        if pixels is None or decoded != item.photo_sha256:
            pixels, decoded = _find(item, folders).read(max_pixels=max_pixels), item.photo_sha256
        for role, patch in remake(item, pixels, margin=margin, zoo=trained):
            path = patch_path(folder, role, item.id)
            path.write_bytes(encode_png(patch))
            replayed.append(Replayed(item, role, path, pixel_digest(patch) == item.digest(role)))
        advance(1)
    return sorted(replayed, key=attrgetter("item.id"))


def remake(item: Item, photo: Patch, *, margin: int, zoo: Zoo | None = None) -> Iterator[tuple[str, Patch]]:
    """Give role and pixels of each patch of an item, from the pixels of its photo."""
    left, top, width, height = item.box
    crop, _ = cut(photo, left=left, top=top, size=(width, height), scale=item.scale, margin=margin)
    if item.ref_sha256:
        yield "ref", without_margin(crop, margin)
    yield "p0", _treatment(item.p0).apply(crop, margin=margin, zoo=zoo)
    yield "p1", _treatment(item.p1).apply(crop, margin=margin, zoo=zoo)


def _treatment(record: Made) -> Treatment:
    return Treatment(parse(record.recipe), record.severity, record.seed)


def _zoo(patch_set: PatchSet, folder: Path | None) -> Zoo | None:
    """The zoo that a set was made with, or None if with none."""
    description = patch_set.description
    digest = description.settings.get("zoo_sha256")
    if digest is None:
        return None
    own = open_zoo(folder or Path(description.findings.get("zoo", STARTER)))
    if own.digest != digest:
        raise PatchSetError(
            f"{own.folder}: is another zoo, SHA-256 {own.digest[:12]}…; the set was made with {digest[:12]}…, "
            "name its folder with --zoo"
        )
    return own


def _find(item: Item, folders: Sequence[Path]) -> Photo:
    """The photo of an item; reading it checks the hash, which settles which of several of one name it is."""
    candidates = [folder / item.photo for folder in folders if (folder / item.photo).is_file()]
    for path in candidates:
        photo = Photo(item.photo, path, item.photo_sha256, 0, 0)
        if photo.is_unchanged():
            return photo
    where = ", ".join(map(str, candidates or folders))
    what = "another photo of that name" if candidates else "no such photo"
    raise PatchSetError(f"item {item.id} needs the photo {item.photo}; {where}: {what}. Name its folder with --photos")
