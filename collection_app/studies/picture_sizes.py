"""The sizes of a study's pictures: one for each item, by which pages lay them out and check whether a screen has room.

Items that were stored before their sizes were get them here, from their files.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Connection, bindparam, select, update

from bapps_builder.images.enlargement import PATCH_SIDE
from collection_app.database.models import Image, Item, table_of

# Width and height.
Size = tuple[int, int]
# Of an item whose size nobody knows: its file was lost before sizes were stored, when no other was shown.
USUAL: Size = (PATCH_SIDE, PATCH_SIDE)
# A laptop's window, in CSS pixels, and what three pictures in a row take of it besides themselves.
USUAL_WINDOW: Size = (1280, 720)
_BESIDE, _AROUND = 3 * 41, 300
_HEADER = 24  # bytes of a PNG file, of which the last eight are its width and height
_AT_A_TIME = 500
_UNKNOWN = (
    select(Item.p0, Image.path)
    .join(Image, Image.sha256 == Item.p0)
    .where(Item.study_id == bindparam("study_id"), Item.width.is_(None))
    .distinct()
)
_KNOWN = (
    select(Item.width, Item.height).where(Item.study_id == bindparam("study_id"), Item.width.is_not(None)).distinct()
)


def note_sizes(connection: Connection, study_id: int) -> None:
    """Store the sizes of the items that have none; one whose file cannot be read is passed over."""
    items = table_of(Item)
    of_size: dict[Size, list[str]] = defaultdict(list)
    for row in connection.execute(_UNKNOWN, {"study_id": study_id}):
        if size := _size_of(Path(row.path)):
            of_size[size].append(row.p0)
    for (width, height), names in of_size.items():
        for first in range(0, len(names), _AT_A_TIME):
            some = items.c.p0.in_(names[first : first + _AT_A_TIME])
            connection.execute(
                update(items).where(items.c.study_id == study_id, some).values(width=width, height=height)
            )


def largest_sizes(connection: Connection, study_id: int) -> list[Size]:
    """The sizes of a study that no other of its sizes covers: what has room for these has room for all."""
    sizes = [(row.width, row.height) for row in connection.execute(_KNOWN, {"study_id": study_id})]
    return uncovered(sizes) or [USUAL]


def uncovered(sizes: Iterable[Size]) -> list[Size]:
    """Of some sizes, those than which no other one is as wide and as high, the widest first."""
    front: list[Size] = []
    for width, height in sorted(set(sizes), reverse=True):
        if not front or height > front[-1][1]:
            front.append((width, height))
    return front


def fit_abreast(size: Size) -> bool:
    """Tell whether three pictures of a size have room side by side in a usual window, at one device pixel for each."""
    width, height = size
    return 3 * width + _BESIDE <= USUAL_WINDOW[0] and height + _AROUND <= USUAL_WINDOW[1]


def _size_of(path: Path) -> Size | None:
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except OSError:
        return None
    if len(header) < _HEADER:
        return None
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
