"""The files of a dataset in the BAPPS layout as they lie there, paired by stem, and what is wrong with their names."""

import os
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bapps_builder.checking.findings import Finding, finding
from bapps_builder.errors import DatasetError
from bapps_builder.images.image_files import SUFFIXES
from bapps_builder.layout import LABEL_FOLDER, SetFolder, every_set
from bapps_builder.patch_sets.manifest import item_id

_SIX_DIGITS = re.compile(r"[0-9]{6}").fullmatch


@dataclass(frozen=True)
class SetFiles:
    """The files of one set, as they lie there.

    Attributes
    ----------
    folder : SetFolder
    files : mapping of role to stem to suffix
    """

    folder: SetFolder
    files: dict[str, dict[str, str]]

    def name(self, role: str, stem: str) -> str:
        """The name of an item's file in the folder of a role."""
        return f"{stem}{self.files[role][stem]}"

    @cached_property
    def complete(self) -> list[str]:
        """The stems that have a file in every folder, sorted."""
        return sorted(set.intersection(*(set(found) for found in self.files.values())))


def list_files(root: Path) -> list[tuple[SetFiles, list[Finding]]]:
    """List the files of every set, with what is wrong with their names.

    Raises
    ------
    DatasetError
        If there is no dataset at `root`.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; it should hold 2afc/ or jnd/ in the BAPPS layout")
    sets = every_set(root)
    if not sets:
        raise DatasetError(f"{root}: no sets in it; wanted folders like {SetFolder(root, '2afc', 'val', 'SET').path}")
    return [_list_set(folder) for folder in sets]


def _list_set(folder: SetFolder) -> tuple[SetFiles, list[Finding]]:
    findings: list[Finding] = []
    files: dict[str, dict[str, str]] = {}
    label = LABEL_FOLDER[folder.task]
    for role in folder.roles:
        if not (folder.path / role).is_dir():
            findings += finding("folder", folder.key, [f"{role}/"], "missing")
            files[role] = {}
            continue
        files[role], foreign = _by_stem(folder.path / role, frozenset({".npy"}) if role == label else SUFFIXES)
        findings += finding("foreign", folder.key, foreign, "does not belong here, or is a second file of an item")
    every = sorted(set().union(*files.values()))
    for role, found in files.items():
        if found:
            findings += finding("paired", folder.key, sorted(set(every).difference(found)), f"not in {role}/")
    numbered = [one for one in every if _SIX_DIGITS(one)]
    named = sorted(set(every).difference(numbered)) if len(numbered) < len(every) else []
    findings += finding("contiguous", folder.key, named, "not named by six digits")
    last = int(numbered[-1]) if numbered else -1
    gaps = sorted({item_id(number) for number in range(last + 1)}.difference(numbered)) if len(numbered) <= last else []
    findings += finding("contiguous", folder.key, gaps, "numbers that are missing")
    return SetFiles(folder, files), findings


def _by_stem(folder: Path, suffixes: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    """Suffix by stem of the files of a folder, and the names of what should not be there; hidden files do not count."""
    with os.scandir(folder) as entries:  # which knows without asking again whether something is a file
        found = {entry.name: entry.is_file() for entry in entries if not entry.name.startswith(".")}
    files: dict[str, str] = {}
    foreign = []
    for name in sorted(found):
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - ten times as fast for a million names
        if suffix.lower() not in suffixes or stem in files or not found[name]:
            foreign.append(f"{folder.name}/{name}")
        else:
            files[stem] = sys.intern(suffix)
    return files, foreign
