"""The files of a dataset in the BAPPS layout as they lie there, paired by stem, and what is wrong with their names."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bapps_builder.checking.findings import Finding, finding
from bapps_builder.errors import DatasetError
from bapps_builder.files.by_stem import files_by_stem, unpaired
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
        return sorted(set.intersection(*(set(of_role) for of_role in self.files.values())))


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
        raise DatasetError(f"{root}: no sets in it; expected folders like {SetFolder(root, '2afc', 'val', 'SET').path}")
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
        of_role = files_by_stem(folder.path / role, {".npy"} if role == label else SUFFIXES)
        files[role] = of_role.suffixes
        foreign = [f"{role}/{name}" for name in sorted((*of_role.foreign, *of_role.second))]
        findings += finding("foreign", folder.key, foreign, "does not belong here, or is a second file of an item")
    every = sorted(set().union(*files.values()))
    for role, missing in unpaired(files).items():
        if files[role]:
            findings += finding("paired", folder.key, missing, f"not in {role}/")
    numbered = [one for one in every if _SIX_DIGITS(one)]
    odd = sorted(set(every).difference(numbered)) if len(numbered) < len(every) else []
    findings += finding("contiguous", folder.key, odd, "not named by six digits")
    last = int(numbered[-1]) if numbered else -1
    gaps = sorted({item_id(number) for number in range(last + 1)}.difference(numbered)) if len(numbered) <= last else []
    findings += finding("contiguous", folder.key, gaps, "numbers that are missing")
    return SetFiles(folder, files), findings
