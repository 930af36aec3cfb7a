"""Which sizes of patches the pages can show: a study of others can be simulated, and not yet be served."""

from pathlib import Path

from sqlalchemy import Connection, select

from bapps_builder.images.enlargement import PATCH_SIDE
from collection_app.database.models import Image, Item
from collection_app.errors import StudyError
from collection_app.studies.installation import find
from collection_app.studies.study import Study

_HEADER = 24  # bytes of a PNG file, of which the last eight are its width and height


def require_shown_sizes(connection: Connection, study: Study) -> None:
    """Raise StudyError, naming the first patch, if one of a study is not of the size that its pages draw.

    The patches of an item are of one size, so one of them is looked at. A file that is not there is passed over: it is
    missed where it is sent.
    """
    patches = select(Image.path).join(Item, Item.p0 == Image.sha256).distinct()
    for path in connection.scalars(patches.where(Item.study_id == find(connection, study).id).order_by(Image.path)):
        try:
            with Path(path).open("rb") as file:
                header = file.read(_HEADER)
        except OSError:
            continue
        width, height = (int.from_bytes(header[at : at + 4], "big") for at in (16, 20))
        if (width, height) != (PATCH_SIDE, PATCH_SIDE):
            raise StudyError(
                f"{path}: is {width}x{height}; the pages show patches of {PATCH_SIDE}x{PATCH_SIDE} so far, and would "
                "resample others. `bapps-collect simulate` takes any size; to ask people, make a patch set with "
                f"--size {PATCH_SIDE}"
            )
