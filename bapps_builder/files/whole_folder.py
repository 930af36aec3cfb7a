"""Folders appear whole or not at all: write beside the target, then rename or exchange."""

import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def folder_made_whole(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give an empty folder beside `target`, and rename it to `target` when the block succeeds.

    If the block raises, the folder is removed and an older `target` stays as it was. On Linux an older
    target is exchanged in one step, so that whoever is killed at any moment leaves the old or the new.

    Parameters
    ----------
    target : Path
    replace : bool
        Whether there is an older `target` to take the place of.

    Raises
    ------
    FileExistsError
        If `target` exists and is not to be replaced.
    FileNotFoundError
        If the folder it should be in does not exist.
    """
    # Where it takes the place of what a link points to, the link stays; a new one is no link.
    target = target.resolve() if replace else target.absolute()
    if not replace and (target.exists() or target.is_symlink()):
        raise FileExistsError(errno.EEXIST, "already exists; name another folder or remove it", str(target))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write to", str(target.parent))
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-writing-", dir=target.parent))
    try:
        new_folder = aside / "made"
        new_folder.mkdir()
        yield new_folder
        if replace:
            _exchange(new_folder, target)
        else:
            new_folder.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(new_folder: Path, target: Path) -> None:
    if not _exchanged_at_once(new_folder, target):
        old = new_folder.with_name("old")
        try:
            target.rename(old)
            new_folder.rename(target)
        except BaseException:
            if old.exists() and not target.exists():
                old.rename(target)
            raise


def _exchanged_at_once(new_folder: Path, target: Path) -> bool:
    """Exchange two folders by Linux's renameat2, or tell that this cannot be done here."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return renameat2(_AT_FDCWD, os.fsencode(new_folder), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE) == 0
