"""The files of patches: nobody is given one before its pixels have been held against their hash.

A file that is lost, cut off or exchanged is damaged: it is answered with 503, logged, and noted in the database, where
every process, the admin pages and /healthz see it. The note goes when the file is sound again. What was found sound is
looked at again when the file has changed.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, bindparam, select, union
from sqlalchemy.exc import SQLAlchemyError

from bapps_builder.errors import ImageError
from bapps_builder.files.cores import cores
from bapps_builder.images.image_files import decode_image
from bapps_builder.patch_sets.patch_set import pixel_digest
from collection_app.database.connections import read, write
from collection_app.database.models import Image, Item
from collection_app.studies.damaged_images import note_damaged, note_sound
from collection_app.web.http_errors import Stop
from collection_app.web.logs import LOGGER
from collection_app.web.served_study import wall_clock

# Of files that are remembered, some 15 MB.
_MOST = 50_000
_AT_A_TIME = 1000
_PLACE = select(Image.sha256, Image.path, Image.damaged_at)
_OF_NAMES = _PLACE.where(Image.sha256.in_(bindparam("names", expanding=True)))
_NAMES = union(*(select(c).where(Item.study_id == bindparam("study_id")) for c in (Item.ref, Item.p0, Item.p1)))
_OF_STUDY = _PLACE.where(Image.sha256.in_(_NAMES)).order_by(Image.path)
# Of files that were found sound: what tells that they were not changed since.
_sound: dict[tuple[str, str], tuple[int, int, int]] = {}


@dataclass(frozen=True)
class _Place:
    """Where the patch with these pixels is, and whether it is noted as damaged."""

    sha256: str
    path: str
    noted: bool


@dataclass(frozen=True)
class _File:
    """What a file held when it was read, its state (None where it could not be read), and if it is known as sound."""

    place: _Place
    data: bytes
    state: tuple[int, int, int] | None
    sound: bool
    error: str = ""

    @classmethod
    def at(cls, place: _Place) -> "_File":
        """Read a file."""
        try:
            with Path(place.path).open("rb") as file:
                status, data = os.fstat(file.fileno()), file.read()
        except OSError as error:
            return cls(place, b"", None, False, f"cannot be read: {error.strerror}")
        state = (status.st_ino, status.st_mtime_ns, status.st_size)
        return cls(place, data, state, _sound.get((place.path, place.sha256)) == state)

    def problem(self) -> str:
        """Say what is wrong with it, if anything; remember what is sound."""
        if self.sound or self.state is None:
            return self.error
        try:
            digest = pixel_digest(decode_image(self.data, name=self.place.path))
        except ImageError as error:
            return str(error).removeprefix(f"{self.place.path}: ")
        if digest != self.place.sha256:
            return f"its pixels have SHA-256 {digest[:12]}…, not {self.place.sha256[:12]}…: it was exchanged"
        if len(_sound) >= _MOST:
            _sound.clear()
        _sound[self.place.path, self.place.sha256] = self.state
        return ""


def patch_png(engine: Engine, sha256: str) -> bytes:
    """Give the file of a patch by the hash of its pixels; see `patch_pngs`."""
    return patch_pngs(engine, [sha256])[0]


def patch_pngs(engine: Engine, names: Sequence[str]) -> list[bytes]:
    """Give the files of some patches by the hashes of their pixels.

    A patch that is named twice is read and checked twice: it takes as long as two others.

    Raises
    ------
    Stop
        404 if there is no patch of one of these names, 503 if its file does not hold it.
    """
    rows = read(engine, lambda connection: connection.execute(_OF_NAMES, {"names": list(names)}).all())
    places_by_hash = {row.sha256: _Place(row.sha256, row.path, row.damaged_at is not None) for row in rows}
    if not places_by_hash.keys() >= set(names):
        raise Stop(404, "not_found", "no such image")
    files = [_File.at(places_by_hash[name]) for name in names]
    problems = [file.problem() for file in files]
    for file, problem in zip(files, problems, strict=True):
        _note(engine, file.place, problem)
    if any(problems):
        raise Stop(503, "image_damaged", "this image cannot be given now", retry_after=5)
    return [file.data for file in files]


def check_patches(engine: Engine, study_id: int, *, advance: Callable[[int], None] = lambda steps: None) -> int:
    """Hold every patch of a study against its hash; give how many are damaged. `advance` is told of some at a time."""
    places = patches_of(engine, study_id)
    damaged = 0
    with ThreadPoolExecutor(cores()) as pool:
        for first in range(0, len(places), _AT_A_TIME):
            some = places[first : first + _AT_A_TIME]
            for place, problem in zip(some, pool.map(lambda place: _File.at(place).problem(), some), strict=True):
                _note(engine, place, problem)
                damaged += bool(problem)
            advance(len(some))
    return damaged


def patches_of(engine: Engine, study_id: int) -> list[_Place]:
    """Every patch of a study, in the order of their files."""
    rows = read(engine, lambda c: c.execute(_OF_STUDY, {"study_id": study_id}).all())
    return [_Place(row.sha256, row.path, row.damaged_at is not None) for row in rows]


def _note(engine: Engine, place: _Place, problem: str) -> None:
    """Write down what has changed: a patch that is damaged now, or sound again."""
    if bool(problem) == place.noted:
        return
    if problem:
        LOGGER.error("image damaged: %s: %s", place.path, problem)
    try:
        if problem:
            write(engine, lambda c: note_damaged(c, place.sha256, wall_clock()))
        else:
            write(engine, lambda c: note_sound(c, place.sha256))
    except SQLAlchemyError as error:  # a full disk: the patch is answered for all the same
        LOGGER.error("image damaged: it could not be noted", exc_info=error)
