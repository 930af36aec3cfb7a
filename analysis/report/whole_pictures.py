"""The whole pictures of a report that shows crops: the folder beside the page in which they lie."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from analysis.report.material import Material, WholePicture
from bapps_builder.errors import DatasetError
from bapps_builder.files.whole_folder import folder_made_whole

# The file by which a folder is known to be of a page, and that says what each picture is.
LIST = "pictures.json"
_ABOUT = "The whole pictures of a page by bapps-report, which replaces this folder as a whole"


def whole_pictures(material: Material) -> dict[WholePicture, str]:
    """Name the file of every whole picture: 001-ref.png is the reference of the first item that is cropped.

    Names are numbers, since ids come from tables that anybody may have written.
    """
    numbers: dict[tuple[Path, ...], int] = {}
    names = {}
    for item in (item for items in material.contradictions.values() for item in items):
        if wholes := [(one.role, one.whole) for one in item.patches if one.whole]:
            number = numbers.setdefault(tuple(whole.path for _, whole in wholes), len(numbers) + 1)
            names.update({whole: f"{number:03d}-{role}.png" for role, whole in wholes})
    return names


def folder_beside(page: Path) -> Path:
    """Where the whole pictures of a page lie: `report-pictures` for `report.html`."""
    return page.with_name(f"{page.stem}-pictures")


def check_folder_beside(page: Path) -> None:
    """Raise DatasetError where the folder for whole pictures is there and may not be replaced.

    It may where an earlier report wrote it for this page, and nobody has put anything into it since.
    """
    folder = folder_beside(page)
    if not folder.exists() and not folder.is_symlink():
        return
    rest = "move it away, write the page under another name, or choose --pictures inside"
    try:
        listed = json.loads((folder / LIST).read_bytes())
        owner, names = listed["page"], {LIST, *listed["files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = f"{folder}: is there already, and is no folder of pictures that bapps-report wrote; {rest}"
        raise DatasetError(text) from error
    if owner != page.name:
        raise DatasetError(f"{folder}: holds the pictures of the page {owner}, not of {page.name}; {rest}")
    if others := sorted({path.name for path in folder.iterdir()} - names):
        raise DatasetError(f"{folder}: holds {others[0]}, which bapps-report did not write; {rest}")


@contextmanager
def pictures_beside(page: Path, wholes: Mapping[WholePicture, str]) -> Iterator[int]:
    """Write the folder of whole pictures aside, give its bytes, and put it in place when the block succeeds.

    Pictures are read and written one at a time. Where there are none, nothing is written.
    """
    if not wholes:
        yield 0
        return
    check_folder_beside(page)
    folder = folder_beside(page)
    with folder_made_whole(folder, replace=folder.exists()) as made:
        total = sum((made / name).write_bytes(whole.png()) for whole, name in wholes.items())
        files = {name: whole.words for whole, name in wholes.items()}
        listed = json.dumps({"about": _ABOUT, "page": page.name, "files": files}, indent=1)
        yield total + (made / LIST).write_bytes(f"{listed}\n".encode())
