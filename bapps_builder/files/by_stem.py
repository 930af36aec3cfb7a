"""Files of several folders that belong together by their stems, their names without suffix; never by position."""

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bapps_builder.files.file_names import is_utf8, printable


@dataclass(frozen=True)
class FilesByStem:
    """The files of a folder, hidden ones left out.

    Attributes
    ----------
    folder : Path
    suffixes : mapping of stem to suffix
        In the order of the names. The stem of a file in a folder below is its path, with / between parts.
    foreign : list of str
        Names of files with another suffix, of what is no file (a pipe, a folder), and those that are not UTF-8,
        as they can be printed.
    second : list of str
        Names of files whose stem an earlier one has.
    """

    folder: Path
    suffixes: dict[str, str]
    foreign: list[str]
    second: list[str]

    def path(self, stem: str) -> Path:
        """The file of a stem."""
        return self.folder / f"{stem}{self.suffixes[stem]}"

    def paths(self) -> dict[str, Path]:
        """Every file by its stem."""
        return {stem: self.path(stem) for stem in self.suffixes}


def files_by_stem(folder: Path, suffixes: Collection[str], *, deep: bool = False) -> FilesByStem:
    """List the files of a folder by stem.

    Parameters
    ----------
    folder : Path
        Must exist.
    suffixes : collection of str
        In small letters, such as ".png"; those of files are taken in either case.
    deep : bool
        Also those of folders below.
    """
    files: dict[str, str] = {}
    foreign, second = [], []
    for name, is_file in sorted(_names(folder, deep)):
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - ten times as fast for a million names
        if suffix.lower() not in suffixes or not is_file or not is_utf8(name):
            foreign.append(printable(name))
        elif stem in files:
            second.append(name)
        else:
            files[stem] = sys.intern(suffix)
    return FilesByStem(folder, files, foreign, second)


def unpaired(stems: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """Give, for each of several collections of stems, those that another has and it lacks, sorted."""
    every = set().union(*stems.values())
    return {name: sorted(every.difference(stems_of_role)) for name, stems_of_role in stems.items()}


def _names(folder: Path, deep: bool) -> Iterator[tuple[str, bool]]:
    """Names below a folder, and whether each is a file."""
    with os.scandir(folder) as entries:  # which knows without asking again whether something is a file
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in visible:
        if deep and entry.is_dir(follow_symlinks=False):
            yield from ((f"{entry.name}/{name}", is_file) for name, is_file in _names(Path(entry.path), deep))
        else:
            yield entry.name, entry.is_file()
