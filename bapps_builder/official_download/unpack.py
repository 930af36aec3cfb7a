"""Unpack an archive of BAPPS without trusting it: only files of the layout, only inside the target.

Whatever else an archive of somebody's could do is refused: paths that lead out, links, devices, other files,
more or larger ones than the release could have.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from bapps_builder.errors import DownloadError
from bapps_builder.files.whole_folder import folder_made_whole
from bapps_builder.images.image_files import SUFFIXES
from bapps_builder.layout import IMAGE_FOLDERS, LABEL_FOLDER, SetFolder, Task

# The largest archive has 606,000 files in 5.3 GB; a file of 256x256 is at most 200 KB.
MAX_FILES = 1_500_000
MAX_FILE_BYTES = 2_000_000
MAX_BYTES = 40_000_000_000
_LEADING = frozenset({".", "dataset", "2afc", "jnd"})


def unpack(file: Path, out: Path, *, task: Task, split: str) -> Path:
    """Unpack the sets of one split of a task; give their folder, `out`/`task`/`split`, which appears whole.

    Raises
    ------
    DownloadError
        If the file is no tar (gzipped or not), holds anything that is no file of a set, or nothing.
    FileExistsError
        If the folder exists.
    """
    folder = out / task / split
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            folder_made_whole(folder) as new_folder,
            _opened(file) as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            count = total = 0
            for member, inner_path in _members(archive, task, split, name=str(file)):
                stream.restart()
                count, total = count + 1, total + member.size
                if count > MAX_FILES or total > MAX_BYTES:
                    raise DownloadError(
                        f"{file}: holds more than {MAX_FILES} files or {MAX_BYTES} bytes; no release does"
                    )
                content = archive.extractfile(member)
                if content is None:
                    raise DownloadError(f"{file}: {member.name!r} has no content")
                target = new_folder / inner_path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
            if not count:
                raise DownloadError(f"{file}: holds no sets of {task}/{split}")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DownloadError(f"{file}: not a readable tar archive, or cut off: {error}") from error
    except OSError as error:
        if error.errno is None:  # what gzip raises on damaged data
            raise DownloadError(f"{file}: not a readable tar archive: {error}") from error
        raise
    return folder


class _Metered(io.RawIOBase):
    """A file that ends with an error when too much is read of it for one member, whatever that is."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name, self._since = file, name, 0

    def restart(self) -> None:
        self._since = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._since += len(data)
        if self._since > 2 * MAX_FILE_BYTES:
            raise DownloadError(
                f"{self._name}: a member of more than {MAX_FILE_BYTES} bytes; no file of the release is that large"
            )
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


def _opened(file: Path) -> _Metered:
    with file.open("rb") as start:
        gzipped = start.read(2) == b"\x1f\x8b"
    return _Metered(cast(IO[bytes], (gzip.open if gzipped else open)(file, "rb")), str(file))


def _members(
    archive: tarfile.TarFile, task: Task, split: str, *, name: str
) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    """The files of sets, with their path below the split; anything dangerous or strange is an error."""
    for member in archive:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name:
            raise DownloadError(f"{name}: {member.name!r} leads out of the folder; nothing was unpacked")
        if member.isdir():
            continue
        if not member.isreg():
            raise DownloadError(f"{name}: {member.name!r} is a link or device; nothing was unpacked")
        if path.name.startswith("."):  # what a desktop leaves behind
            continue
        if member.size > MAX_FILE_BYTES:
            raise DownloadError(
                f"{name}: {member.name!r} has {member.size} bytes; no file of the release is that large"
            )
        yield member, _place(path, task, split, name=name)


def _place(path: PurePosixPath, task: Task, split: str, *, name: str) -> PurePosixPath:
    """SET/ROLE/FILE, if that is what a path ends in."""
    parts = path.parts
    if len(parts) >= 4 and set(parts[:-4]) <= _LEADING and parts[-4] == split:
        set_name, role, file = parts[-3:]
        suffixes = {**dict.fromkeys(IMAGE_FOLDERS[task], SUFFIXES), LABEL_FOLDER[task]: frozenset({".npy"})}
        if role in suffixes and PurePosixPath(file).suffix.lower() in suffixes[role] and not set_name.startswith("."):
            return PurePosixPath(set_name, role, file)
    example = SetFolder(Path(), task, split, "SET").file(LABEL_FOLDER[task], "000000")
    raise DownloadError(f"{name}: {str(path)!r} is no file of a set, like {example}; nothing was unpacked")
