"""The pictures of a trial under opaque names, all of one size on the wire: nothing but their pixels tells them apart.

The three of a trial are read together, and one that is there twice is read twice: two identical ones come no sooner
than two others.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine, bindparam, select

from collection_app.database.connections import read
from collection_app.database.models import Assignment, Item, Session
from collection_app.participants.recently_read import RecentlyRead
from collection_app.sessions.trials import images_of
from collection_app.signing import PictureNames

_TRIAL = (
    select(Session.public_id, Assignment.side, Item.ref, Item.p0, Item.p1)
    .select_from(Assignment)
    .join(Session, Session.id == Assignment.session_id)
    .join(Item)
    .where(Assignment.session_id == bindparam("session_id"), Assignment.slot == bindparam("slot"))
)
# An ancillary, private chunk that programs may copy: decoders pass over it.
_CHUNK, _AROUND = b"bpPd", 12
_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
# Room beyond the bytes of the pixels: headers, and what PNG adds to pixels that do not compress.
_ROOM, _STEP = 512, 4096
# Filling repeats after so much: making it takes the same time for every picture, however large.
_PATTERN = 4096

Reader = Callable[[Engine, Sequence[str]], list[bytes]]
# Of a trial: the name of its session, and its files by role.
_Found = tuple[str, dict[str, bytes]]
# Each trial is asked for as many times as it has pictures. Some thousand trials of 64x64 are kept, or 30 of 512x512.
_recent: RecentlyRead[tuple[Engine, int, int, Reader], _Found] = RecentlyRead(64 * 2**20)
_LEAST = 500  # bytes, of what has no files


def trial_picture(engine: Engine, names: PictureNames, name: str, pngs: Reader) -> bytes | None:
    """Give the picture of an opaque name, padded; None if it is no such name. `pngs` reads by hashes of pixels."""
    place = names.place(name)
    if place is None:
        return None
    public_id, pictures = _pictures(engine, place.session_id, place.slot, pngs)
    if place.role not in pictures or names.name(place, public_id) != name:
        return None
    return padded(pictures[place.role], name)


def _pictures(engine: Engine, session_id: int, slot: int, pngs: Reader) -> _Found:
    key = (engine, session_id, slot, pngs)
    if (picture := _recent.get(key)) is not None:
        return picture

    def work(connection: Connection) -> tuple[str, dict[str, str]]:
        row = connection.execute(_TRIAL, {"session_id": session_id, "slot": slot}).one_or_none()
        return (row.public_id, images_of(row)) if row else ("", {})

    public_id, images = read(engine, work)
    files = dict(zip(images, pngs(engine, list(images.values())), strict=True))
    _recent.put(key, (public_id, files), _LEAST + sum(map(len, files.values())))
    return public_id, files


def padded(png: bytes, name: str) -> bytes:
    """Bring a PNG to the size that all of its width and height have, with bytes that differ from name to name."""
    width, height = struct.unpack(">II", png[16:24])
    size = height * (1 + 3 * width) + _ROOM
    while size < len(png) + _AROUND:  # a file with more in it than pixels of three bytes
        size += _STEP
    if not png.endswith(_END):
        raise ValueError("the file does not end as a PNG file does")
    length = size - len(png) - _AROUND
    pattern = hashlib.shake_128(name.encode()).digest(_PATTERN)
    filling = _CHUNK + (pattern * (length // _PATTERN + 1))[:length]
    chunk = struct.pack(">I", len(filling) - 4) + filling + struct.pack(">I", zlib.crc32(filling))
    return png[: -len(_END)] + chunk + _END
