"""Download the official release of BAPPS: archives from several mirrors, resumed, recorded, unpacked.

The authors publish no hashes. The first archive that arrives whole is trusted, and its size and SHA-256 are
written to `downloads.json`; from then on another one is refused.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bapps_builder.errors import DownloadError
from bapps_builder.files.atomic import replaced_whole
from bapps_builder.files.download import fetch, sha256_of
from bapps_builder.layout import Task
from bapps_builder.official_download.unpack import unpack

RECORD = "downloads.json"
# What to do where it cannot be read, and what that means.
_WITHOUT_RECORD = "remove it, and the next archives are accepted without comparing their SHA-256 with earlier ones"
MIRRORS = (
    "https://perceptual-similarity.s3.us-west-2.amazonaws.com/dataset",
    "https://people.eecs.berkeley.edu/~rich.zhang/projects/2018_perceptual/dataset",
)
_ATTEMPTS = 5  # in a row without a new byte


@dataclass(frozen=True)
class Archive:
    """One file of the release.

    Attributes
    ----------
    file : str
    task, split : str
        What it holds.
    gigabytes : float
        As its authors announce it.
    """

    file: str
    task: Task
    split: str
    gigabytes: float


ARCHIVES = {
    "val": Archive("twoafc_val.tar.gz", "2afc", "val", 1.1),
    "train": Archive("twoafc_train.tar.gz", "2afc", "train", 5.3),
    "jnd": Archive("jnd.tar.gz", "jnd", "val", 0.2),
}


@dataclass(frozen=True)
class Fetched:
    """What is known of an archive that arrived: the record in `downloads.json`."""

    bytes: int
    sha256: str
    source: str


def download(
    archive: Archive,
    out: Path,
    *,
    mirrors: Sequence[str] = MIRRORS,
    sha256: str = "",
    keep: bool = False,
    advance: Callable[[int], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Download an archive and unpack it into the dataset folder `out`; give the folder of the sets.

    Parameters
    ----------
    archive : Archive
    out : Path
    mirrors : sequence of addresses
        Of the folders the file is in, tried in this order.
    sha256 : str
        What the archive must have; "" trusts the first one, and then what is written down.
    keep : bool
        Keep the archive after unpacking.
    advance : callable
        Called with the number of bytes each time some arrive, those of an earlier attempt included.
    say : callable
        Called with a line about what is done, where it matters.

    Raises
    ------
    DownloadError
        If no mirror gives it, or it is not the one recorded, or not what it should hold.
    """
    _check_free(archive, out)
    out.mkdir(parents=True, exist_ok=True)
    target = out / archive.file
    if not target.exists():
        _from_mirrors(archive, target, mirrors, sha256 or _recorded(out, archive), advance, say)
    folder = unpack_copy(archive, target, out, sha256=sha256, source="download", say=say, discard=True)
    if not keep:
        target.unlink()
    return folder


def unpack_copy(
    archive: Archive,
    file: Path,
    out: Path,
    *,
    sha256: str = "",
    source: str = "copy",
    discard: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Check an archive that is here against what is known of it, and unpack it into `out`.

    Parameters
    ----------
    source : str
        How it came, for the record.
    discard : bool
        Delete the file if it is the wrong one, so that it is fetched anew.

    Raises
    ------
    DownloadError
        If it is not the one recorded, is no archive, or holds what it must not.
    """
    _check_free(archive, out)
    if not file.is_file():
        raise DownloadError(f"{file}: no such file; expected a copy of {archive.file}")
    digest, expected_digest = sha256_of(file), sha256 or _recorded(out, archive)
    try:
        if expected_digest and digest != expected_digest:
            raise DownloadError(f"{file}: has SHA-256 {digest}, expected {expected_digest}; this is another file")
        out.mkdir(parents=True, exist_ok=True)
        folder = unpack(file, out, task=archive.task, split=archive.split)
    except DownloadError:
        if discard:
            file.unlink()
        raise
    if not _recorded(out, archive):
        _write_down(out, archive, Fetched(file.stat().st_size, digest, source))
        if not sha256:
            say(
                f"{archive.file}: SHA-256 {digest}, trusted, since none was recorded before, and written to "
                f"{out / RECORD}"
            )
    return folder


def _check_free(archive: Archive, out: Path) -> None:
    target = out / archive.task / archive.split
    if target.exists():
        raise DownloadError(f"{target}: already exists; remove it first to replace it")


def _from_mirrors(
    archive: Archive,
    target: Path,
    mirrors: Sequence[str],
    sha256: str,
    advance: Callable[[int], None],
    say: Callable[[str], None],
) -> None:
    errors = []
    for mirror in mirrors:
        try:
            _persistently(f"{mirror.rstrip('/')}/{archive.file}", target, sha256, advance)
        except DownloadError as error:
            errors.append(str(error))
            say(str(error))
        else:
            return
    raise DownloadError(
        f"{archive.file}: none of {len(mirrors)} mirrors gave it (the last: {errors[-1]}); run the command again to go "
        "on, or fetch it elsewhere and name it with --from"
    )


def _persistently(address: str, target: Path, sha256: str, advance: Callable[[int], None]) -> None:
    """Fetch, and go on after each interruption, until nothing more arrives."""
    part = target.with_name(target.name + ".part")
    counter, idle, most = _Counter(advance), 0, 0
    while True:
        counter.restart()
        try:
            return fetch(address, target, sha256_prefix=sha256, advance=counter)
        except DownloadError:
            if not part.exists():  # nothing ever came, or what came was wrong
                raise
            size = part.stat().st_size
            idle, most = (0, size) if size > most else (idle + 1, most)
            if idle >= _ATTEMPTS:
                raise


class _Counter:
    """Tells of each byte once, however often an attempt begins again."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance, self._told, self._at = advance, 0, 0

    def restart(self) -> None:
        self._at = 0

    def __call__(self, steps: int) -> None:
        self._at += steps
        if self._at > self._told:
            self._advance(self._at - self._told)
            self._told = self._at


def _recorded(out: Path, archive: Archive) -> str:
    return str(_read_record(out).get(archive.file, {}).get("sha256", ""))


def _write_down(out: Path, archive: Archive, fetched: Fetched) -> None:
    with replaced_whole(out / RECORD) as temporary:
        temporary.write_text(json.dumps({**_read_record(out), archive.file: asdict(fetched)}, indent=2) + "\n")


def _read_record(out: Path) -> dict[str, dict[str, object]]:
    path = out / RECORD
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DownloadError(f"{path}: the record of downloads cannot be read: {error}; {_WITHOUT_RECORD}") from error
    if not isinstance(content, dict) or not all(isinstance(one, dict) for one in content.values()):
        raise DownloadError(f"{path}: not a record of downloads; {_WITHOUT_RECORD}")
    return content
