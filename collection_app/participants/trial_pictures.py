"""The pictures of a trial under opaque names, all of one size on the wire: nothing but their pixels tells them apart.

The three of a trial are read together, and one that is there twice is read twice: two identical ones come no sooner
than two others.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache

from sqlalchemy import Connection, Engine, bindparam, select

from collection_app.database.connections import read
from collection_app.database.models import Assignment, Item, Session
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

Reader = Callable[[Engine, Sequence[str]], list[bytes]]


def trial_picture(engine: Engine, names: PictureNames, name: str, pngs: Reader) -> bytes | None:
    """Give the picture of an opaque name, padded; None if it is no such name. `pngs` reads by hashes of pixels."""
    place = names.place(name)
    if place is None:
        return None
    public_id, pictures = _pictures(engine, place.session_id, place.slot, pngs)
    if place.role not in pictures or names.name(place, public_id) != name:
        return None
    return padded(pictures[place.role], name)


@lru_cache(maxsize=512)  # some 12 MB
def _pictures(engine: Engine, session_id: int, slot: int, pngs: Reader) -> tuple[str, dict[str, bytes]]:
    def work(connection: Connection) -> tuple[str, dict[str, str]]:
        row = connection.execute(_TRIAL, {"session_id": session_id, "slot": slot}).one_or_none()
        return (row.public_id, images_of(row)) if row else ("", {})

    public_id, images = read(engine, work)
    return public_id, dict(zip(images, pngs(engine, list(images.values())), strict=True))


def padded(png: bytes, name: str) -> bytes:
    """Bring a PNG to the size that all of its width and height have, with bytes that differ from name to name."""
    width, height = struct.unpack(">II", png[16:24])
    size = height * (1 + 3 * width) + _ROOM
    while size < len(png) + _AROUND:  # a file with more in it than pixels of three bytes
        size += _STEP
    if not png.endswith(_END):
        raise ValueError("the file does not end as a PNG file does")
    filling = _CHUNK + hashlib.shake_128(name.encode()).digest(size - len(png) - _AROUND)
    chunk = struct.pack(">I", len(filling) - 4) + filling + struct.pack(">I", zlib.crc32(filling))
    return png[: -len(_END)] + chunk + _END
