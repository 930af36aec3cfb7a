"""Names of files as they can be written down, and what is said of files that are passed over."""

import os
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bapps_builder.errors import Notice


def is_utf8(name: str) -> bool:
    """Whether a name, as Python has it from the disk, can be written down in UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str | Path) -> str:
    r"""Spell a name so that it can be printed and stored: bytes that are not UTF-8 as \xff."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def say_passed_over(folder: Path, names: Iterable[str]) -> None:
    """Warn of the files of a folder that are not read, counted by suffix; nothing where there are none."""
    suffixes = Counter(_kind(name) for name in names)
    if suffixes:
        counted = ", ".join(f"{count} {suffix}" for suffix, count in sorted(suffixes.items()))
        total = suffixes.total()
        text = f"{printable(folder)}: {total} {'entry' if total == 1 else 'entries'} passed over: {counted}"
        warnings.warn(text, Notice, stacklevel=3)


def _kind(name: str) -> str:
    return os.path.splitext(name)[1].lower() or "without suffix"  # noqa: PTH122 - as in `by_stem.py`
