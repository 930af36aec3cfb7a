"""Which patches were found damaged: noted in the database, so that every process and page knows of it."""

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from collection_app.database.models import Image


@dataclass(frozen=True)
class DamagedImage:
    """Where a patch that does not hold its pixels lies, and when it was found so, in milliseconds since 1970."""

    path: str
    at: int


def note_damaged(connection: Connection, sha256: str, now: int) -> bool:
    """Note a patch as damaged; False if it is noted already."""
    unnoted = update(Image).where(Image.sha256 == sha256, Image.damaged_at.is_(None))
    return bool(connection.execute(unnoted.values(damaged_at=now)).rowcount)


def note_sound(connection: Connection, sha256: str) -> None:
    """Take the note away."""
    connection.execute(update(Image).where(Image.sha256 == sha256).values(damaged_at=None))


def damaged_images(connection: Connection) -> tuple[DamagedImage, ...]:
    """All that are noted."""
    query = select(Image.path, Image.damaged_at).where(Image.damaged_at.is_not(None)).order_by(Image.path)
    return tuple(DamagedImage(row.path, row.damaged_at) for row in connection.execute(query))
