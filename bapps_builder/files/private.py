"""Files that hold what people told us: only their owner may read them, whatever the umask."""

import os
import stat
from pathlib import Path
from typing import TextIO

FILE, FOLDER = 0o600, 0o700


def private_file(path: Path) -> None:
    """Make a file that only its owner may read and write; one that is there stays, and is closed to others.

    The latter is never opened: closing it would end the locks that this process has on it (`fcntl(2)`), as SQLite's.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE))
    except FileExistsError:
        close_to_others(path)


def private_folder(path: Path) -> None:
    """Make a folder, and those above it, that only its owner may enter; one that is there stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=FOLDER, exist_ok=True)


def close_to_others(path: Path) -> None:
    """Take from all but the owner what they may do with a file of ours; others' files, and none, are left alone."""
    try:
        state = path.stat()
        if state.st_mode & 0o077 and state.st_uid == os.geteuid():
            path.chmod(stat.S_IMODE(state.st_mode) & FOLDER)
    except FileNotFoundError:
        return


def private_stream(stream: TextIO) -> None:
    """Close to others the file that a stream goes to, as after `> pay.csv`; terminals and pipes are left alone."""
    try:
        handle = stream.fileno()
    except (OSError, ValueError, AttributeError):  # a stream in memory
        return
    state = os.fstat(handle)
    if stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid():
        os.fchmod(handle, stat.S_IMODE(state.st_mode) & FOLDER)
