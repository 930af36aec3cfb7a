"""Files appear whole or not at all: write beside the target, then rename."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced_whole(target: Path, *, private: bool = False) -> Iterator[Path]:
    """Give a temporary path in the target's folder, and rename it to `target` when the block succeeds.

    The temporary name keeps the target's suffixes, since writers choose a format by them. If the block
    raises, the temporary file is removed and an older `target` stays as it was. A `private` file is readable by its
    owner alone.
    """
    target = Path(target)
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write to", str(target.parent))
    handle, name = tempfile.mkstemp(prefix=".writing-", suffix="".join(target.suffixes[-2:]), dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if not private:
            temporary.chmod(0o666 & ~_umask())  # mkstemp makes files private; the result is an ordinary file
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(target: Path) -> None:
    """Raise OSError unless `replaced_whole` could write `target` now: for work whose result comes late."""
    target = Path(target).absolute()
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file to write", str(target))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write to", str(target.parent))
    with tempfile.TemporaryFile(dir=target.parent):
        pass


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
